package fhirapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

const typeParam = "_type"

// manyTypes is a search over several types, R4 http 3.1.0.9.2: one query each, answered type after type.
type manyTypes struct {
	types   []string
	queries []search.Query
	// whole says what is said once for all: the first type's, with every type's includes and applied parameters.
	whole search.Query
}

// searchAll is GET [base]?_type=… and POST [base]/_search.
func (a *API) searchAll(c *gin.Context) error {
	ctx, base := c.Request.Context(), a.base(c.Request)
	pairs, err := searchPairs(c)
	if err != nil {
		return err
	}
	m, err := a.parseAll(c, pairs)
	if err != nil {
		return err
	}
	at, err := placeOf(pairs)
	if err != nil {
		return err
	}
	if at.Phase >= len(m.queries) {
		return failf(http.StatusBadRequest, "invalid", "The page link is damaged: start the search again.")
	}
	b := newBundle("searchset", a.o.NewID())
	self := base + "?" + m.whole.SelfQuery()
	if m.whole.Summary == search.SummaryCount || m.whole.Count == 0 {
		b.link("self", self)
		if b.total, err = a.countAll(ctx, m); err != nil {
			return err
		}
		send(c, http.StatusOK, fhirJSON, b.bytes())
		return nil
	}
	found, next, err := a.pageOfAll(ctx, m, at)
	if err != nil {
		return err
	}
	switch {
	case m.whole.Total == search.TotalNone:
	case at.Total > 0:
		b.total = at.Total - 1
	case at == (place{}) && next == nil:
		b.total = len(found)
	case m.whole.Total == search.TotalAccurate:
		if b.total, err = a.countAll(ctx, m); err != nil {
			return err
		}
	}
	if at == (place{}) {
		b.link("self", self)
	} else {
		b.link("first", self)
		b.link("self", self+"&"+cursorParam+"="+at.encode())
	}
	if next != nil {
		next.Total = b.total + 1
		b.link("next", self+"&"+cursorParam+"="+next.encode())
	}
	if found, err = a.covered(ctx, found); err != nil {
		return err
	}
	if err := a.entriesOfAll(ctx, b, base, m, found); err != nil {
		return err
	}
	b.notes(m.whole)
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

func (a *API) entriesOfAll(ctx context.Context, b *bundle, base string, m manyTypes, found []resources.Resource) error {
	for i := range found {
		if err := a.shown(ctx, found[i:i+1]); err != nil {
			return err
		}
		body, err := a.subset(found[i], &m.whole)
		if err != nil {
			return err
		}
		b.entry(base, &found[i], body, "match")
	}
	included, err := a.includes(ctx, m.whole, found)
	if err != nil {
		return err
	}
	for i := range included {
		b.entry(base, &included[i], included[i].Body, "include")
	}
	return nil
}

func (a *API) parseAll(c *gin.Context, pairs []search.Pair) (manyTypes, error) {
	var m manyTypes
	var rest []search.Pair
	for _, p := range pairs {
		if p.Name != typeParam {
			rest = append(rest, p)
			continue
		}
		for typ := range strings.SplitSeq(p.Value, ",") {
			if typ = strings.TrimSpace(typ); !a.reg.Serves(typ) {
				return m, &search.Error{Name: typeParam, Code: "not-supported", Message: fmt.Sprintf("resource type %q is not served here", typ)}
			}
			if !slices.Contains(m.types, typ) {
				m.types = append(m.types, typ)
			}
		}
	}
	named := slices.Clone(m.types)
	if len(m.types) == 0 {
		if m.types = a.reg.Types(); len(rest) == 0 {
			return m, failf(http.StatusBadRequest, "required", "A search of all types needs a parameter, such as _type. /metadata says what is here.")
		}
	}
	for _, typ := range m.types {
		q, err := a.parse(c, typ, rest)
		if err != nil {
			return m, err
		}
		m.queries = append(m.queries, q)
	}
	if err := m.agree(rest); err != nil {
		return m, err
	}
	if len(named) > 0 {
		m.whole.Applied = append([]search.Pair{{Name: typeParam, Value: strings.Join(named, ",")}}, m.whole.Applied...)
	}
	for i := range m.queries {
		for _, hide := range []func(context.Context, *search.Query) error{a.withoutHidden, a.withoutSensitive, a.withoutRestricted} {
			if err := hide(c.Request.Context(), &m.queries[i]); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// agree makes whole. R4: parameters have to be common to all types that are searched, or some would be found without them.
func (m *manyTypes) agree(pairs []search.Pair) error {
	first := m.queries[0]
	m.whole = search.Query{Count: first.Count, RevIncludes: first.RevIncludes, Total: first.Total, Summary: first.Summary, Elements: first.Elements, Notes: first.Notes}
	if len(m.types) > 1 && len(first.Sort) > 0 {
		return &search.Error{Name: "_sort", Code: "not-supported", Message: "several types come one after the other; sort within one"}
	}
	for _, p := range pairs {
		applied, reason := 0, ""
		for i := range m.queries {
			if slices.Contains(m.queries[i].Applied, search.Pair{Name: p.Name, Value: strings.TrimSpace(p.Value)}) {
				applied++
			} else if at := slices.IndexFunc(m.queries[i].Ignored, func(ig search.Ignored) bool { return ig.Name == p.Name }); at >= 0 {
				reason = m.queries[i].Ignored[at].Reason
			}
		}
		include := strings.HasPrefix(p.Name, "_include") || strings.HasPrefix(p.Name, "_revinclude")
		switch {
		case applied > 0 && applied < len(m.types) && !include:
			return &search.Error{Name: p.Name, Code: "not-supported", Message: "is not common to all types searched: " + reason}
		case applied > 0:
			m.whole.Applied = append(m.whole.Applied, p)
		case reason != "":
			m.whole.Ignored = append(m.whole.Ignored, search.Ignored{Name: p.Name, Reason: reason})
		}
	}
	for _, q := range m.queries {
		for _, inc := range q.Includes {
			if !slices.ContainsFunc(m.whole.Includes, func(o search.Include) bool {
				return o.Source == inc.Source && o.Target == inc.Target && o.Iterate == inc.Iterate && slices.Equal(o.Params, inc.Params)
			}) {
				m.whole.Includes = append(m.whole.Includes, inc)
			}
		}
	}
	return nil
}

func (a *API) countAll(ctx context.Context, m manyTypes) (int, error) {
	total := 0
	for _, q := range m.queries {
		n, err := a.store.Count(ctx, q, nil, 0)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// pageOfAll fills a page from one type after the other.
func (a *API) pageOfAll(ctx context.Context, m manyTypes, at place) ([]resources.Resource, *place, error) {
	size := a.o.PageSize
	if m.whole.Count > 0 {
		size = min(m.whole.Count, a.o.MaxPageSize)
	}
	var found []resources.Resource
	after := at.Cursor
	for i := at.Phase; i < len(m.queries); i++ {
		if len(found) == size { // is there anything to come?
			if n, err := a.store.Count(ctx, m.queries[i], nil, 1); err != nil || n > 0 {
				return found, &place{Phase: i}, err
			}
			continue
		}
		res, err := a.store.Search(ctx, m.queries[i], resources.Page{Limit: size - len(found), After: after})
		if err != nil {
			return nil, nil, err
		}
		found = append(found, res.Resources...)
		if res.Next != nil {
			return found, &place{Cursor: *res.Next, Phase: i}, nil
		}
		after = resources.Cursor{}
	}
	return found, nil, nil
}
