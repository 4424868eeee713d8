package instance

import (
	"strings"

	"fhirwire/validators/fhirjson"
)

// equalNodes reports whether two values are the same: members in any order, numbers by value, twins included.
func equalNodes(a, b *fhirjson.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case fhirjson.Object:
		if a.Len() != b.Len() {
			return false
		}
		for m := a.First(); m != nil; m = m.Next() {
			if o := b.Member(m.Key()); o == nil || !equalNodes(m, o) {
				return false
			}
		}
		return true
	case fhirjson.Array:
		if a.Len() != b.Len() {
			return false
		}
		for x, y := a.First(), b.First(); x != nil; x, y = x.Next(), y.Next() {
			if !equalNodes(x, y) {
				return false
			}
		}
		return true
	default:
		return equalPrimitives(a, b)
	}
}

func equalPrimitives(a, b *fhirjson.Node) bool {
	if a.Kind() == fhirjson.Number && b.Kind() == fhirjson.Number {
		return compareDecimals(a.Text(), b.Text()) == 0
	}
	return a.Kind() == b.Kind() && a.Text() == b.Text()
}

// matchesPattern reports whether value holds everything that pattern states. An array in the pattern asks for each of its
// items to be matched by some item of the value.
func matchesPattern(pattern, value *fhirjson.Node) bool {
	if value == nil {
		return false
	}
	switch pattern.Kind() {
	case fhirjson.Object:
		if value.Kind() != fhirjson.Object {
			return false
		}
		for m := pattern.First(); m != nil; m = m.Next() {
			if !matchesPattern(m, value.Member(m.Key())) {
				return false
			}
		}
		return true
	case fhirjson.Array:
		if value.Kind() != fhirjson.Array {
			return false
		}
		for p := pattern.First(); p != nil; p = p.Next() {
			found := false
			for c := value.First(); c != nil && !found; c = c.Next() {
				found = matchesPattern(p, c)
			}
			if !found {
				return false
			}
		}
		return true
	default:
		return equalPrimitives(pattern, value)
	}
}

// constants checks fixed[x] and pattern[x] of a plan. A primitive with no value fails both.
func (w *walk) constants(e *fhirjson.Node, p *plan) {
	if p.fixed != nil && !fixedHolds(p.fixed, e, p.shape) {
		w.add(finding{
			rule: ruleFixed, node: e, prof: p.prof, slice: p.el.SliceName,
			message:  w.name(e) + " is not " + sayValue(p.fixed) + ", its fixed value.",
			expected: brief(p.fixed), found: brief(e), next: "Send exactly the fixed value.",
		})
		return
	}
	if p.pattern != nil && !matchesPattern(p.pattern, e) {
		w.add(finding{
			rule: rulePattern, node: e, prof: p.prof, slice: p.el.SliceName,
			message:  w.name(e) + " lacks " + sayValue(p.pattern) + ", which the profile fixes.",
			expected: brief(p.pattern), found: brief(e), next: "Add what the pattern states; more may stand beside it.",
		})
	}
}

func fixedHolds(fixed, e *fhirjson.Node, s shape) bool {
	if s == primitive {
		return e.IsPrimitive() && equalPrimitives(fixed, e)
	}
	return equalNodes(fixed, e)
}

// brief is a value in a message: short, on one line.
func brief(n *fhirjson.Node) string {
	const most = 120
	if n == nil {
		return "nothing"
	}
	var b strings.Builder
	raw := n.Raw()
	for _, c := range string(raw[:min(len(raw), 4*most)]) {
		if c == '\n' || c == '\r' || c == '\t' {
			c = ' '
		}
		if c == ' ' && strings.HasSuffix(b.String(), " ") {
			continue
		}
		if b.Len() >= most {
			b.WriteString("…")
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}
