package instance

import (
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
)

// searchParameter checks a SearchParameter against the one it derives from.
func (w *walk) searchParameter(n *fhirjson.Node, base *plan) {
	w.searchExpression(n, base)
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

// compileSearch compiles an expression for the base types of n; where one of these is not known, for any.
func (w *walk) compileSearch(n *fhirjson.Node, expression string) error {
	if _, err := fhirpath.Compile(expression, w.v.defs); err != nil {
		return err
	}
	var types []*fhirpath.Type
	for _, b := range n.AppendElements(nil, "base") {
		t, ok := w.v.defs.Type(b.Text())
		if !ok || b.Text() == "Resource" || b.Text() == "DomainResource" {
			return nil
		}
		types = append(types, t)
	}
	if len(types) == 0 {
		return nil
	}
	_, err := fhirpath.CompileFor(expression, w.v.defs, types...)
	return err
}
