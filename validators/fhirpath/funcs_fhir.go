package fhirpath

import (
	"context"
	"errors"
	"fmt"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/value"
)

// What FHIR adds to FHIRPath: FHIR R4, fhirpath.html, 2.9.1.
var fhirFunctions = map[string]*function{
	"extension":      {min: 1, max: 1, do: funcExtension, gives: isExtension},
	"hasValue":       {do: funcHasValue, gives: isBoolean},
	"getValue":       {do: funcGetValue, gives: isAny},
	"resolve":        {do: funcResolve, gives: isAny},
	"memberOf":       {min: 1, max: 1, do: funcMemberOf, gives: isBoolean},
	"conformsTo":     {min: 1, max: 1, do: funcConformsTo, gives: isBoolean},
	"htmlChecks":     {do: funcHTMLChecks, gives: isBoolean},
	"checkModifiers": {max: 20, do: funcCheckModifiers, gives: asInput},

	"elementDefinition": {do: beyond, gives: isAny},
	"slice":             {min: 2, max: 2, do: beyond, gives: isAny},
	"subsumes":          {min: 1, max: 1, do: funcSubsumes(false), gives: isBoolean},
	"subsumedBy":        {min: 1, max: 1, do: funcSubsumes(true), gives: isBoolean},
}

// beyond is a function that exists and that this engine does not have.
func beyond(_ *state, _ *frame, c *call, _, dst []item) ([]item, error) {
	return dst, fmt.Errorf("%w: %s() is not supported", ErrNotChecked, c.name)
}

func funcExtension(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	url, ok, err := c.argText(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	for i := range in {
		if in[i].node == nil {
			continue
		}
		obj := in[i].node.Properties()
		if obj == nil {
			continue
		}
		list := obj.Member("extension")
		if list == nil || list.Kind() != fhirjson.Array {
			continue
		}
		for e := list.First(); e != nil; e = e.Next() {
			if e.MemberText("url") == url {
				dst = append(dst, item{node: e, typ: s.extensionType(&in[i])})
			}
		}
	}
	return dst, nil
}

func (s *state) extensionType(it *item) *Type {
	if it.typ != nil {
		if e, ok := it.typ.Element("extension"); ok && len(e.Types) == 1 {
			return e.Types[0]
		}
	}
	if s.expr.model == nil {
		return nil
	}
	t, _ := s.expr.model.Type("Extension")
	return t
}

func (it *item) hasValue() bool {
	if it.node == nil {
		return true
	}
	return it.node.IsPrimitive() && (it.typ == nil || it.typ.Kind == PrimitiveType)
}

func funcHasValue(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	return appendTri(dst, value.Of(len(in) == 1 && in[0].hasValue())), nil
}

func funcGetValue(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	if len(in) != 1 || !in[0].hasValue() {
		return dst, nil
	}
	v, err := s.system(&in[0])
	return appendValue(dst, v), err
}

// reference is what a Reference or a uri points to, "" for nothing.
func (it *item) reference() string {
	if it.node == nil {
		t, _ := it.text()
		return t
	}
	if it.node.Kind() == fhirjson.Object {
		return it.node.MemberText("reference")
	}
	return it.node.Text()
}

func funcResolve(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	for i := range in {
		ref := in[i].reference()
		if ref == "" {
			continue
		}
		target, err := s.target(&in[i], ref)
		if err != nil {
			return dst, err
		}
		if target != nil {
			dst = append(dst, item{node: target, typ: s.expr.typeOf(target)})
		}
	}
	return dst, nil
}

func (s *state) target(it *item, ref string) (*fhirjson.Node, error) {
	if ref[0] == '#' {
		root := s.rootResource()
		if it.node != nil && it.node.Doc() != nil && (root == nil || root.Doc() != it.node.Doc()) {
			root = it.node.Resource()
		}
		if root == nil || ref == "#" {
			return root, nil
		}
		list := root.Member("contained")
		if list != nil {
			for c := list.First(); c != nil; c = c.Next() {
				if c.MemberText("id") == ref[1:] {
					return c, nil
				}
			}
		}
		return nil, nil
	}
	if s.env.Resolver == nil {
		return nil, nil
	}
	return s.env.Resolver.Resolve(s.ctx, it.node, ref)
}

func funcMemberOf(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	if len(in) == 0 {
		return dst, nil
	}
	valueSet, ok, err := c.argText(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	if len(in) > 1 {
		return dst, fmt.Errorf("%w: memberOf() takes a single value, not %d", ErrNotChecked, len(in))
	}
	if s.env.Terminology == nil || in[0].node == nil {
		return dst, fmt.Errorf("%w: no terminology to ask for %s", ErrNotChecked, valueSet)
	}
	member, err := s.env.Terminology.MemberOf(s.ctx, in[0].node, valueSet)
	return appendTri(dst, value.Of(member)), err
}

func funcConformsTo(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	profile, ok, err := c.argText(s, f, 0)
	if err != nil || !ok || len(in) == 0 {
		return dst, err
	}
	if len(in) > 1 {
		return dst, fmt.Errorf("conformsTo() takes a single value, not %d", len(in))
	}
	if s.env.Conformance == nil || in[0].node == nil {
		return dst, fmt.Errorf("%w: no profiles to ask for %s", ErrNotChecked, profile)
	}
	conforms, err := s.env.Conformance.ConformsTo(s.ctx, in[0].node, profile)
	return appendTri(dst, value.Of(conforms)), err
}

func funcHTMLChecks(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	for i := range in {
		t, ok := in[i].text()
		if !ok {
			continue
		}
		if len(CheckXHTML(t)) > 0 {
			return appendTri(dst, value.False), nil
		}
	}
	return appendTri(dst, value.True), nil
}

func funcCheckModifiers(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	known := make(map[string]bool, len(c.args))
	for i := range c.args {
		url, ok, err := c.argText(s, f, i)
		if err != nil {
			return dst, err
		}
		if ok {
			known[url] = true
		}
	}
	for i := range in {
		if in[i].node == nil {
			continue
		}
		list := in[i].node.Member("modifierExtension")
		if list == nil {
			continue
		}
		for e := list.First(); e != nil; e = e.Next() {
			if url := e.MemberText("url"); !known[url] {
				return dst, fmt.Errorf("the modifier extension %q is not known", url)
			}
		}
	}
	return append(dst, in...), nil
}

// Subsumption is answered by a Terminology that can.
type Subsumption interface {
	// Subsumes reports whether the concept of a includes the one of b: both are code or Coding elements.
	Subsumes(ctx context.Context, a, b *fhirjson.Node) (bool, error)
}

func funcSubsumes(reverse bool) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
		other, err := c.arg(s, f, 0, s.get())
		defer func() { s.put(other) }()
		if err != nil || len(in) == 0 || len(other) == 0 {
			return dst, err
		}
		if len(in) > 1 || len(other) > 1 {
			return dst, errors.New(c.name + "() takes single values")
		}
		t, ok := s.env.Terminology.(Subsumption)
		if !ok || in[0].node == nil || other[0].node == nil {
			return dst, fmt.Errorf("%w: no terminology to ask whether one code includes the other", ErrNotChecked)
		}
		a, b := in[0].node, other[0].node
		if reverse {
			a, b = b, a
		}
		includes, err := t.Subsumes(s.ctx, a, b)
		return appendTri(dst, value.Of(includes)), err
	}
}
