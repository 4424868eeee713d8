package instance

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/profile"
)

// definition checks a StructureDefinition that is the instance, as far as it constrains a type that is known: elements that the
// type does not have, more or other than the base allows, discriminators that lead nowhere, expressions that do not parse.
func (w *walk) definition(n *fhirjson.Node, base *plan) {
	if n.MemberText("derivation") != "constraint" {
		return // a new type may have what it likes
	}
	root, ok := w.v.defs.Type(lastSegment(n.MemberText("type")))
	if !ok {
		return
	}
	d := &definition{w: w, base: base, root: root}
	if parent, ok := w.v.defs.Profile(n.MemberText("baseDefinition")); ok && parent.Root != nil && parent.Type == root.Name {
		d.parent = parent
	}
	for _, view := range []string{"differential", "snapshot"} {
		d.inherits = view == "differential"
		for _, e := range n.Member(view).AppendElements(nil, "element") {
			if w.ctx.Err() != nil {
				return
			}
			d.element(e)
		}
	}
}

// definition is one StructureDefinition while it is checked.
type definition struct {
	w        *walk
	base     *plan
	root     *fhirpath.Type
	parent   *profile.Profile // what it constrains, nil when that is not at hand
	inherits bool             // the elements are those of the differential
	sliced   []string         // ids of the elements that the differential slices, as far as it was read
	last     []int            // the place of the element before, and its path
	lastPath string
}

func (d *definition) add(f finding) {
	f.prof = d.base.prof
	d.w.add(f)
}

func (d *definition) element(e *fhirjson.Node) {
	path := e.MemberText("path")
	if path == "" {
		return // said of the element
	}
	types, missing, known := d.types(path)
	if missing != "" {
		d.add(finding{
			rule: ruleDefinitionElement, node: e.Member("path"), found: path, message: d.w.name(e) + " is about " + path + ", and " + missing + ".",
			next: "Correct the path; a profile cannot add elements, but for extensions.",
		})
		return
	}
	var inherited *profile.Element
	if d.inherits && d.parent != nil && e.Member("sliceName") == nil && !strings.Contains(e.MemberText("id"), ":") {
		inherited = elementAt(d.parent.Root, path)
	}
	if inherited != nil {
		d.cardinality(e, inherited)
	}
	if d.inherits {
		d.stated(e, inherited)
		d.unprepared(e, inherited)
		d.order(e)
	}
	d.slicing(e)
	own := d.ownTypes(e, inherited)
	if known {
		d.value(e, own, types)
		d.discriminators(e, own, types)
	}
	for _, c := range e.AppendElements(nil, "constraint") {
		d.constraint(c, types, known)
	}
}

// types are what the element at a path may be. missing says in words why there is none; known is false where it may be anything.
func (d *definition) types(path string) (types []*fhirpath.Type, missing string, known bool) {
	steps := strings.Split(path, ".")
	if steps[0] != d.root.Name {
		return nil, "", false // said by an invariant
	}
	types = []*fhirpath.Type{d.root}
	for _, step := range steps[1:] {
		var next []*fhirpath.Type
		for _, t := range types {
			if t.Name == "Resource" || t.Name == "DomainResource" || t.Name == "Element" || t.Name == "BackboneElement" {
				return nil, "", false
			}
			if t.Kind == fhirpath.PrimitiveType && step == "value" {
				return nil, "", false // its literal
			}
			next = append(next, childTypes(t, step)...)
		}
		if len(next) == 0 {
			names := make([]string, len(types))
			for i, t := range types {
				names[i] = t.Name
			}
			return nil, strings.Join(names, " or ") + " has no element " + step, false
		}
		types = next
	}
	return types, "", true
}

func childTypes(t *fhirpath.Type, step string) []*fhirpath.Type {
	if stem, ok := strings.CutSuffix(step, "[x]"); ok {
		if e, ok := t.Element(stem); ok && e.Choice {
			return e.Types
		}
		return nil
	}
	if m, ok := t.Member(step); ok {
		return []*fhirpath.Type{m.Type}
	}
	if e, ok := t.Element(step); ok && !e.Choice {
		return e.Types
	}
	return nil
}

// elementAt finds an element of a profile that is in no slice.
func elementAt(root *profile.Element, path string) *profile.Element {
	e := root
	for _, step := range strings.Split(path, ".")[1:] {
		name := strings.TrimSuffix(step, "[x]")
		i := slices.IndexFunc(e.Children, func(c *profile.Element) bool { return c.Name == name && (c.Choice || name == step) })
		if i < 0 {
			return nil
		}
		e = e.Children[i]
	}
	return e
}

// cardinality checks that the profile allows no less and no more than what it constrains.
func (d *definition) cardinality(e *fhirjson.Node, inherited *profile.Element) {
	if m := e.Member("min"); m != nil {
		if least, err := strconv.Atoi(m.Text()); err == nil && least < inherited.Min {
			d.wider(m, "requires", "at least "+strconv.Itoa(inherited.Min))
		}
	}
	m := e.Member("max")
	if m == nil || inherited.Max == profile.Unbounded {
		return
	}
	most, err := strconv.Atoi(m.Text())
	if m.Text() == "*" || err == nil && most > inherited.Max {
		d.wider(m, "allows", "at most "+strconv.Itoa(inherited.Max))
	}
}

