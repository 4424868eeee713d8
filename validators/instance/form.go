package instance

import (
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// form reports what is wrong with the JSON as such, and whether that leaves nothing to validate.
func (w *walk) form(root *fhirjson.Node) (fatal bool) {
	if root != nil && root.Parent() != nil {
		return false // a part of a document; whoever took it apart has its problems
	}
	w.scope.result = -1
	if p := w.doc.Fatal(); p != nil {
		f := finding{
			rule: ruleJSONSyntax, offset: p.Offset, resource: -1, message: "The input cannot be read as JSON: " + p.Text + ".",
			next: "Nothing else was checked.",
		}
		if p.ID == fhirjson.ProblemDepth || p.ID == fhirjson.ProblemSize {
			f.rule, f.message = ruleDepth, "The input is too large to check: "+p.Text+"."
			f.severity, f.code = validators.SeverityFatal, validators.CodeTooCostly
		}
		w.findings = append(w.findings, f)
		return true
	}
	w.problems(w.doc.Problems(), root)
	return false
}

// problems reports faults of form that a parser went on after.
func (w *walk) problems(list []fhirjson.Problem, root *fhirjson.Node) {
	for i := range list {
		p := &list[i]
		f := finding{rule: ruleJSONForm, offset: p.Offset, message: sentence(p.Text)}
		switch p.ID {
		case fhirjson.ProblemComment:
			if w.v.opt.AllowComments {
				continue
			}
			f.rule = ruleJSONComment
		case fhirjson.ProblemDuplicate:
			f.rule, f.node, f.atKey = ruleJSONDuplicate, p.Node, true
		case fhirjson.ProblemBOM:
			f.severity = validators.SeverityWarning
		}
		if f.node == nil {
			if at := nodeAt(root, p.Offset); at != nil {
				f.path, f.pointer = at.Expression(), at.Pointer()
			}
		}
		w.findings = append(w.findings, f)
	}
}

// nodeAt is the innermost value around an offset.
func nodeAt(n *fhirjson.Node, offset int) *fhirjson.Node {
	for n != nil {
		var in *fhirjson.Node
		for c := n.First(); c != nil && c.KeyOffset() <= offset; c = c.Next() {
			if offset < c.End() {
				in = c
			}
		}
		if in == nil {
			return n
		}
		n = in
	}
	return nil
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	first := s[0]
	if first >= 'a' && first <= 'z' {
		first -= 'a' - 'A'
	}
	return string(first) + s[1:] + "."
}
