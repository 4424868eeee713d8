package fhirapi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// largestTransaction bounds the entries of a transaction, which holds the database while it writes.
const largestTransaction = 5000

// step is an entry of a transaction on its way.
type step struct {
	index  int
	method string
	url    string // relative to the base
	node   *fhirjson.Node
	change resources.Change
	// found stands for the answer where nothing is changed: If-None-Exist met a resource, or nothing is there to delete.
	found *resources.Resource
	// applied is set once it is written.
	applied resources.Applied
	answer  *answer // of a GET
}

// transaction does what its entries ask, all of it or nothing: deletes, then creates, then updates, then reads. References between
// entries, by fullUrl, become those of the ids given; conditional references become those of the one match.
func (a *API) transaction(c *gin.Context, root *fhirjson.Node) error {
	base := a.base(c.Request)
	var steps []*step
	for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		if len(steps) == largestTransaction {
			return failf(http.StatusRequestEntityTooLarge, "too-costly", "A transaction can have %d entries.", largestTransaction)
		}
		s := &step{index: len(steps), node: e, method: e.Member("request").MemberText("method")}
		s.url = strings.TrimPrefix(strings.TrimPrefix(e.Member("request").MemberText("url"), base), "/")
		steps = append(steps, s)
	}
	ids := map[string]string{} // fullUrl to Type/id
	touched := map[string]int{}
	for _, s := range steps {
		if err := a.prepare(c, s, ids); err != nil {
			return inEntry(s.index, err)
		}
		if s.change.Type == "" {
			continue
		}
		key := s.change.Type + "/" + s.change.ID
		if other, twice := touched[key]; twice {
			return inEntry(s.index, failf(http.StatusBadRequest, "invariant", "%s is already in entry %d; a transaction touches a resource once.", key, other))
		}
		touched[key] = s.index
	}
	var writes []*step
	for _, s := range steps {
		if s.change.Type == "" || s.found != nil {
			continue
		}
		if !s.change.Delete {
			var err error
			if s.method != http.MethodPatch {
				s.change.Body, err = a.linked(c, s.node.Member("resource"), ids)
			}
			if err == nil {
				err = a.checked(c, s.change.Type, s.change.ID, s.change.Body)
			}
			if err != nil {
				return inEntry(s.index, err)
			}
		}
		writes = append(writes, s)
	}
	order := map[string]int{http.MethodDelete: 0, http.MethodPost: 1, http.MethodPut: 2, http.MethodPatch: 2}
	slices.SortStableFunc(writes, func(x, y *step) int { return cmp.Compare(order[x.method], order[y.method]) })
	changes := make([]resources.Change, len(writes))
	for i, s := range writes {
		changes[i] = s.change
	}
	if len(changes) > 0 {
		done, err := a.store.Apply(c.Request.Context(), changes)
		if err != nil {
			if at, ok := errors.AsType[*resources.ChangeError](err); ok {
				return inEntry(writes[at.Index].index, at.Err)
			}
			return err
		}
		for i, s := range writes {
			s.applied = done[i]
		}
	}
	b := newBundle("transaction-response", a.o.NewID())
	for _, s := range steps {
		if s.method == http.MethodGet {
			s.answer = a.one(c, base, s.method, s.node.Member("request"), nil)
		}
		s.write(b, base)
	}
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// inEntry says which entry failed, and so that nothing was done.
func inEntry(index int, err error) error {
	f := *failureOf(err)
	f.text = fmt.Sprintf("Nothing was changed. Entry %d: %s", index, f.text)
	f.expression = cmp.Or(f.expression, fmt.Sprintf("Bundle.entry[%d]", index))
	return &f
}

