package fhirpath

import (
	"strings"
	"sync/atomic"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// typeOf finds the type of a node from the nearest resource downwards; nil where the model does not know.
func (x *Expr) typeOf(n *fhirjson.Node) *Type {
	if x.model == nil || n == nil {
		return nil
	}
	if n.Kind() == fhirjson.Object {
		if name := n.ResourceType(); name != "" {
			t, _ := x.model.Type(name)
			return t
		}
	}
	for n.Key() == "" {
		if n = n.Parent(); n == nil {
			return nil
		}
	}
	outer := x.typeOf(n.Parent())
	if outer == nil {
		return nil
	}
	m, _ := outer.Member(strings.TrimPrefix(n.Key(), "_"))
	return m.Type
}

// refine is the type of a node where t was declared: for a resource the one it names.
func (x *Expr) refine(n *fhirjson.Node, t *Type) *Type {
	if t == nil || t.Kind != ResourceType {
		return t
	}
	if named, ok := x.model.Type(n.ResourceType()); ok {
		return named
	}
	return t
}

// step is one name of a path. What it means for the type met last is kept.
type step struct {
	name string
	seen atomic.Pointer[meaning]
}

type meaning struct {
	typ  *Type
	elem *Element // nil: the type has no such element
}

func (st *step) element(t *Type) *Element {
	if m := st.seen.Load(); m != nil && m.typ == t {
		return m.elem
	}
	e, _ := t.Element(st.name)
	st.seen.Store(&meaning{t, e})
	return e
}

// children appends the elements that st names below it.
func (s *state) children(it *item, st *step, dst []item) []item {
	if it.node == nil {
		return systemChild(it.val, st.name, dst)
	}
	if it.typ == nil {
		if obj := it.node.Properties(); obj != nil {
			v, twin := member(obj, st.name)
			return s.elements(v, twin, nil, dst)
		}
		return dst
	}
	e := st.element(it.typ)
	if st.name == "value" && it.typ.Kind == PrimitiveType {
		if v, err := s.system(it); err == nil && v != nil {
			return append(dst, item{val: v})
		}
		return dst
	}
	obj := it.node.Properties()
	if e == nil || obj == nil || len(e.Types) == 0 {
		return dst
	}
	if !e.Choice {
		v, twin := member(obj, st.name)
		return s.elements(v, twin, e.Types[0], dst)
	}
	for c := obj.First(); c != nil; c = c.Next() {
		key := c.Key()
		isTwin := strings.HasPrefix(key, "_")
		if isTwin {
			key = key[1:]
		}
		if len(key) <= len(st.name) || !strings.HasPrefix(key, st.name) || c.Repeated() {
			continue
		}
		m, ok := it.typ.Member(key)
		if !ok || m.Element != e {
			continue
		}
		if isTwin {
			if c.Twin() == nil {
				dst = s.elements(nil, c, m.Type, dst)
			}
		} else if c.Kind() != fhirjson.Null {
			dst = s.elements(c, c.Twin(), m.Type, dst)
		}
	}
	return dst
}

// has reports whether children would append anything.
func (s *state) has(it *item, st *step) bool {
	if it.node != nil && it.typ != nil {
		if e := st.element(it.typ); e == nil {
			return false
		} else if !e.Choice && it.typ.Kind != PrimitiveType {
			obj := it.node.Properties()
			if obj == nil {
				return false
			}
			v, twin := member(obj, st.name)
			if twin == nil && v != nil && v.Kind() != fhirjson.Array {
				return v.Kind() != fhirjson.Null
			}
			if v == nil && twin == nil {
				return false
			}
		}
	}
	b := s.children(it, st, s.get())
	n := len(b)
	s.put(b)
	return n > 0
}

// member finds a member and its twin.
func member(obj *fhirjson.Node, name string) (v, twin *fhirjson.Node) {
	for c := obj.First(); c != nil; c = c.Next() {
		key := c.Key()
		if key == name {
			return c, twinOf(c, twin)
		}
		if len(key) == len(name)+1 && key[0] == '_' && key[1:] == name {
			twin = c
		}
	}
	return nil, twin
}

func twinOf(c, before *fhirjson.Node) *fhirjson.Node {
	if t := c.Twin(); t != nil {
		return t
	}
	return before
}

// elements appends one item per repetition: a value, or where a primitive has none the node that holds its extensions.
func (s *state) elements(v, twin *fhirjson.Node, t *Type, dst []item) []item {
	add := func(n *fhirjson.Node) {
		dst = append(dst, item{node: n, typ: s.expr.refine(n, t)})
	}
	if v == nil || v.Kind() == fhirjson.Null {
		switch {
		case twin == nil || twin.Kind() == fhirjson.Null:
		case twin.Kind() != fhirjson.Array:
			add(twin)
		default:
			for c := twin.First(); c != nil; c = c.Next() {
				if c.Kind() != fhirjson.Null {
					add(c)
				}
			}
		}
		return dst
	}
	if v.Kind() != fhirjson.Array {
		add(v)
		return dst
	}
	var tw *fhirjson.Node
	if twin != nil && twin.Kind() == fhirjson.Array {
		tw = twin.First()
	}
	for c := v.First(); c != nil; c = c.Next() {
		if c.Kind() != fhirjson.Null || tw != nil && tw.Kind() != fhirjson.Null {
			add(c)
		}
		if tw != nil {
			tw = tw.Next()
		}
	}
	for ; tw != nil; tw = tw.Next() {
		if tw.Kind() != fhirjson.Null {
			add(tw)
		}
	}
	return dst
}

// allChildren appends every child element in the order of the input.
func (s *state) allChildren(it *item, dst []item) []item {
	if it.node == nil {
		return dst
	}
	obj := it.node.Properties()
	if obj == nil {
		return dst
	}
	for c := obj.First(); c != nil; c = c.Next() {
		key := c.Key()
		if c.Repeated() || key == "resourceType" {
			continue
		}
		isTwin := len(key) > 1 && key[0] == '_'
		if isTwin {
			if c.Twin() != nil {
				continue
			}
			key = key[1:]
		} else if c.Kind() == fhirjson.Null {
			continue
		}
		var t *Type
		if it.typ != nil {
			m, _ := it.typ.Member(key)
			t = m.Type
		}
		if isTwin {
			dst = s.elements(nil, c, t, dst)
		} else {
			dst = s.elements(c, c.Twin(), t, dst)
		}
	}
	return dst
}

func systemChild(v value.Value, name string, dst []item) []item {
	switch x := v.(type) {
	case value.TypeInfo:
		switch name {
		case "name":
			return append(dst, item{val: value.String(x.Name)})
		case "namespace":
			return append(dst, item{val: value.String(x.Namespace)})
		}
	case value.Quantity:
		switch name {
		case "value":
			return append(dst, item{val: x.Value})
		case "unit", "code":
			return append(dst, item{val: value.String(x.Unit)})
		}
	}
	return dst
}

// path is a chain of names below an expression, or below $this where from is nil.
type path struct {
	parse.Pos
	from  node
	steps []*step
}

func (p *path) position() parse.Pos { return p.Pos }

// isTypeName reports that a path starts with the type of what it is evaluated on: Patient.name on a Patient.
func isTypeName(it *item, name string) bool {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	if it.node == nil {
		return false
	}
	if it.typ == nil {
		return it.node.ResourceType() == name
	}
	for t := it.typ; t != nil; t = t.Base {
		if t.Name == name {
			return true
		}
	}
	return false
}

func (p *path) eval(s *state, f *frame, dst []item) ([]item, error) {
	cur := s.get()
	steps := p.steps
	if p.from != nil {
		var err error
		if cur, err = p.from.eval(s, f, cur); err != nil {
			s.put(cur)
			return dst, err
		}
	} else {
		cur = f.input(cur)
		if len(cur) > 0 && isTypeName(&cur[0], steps[0].name) {
			steps = steps[1:]
		}
	}
	for i, st := range steps {
		if err := s.spend(len(cur)); err != nil {
			s.put(cur)
			return dst, fail(p.Pos, err)
		}
		if i == len(steps)-1 {
			for j := range cur {
				dst = s.children(&cur[j], st, dst)
			}
			s.put(cur)
			return dst, nil
		}
		next := s.get()
		for j := range cur {
			next = s.children(&cur[j], st, next)
		}
		s.put(cur)
		cur = next
	}
	dst = append(dst, cur...)
	s.put(cur)
	return dst, nil
}

// exists is eval's result not being empty, found without building it.
func (p *path) exists(s *state, f *frame) (bool, error) {
	steps := p.steps
	if p.from == nil && f.many == nil {
		if !f.hasThis {
			return false, nil
		}
		if isTypeName(&f.this, steps[0].name) {
			if steps = steps[1:]; len(steps) == 0 {
				return true, nil
			}
		}
		return s.existsBelow(&f.this, steps), nil
	}
	from := p.from
	if from == nil {
		from = &variable{p.Pos, "this"}
	}
	b, err := from.eval(s, f, s.get())
	if err == nil {
		err = s.spend(len(b))
	}
	found := false
	for i := 0; i < len(b) && err == nil && !found; i++ {
		found = s.existsBelow(&b[i], steps)
	}
	s.put(b)
	return found, err
}

func (s *state) existsBelow(it *item, steps []*step) bool {
	if len(steps) == 1 {
		return s.has(it, steps[0])
	}
	b := s.children(it, steps[0], s.get())
	found := false
	for i := 0; i < len(b) && !found; i++ {
		found = s.existsBelow(&b[i], steps[1:])
	}
	s.put(b)
	return found
}
