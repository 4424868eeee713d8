package instance

import (
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// slicing checks that a profile keeps the slicing of what it constrains: it may close an open one, ask for an order and tell
// slices apart by more, and it may add slices where the base leaves room.
func (d *definition) slicing(e *fhirjson.Node) {
	if !d.inherits || d.parent == nil {
		return
	}
	id, name := e.MemberText("id"), e.MemberText("sliceName")
	if name != "" {
		id = strings.TrimSuffix(id, ":"+name)
	}
	if strings.Contains(id, ":") {
		return // below a slice
	}
	base := elementAt(d.parent.Root, e.MemberText("path"))
	if base == nil || base.Slicing == nil {
		return
	}
	if name != "" {
		d.addedSlice(e, base, name)
		return
	}
	s := e.Member("slicing")
	if s == nil || s.Kind() != fhirjson.Object {
		return
	}
	if r := s.Member("rules"); r != nil && !rulesFit(r.Text(), base.Slicing.Rules) {
		d.otherSlicing(r, "rules", ruleNames[base.Slicing.Rules])
	}
	if o := s.Member("ordered"); o != nil && o.Text() == "false" && base.Slicing.Ordered {
		d.otherSlicing(o, "order", "ordered")
	}
	stated := s.AppendElements(nil, "discriminator")
	if len(stated) == 0 {
		return
	}
	for _, want := range base.Slicing.Discriminators {
		same := func(c *fhirjson.Node) bool {
			return c.MemberText("path") == want.Path && sameDiscriminator(c.MemberText("type"), want.Type)
		}
		if !slices.ContainsFunc(stated, same) {
			d.otherSlicing(s.Member("discriminator"), "discriminators", want.Type+" of "+want.Path)
		}
	}
}

var ruleNames = map[profile.Rules]string{profile.Open: "open", profile.OpenAtEnd: "openAtEnd", profile.Closed: "closed"}

func rulesFit(rules string, base profile.Rules) bool {
	switch base {
	case profile.Closed:
		return rules == "closed"
	case profile.OpenAtEnd:
		return rules != "open"
	default:
		return true
	}
}

// sameDiscriminator: value and pattern are the same in R4.
func sameDiscriminator(a, b string) bool {
	return a == b || (a == "value" || a == "pattern") && (b == "value" || b == "pattern")
}

func (d *definition) otherSlicing(n *fhirjson.Node, what, base string) {
	d.add(finding{
		rule: ruleDefinitionSlicing, node: n, expected: base, found: brief(n),
		message: d.w.name(n) + " changes the " + what + " of the slicing that it constrains, which has " + base + ".",
		next:    "A profile can only narrow what it constrains.",
	})
}

// addedSlice checks a slice against a closed slicing. Re-slices have the name of their slice before a slash.
func (d *definition) addedSlice(e *fhirjson.Node, base *profile.Element, name string) {
	if base.Slicing.Rules != profile.Closed || base.Choice {
		return
	}
	var names []string
	for _, s := range base.Slices {
		if s.SliceName == name || strings.HasPrefix(name, s.SliceName+"/") {
			return
		}
		names = append(names, s.SliceName)
	}
	d.add(finding{
		rule: ruleDefinitionSlicing, node: e, expected: strings.Join(names, ", "), found: name,
		message: d.w.name(e) + " adds the slice " + name + ", and the base closes its slicing.", next: "Slice one of " + strings.Join(names, ", ") + " further instead.",
	})
}
