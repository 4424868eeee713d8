package instance

import (
	"fhirwire/validators/fhirjson"
)

// searchParameter checks a SearchParameter against the one it derives from.
func (w *walk) searchParameter(n *fhirjson.Node, base *plan) {
	from, typ := n.MemberText("derivedFrom"), n.MemberText("type")
	if from == "" || typ == "" {
		return
	}
	if p, ok := w.v.defs.SearchParam(from); ok && p.Type != typ {
		w.searchType(n, base, typ, p.Type, from)
	}
}

// capabilities checks that the search parameters a server states have the types of their definitions.
func (w *walk) capabilities(n *fhirjson.Node, base *plan) {
	var at []*fhirjson.Node
	for _, rest := range n.AppendElements(nil, "rest") {
		at = rest.AppendElements(at, "searchParam")
		for _, r := range rest.AppendElements(nil, "resource") {
			at = r.AppendElements(at, "searchParam")
		}
	}
	for _, p := range at {
		definition, typ := p.MemberText("definition"), p.MemberText("type")
		if definition == "" || typ == "" {
			continue
		}
		if d, ok := w.v.defs.SearchParam(definition); ok && d.Type != typ {
			w.searchType(p, base, typ, d.Type, definition)
		}
	}
}

func (w *walk) searchType(n *fhirjson.Node, base *plan, typ, want, definition string) {
	w.add(finding{
		rule: ruleSearchType, node: n, prof: base.prof, expected: want + ", as in " + definition, found: typ,
		message: w.name(n) + " has the type " + typ + "; " + lastSegment(canonicalURL(definition)) + " is of type " + want + ".",
	})
}
