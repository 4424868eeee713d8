package instance

import (
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/terminology"
)

// maxListed bounds the codes of one list that are looked up: a terminology server may have to be asked for each.
const maxListed = 1000

// valueSet checks the codes that a ValueSet lists one by one against their code systems. A system that is named with a version may
// have them in that one, and is left alone.
func (w *walk) valueSet(n *fhirjson.Node, base *plan) {
	compose := n.Member("compose")
	for _, part := range []string{"include", "exclude"} {
		for _, in := range compose.AppendElements(nil, part) {
			w.valueSetPart(in, base)
			system := in.MemberText("system")
			if system == "" || in.Member("version") != nil {
				continue
			}
			list := in.AppendElements(nil, "concept")
			for _, c := range list[:min(len(list), maxListed)] {
				at := c.Member("code")
				if at == nil || at.Kind() != fhirjson.String || at.Text() == "" {
					continue
				}
				_, a := w.v.terms.Code(system, at.Text())
				if a.Value == terminology.Unknown {
					break // so are the others
				}
				if a.Value == terminology.No {
					w.add(finding{
						rule: ruleValueSetCode, node: at, prof: base.prof, expected: "a code of " + system, found: at.Text(),
						message: w.name(at) + ": " + short(system) + " has no code " + at.Text() + ".", next: "Use a code that the system defines, or name the version that has it.",
					})
				}
				if w.ctx.Err() != nil {
					return
				}
			}
		}
	}
}
