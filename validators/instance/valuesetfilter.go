package instance

import (
	"regexp"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/terminology"
)

// valueSetPart checks an include or exclude of a ValueSet apart from the codes it lists: that its system is a code system, and that its
// filters can be applied.
func (w *walk) valueSetPart(in *fhirjson.Node, base *plan) {
	sys := in.Member("system")
	if sys == nil || sys.Kind() != fhirjson.String || sys.Text() == "" {
		return
	}
	system := sys.Text()
	switch {
	case !isAbsolute(system) && !strings.HasPrefix(system, "#"):
		w.add(finding{rule: ruleValueSetSystem, node: sys, prof: base.prof, found: brief(sys), message: w.name(sys) + " is not an absolute URI."})
		return
	case strings.Contains(system, "/ValueSet/") && w.v.terms.Known(system):
		w.add(finding{
			rule: ruleValueSetSystem, node: sys, prof: base.prof, found: brief(sys), message: w.name(sys) + " names a value set; a system is a code system.",
			next: "Name it in valueSet instead.",
		})
		return
	}
	if in.Member("version") != nil {
		return // the codes of that version need not be those at hand
	}
	for _, f := range in.AppendElements(nil, "filter") {
		if fault := w.filterFault(f, system); fault != "" {
			w.add(finding{rule: ruleValueSetFilter, node: f, prof: base.prof, message: w.name(f) + " cannot be applied: " + fault + "."})
		}
	}
}

// filterFault says why a filter cannot be applied, "" when it can or when that cannot be told.
func (w *walk) filterFault(f *fhirjson.Node, system string) string {
	property, op, val := f.MemberText("property"), f.MemberText("op"), f.MemberText("value")
	onCodes := property == "code" || property == "concept"
	switch {
	case val == "":
	case op == "exists":
		if val != "true" && val != "false" {
			return "exists takes true or false, not " + val
		}
	case op == "regex":
		if property == "concept" {
			return "a regular expression is for the text of a code or a property, not for concept"
		}
		if _, err := regexp.Compile(val); err != nil && !strings.Contains(val, "(?") && !strings.Contains(val, `\`) {
			return "its value is no regular expression" // what is beyond our engine has one of the two
		}
	case onCodes && (op == "in" || op == "not-in"):
		for v := range strings.SplitSeq(val, ",") {
			if fault := w.noCodeOf(system, strings.TrimSpace(v)); fault != "" {
				return fault
			}
		}
	case onCodes:
		return w.noCodeOf(system, val)
	}
	return ""
}

func (w *walk) noCodeOf(system, code string) string {
	if _, a := w.v.terms.Code(system, code); a.Value == terminology.No {
		return short(system) + " has no code " + code
	}
	return ""
}
