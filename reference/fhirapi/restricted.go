package fhirapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// GroupTag is the system of a meta.tag on an InsurancePlan that keeps it for the members of a group: its code is the group's number,
// as Coverage.class of type "group" has it. The formulary guide leaves open how a plan says so.
const GroupTag = "urn:fhirwire:member-group"

const coverageClass = "http://terminology.hl7.org/CodeSystem/coverage-class"

// groupsOf are the numbers of the groups whose coverage a member has.
func (a *API) groupsOf(ctx context.Context, member string) ([]string, error) {
	found, err := a.internal(ctx, "Coverage", search.Pair{Name: "beneficiary", Value: "Patient/" + member}, search.Pair{Name: "status", Value: "active"})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range found {
		doc := fhirjson.Parse(r.Body)
		for c := doc.Root().Member("class").FirstOrNil(); c != nil; c = c.Next() {
			for t := c.Member("type").Member("coding").FirstOrNil(); t != nil; t = t.Next() {
				if t.MemberText("system") == coverageClass && t.MemberText("code") == "group" {
					out = append(out, strings.Clone(c.MemberText("value")))
				}
			}
		}
		doc.Release()
	}
	return out, nil
}

// internal is a search of our own, for what is few.
func (a *API) internal(ctx context.Context, typ string, pairs ...search.Pair) ([]resources.Resource, error) {
	q, err := a.reg.Parse(typ, pairs, search.ParseOptions{Strict: true})
	if err != nil {
		return nil, err
	}
	res, err := a.store.Search(ctx, q, resources.Page{Limit: a.o.MaxPageSize})
	return res.Resources, err
}

// forGroups are the groups that a plan is for, none for everybody.
func forGroups(plan []byte) []string {
	if !strings.Contains(string(plan), GroupTag) {
		return nil
	}
	doc := fhirjson.Parse(plan)
	defer doc.Release()
	var out []string
	for t := doc.Root().Member("meta").Member("tag").FirstOrNil(); t != nil; t = t.Next() {
		if t.MemberText("system") == GroupTag {
			out = append(out, strings.Clone(t.MemberText("code")))
		}
	}
	return out
}

// restrictedPlans are the plans that are kept for groups the request's member is in none of (FORM-ACC-07). Without a member's token
// the formulary is open data, and nothing is restricted.
func (a *API) restrictedPlans(ctx context.Context) ([]string, error) {
	member := a.o.Member(ctx)
	if member == "" {
		return nil, nil
	}
	tagged, err := a.internal(ctx, "InsurancePlan", search.Pair{Name: "_tag", Value: GroupTag + "|"})
	if err != nil || len(tagged) == 0 {
		return nil, err
	}
	mine, err := a.groupsOf(ctx, member)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, plan := range tagged {
		if !slices.ContainsFunc(forGroups(plan.Body), func(g string) bool { return slices.Contains(mine, g) }) {
			out = append(out, plan.ID)
		}
	}
	return out, nil
}

// available refuses a plan that is kept for others: 400 as the guide has it, not 403 or 404 (FORM-ACC-05).
func (a *API) available(ctx context.Context, r *resources.Resource) error {
	if r.Type != "InsurancePlan" || a.o.Member(ctx) == "" {
		return nil
	}
	ids, err := a.restrictedPlans(ctx)
	if err != nil || !slices.Contains(ids, r.ID) {
		return err
	}
	return failf(http.StatusBadRequest, "forbidden", "InsurancePlan/%s is not available to this member.", r.ID)
}

// withoutRestricted takes from a search of plans those that the member may not see (FORM-ACC-06).
func (a *API) withoutRestricted(ctx context.Context, q *search.Query) error {
	if q.Type != "InsurancePlan" {
		return nil
	}
	ids, err := a.restrictedPlans(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	not, err := a.reg.Parse(q.Type, []search.Pair{{Name: "_id:not", Value: strings.Join(ids, ",")}}, search.ParseOptions{Strict: true})
	if err != nil {
		return err
	}
	q.Clauses = append(q.Clauses, not.Clauses...)
	return nil
}
