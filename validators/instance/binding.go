package instance

import (
	"strconv"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// looserBindings are bindings published stronger than the reference validator and the guides' own examples have them.
var looserBindings = map[string]string{
	// R4's vital signs bind component values to a short list of units as required; US Core's own oximetry profile fixes L/min,
	// which is not on it (FHIR-28416 made the binding extensible).
	"Observation.component.value[x]": "http://hl7.org/fhir/ValueSet/ucum-vitals-common",
}

func (v *Validator) bindingOf(el *profile.Element) *profile.Binding {
	b := el.Binding
	if b == nil || b.Strength != profile.Required || looserBindings[el.Path] == "" || canonicalURL(b.ValueSet) != looserBindings[el.Path] {
		return b
	}
	loose := *b
	loose.Strength = profile.Extensible
	return &loose
}

// bind checks the codes in e against the binding of p. before are the plans whose bindings were checked already.
func (w *walk) bind(e *fhirjson.Node, p *plan, before []*plan) {
	b := p.binding
	if b.MaxValueSet != "" {
		w.bindTo(e, p, b.MaxValueSet, profile.Required, ruleBindingMax)
	}
	if b.Strength < profile.Extensible || b.ValueSet == "" {
		return
	}
	for _, q := range before {
		if q.binding != nil && q.binding.ValueSet == b.ValueSet && q.binding.Strength >= b.Strength {
			return
		}
	}
	r := ruleBindingRequired
	if b.Strength == profile.Extensible {
		r = ruleBindingExtensible
	}
	w.bindTo(e, p, b.ValueSet, b.Strength, r)
}

func (w *walk) bindTo(e *fhirjson.Node, p *plan, valueSet string, strength profile.Strength, r rule) {
	if e.Kind() == fhirjson.Null || e.Kind() == fhirjson.Object && e.IsTwin() {
		if t := e.Properties(); p.prim == primCode && strength == profile.Required && r == ruleBindingRequired && t != nil && t.Member("extension") != nil {
			w.noCode(e, p, valueSet, strength)
		}
		return // without an extension either, which is said elsewhere
	}
	if p.shape == primitive && (e.Kind() != fhirjson.String || e.Text() == "" || codeFault(e.Text()) != "") {
		return // no code, and that is said of its format
	}
	if p.el.Path == "ElementDefinition.type.code" && strings.HasPrefix(e.Text(), "http://hl7.org/fhirpath/") {
		return // the types of FHIRPath are allowed beside those of FHIR
	}
	var (
		worst   = terminology.No
		why     string
		codes   int
		unheld  bool // a code system that is not at hand, which is said at the Coding
		refused bool // a code that its own system lacks, which is said at the Coding
		first   code
	)
	eachCode(e, func(c code) bool {
		if c.code == "" {
			return true
		}
		if codes++; codes == 1 {
			first = c
		}
		a := w.v.terms.Member(valueSet, c.system, c.code)
		if c.system == "" && a.Value == terminology.Yes && (p.data == dataCoding || p.data == dataCodeableConcept) {
			a.Value = terminology.No // without its system it is only a text that a code of the set has as well
		}
		switch a.Value {
		case terminology.Yes:
			worst = terminology.Yes
			return false
		case terminology.Unknown:
			worst, why = terminology.Unknown, a.Why
		default:
		}
		if c.system != "" && p.prim == primNone {
			switch _, known := w.v.terms.Code(c.system, c.code); known.Value {
			case terminology.Unknown:
				unheld = true
			case terminology.No:
				refused = true
			default:
			}
		}
		return true
	})
	switch {
	case codes == 0:
		w.noCode(e, p, valueSet, strength)
	case worst == terminology.Yes || refused && r == ruleBindingExtensible:
	case worst == terminology.Unknown:
		if !unheld && !w.fold(ruleBindingUnchecked, valueSet) {
			w.addOnce(valueSet, finding{
				rule: ruleBindingUnchecked, node: e, prof: p.prof, notChecked: true,
				expected: "a code from " + valueSet,
				message:  w.name(e) + " could not be checked against " + short(valueSet) + ": " + inWords(why) + ".",
			})
		}
	default:
		w.notInSet(e, p, valueSet, r, first, codes)
	}
}

func (w *walk) notInSet(e *fhirjson.Node, p *plan, valueSet string, r rule, c code, codes int) {
	f := finding{
		rule: r, node: e, prof: p.prof, slice: p.el.SliceName, expected: "a code from " + valueSet, found: quote(c),
		message: w.name(e) + ": " + c.say() + " is not in " + short(valueSet) + ".",
	}
	if codes > 1 {
		f.message = w.name(e) + ": neither " + c.say() + " nor its other codes are in " + short(valueSet) + "."
	}
	if r == ruleBindingExtensible {
		f.next = "Use a code of the value set if one fits; otherwise this is allowed."
	} else {
		f.next = "Use a code of the value set."
		w.dropUnknownCodes(e)
	}
	w.add(f)
}

// dropUnknownCodes takes back that codes in e do not exist: a binding that they miss says it for all of them.
func (w *walk) dropUnknownCodes(e *fhirjson.Node) {
	if w.trial > 0 {
		return
	}
	for i := len(w.findings) - 1; i >= 0; i-- {
		f := &w.findings[i]
		if f.node == nil || f.node.Doc() != e.Doc() || f.node.Offset() < e.Offset() {
			return
		}
		if f.rule == ruleCodeUnknown && f.node.End() <= e.End() {
			f.dropped = true
		}
	}
}

// say is the code with its system behind it.
func (c code) say() string {
	text := c.code
	if codeFault(text) != "" {
		text = strconv.Quote(text)
	}
	if c.system == "" {
		return text
	}
	return text + " (" + short(c.system) + ")"
}

func quote(c code) string {
	if c.system == "" {
		return c.code
	}
	return c.system + "#" + c.code
}

// noCode is for a coded element without any code: text alone, or nothing.
func (w *walk) noCode(e *fhirjson.Node, p *plan, valueSet string, strength profile.Strength) {
	required := strength == profile.Required
	switch {
	case required && (p.prim == primCode || p.data == dataCodeableConcept && e.Kind() == fhirjson.Object):
		// An extension, data-absent-reason included, is no code.
	case e.Kind() != fhirjson.Object || p.data != dataCodeableConcept && p.data != dataCoding || explained(e):
		return
	}
	f := finding{
		rule: ruleBindingNoCode, node: e, prof: p.prof, slice: p.el.SliceName, expected: "a code from " + valueSet,
		message: w.name(e) + " has no code; it takes one from " + short(valueSet) + ".", next: "Add a coding from the value set.",
	}
	if strength == profile.Extensible {
		if p.data == dataCoding {
			return
		}
		f.severity = validators.SeverityWarning
	}
	w.add(f)
}

// explained reports that extensions stand where a code would.
func explained(e *fhirjson.Node) bool {
	if e.Member("extension") != nil && e.Member("text") == nil {
		return true
	}
	if list := e.Member("coding"); list != nil {
		for c := list.First(); c != nil; c = c.Next() {
			if c.Member("extension") != nil || c.Member("_code") != nil {
				return true
			}
		}
	}
	return false
}

// coding checks a Coding by itself: its system, that the code exists, its display.
func (w *walk) coding(e *fhirjson.Node, b *plan) {
	sys, c := e.Member("system"), e.Member("code")
	if sys == nil {
		if c != nil && c.Kind() == fhirjson.String {
			w.add(finding{
				rule: ruleSystemMissing, node: e, prof: b.prof, message: w.name(e) + " has a code and no system: it cannot be told what the code means.",
				next: "Add the system of the code.",
			})
		}
		return
	}
	system := sys.Text()
	switch {
	case sys.Kind() != fhirjson.String || system == "":
		return
	case !isAbsolute(system):
		w.add(finding{
			rule: ruleSystemRelative, node: sys, prof: b.prof, message: w.name(sys) + " is not an absolute URI.", found: brief(sys),
		})
		return
	case strings.Contains(system, "/ValueSet/") && w.v.terms.Known(system):
		w.add(finding{
			rule: ruleSystemValueSet, node: sys, prof: b.prof, message: w.name(sys) + " names a value set; a system is a code system.", found: brief(sys),
			next: "Give the URI of the code system that the value set draws on.",
		})
		return
	}
	if c == nil || c.Kind() != fhirjson.String || c.Text() == "" {
		return
	}
	w.codeExists(e, c, b, system)
}

func (w *walk) codeExists(e, c *fhirjson.Node, b *plan, system string) {
	display, a := w.v.terms.Code(system, c.Text())
	switch a.Value {
	case terminology.Unknown:
		if fault := terminology.Shape(system, c.Text()); fault != "" {
			w.add(finding{
				rule: ruleCodeShape, node: c, prof: b.prof, found: quote(code{system: system, code: c.Text()}),
				message: w.name(c) + " is not written as " + short(system) + " writes its codes: " + fault + ".", next: "Check the code for a mistyped digit.",
			})
			return
		}
		if w.fold(ruleCodeUnchecked, system) {
			return
		}
		w.addOnce(system, finding{
			rule: ruleCodeUnchecked, node: e, prof: b.prof, notChecked: true,
			found:   system,
			message: "Codes of " + short(system) + " could not be checked: " + sayWhy(a.Why, system) + ".",
		})
	case terminology.No:
		if a.Why == terminology.Supplement {
			w.add(finding{
				rule: ruleSystemValueSet, node: e.Member("system"), prof: b.prof, found: system,
				message: w.name(e.Member("system")) + " names a supplement of a code system.", next: "Give the URI of the code system that it supplements.",
			})
			return
		}
		w.add(finding{
			rule: ruleCodeUnknown, node: c, prof: b.prof, expected: "a code of " + system, found: c.Text(),
			message: w.name(c) + ": " + short(system) + " has no code " + c.Text() + ".", next: "Use a code that the system defines.",
		})
	case terminology.Yes:
		if d := e.Member("display"); d != nil && display != "" && d.Kind() == fhirjson.String && !sameDisplay(display, d.Text()) {
			w.add(finding{
				rule: ruleCodeDisplay, node: d, prof: b.prof, expected: display, found: d.Text(),
				message: w.name(d) + " is not what " + short(system) + " calls " + c.Text() + ": " + display + ".",
			})
		}
	}
}

// sameDisplay ignores case and repeated blanks.
func sameDisplay(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}