func (d *definition) wider(m *fhirjson.Node, verb, limit string) {
	d.add(finding{
		rule: ruleDefinitionCardinality, node: m, expected: limit, found: m.Text(),
		message: d.w.name(m) + " is " + m.Text() + ", and the base " + verb + " " + limit + ".", next: "A profile can only narrow what it constrains.",
	})
}

// ownTypes are the codes of the types that the element states, which have to be among those of the base.
func (d *definition) ownTypes(e *fhirjson.Node, inherited *profile.Element) []string {
	var own []string
	for _, t := range e.AppendElements(nil, "type") {
		code := t.MemberText("code")
		if strings.Contains(code, "/") {
			return nil // FHIRPath's own types
		}
		own = append(own, code)
		if inherited == nil || len(inherited.Types) == 0 || code == "" {
			continue
		}
		fits := func(have profile.Type) bool {
			return have.Code == code || d.specializes(code, have.Code)
		}
		if !slices.ContainsFunc(inherited.Types, fits) {
			var allowed []string
			for _, have := range inherited.Types {
				allowed = append(allowed, have.Code)
			}
			d.add(finding{
				rule: ruleDefinitionType, node: t, expected: strings.Join(allowed, ", "), found: code,
				message: d.w.name(t) + " is " + code + "; the base allows " + strings.Join(allowed, ", ") + ".",
			})
		}
	}
	return own
}

func (d *definition) specializes(code, of string) bool {
	t, ok := d.w.v.defs.Type(code)
	other, known := d.w.v.defs.Type(of)
	return !ok || !known || t.Is(other)
}

// value checks that a fixed value or pattern has a type of the element.
func (d *definition) value(e *fhirjson.Node, own []string, types []*fhirpath.Type) {
	for c := e.First(); c != nil; c = c.Next() {
		suffix, ok := strings.CutPrefix(c.Key(), "fixed")
		if !ok {
			if suffix, ok = strings.CutPrefix(c.Key(), "pattern"); !ok {
				continue
			}
		}
		if suffix == "" {
			continue
		}
		typ := suffix
		if lower := strings.ToLower(suffix[:1]) + suffix[1:]; d.w.v.shapeOf(lower) == primitive {
			typ = lower
		}
		allowed := own
		if len(allowed) == 0 {
			for _, t := range types {
				allowed = append(allowed, t.Name)
			}
		}
		is := func(name string) bool {
			return name == typ || strings.Contains(name, ".") || d.specializes(typ, name)
		}
		if !slices.ContainsFunc(allowed, is) {
			d.add(finding{
				rule: ruleDefinitionValue, node: c, expected: strings.Join(allowed, " or "), found: typ,
				message: d.w.name(c) + " is a " + typ + "; the element is " + strings.Join(allowed, " or ") + ".",
			})
		}
	}
}

// discriminators checks that what tells slices apart can be there.
func (d *definition) discriminators(e *fhirjson.Node, own []string, types []*fhirpath.Type) {
	if len(own) > 0 {
		var narrowed []*fhirpath.Type
		for _, code := range own {
			if t, ok := d.w.v.defs.Type(code); ok && t.Name != "BackboneElement" && t.Name != "Element" {
				narrowed = append(narrowed, t)
			}
		}
		if len(narrowed) == len(own) {
			types = narrowed
		}
	}
	if s := e.Member("slicing"); s != nil {
		for _, c := range s.AppendElements(nil, "discriminator") {
			path := c.MemberText("path")
			if path == "" || path == "$this" {
				continue
			}
			if _, err := fhirpath.CompileFor(path, d.w.v.defs, types...); err != nil {
				d.add(finding{
					rule: ruleDefinitionDiscriminator, node: c, found: path, message: d.w.name(c) + " cannot tell slices apart: " + err.Error() + ".",
					next: "Name an element of " + e.MemberText("path") + ".",
				})
			}
		}
	}
}

// constraint checks that an invariant can be evaluated on the element.
func (d *definition) constraint(c *fhirjson.Node, types []*fhirpath.Type, known bool) {
	x := c.Member("expression")
	if x == nil || x.Text() == "" {
		return
	}
	key := strings.Clone(c.MemberText("key"))
	_, err := fhirpath.Compile(x.Text(), d.w.v.defs)
	broken := err != nil
	if err == nil && known {
		_, err = fhirpath.CompileFor(x.Text(), d.w.v.defs, types...)
	}
	if err == nil {
		return
	}
	f := finding{rule: ruleDefinitionExpression, node: x, key: key, found: brief(x), message: "The expression of " + key + " cannot be evaluated: " + err.Error() + "."}
	if _, syntax := errors.AsType[*parse.Error](err); !broken || !syntax {
		f.severity = warn
	}
	d.add(f)
}
