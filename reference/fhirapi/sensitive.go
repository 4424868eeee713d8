package fhirapi

import (
	"context"
	"slices"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// withoutSensitive takes from a search what the request's token does not cover.
func (a *API) withoutSensitive(ctx context.Context, q *search.Query) error {
	if !a.o.General(ctx) {
		return nil
	}
	not, err := a.reg.Parse(q.Type, []search.Pair{{Name: "_security:not", Value: strings.Join(resources.SensitiveTokens, ",")}}, search.ParseOptions{Strict: true})
	if err != nil {
		return err
	}
	q.Clauses = append(q.Clauses, not.Clauses...)
	return nil
}

// covered leaves out of rs what the request's token does not cover: sensitive resources, and provenance of nothing else.
func (a *API) covered(ctx context.Context, rs []resources.Resource) ([]resources.Resource, error) {
	if !a.o.General(ctx) {
		return rs, nil
	}
	var failed error
	rs = slices.DeleteFunc(rs, func(r resources.Resource) bool {
		if r.Type == "Provenance" && failed == nil {
			var gone bool
			gone, failed = a.ofSensitive(ctx, r.Body)
			return gone
		}
		return resources.Sensitive(r.Body)
	})
	return rs, failed
}

// ofSensitive reports a Provenance one of whose targets is sensitive: its reference would tell that there is something.
func (a *API) ofSensitive(ctx context.Context, body []byte) (bool, error) {
	if resources.Sensitive(body) {
		return true, nil
	}
	doc := fhirjson.Parse(body)
	defer doc.Release()
	for t := doc.Root().Member("target").FirstOrNil(); t != nil; t = t.Next() {
		typ, id, ok := strings.Cut(t.MemberText("reference"), "/")
		if !ok {
			continue
		}
		id, _, _ = strings.Cut(id, "/")
		found, err := a.store.Fetch(ctx, typ, []string{id})
		if err != nil {
			return false, err
		}
		if len(found) == 1 && resources.Sensitive(found[0].Body) {
			return true, nil
		}
	}
	return false, nil
}
