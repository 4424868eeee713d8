package fhirapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// Bounds of _include:iterate and _revinclude:iterate; without them a page could bring half the database along.
const (
	maxRounds   = 8
	maxIncluded = 20_000
)

type resourceKey struct{ typ, id string }

// inclusion collects what _include and _revinclude bring along, each resource once and none of the matches.
type inclusion struct {
	a    *API
	seen map[resourceKey]bool
	// hidden are the Groups that the client may not see, restricted the plans that the member may not.
	hidden, restricted []string
	// only are the types that may come along, nil for all.
	only  []string
	found []resources.Resource
}

// includes gives what q's includes ask for: from the matches by all of them, and from what came along by those that iterate.
func (a *API) includes(ctx context.Context, q search.Query, matches []resources.Resource) ([]resources.Resource, error) {
	if len(q.Includes)+len(q.RevIncludes) == 0 || len(matches) == 0 {
		return nil, nil
	}
	in := inclusion{a: a, seen: map[resourceKey]bool{}, only: a.o.Only(ctx)}
	for i := range matches {
		in.seen[resourceKey{matches[i].Type, matches[i].ID}] = true
	}
	var err error
	if in.hidden, err = a.hiddenGroups(ctx); err != nil {
		return nil, err
	}
	if in.restricted, err = a.restrictedPlans(ctx); err != nil {
		return nil, err
	}
	forward, back := q.Includes, q.RevIncludes
	from := matches
	for range maxRounds {
		start := len(in.found)
		if err := in.forward(ctx, forward, from); err != nil {
			return nil, err
		}
		if err := in.back(ctx, back, from); err != nil {
			return nil, err
		}
		forward, back = iterating(forward), iterating(back)
		if len(forward)+len(back) == 0 || len(in.found) > maxIncluded {
			break
		}
		if from = in.found[start:]; len(from) == 0 {
			break
		}
	}
	return in.found, nil
}

func iterating(all []search.Include) []search.Include {
	var out []search.Include
	for _, inc := range all {
		if inc.Iterate {
			out = append(out, inc)
		}
	}
	return out
}

// add takes what is not there yet and may be seen.
func (in *inclusion) add(ctx context.Context, rs []resources.Resource) error {
	rs = slices.DeleteFunc(rs, func(r resources.Resource) bool {
		return in.seen[resourceKey{r.Type, r.ID}] || in.only != nil && !slices.Contains(in.only, r.Type) || r.Type == "Group" && slices.Contains(in.hidden, r.ID) ||
			r.Type == "InsurancePlan" && slices.Contains(in.restricted, r.ID)
	})
	rs, err := in.a.ofMember(ctx, rs)
	if err != nil {
		return err
	}
	if rs, err = in.a.covered(ctx, rs); err != nil {
		return err
	}
	if err := in.a.shown(ctx, rs); err != nil {
		return err
	}
	for _, r := range rs {
		in.seen[resourceKey{r.Type, r.ID}] = true
	}
	in.found = append(in.found, rs...)
	return nil
}

// ofMember leaves out what belongs to somebody else than the one member that the request's token is for: references may lead to
// other people (P2P-TOK-21).
func (a *API) ofMember(ctx context.Context, rs []resources.Resource) ([]resources.Resource, error) {
	member := a.o.Member(ctx)
	if member == "" {
		return rs, nil
	}
	var failed error
	rs = slices.DeleteFunc(rs, func(r resources.Resource) bool {
		if r.Type == "Patient" {
			return r.ID != member
		}
		var owner []*search.Param
		for _, p := range a.reg.Params(r.Type) {
			if p.Compartment {
				owner = append(owner, p)
			}
		}
		if len(owner) == 0 || failed != nil {
			return false
		}
		doc := fhirjson.Parse(r.Body)
		defer doc.Release()
		refs, err := a.reg.References(ctx, doc.Root(), owner)
		failed = err
		return slices.ContainsFunc(refs, func(t search.Term) bool { return t.Qualifier == "Patient" && t.Key != member })
	})
	return rs, failed
}

// forward follows references of from.
func (in *inclusion) forward(ctx context.Context, includes []search.Include, from []resources.Resource) error {
	if len(includes) == 0 {
		return nil
	}
	wanted := map[string][]string{}
	asked := map[resourceKey]bool{}
	for i := range from {
		doc := fhirjson.Parse(from[i].Body)
		for _, inc := range includes {
			if inc.Source != from[i].Type {
				continue
			}
			refs, err := in.a.reg.References(ctx, doc.Root(), inc.Params)
			if err != nil {
				return err
			}
			for _, ref := range refs {
				k := resourceKey{ref.Qualifier, ref.Key}
				if (inc.Target == "" || inc.Target == ref.Qualifier) && !asked[k] && !in.seen[k] {
					k = resourceKey{strings.Clone(k.typ), strings.Clone(k.id)}
					asked[k] = true
					wanted[k.typ] = append(wanted[k.typ], k.id)
				}
			}
		}
		doc.Release()
	}
	for _, typ := range slices.Sorted(maps.Keys(wanted)) {
		for part := range slices.Chunk(wanted[typ], 200) {
			rs, err := in.a.store.Fetch(ctx, typ, part)
			if err != nil {
				return err
			}
			if err := in.add(ctx, rs); err != nil {
				return err
			}
		}
	}
	return nil
}

// back finds what refers to from.
func (in *inclusion) back(ctx context.Context, includes []search.Include, from []resources.Resource) error {
	if len(includes) == 0 {
		return nil
	}
	ids := map[string][]string{}
	for i := range from {
		ids[from[i].Type] = append(ids[from[i].Type], from[i].ID)
	}
	for _, typ := range slices.Sorted(maps.Keys(ids)) {
		for _, inc := range includes {
			if inc.Target != "" && inc.Target != typ {
				continue
			}
			for part := range slices.Chunk(ids[typ], 200) {
				rs, err := in.a.store.Referring(ctx, inc.Params, typ, part)
				if err != nil {
					return err
				}
				if err := in.add(ctx, rs); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
