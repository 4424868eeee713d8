package fhirapi

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// supporting are the types outside a patient's compartment that $everything brings along as far as they are referred to.
// A role comes first since it refers to the others.
var supporting = []string{"PractitionerRole", "Medication", "Practitioner", "Location", "Organization"}

// The phases of $everything: the compartment, what it refers to, the provenance of it. A page may span two.
const (
	phaseCompartment = iota
	phaseSupporting
	phaseProvenance
	phaseEnd
)

type everythingQuery struct {
	id    string
	types []string // nil: all
	since time.Time
	size  int
}

func (q *everythingQuery) wants(typ string) bool {
	return q.types == nil || slices.Contains(q.types, typ)
}

// everything is Patient/{id}/$everything (P2P-DAT-05, 08, 18).
func (a *API) everything(c *gin.Context) error {
	ctx, base, id := c.Request.Context(), a.base(c.Request), c.Param("id")
	pairs, err := search.ParsePairs(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	q, applied, at, err := a.everythingParams(c, pairs)
	if err != nil {
		return err
	}
	q.id = id
	if _, err := a.store.Get(ctx, "Patient", id); err != nil {
		return a.about(err, "Patient", id)
	}
	found, next, err := a.everythingPage(ctx, q, at)
	if err == nil {
		found, err = a.covered(ctx, found)
	}
	if err != nil {
		return err
	}
	b := newBundle("searchset", a.o.NewID())
	link := func(p place) string {
		v := url.Values{}
		maps.Copy(v, applied)
		if p != (place{}) {
			v.Set(cursorParam, p.encode())
		}
		return absolute(base, "/Patient/"+id+"/$everything", v)
	}
	b.link("self", link(at))
	if next != nil {
		b.link("next", link(*next))
	} else if at == (place{}) {
		b.total = len(found)
	}
	for i := range found {
		mode := "match"
		if slices.Contains(supporting, found[i].Type) {
			mode = "include"
		}
		b.entry(base, &found[i], found[i].Body, mode)
	}
	if b.total >= 0 { // a total counts matches
		b.total = len(found) - countFunc(found, func(r resources.Resource) bool { return slices.Contains(supporting, r.Type) })
	}
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

func countFunc[T any](s []T, f func(T) bool) int {
	n := 0
	for _, v := range s {
		if f(v) {
			n++
		}
	}
	return n
}

func (a *API) everythingParams(c *gin.Context, pairs []search.Pair) (q everythingQuery, applied url.Values, at place, err error) {
	q.size, applied = a.o.EverythingSize, url.Values{}
	strict := preferences(c.Request)["handling"] == "strict"
	bad := func(name, text string) error {
		return &search.Error{Name: name, Code: "invalid", Message: text}
	}
	for _, p := range pairs {
		v := strings.TrimSpace(p.Value)
		switch p.Name {
		case cursorParam:
			if at, err = decodePlace(v); err != nil {
				return q, nil, at, err
			}
			continue
		case "_count":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return q, nil, at, bad(p.Name, strconv.Quote(v)+" is not a count")
			}
			q.size = min(n, a.o.MaxPageSize)
		case "_since":
			if q.since, err = search.Instant(v); err != nil {
				return q, nil, at, bad(p.Name, err.Error())
			}
		case "_type":
			for t := range strings.SplitSeq(v, ",") {
				if t = strings.TrimSpace(t); !a.reg.Serves(t) {
					return q, nil, at, bad(p.Name, "resource type "+strconv.Quote(t)+" is not served")
				}
				q.types = append(q.types, t)
			}
		case "_format", "_pretty":
			continue
		default:
			if strict {
				return q, nil, at, &search.Error{Name: p.Name, Code: "not-supported", Message: "is no parameter of $everything here"}
			}
			continue
		}
		applied.Add(p.Name, v)
	}
	return q, applied, at, nil
}

func (a *API) everythingPage(ctx context.Context, q everythingQuery, at place) (found []resources.Resource, next *place, err error) {
	for phase := at.Phase; phase < phaseEnd; phase++ {
		room := q.size - len(found)
		if room == 0 {
			return found, &place{Phase: phase}, nil
		}
		if phase == phaseCompartment {
			res, err := a.store.Compartment(ctx, q.id, q.types, q.since, resources.Page{Limit: room, After: at.Cursor})
			if err != nil {
				return nil, nil, err
			}
			found = res.Resources
			if res.Next != nil {
				return found, &place{Phase: phase, Cursor: *res.Next}, nil
			}
			continue
		}
		var all []resources.Resource
		if phase == phaseSupporting {
			all, err = a.supporting(ctx, q)
		} else {
			all, err = a.provenance(ctx, q)
		}
		if err != nil {
			return nil, nil, err
		}
		start := 0
		if phase == at.Phase {
			start = min(int(at.Offset), len(all))
		}
		end := min(start+room, len(all))
		found = append(found, all[start:end]...)
		if end < len(all) {
			return found, &place{Phase: phase, Cursor: resources.Cursor{Offset: int64(end)}}, nil
		}
	}
	return found, nil, nil
}

// supporting gives what the compartment refers to, in the order of types and ids. It reads the compartment, as large as it is.
func (a *API) supporting(ctx context.Context, q everythingQuery) ([]resources.Resource, error) {
	wanted := map[string]map[string]bool{}
	for _, t := range supporting {
		wanted[t] = map[string]bool{}
	}
	if q.types != nil && !slices.ContainsFunc(supporting, q.wants) {
		return nil, nil
	}
	page := resources.Page{Limit: 500}
	for {
		res, err := a.store.Compartment(ctx, q.id, q.types, time.Time{}, page)
		if err != nil {
			return nil, err
		}
		for _, r := range res.Resources {
			references(r.Body, wanted)
		}
		if res.Next == nil {
			break
		}
		page.After = *res.Next
	}
	var out []resources.Resource
	for _, typ := range supporting {
		done := map[string]bool{}
		for more := true; more; {
			var ids []string
			for id := range wanted[typ] {
				if !done[id] {
					done[id] = true
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			rs, err := a.store.Fetch(ctx, typ, ids)
			if err != nil {
				return nil, err
			}
			slices.SortFunc(rs, func(x, y resources.Resource) int { return strings.Compare(x.ID, y.ID) })
			for _, r := range rs {
				references(r.Body, wanted) // a parent organization
				if q.wants(typ) && (q.since.IsZero() || r.Updated.After(q.since)) {
					out = append(out, r)
				}
			}
			more = len(ids) > 0
		}
	}
	return out, nil
}

// references collects literal references to the types of wanted from a stored body, which is JSON without blanks.
func references(body []byte, wanted map[string]map[string]bool) {
	mark := []byte(`"reference":"`)
	for {
		i := bytes.Index(body, mark)
		if i < 0 {
			return
		}
		body = body[i+len(mark):]
		end := bytes.IndexByte(body, '"')
		if end < 0 {
			return
		}
		typ, id, _ := strings.Cut(string(body[:end]), "/")
		id, _, _ = strings.Cut(id, "/")
		if ids := wanted[typ]; ids != nil && id != "" {
			ids[id] = true
		}
	}
}

func (a *API) provenance(ctx context.Context, q everythingQuery) ([]resources.Resource, error) {
	param, ok := a.reg.Param("Provenance", "target")
	if !ok || !q.wants("Provenance") {
		return nil, nil
	}
	var out []resources.Resource
	for r, err := range a.store.ReferringTo(ctx, param, resources.Filter{Patients: []string{q.id}, Since: q.since}) {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(x, y resources.Resource) int { return strings.Compare(x.ID, y.ID) })
	return out, nil
}
