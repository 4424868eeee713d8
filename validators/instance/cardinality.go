package instance

import (
	"strconv"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// cardinality compares how often the children of n occur with what the base and the profiles ask for.
func (w *walk) cardinality(n *fhirjson.Node, k *kids, acts []*plan, counts []int32) {
	for _, at := range k.required {
		if el := k.slots[at].el; int(counts[at]) < el.Min {
			w.tooFew(n, acts[0], el, int(counts[at]), el.Min)
		}
	}
	for _, at := range k.capped {
		if el := k.slots[at].el; int(counts[at]) > el.Max {
			w.tooMany(n, acts[0], el, int(counts[at]), el.Max)
		}
	}
	for _, p := range acts[1:] {
		d := w.v.below(p)
		if d == nil {
			continue
		}
		for _, c := range d.cards {
			got := int(counts[c.slot])
			if got < c.min {
				w.tooFew(n, p, c.el, got, c.min)
			}
			if c.max != profile.Unbounded && got > c.max {
				w.tooMany(n, p, c.el, got, c.max)
			}
		}
	}
}

func elementName(el *profile.Element) string {
	if el.Choice {
		return el.Name + "[x]"
	}
	return el.Name
}

func (w *walk) tooFew(n *fhirjson.Node, p *plan, el *profile.Element, got, least int) {
	if el.Name == "url" && p.typ == "Extension" {
		return // extension.go says it
	}
	if p.data == dataExtension && (el.Name == "value" || el.Name == "extension") && emptyExtension(n) {
		return // as above
	}
	name := elementName(el)
	f := finding{
		rule: ruleCardinalityMin, node: n, child: name, prof: p.prof, slice: p.el.SliceName,
		expected: "at least " + strconv.Itoa(least), found: strconv.Itoa(got),
	}
	if got == 0 {
		f.message = w.name(n) + "." + name + " is missing."
		f.next = "Add " + name
		if len(el.Types) == 1 && el.Types[0].Code != "BackboneElement" && el.Types[0].Code != "Element" {
			f.next += " (" + el.Types[0].Code + ")"
		}
		f.next += "."
	} else {
		f.message = w.name(n) + "." + name + " occurs " + times(got) + "; at least " + strconv.Itoa(least) + " are required."
	}
	w.add(f)
}

func (w *walk) tooMany(n *fhirjson.Node, p *plan, el *profile.Element, got, most int) {
	name := elementName(el)
	f := finding{
		rule: ruleCardinalityMax, node: n, child: name, prof: p.prof, slice: p.el.SliceName,
		expected: "at most " + strconv.Itoa(most), found: strconv.Itoa(got),
	}
	if c := n.Member(el.Name); c != nil && !el.Choice {
		f.node, f.atKey = c, true
	}
	if most == 0 {
		f.message = w.name(n) + "." + name + " must not be present."
		f.next = "Leave it out."
	} else {
		f.message = w.name(n) + "." + name + " occurs " + times(got) + "; at most " + strconv.Itoa(most) + " allowed."
	}
	w.add(f)
}