// prepare finds out which resource an entry is about, before anything is written.
func (a *API) prepare(c *gin.Context, s *step, ids map[string]string) error {
	path, query, conditional := strings.Cut(s.url, "?")
	typ, id, _ := strings.Cut(path, "/")
	request, fullURL := s.node.Member("request"), s.node.MemberText("fullUrl")
	if s.method == http.MethodGet {
		if s.url == "" {
			return failf(http.StatusBadRequest, "required", "request.url is missing.")
		}
		return nil
	}
	if s.method == http.MethodPost && path == "" { // HAPI's client leaves the url of a create to the resource
		typ = s.node.Member("resource").ResourceType()
	}
	if err := a.served(typ); err != nil {
		return err
	}
	if s.method != http.MethodDelete && s.node.Member("resource") == nil {
		return failf(http.StatusBadRequest, "required", "%s needs a resource.", s.method)
	}
	ch := resources.Change{Type: typ}
	var matches []resources.Resource
	var err error
	criteria := request.MemberText("ifNoneExist")
	switch s.method {
	case http.MethodPost:
		if id != "" || conditional {
			return failf(http.StatusBadRequest, "not-supported", "POST %s is no create; operations do not run in a transaction.", s.url)
		}
		conditional = criteria != ""
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		criteria = query
		if id != "" == conditional {
			return failf(http.StatusBadRequest, "value", "%s needs Type/id or Type?criteria.", s.method)
		}
	default:
		return failf(http.StatusBadRequest, "not-supported", "request.method %q does not run in a transaction.", s.method)
	}
	if conditional {
		if matches, err = a.conditional(c, typ, criteria); err != nil {
			return err
		}
		if len(matches) > 1 {
			return failf(http.StatusPreconditionFailed, "multiple-matches", "%s matches more than one %s.", criteria, typ)
		}
	}
	switch {
	case len(matches) == 1:
		ch.ID = matches[0].ID
		if s.method == http.MethodPost {
			s.found = &matches[0]
		}
	case s.method == http.MethodPatch && conditional:
		return failf(http.StatusNotFound, "not-found", "%s matches no %s.", criteria, typ)
	case s.method == http.MethodDelete && conditional:
		s.found = &resources.Resource{Type: typ, Deleted: true}
	case id != "":
		ch.ID = id
	default: // a create, or an update that finds nothing
		ch.ID = a.o.NewID()
	}
	if ch.ID != "" && !validID(ch.ID) {
		return failf(http.StatusBadRequest, "value", "%q is no resource id.", ch.ID)
	}
	if m := request.MemberText("ifMatch"); m != "" {
		if ch.IfMatch, err = version(m); err != nil {
			return err
		}
	}
	ch.Delete = s.method == http.MethodDelete
	if s.method == http.MethodPatch {
		if err := a.preparePatch(c, s, &ch); err != nil {
			return err
		}
	}
	if s.found == nil || s.method == http.MethodPost {
		s.change = ch
	}
	if fullURL != "" && ch.ID != "" {
		ids[fullURL] = typ + "/" + ch.ID
	}
	return nil
}

// preparePatch makes an update of a patch, of the version that is there now.
func (a *API) preparePatch(c *gin.Context, s *step, ch *resources.Change) error {
	p, err := binaryPatch(s.node.Member("resource"))
	if err != nil {
		return err
	}
	now, err := a.store.Get(c.Request.Context(), ch.Type, ch.ID)
	if err != nil {
		return a.about(err, ch.Type, ch.ID)
	}
	if ch.IfMatch == 0 {
		ch.IfMatch = now.Version
	}
	ch.Body, err = patched(now, p)
	return err
}

// version reads an ETag.
func version(tag string) (int64, error) {
	v, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`), 10, 64)
	if err != nil || v < 1 {
		return 0, resources.ErrConflict
	}
	return v, nil
}

// linked is a resource with its references between entries, and its conditional references, made plain.
func (a *API) linked(c *gin.Context, resource *fhirjson.Node, ids map[string]string) ([]byte, error) {
	src := resource.Doc().Source()
	var out bytes.Buffer
	from := resource.Offset()
	var walk func(n *fhirjson.Node) error
	walk = func(n *fhirjson.Node) error {
		if n.Kind() == fhirjson.String {
			to, ok := ids[n.Text()]
			if !ok && n.Key() == "reference" && strings.Contains(n.Text(), "?") && !strings.Contains(n.Text(), ":/") {
				typ, criteria, _ := strings.Cut(n.Text(), "?")
				matches, err := a.conditional(c, typ, criteria)
				if err != nil {
					return err
				}
				if len(matches) != 1 {
					return failf(http.StatusPreconditionFailed, "multiple-matches", "The reference %s has to match one resource; it matches %s.", n.Text(), map[bool]string{true: "none", false: "several"}[len(matches) == 0])
				}
				to, ok = typ+"/"+matches[0].ID, true
			}
			if ok {
				out.Write(src[from:n.Offset()])
				out.Write(appendString(nil, to))
				from = n.End()
			}
			return nil
		}
		for m := n.First(); m != nil; m = m.Next() {
			if err := walk(m); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(resource); err != nil {
		return nil, err
	}
	out.Write(src[from:resource.End()])
	return out.Bytes(), nil
}

// write adds the answer of an entry.
func (s *step) write(b *bundle, base string) {
	b.open()
	b.entries = append(b.entries, '{')
	if s.answer != nil {
		writeAnswer(b, s.answer)
		return
	}
	r, status := &s.applied.Resource, http.StatusOK
	switch {
	case s.found != nil:
		r = s.found
		if r.Deleted {
			status = http.StatusNoContent
		}
	case s.change.Delete:
		status = http.StatusNoContent
	case s.applied.Created:
		status = http.StatusCreated
	}
	b.entries = append(b.entries, `"response":{"status":`...)
	b.entries = appendString(b.entries, strconv.Itoa(status)+" "+http.StatusText(status))
	if r.Version > 0 && !r.Deleted {
		b.entries = append(b.entries, `,"location":`...)
		b.entries = appendString(b.entries, base+"/"+r.Type+"/"+r.ID+"/_history/"+strconv.FormatInt(r.Version, 10))
		b.entries = append(b.entries, `,"etag":`...)
		b.entries = appendString(b.entries, etag(r.Version))
		b.entries = append(b.entries, `,"lastModified":`...)
		b.entries = appendString(b.entries, r.Updated.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	b.entries = append(b.entries, "}}"...)
}
