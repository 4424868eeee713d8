package instance

import (
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// local notes a "#id" that something in the current container points to.
func (w *walk) local(ref string) {
	if w.trial == 0 {
		w.scope.local = append(w.scope.local, w.lasting(ref))
	}
}

// elementID checks that the id of an element is the only one of its kind in the resource.
func (w *walk) elementID(e *fhirjson.Node) {
	if w.trial > 0 {
		return
	}
	if w.scope.typ == "StructureDefinition" && e.Parent() != nil && e.Parent().Key() == "element" {
		return // differential and snapshot are about the same elements; within each sdf-16 and sdf-17 ask for it
	}
	id := e.Member("id")
	if id == nil || id.Kind() != fhirjson.String {
		return
	}
	if slices.Contains(w.scope.ids, id.Text()) {
		w.add(finding{rule: ruleElementID, node: id, found: brief(id), message: "The id " + brief(id) + " is used twice in this resource."})
		return
	}
	const most = 2000 // beyond, a resource is not searched for duplicates
	if len(w.scope.ids) < most {
		w.scope.ids = append(w.scope.ids, w.lasting(id.Text()))
	}
}

// whole checks what concerns a resource as a whole, after its content.
func (w *walk) whole(n *fhirjson.Node, typ string, base *plan) {
	if !w.scope.contained {
		w.containedResources(n, base)
	}
	switch typ {
	case "Bundle":
		w.bundleRules(n, base)
	case "Questionnaire":
		w.questionnaireItems(n, base)
	case "QuestionnaireResponse":
		w.questionnaireResponse(n, base)
	case "SearchParameter":
		w.searchParameter(n, base)
	case "CodeSystem":
		w.codeSystem(n, base)
	case "ValueSet":
		w.valueSet(n, base)
	case "StructureDefinition":
		w.definitionBase(n, base)
		w.definition(n, base)
	case "OperationDefinition":
		w.operation(n, base)
	case "CapabilityStatement":
		w.capabilities(n, base)
	}
}

func (w *walk) containedResources(n *fhirjson.Node, base *plan) {
	list := n.Member("contained")
	if list == nil || list.Kind() != fhirjson.Array || w.v.opt.SkipContained {
		return
	}
	ids, local := map[string]bool{}, map[string]bool{}
	for _, ref := range w.scope.local {
		local[ref[1:]] = true
	}
	for c := list.First(); c != nil; c = c.Next() {
		if c.Kind() != fhirjson.Object || c.Len() == 0 {
			continue
		}
		f := finding{node: n, at: c, prof: base.prof}
		if meta := c.Member("meta"); meta != nil {
			if meta.Member("versionId") != nil || meta.Member("lastUpdated") != nil {
				f.rule, f.key = ruleContainedMeta, "dom-4"
				f.message = w.name(c) + " has a meta.versionId or meta.lastUpdated; a contained resource has no version of its own."
				w.add(f)
			}
			if meta.Member("security") != nil {
				f.rule, f.key = ruleContainedMeta, "dom-5"
				f.message = w.name(c) + " has a security label; the label belongs on the container."
				w.add(f)
			}
		}
		id := c.MemberText("id")
		if id == "" {
			w.add(finding{
				rule: ruleContainedID, node: c, prof: base.prof, message: w.name(c) + " has no id, so nothing can refer to it.", next: "Add an id, and refer to it by #id.",
			})
			continue
		}
		if ids[id] {
			w.add(finding{rule: ruleIDDuplicate, node: c, found: id, message: "The id " + id + " is used by two contained resources."})
		}
		ids[id] = true
		if !local[id] && !pointsBack(c) {
			f.rule, f.key = ruleContainedOrphan, "dom-3"
			f.message = w.name(c) + " (#" + id + ") is contained and nothing refers to it."
			f.next = "Refer to it, or leave it out."
			w.add(f)
		}
	}
}

// pointsBack reports a contained resource that refers to its container.
func pointsBack(n *fhirjson.Node) bool {
	for c := n.First(); c != nil; c = c.Next() {
		switch c.Kind() {
		case fhirjson.String:
			if c.Text() == "#" && strings.TrimPrefix(c.Key(), "_") != "" {
				return true
			}
		case fhirjson.Object, fhirjson.Array:
			if pointsBack(c) {
				return true
			}
		default:
		}
	}
	return false
}
