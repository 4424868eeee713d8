package coverage

import (
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

type test uint8

const (
	testConstant test = iota
	testFixed
	testBinding
	testPresent
	testAbsent
	testType
)

// condition is a discriminator of one slice: some value at path passes the test.
type condition struct {
	path     []step
	test     test
	value    *fhirjson.Node
	valueSet string
	types    []string
	terms    Terminology
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepChoice
	stepExtension
	stepResolve
)

type step struct {
	kind stepKind
	name string
}

// parsePath reads a discriminator path; not ok where it has more than such paths may.
func parsePath(s string) (path []step, ok bool) {
	for s != "" {
		var word string
		if i := strings.IndexByte(s, '('); i >= 0 && !strings.Contains(s[:i], ".") {
			end := strings.IndexByte(s, ')')
			if end < 0 {
				return nil, false
			}
			word, s = s[:end+1], strings.TrimPrefix(s[end+1:], ".")
		} else {
			word, s, _ = strings.Cut(s, ".")
		}
		name, arg, call := strings.Cut(strings.TrimSuffix(word, ")"), "(")
		switch arg = strings.Trim(arg, `'"`); {
		case !call && name == "$this":
		case !call:
			path = append(path, step{stepName, strings.TrimSuffix(name, "[x]")})
		case name == "extension":
			path = append(path, step{stepExtension, arg})
		case name == "resolve":
			path = append(path, step{kind: stepResolve})
		case name == "ofType" && len(path) > 0:
			last := &path[len(path)-1]
			last.name = choiceName(last.name, arg)
		default:
			return nil, false
		}
	}
	return path, true
}

// conditions compiles the discriminators of a slice; fault says why they cannot tell it apart.
func (b *planner) conditions(el, sl *profile.Element) (conds []condition, fault string) {
	var by []profile.Discriminator
	if el.Slicing != nil {
		by = el.Slicing.Discriminators
	}
	switch {
	case el.Choice:
		return []condition{{test: testType, types: typesOf(sl)}}, ""
	case len(by) == 0 && extensionURL(b.defs, sl) != "":
		by = []profile.Discriminator{{Type: "value", Path: "url"}}
	case len(by) == 0:
		return nil, "the slicing has no discriminator"
	}
	for _, d := range by {
		path, ok := parsePath(d.Path)
		if !ok {
			return nil, "its discriminator " + d.Path + " is not understood"
		}
		got := b.discriminator(sl, d, path)
		if len(got) == 0 {
			return nil, "its discriminator " + d.Path + " leads to nothing that tells it apart"
		}
		conds = append(conds, got...)
	}
	return conds, ""
}

func (b *planner) discriminator(sl *profile.Element, d profile.Discriminator, path []step) []condition {
	if d.Type == "exists" {
		return b.follow(sl, nil, path, func(at *profile.Element, done []step) []condition {
			if at.Max == 0 {
				return []condition{{path: done, test: testAbsent}}
			}
			return []condition{{path: done, test: testPresent}}
		}, false)
	}
	return b.follow(sl, nil, path, func(at *profile.Element, done []step) []condition {
		switch d.Type {
		case "type":
			return typeCondition(done, typesOf(at))
		case "profile":
			return typeCondition(done, b.profiled(at))
		}
		return b.gather(at, done, 0)
	}, d.Type == "value" || d.Type == "pattern")
}

// follow goes from el along rest and calls end where it leads; with constants a fixed or pattern value on the way ends it. Where an
// element does not lead on, its slices may.
func (b *planner) follow(el *profile.Element, done, rest []step, end func(*profile.Element, []step) []condition, constants bool) []condition {
	if constants {
		if c, ok := constant(el, done, rest); ok {
			return []condition{c}
		}
	}
	var got []condition
	switch {
	case len(rest) == 0:
		got = end(el, done)
	case rest[0].kind == stepResolve:
		return typeCondition(append(slices.Clone(done), rest[0]), b.targets(el))
	default:
		if next := b.step(el, rest[0]); next != nil {
			s := rest[0]
			if s.kind == stepName && next.Choice {
				s.kind = stepChoice
			}
			got = b.follow(next, append(slices.Clone(done), s), rest[1:], end, constants)
		}
	}
	for i := 0; len(got) == 0 && i < len(el.Slices) && len(done) > 0; i++ {
		got = b.follow(el.Slices[i], done, rest, end, constants)
	}
	return got
}

func typeCondition(path []step, types []string) []condition {
	if len(types) == 0 {
		return nil
	}
	return []condition{{path: path, test: testType, types: types}}
}

func typesOf(el *profile.Element) []string {
	var out []string
	for _, t := range el.Types {
		out = append(out, t.Code)
	}
	return out
}

// targets are the types of the profiles that a Reference may point to.
func (b *planner) targets(el *profile.Element) []string {
	var out []string
	for _, t := range el.Types {
		out = append(out, b.typesOfProfiles(t.TargetProfiles)...)
	}
	return out
}

func (b *planner) profiled(el *profile.Element) []string {
	var out []string
	for _, t := range el.Types {
		out = append(out, b.typesOfProfiles(t.Profiles)...)
		out = append(out, b.typesOfProfiles(t.TargetProfiles)...)
	}
	return out
}

func (b *planner) typesOfProfiles(canonicals []string) []string {
	var out []string
	for _, c := range canonicals {
		if p, ok := b.defs.Profile(c); ok {
			out = append(out, p.Type)
		}
	}
	return out
}

// constant is the condition of a fixed or pattern value on el; rest are the steps below it that the discriminator goes.
func constant(el *profile.Element, path, rest []step) (condition, bool) {
	v, t := el.Fixed, testFixed
	if v == nil {
		v, t = el.Pattern, testConstant
	}
	if v == nil {
		return condition{}, false
	}
	path = slices.Clone(path)
	for _, s := range rest {
		m := v.Member(s.name)
		if m == nil || s.kind != stepName {
			break
		}
		v, path = m, append(path, s)
		if v.Kind() == fhirjson.Array {
			if v.Len() != 1 {
				return condition{}, false
			}
			v = v.First()
		}
	}
	return condition{path: path, test: t, value: v}, true
}

// step finds the element below el, also in the profiles of its type.
func (b *planner) step(el *profile.Element, s step) *profile.Element {
	if s.kind == stepExtension {
		ext := child(el, "extension")
		if ext == nil {
			return nil
		}
		for _, sl := range ext.Slices {
			if extensionURL(b.defs, sl) == s.name {
				return sl
			}
		}
		return nil
	}
	if c := child(el, s.name); c != nil {
		return c
	}
	for _, t := range el.Types {
		for _, canonical := range slices.Concat(t.Profiles, []string{"http://hl7.org/fhir/StructureDefinition/" + t.Code}) {
			if p, ok := b.defs.Profile(canonical); ok && p.Root != nil {
				if c := child(p.Root, s.name); c != nil {
					return c
				}
			}
		}
	}
	return nil
}

// child finds a child by name, or by the name of one type of a choice.
func child(el *profile.Element, name string) *profile.Element {
	for _, c := range el.Children {
		if c.Name == name {
			return c
		}
		if c.Choice {
			for _, t := range c.Types {
				if choiceName(c.Name, t.Code) == name {
					return c
				}
			}
		}
	}
	return nil
}

const maxGather = 4 // levels below a discriminator's element at which constants are looked for

// gather collects what el and what is below it fix.
func (b *planner) gather(el *profile.Element, path []step, depth int) []condition {
	if c, ok := constant(el, path, nil); ok {
		return []condition{c}
	}
	var out []condition
	if bd := el.Binding; bd != nil && bd.Strength == profile.Required && bd.ValueSet != "" {
		out = append(out, condition{path: path, test: testBinding, valueSet: bd.ValueSet, terms: b.terms})
	}
	if depth == maxGather {
		return out
	}
	for _, c := range el.Children {
		if c.Min > 0 || c.Fixed != nil || c.Pattern != nil {
			kind := stepName
			if c.Choice {
				kind = stepChoice
			}
			out = append(out, b.gather(c, append(slices.Clone(path), step{kind, c.Name}), depth+1)...)
		}
		for _, sl := range c.Slices {
			if sl.Min > 0 {
				out = append(out, b.gather(sl, append(slices.Clone(path), step{stepName, c.Name}), depth+1)...)
			}
		}
	}
	return out
}

// holds reports whether some value at the path from v passes. typ is the type of v where its member tells it.
func (c *condition) holds(v *fhirjson.Node, typ string) bool {
	found := c.at(v, typ, c.path)
	if c.test == testAbsent {
		return !found
	}
	return found
}

func (c *condition) at(v *fhirjson.Node, typ string, path []step) bool {
	if v.Kind() == fhirjson.Array {
		for item := v.First(); item != nil; item = item.Next() {
			if c.at(item, typ, path) {
				return true
			}
		}
		return false
	}
	if len(path) == 0 {
		return c.passes(v, typ)
	}
	s := path[0]
	switch s.kind {
	case stepResolve:
		return slices.Contains(c.types, targetType(v))
	case stepExtension:
		for _, e := range v.AppendElements(nil, "extension") {
			if e.MemberText("url") == s.name && c.at(e, "Extension", path[1:]) {
				return true
			}
		}
		return false
	case stepChoice:
		for m := v.FirstOrNil(); m != nil; m = m.Next() {
			if t, ok := strings.CutPrefix(m.Key(), s.name); ok && t != "" && t[0] >= 'A' && t[0] <= 'Z' && c.at(m, t, path[1:]) {
				return true
			}
		}
		return false
	case stepName:
	}
	m := v.Member(s.name)
	return m != nil && c.at(m, "", path[1:])
}

func (c *condition) passes(v *fhirjson.Node, typ string) bool {
	switch c.test {
	case testConstant:
		return contains(c.value, v)
	case testFixed:
		return equal(c.value, v)
	case testBinding:
		return c.member(v)
	case testType:
		if rt := v.ResourceType(); rt != "" {
			return slices.Contains(c.types, rt)
		}
		return slices.ContainsFunc(c.types, func(t string) bool { return strings.EqualFold(t, typ) })
	default: // present and absent ask the same
		return v.Kind() != fhirjson.Null
	}
}

// member reports whether one of the codes in v is in the value set.
func (c *condition) member(v *fhirjson.Node) bool {
	if c.terms == nil {
		return false
	}
	if v.IsPrimitive() {
		return c.terms.Member(c.valueSet, "", v.Text()).Value == terminology.Yes
	}
	codings := v.AppendElements(nil, "coding")
	if v.Member("code") != nil {
		codings = append(codings, v)
	}
	return slices.ContainsFunc(codings, func(n *fhirjson.Node) bool {
		return c.terms.Member(c.valueSet, n.MemberText("system"), n.MemberText("code")).Value == terminology.Yes
	})
}
