package fhirapi

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// cursorParam carries the place of a page in next links. It is opaque to clients.
const cursorParam = "_cursor"

// countUpTo bounds the counting behind a total that nobody asked for; a larger result goes without one.
const countUpTo = 5000

// place is what a cursor says.
type place struct {
	resources.Cursor
	// Total is one more than the total of the first page, 0 for none.
	Total int `json:"t,omitempty"`
	// Phase is where $everything, or the search of several types, goes on.
	Phase int `json:"p,omitempty"`
}

func (p place) encode() string {
	b, err := json.Marshal(p)
	if err != nil { // integers always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodePlace(s string) (place, error) {
	var p place
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Row < 0 || p.Offset < 0 || p.Last < 0 || p.Total < 0 || p.Phase < 0 {
		return p, failf(http.StatusBadRequest, "invalid", "The page link is damaged: start the search again.")
	}
	return p, nil
}

// placeOf is where a search goes on, by the cursor among its parameters.
func placeOf(pairs []search.Pair) (place, error) {
	i := slices.IndexFunc(pairs, func(p search.Pair) bool { return p.Name == cursorParam })
	if i < 0 {
		return place{}, nil
	}
	return decodePlace(pairs[i].Value)
}

func (a *API) searchType(c *gin.Context) error {
	pairs, err := searchPairs(c)
	if err != nil {
		return err
	}
	return a.search(c, c.Param("type"), pairs)
}

// searchPairs reads the parameters of a search: the query and, where it is posted, the form.
func searchPairs(c *gin.Context) ([]search.Pair, error) {
	query := c.Request.URL.RawQuery
	if c.Request.Method == http.MethodPost {
		t, _, _ := strings.Cut(c.Request.Header.Get("Content-Type"), ";")
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" && t != "application/x-www-form-urlencoded" {
			return nil, failf(http.StatusUnsupportedMediaType, "not-supported", "A search is posted as application/x-www-form-urlencoded, not %q.", t)
		}
		form, err := io.ReadAll(c.Request.Body)
		if err != nil {
			return nil, err
		}
		query += "&" + strings.TrimSpace(string(form))
	}
	return search.ParsePairs(query)
}

func (a *API) parse(c *gin.Context, typ string, pairs []search.Pair) (search.Query, error) {
	if err := a.served(typ); err != nil {
		return search.Query{}, err
	}
	q, err := a.reg.Parse(typ, pairs, search.ParseOptions{
		Strict: preferences(c.Request)["handling"] == "strict",
		Base:   a.base(c.Request),
		Skip:   ownParams,
		Now:    a.o.Clock(),
	})
	if only := a.o.Only(c.Request.Context()); err == nil && only != nil && !askOnly(q.Clauses, only) {
		c.Header("WWW-Authenticate", "Bearer")
		return q, failf(http.StatusUnauthorized, "login", "The search asks about other resources than those that are open to everybody: it needs a token.")
	}
	return q, err
}

// askOnly takes from chains what leads to types that are not among these; false where nothing is left, or a _has asks about others.
func askOnly(clauses []search.Clause, types []string) bool {
	for i := range clauses {
		c := &clauses[i]
		if c.Has != nil && (!slices.Contains(types, c.Has.Type) || !askOnly(c.Has.Clauses, types)) {
			return false
		}
		if len(c.Chain) == 0 {
			continue
		}
		c.Chain = slices.DeleteFunc(c.Chain, func(ch search.Chained) bool {
			return !slices.Contains(types, ch.Type) || !askOnly([]search.Clause{ch.Clause}, types)
		})
		if len(c.Chain) == 0 {
			return false
		}
	}
	return true
}

func (a *API) search(c *gin.Context, typ string, pairs []search.Pair) error {
	ctx, base := c.Request.Context(), a.base(c.Request)
	q, err := a.parse(c, typ, pairs)
	if err != nil {
		return err
	}
	at, err := placeOf(pairs)
	if err != nil {
		return err
	}
	b := newBundle("searchset", a.o.NewID())
	self := base + "/" + typ
	if s := q.SelfQuery(); s != "" {
		self += "?" + s
	}
	if err := a.withoutHidden(ctx, &q); err != nil {
		return err
	}
	if err := a.withoutSensitive(ctx, &q); err != nil {
		return err
	}
	if err := a.withoutRestricted(ctx, &q); err != nil {
		return err
	}
	if q.Summary == search.SummaryCount || q.Count == 0 {
		if b.total, err = a.store.Count(ctx, q, nil, 0); err != nil {
			return err
		}
		b.link("self", self)
		send(c, http.StatusOK, fhirJSON, b.bytes())
		return nil
	}
	size := a.o.PageSize
	if q.Count > 0 {
		size = min(q.Count, a.o.MaxPageSize)
	}
	res, err := a.store.Search(ctx, q, resources.Page{Limit: size, After: at.Cursor})
	if err != nil {
		return err
	}
	if b.total, err = a.total(c, q, at, res); err != nil {
		return err
	}
	sep := "?"
	if strings.Contains(self, "?") {
		sep = "&"
	}
	if at != (place{}) {
		b.link("first", self)
		b.link("self", self+sep+cursorParam+"="+at.encode())
	} else {
		b.link("self", self)
	}
	if res.Next != nil {
		b.link("next", self+sep+cursorParam+"="+place{Cursor: *res.Next, Total: b.total + 1}.encode())
	}
	if res.Resources, err = a.covered(ctx, res.Resources); err != nil {
		return err
	}
	if err := a.shown(ctx, res.Resources); err != nil {
		return err
	}
	for i := range res.Resources {
		body, err := a.subset(res.Resources[i], &q)
		if err != nil {
			return err
		}
		b.entry(base, &res.Resources[i], body, "match")
	}
	included, err := a.includes(ctx, q, res.Resources)
	if err != nil {
		return err
	}
	for i := range included {
		b.entry(base, &included[i], included[i].Body, "include")
	}
	b.notes(q)
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// total is that of the first page on all pages, so that it does not change under a client. -1: none.
func (a *API) total(c *gin.Context, q search.Query, at place, res resources.Result) (int, error) {
	switch {
	case q.Total == search.TotalNone:
		return -1, nil
	case at.Total > 0:
		return at.Total - 1, nil
	case at == (place{}) && res.Next == nil:
		return len(res.Resources), nil
	case q.Total == search.TotalAccurate:
		return a.store.Count(c.Request.Context(), q, nil, 0)
	case at != (place{}), q.Total == search.TotalDefault && !a.store.Cheap(q, nil):
		return -1, nil
	}
	n, err := a.store.Count(c.Request.Context(), q, nil, countUpTo+1)
	if n > countUpTo {
		return -1, err
	}
	return n, err
}

// subset applies _elements and _summary to one match.
func (a *API) subset(r resources.Resource, q *search.Query) ([]byte, error) {
	switch {
	case len(q.Elements) > 0:
		return resources.Subset(r.Body, q.Elements, a.o.Required)
	case q.Summary == search.SummaryTrue:
		if keep := a.o.Summary(r.Type); keep != nil {
			return resources.Subset(r.Body, keep, a.o.Required)
		}
	case q.Summary == search.SummaryText:
		return resources.Subset(r.Body, []string{"text"}, a.o.Required)
	case q.Summary == search.SummaryData:
		return resources.Without(r.Body, "text")
	}
	return r.Body, nil
}

func absolute(base, path string, query url.Values) string {
	if len(query) == 0 {
		return base + path
	}
	return base + path + "?" + query.Encode()
}
