package bulk

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// Formulary is the level of InsurancePlan/$export and InsurancePlan/{id}/$export: drug plans, nothing about persons
// (FORM-BLK-02, 05). Kickoff.GroupID is the plan's id, "" for all.
const Formulary Level = "formulary"

// formularyTypes are what such an export holds, in the order of its graph.
var formularyTypes = []string{"InsurancePlan", "Location", "Basic", "MedicationKnowledge"}

const (
	formularyReference = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-FormularyReference-extension"
	itemType           = "http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-InsuranceItemTypeCS"
	actCode            = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// formularyGraph reads the graph parameter: true for the graph that starts at formularies and leaves out the plans. The
// guide names profiles on GraphDefinition; the id, the canonical and the example's name are understood (FORM-BLK-04, 11).
func formularyGraph(v string) (formularies bool, err error) {
	switch name := v[strings.LastIndexByte(v, '/')+1:]; name {
	case "usdf-PayerInsurancePlanBulkDataGraphDefinition", "PayerInsurancePlanGraphDefinition":
		return false, nil
	case "usdf-FormularyBulkDataGraphDefinition", "FormularyGraphDefinition":
		return true, nil
	default:
		return false, refusef(http.StatusBadRequest, "not-supported", "graph %q is none of usdf-PayerInsurancePlanBulkDataGraphDefinition, usdf-FormularyBulkDataGraphDefinition.", v)
	}
}

// closure is what an export at formulary level reaches from the InsurancePlans.
type closure struct{ plans, formularies, areas map[string]bool }

// closure walks the first steps of the graph as of the export's instant.
func (r *run) closure(ctx context.Context) (closure, error) {
	c := closure{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	only := r.order.GroupID
	var known []string
	for res, err := range r.m.store.Stream(ctx, resources.Filter{Type: "InsurancePlan", Until: r.until}) {
		if err != nil {
			return c, err
		}
		doc := fhirjson.Parse(res.Body)
		root := doc.Root()
		lists := references(root, "InsurancePlan")
		switch {
		case isFormulary(root):
			known = append(known, res.ID)
			if only == "" || only == res.ID {
				c.formularies[res.ID] = true
			}
		case len(lists) == 0 || only != "" && only != res.ID:
			// a plan of another kind, or another plan
		default:
			if only != "" {
				for _, id := range lists {
					c.formularies[id] = true
				}
			}
			if r.order.FormularyGraph {
				break
			}
			c.plans[res.ID] = true
			for a := root.Member("coverageArea").FirstOrNil(); a != nil; a = a.Next() {
				if id := idOf(a.MemberText("reference"), "Location"); id != "" {
					c.areas[strings.Clone(id)] = true
				}
			}
		}
		doc.Release()
	}
	for id := range c.formularies {
		if !slices.Contains(known, id) {
			delete(c.formularies, id) // a reference to what is not here
		}
	}
	return c, nil
}

// isFormulary tells the two profiles on InsurancePlan apart (FORM-DM-03).
func isFormulary(plan *fhirjson.Node) bool {
	for t := plan.Member("type").FirstOrNil(); t != nil; t = t.Next() {
		if hasCoding(t, actCode, "DRUGPOL") {
			return true
		}
	}
	return false
}

func hasCoding(concept *fhirjson.Node, system, code string) bool {
	for c := concept.Member("coding").FirstOrNil(); c != nil; c = c.Next() {
		if c.MemberText("system") == system && c.MemberText("code") == code {
			return true
		}
	}
	return false
}

// references are the formularies that a plan's coverages or an item name.
func references(root *fhirjson.Node, typ string) []string {
	var out []string
	add := func(holder *fhirjson.Node) {
		for e := holder.Member("extension").FirstOrNil(); e != nil; e = e.Next() {
			if e.MemberText("url") != formularyReference {
				continue
			}
			if id := idOf(e.Member("valueReference").MemberText("reference"), typ); id != "" {
				out = append(out, strings.Clone(id))
			}
		}
	}
	add(root)
	for c := root.Member("coverage").FirstOrNil(); c != nil; c = c.Next() {
		add(c)
	}
	return out
}

// idOf is the id in a literal reference to a type, relative or absolute, "" for any other.
func idOf(reference, typ string) string {
	reference, _, _ = strings.Cut(reference, "/_history/")
	before, id, ok := strings.Cut(reference, typ+"/")
	if !ok || before != "" && !strings.HasSuffix(before, "/") || strings.Contains(id, "/") {
		return ""
	}
	return id
}

// formulary is what the export holds of a type (FORM-BLK-20 to 22): each reference in it leads to something in it.
func (r *run) formulary(ctx context.Context, f resources.Filter) (iter.Seq2[resources.Resource, error], error) {
	c, err := r.closure(ctx)
	if err != nil {
		return nil, err
	}
	var keep func(resources.Resource) bool
	switch f.Type {
	case "InsurancePlan":
		keep = func(res resources.Resource) bool { return c.plans[res.ID] || c.formularies[res.ID] }
	case "Location":
		keep = func(res resources.Resource) bool { return c.areas[res.ID] }
	case "Basic":
		keep = func(res resources.Resource) bool { return subject(res.Body, &c) != "" }
	default:
		drugs, err := r.drugs(ctx, &c)
		if err != nil {
			return nil, err
		}
		keep = func(res resources.Resource) bool { return drugs[res.ID] }
	}
	return func(yield func(resources.Resource, error) bool) {
		for res, err := range r.m.store.Stream(ctx, f) {
			if (err != nil || keep(res)) && !yield(res, err) {
				return
			}
		}
	}, nil
}

// drugs are the subjects of all items of the formularies, be the items themselves older than _since.
func (r *run) drugs(ctx context.Context, c *closure) (map[string]bool, error) {
	out := map[string]bool{}
	for res, err := range r.m.store.Stream(ctx, resources.Filter{Type: "Basic", Until: r.until}) {
		if err != nil {
			return nil, err
		}
		if id := subject(res.Body, c); id != "" {
			out[id] = true
		}
	}
	return out, nil
}

// subject is the drug of an item of one of the formularies, "" for any other Basic.
func subject(body []byte, c *closure) string {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	root := doc.Root()
	if !hasCoding(root.Member("code"), itemType, "formulary-item") ||
		!slices.ContainsFunc(references(root, "InsurancePlan"), func(id string) bool { return c.formularies[id] }) {
		return ""
	}
	return strings.Clone(idOf(root.Member("subject").MemberText("reference"), "MedicationKnowledge"))
}
