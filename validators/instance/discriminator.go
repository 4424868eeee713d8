package instance

import (
	"fmt"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// test is what a condition asks of the value at its path.
type test uint8

const (
	testFixed test = iota
	testPattern
	testBinding
	testPresent
	testAbsent
	testType
	testProfile
)

// condition is one compiled discriminator of one slice. It holds when some value at path passes the test.
type condition struct {
	path    []pathStep
	test    test
	value   *fhirjson.Node
	valueOf string   // value set of testBinding
	names   []string // types or profiles
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepExtension
	stepResolve
	stepOfType
)

// pathStep is a step of a discriminator path: the restricted FHIRPath of ElementDefinition.
type pathStep struct {
	kind stepKind
	name string
}

func (c *condition) describe() string {
	at := pathText(c.path)
	if at != "" {
		at += " "
	}
	switch c.test {
	case testFixed, testPattern:
		return at + sayValue(c.value)
	case testBinding:
		return at + "from " + short(c.valueOf)
	case testPresent:
		return pathText(c.path)
	case testType:
		return at + "of type " + strings.Join(c.names, " or ")
	case testProfile:
		return at + "conforming to " + shorts(c.names)
	default:
		return ""
	}
}

func pathText(path []pathStep) string {
	parts := make([]string, len(path))
	for i, s := range path {
		switch s.kind {
		case stepExtension:
			parts[i] = "extension('" + s.name + "')"
		case stepResolve:
			parts[i] = "resolve()"
		case stepOfType:
			parts[i] = "ofType(" + s.name + ")"
		default:
			parts[i] = s.name
		}
	}
	return strings.Join(parts, ".")
}

// parsePath reads a discriminator path.
func parsePath(s string) ([]pathStep, error) {
	var path []pathStep
	for s = strings.TrimSpace(s); s != ""; {
		end, depth := len(s), 0
		for i := range len(s) {
			if s[i] == '(' {
				depth++
			} else if s[i] == ')' {
				depth--
			} else if s[i] == '.' && depth == 0 {
				end = i
				break
			}
		}
		word := s[:end]
		s = strings.TrimPrefix(s[end:], ".")
		name, arg, call := strings.Cut(word, "(")
		arg = strings.Trim(strings.TrimSuffix(arg, ")"), `'"`)
		switch {
		case !call && word == "$this":
		case !call && word != "":
			path = append(path, pathStep{stepName, strings.TrimSuffix(word, "[x]")})
		case call && name == "extension":
			path = append(path, pathStep{stepExtension, arg})
		case call && name == "resolve" && arg == "":
			path = append(path, pathStep{stepResolve, ""})
		case call && (name == "ofType" || name == "as"):
			path = append(path, pathStep{stepOfType, arg})
		default:
			return nil, fmt.Errorf("discriminator path has %q, which is not allowed there", word)
		}
	}
	return path, nil
}

// discriminators compiles the conditions of slices.
type discriminators struct{ v *Validator }

// conditions compiles all discriminators for one slice. A slice with none is told apart by nothing but its whole content,
// extensions by their url.
func (c discriminators) conditions(prof *profile.Profile, sliced, sl *profile.Element, by []profile.Discriminator) (conds []condition, fault string) {
	if len(by) == 0 {
		if slices.ContainsFunc(sl.Types, func(t profile.Type) bool { return t.Code == "Extension" }) {
			by = []profile.Discriminator{{Type: "value", Path: "url"}}
		} else if sliced.Choice {
			by = []profile.Discriminator{{Type: "type", Path: "$this"}}
		} else {
			return nil, "the slicing has no discriminator"
		}
	}
	for _, d := range by {
		path, err := parsePath(d.Path)
		if err != nil {
			return nil, err.Error()
		}
		got, fault := c.one(prof, sl, d, path)
		if fault != "" {
			return nil, fault
		}
		conds = append(conds, got...)
	}
	return conds, ""
}

func (c discriminators) one(prof *profile.Profile, sl *profile.Element, d profile.Discriminator, path []pathStep) ([]condition, string) {
	conds, fault := c.follow(prof, sl, d, path, false)
	if fault != "" {
		if through, none := c.follow(prof, sl, d, path, true); none == "" {
			return through, ""
		}
	}
	return conds, fault
}

// follow compiles a discriminator for one slice. With sliced, elements on the way that are sliced themselves stand for their
// first required slice: an item of the outer slice has to have one of those.
func (c discriminators) follow(prof *profile.Profile, sl *profile.Element, d profile.Discriminator, path []pathStep, sliced bool) ([]condition, string) {
	missing := fmt.Sprintf("discriminator %s:%s leads to nothing that tells it apart", d.Type, d.Path)
	at := place{prof: prof, el: sl}
	constants := d.Type == "value" || d.Type == "pattern"
	for i, s := range path {
		if constants {
			if cond, ok := constant(at.el, path[:i], path[i:]); ok {
				return []condition{cond}, ""
			}
		}
		next, ok := c.step(at, s)
		if !ok {
			if d.Type == "type" && s.kind == stepResolve {
				break
			}
			return nil, missing
		}
		at = next
		if i := slices.IndexFunc(at.el.Slices, func(s *profile.Element) bool { return s.Min > 0 }); sliced && i >= 0 {
			at.el = at.el.Slices[i]
		}
	}
	var conds []condition
	switch d.Type {
	case "value", "pattern":
		conds = c.gather(at, path, 0)
	case "exists":
		switch {
		case at.el.Max == 0:
			conds = []condition{{path: path, test: testAbsent}}
		case at.el.Min > 0:
			conds = []condition{{path: path, test: testPresent}}
		}
	case "type":
		if names := c.types(at); len(names) > 0 {
			conds = []condition{{path: path, test: testType, names: names}}
		}
	case "profile":
		if names := profilesOf(at, path); len(names) > 0 {
			conds = []condition{{path: path, test: testProfile, names: names}}
		}
	}
	if len(conds) == 0 {
		return nil, missing
	}
	return conds, ""
}

// place is an element of a definition while a path is followed.
type place struct {
	prof *profile.Profile
	el   *profile.Element
	// targets are the profiles behind a resolve() that has several.
	targets []string
}

// constant is the condition of a fixed or pattern value on el. rest are the steps that the discriminator goes below it: only
// what the constant has there tells the slice apart.
func constant(el *profile.Element, path, rest []pathStep) (condition, bool) {
	c, t := el.Fixed, testFixed
	if c == nil {
		c, t = el.Pattern, testPattern
	}
	if c == nil {
		return condition{}, false
	}
	for i, s := range rest {
		if s.kind != stepName || c.Kind() != fhirjson.Object || c.Member(s.name) == nil {
			break
		}
		c = c.Member(s.name)
		path = append(slices.Clip(path), rest[i])
		if c.Kind() == fhirjson.Array { // some item of it has to match
			if c.Len() != 1 {
				return condition{}, false
			}
			c = c.First()
		}
	}
	return condition{path: path, test: t, value: c}, true
}

// step follows one step through the slice's own children, its type's profile, its extensions' definitions.
func (c discriminators) step(at place, s pathStep) (place, bool) {
	switch s.kind {
	case stepOfType:
		return at, true
	case stepResolve:
		var targets []string
		for _, t := range at.el.Types {
			targets = append(targets, t.TargetProfiles...)
		}
		if len(targets) == 0 {
			return at, false
		}
		p, ok := c.v.defs.Profile(targets[0])
		if !ok || p.Root == nil {
			return at, false
		}
		return place{p, p.Root, targets}, true
	case stepExtension:
		return c.stepExtension(at, s.name)
	default:
	}
	if el := child(at.el, s.name); el != nil {
		return place{prof: at.prof, el: el}, true
	}
	for _, t := range at.el.Types {
		for _, canonical := range t.Profiles {
			if p, ok := c.v.defs.Profile(canonical); ok && p.Root != nil {
				if el := child(p.Root, s.name); el != nil {
					return place{prof: p, el: el}, true
				}
			}
		}
		if p, ok := c.v.defs.Base(t.Code); ok && p.Root != nil {
			if el := child(p.Root, s.name); el != nil {
				return place{prof: p, el: el}, true
			}
		}
	}
	return at, false
}

func (c discriminators) stepExtension(at place, url string) (place, bool) {
	for _, kids := range [...]string{"extension", "modifierExtension"} {
		if el := child(at.el, kids); el != nil {
			for _, sl := range el.Slices {
				for _, t := range sl.Types {
					if slices.ContainsFunc(t.Profiles, func(c string) bool { return canonicalURL(c) == url }) {
						return place{prof: at.prof, el: sl}, true
					}
				}
				if u := child(sl, "url"); u != nil && u.Fixed != nil && u.Fixed.Text() == url {
					return place{prof: at.prof, el: sl}, true
				}
			}
		}
	}
	if p, ok := c.v.defs.Extension(url); ok && p.Root != nil {
		return place{prof: p, el: p.Root}, true
	}
	return at, false
}

func child(el *profile.Element, name string) *profile.Element {
	kids := el.Children
	if kids == nil && el.ContentReference != nil {
		kids = el.ContentReference.Children
	}
	for _, k := range kids {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// gather collects the constants at and below a place.
func (c discriminators) gather(at place, path []pathStep, depth int) []condition {
	if cond, ok := constant(at.el, path, nil); ok {
		return []condition{cond}
	}
	if b := at.el.Binding; b != nil && b.Strength == profile.Required && at.prof.Constraint {
		return []condition{{path: path, test: testBinding, valueOf: b.ValueSet}}
	}
	if depth > 4 {
		return nil
	}
	var conds []condition
	for _, k := range at.el.Children {
		conds = append(conds, c.gather(place{prof: at.prof, el: k}, extend(path, k.Name), depth+1)...)
		for _, sl := range k.Slices {
			if sl.Min > 0 {
				conds = append(conds, c.gather(place{prof: at.prof, el: sl}, extend(path, k.Name), depth+1)...)
				break
			}
		}
	}
	if len(conds) == 0 && at.el.Children == nil {
		for _, t := range at.el.Types {
			if len(t.Profiles) == 1 && len(at.el.Types) == 1 {
				if p, ok := c.v.defs.Profile(t.Profiles[0]); ok && p.Root != nil {
					return c.gather(place{prof: p, el: p.Root}, path, depth+1)
				}
			}
		}
	}
	return conds
}

func extend(path []pathStep, name string) []pathStep {
	return append(slices.Clone(path), pathStep{stepName, name})
}

// types are the types an element may have, those of profiled resources by name.
func (c discriminators) types(at place) []string {
	if len(at.targets) > 0 {
		var names []string
		for _, t := range at.targets {
			if p, ok := c.v.defs.Profile(t); ok {
				names = append(names, p.Type)
			} else {
				names = append(names, lastSegment(canonicalURL(t)))
			}
		}
		return names
	}
	if at.el == at.prof.Root {
		return []string{at.prof.Type}
	}
	var names []string
	for _, t := range at.el.Types {
		name := t.Code
		if (name == "Resource" || name == "DomainResource") && len(t.Profiles) > 0 {
			for _, canonical := range t.Profiles {
				if p, ok := c.v.defs.Profile(canonical); ok {
					names = append(names, p.Type)
				}
			}
			continue
		}
		names = append(names, name)
	}
	return names
}

func profilesOf(at place, path []pathStep) []string {
	if len(at.targets) > 0 {
		return at.targets
	}
	var names []string
	for _, t := range at.el.Types {
		if len(path) > 0 && path[len(path)-1].kind == stepResolve {
			names = append(names, t.TargetProfiles...)
		} else {
			names = append(names, t.Profiles...)
		}
	}
	return names
}

// canonicalURL is a canonical without its version.
func canonicalURL(c string) string {
	url, _, _ := strings.Cut(c, "|")
	return url
}

func lastSegment(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
