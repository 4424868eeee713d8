package fhirpath

import (
	"fmt"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// literal is a constant.
type literal struct {
	parse.Pos
	items []item
}

func (n *literal) position() parse.Pos { return n.Pos }

func (n *literal) eval(_ *state, _ *frame, dst []item) ([]item, error) {
	return append(dst, n.items...), nil
}

// variable is $this, $index or $total.
type variable struct {
	parse.Pos
	name string
}

func (n *variable) position() parse.Pos { return n.Pos }

func (n *variable) eval(_ *state, f *frame, dst []item) ([]item, error) {
	switch {
	case n.name == "this":
		return f.input(dst), nil
	case n.name == "index" && f.hasIndex:
		return append(dst, item{val: value.Integer(f.index)}), nil
	case n.name == "total" && f.hasTotal:
		return append(dst, f.total...), nil
	}
	return dst, failf(n.Pos, "$%s has no meaning here", n.name)
}

// place is %resource, %rootResource or %context.
type place struct {
	parse.Pos
	find func(*state) *fhirjson.Node
}

func (n *place) position() parse.Pos { return n.Pos }

func (n *place) eval(s *state, f *frame, dst []item) ([]item, error) {
	at := n.find(s)
	if at == nil {
		return dst, nil
	}
	if f.hasThis && f.this.node == at {
		return append(dst, f.this), nil
	}
	if s.root.hasThis && s.root.this.node == at {
		return append(dst, s.root.this), nil
	}
	return append(dst, item{node: at, typ: s.expr.typeOf(at)}), nil
}

func (s *state) resource() *fhirjson.Node {
	if s.env.Resource != nil {
		return s.env.Resource
	}
	return s.env.Context.Resource()
}

func (s *state) rootResource() *fhirjson.Node {
	if s.env.RootResource != nil {
		return s.env.RootResource
	}
	r := s.resource()
	if r == nil {
		return nil
	}
	if p := r.Parent(); p != nil {
		if p.Kind() == fhirjson.Array {
			if p.Key() == "contained" && p.Parent() != nil {
				return p.Parent().Resource()
			}
		} else if r.Key() == "contained" {
			return p.Resource()
		}
	}
	return r
}

// named is an external constant that the caller or defineVariable() gives.
type named struct {
	parse.Pos
	name string
}

func (n *named) position() parse.Pos { return n.Pos }

func (n *named) eval(s *state, f *frame, dst []item) ([]item, error) {
	for b := f.vars; b != nil; b = b.outer {
		if b.name == n.name {
			return append(dst, b.items...), nil
		}
	}
	if v, ok := s.env.Vars[n.name]; ok {
		return s.adopt(v, dst), nil
	}
	return dst, failf(n.Pos, "there is no constant %%%s", n.name)
}

// index is a[i].
type index struct {
	parse.Pos
	left, i node
}

func (n *index) position() parse.Pos { return n.Pos }

func (n *index) eval(s *state, f *frame, dst []item) ([]item, error) {
	in, err := n.left.eval(s, f, s.get())
	defer func() { s.put(in) }()
	if err != nil {
		return dst, err
	}
	i, ok, err := s.integerArg(n.i, f)
	if err != nil {
		return dst, fail(n.Pos, err)
	}
	if ok && i >= 0 && int(i) < len(in) {
		dst = append(dst, in[i])
	}
	return dst, nil
}

// sign is + or - before an expression.
type sign struct {
	parse.Pos
	minus bool
	x     node
}

func (n *sign) position() parse.Pos { return n.Pos }

func (n *sign) eval(s *state, f *frame, dst []item) ([]item, error) {
	v, err := s.single(n.x, f)
	if err != nil || v == nil {
		return dst, fail2(n.Pos, err)
	}
	out, err := value.Negate(v)
	if err != nil {
		return dst, fail(n.Pos, err)
	}
	if !n.minus {
		out = v
	}
	return appendValue(dst, out), nil
}

func fail2(pos parse.Pos, err error) error {
	if err == nil {
		return nil
	}
	return fail(pos, err)
}

func appendValue(dst []item, v value.Value) []item {
	if v == nil {
		return dst
	}
	return append(dst, item{val: v})
}

// single evaluates n to at most one System value; nil for none.
func (s *state) single(n node, f *frame) (value.Value, error) {
	b, err := n.eval(s, f, s.get())
	if err != nil {
		s.put(b)
		return nil, err
	}
	v, err := s.singleOf(b)
	s.put(b)
	return v, err
}

func (s *state) singleOf(b []item) (value.Value, error) {
	switch len(b) {
	case 0:
		return nil, nil
	case 1:
		v, err := s.system(&b[0])
		if err == nil && v == nil && b[0].node.IsPrimitive() {
			return nil, nil
		}
		if err == nil && v == nil && b[0].typ != nil && b[0].typ.Kind == ComplexType && b[0].typ.system == sysNone {
			return nil, fmt.Errorf("%w: %s has no System value", value.ErrOperands, b[0].typ.Name)
		}
		return v, err
	}
	return nil, fmt.Errorf("a single value belongs here, not %d", len(b))
}

func (s *state) integerArg(n node, f *frame) (value.Integer, bool, error) {
	v, err := s.single(n, f)
	if err != nil || v == nil {
		return 0, false, err
	}
	i, ok := v.(value.Integer)
	if !ok {
		return 0, false, fmt.Errorf("an Integer belongs here, not a %s", v.Type())
	}
	return i, true, nil
}

// isType is "is".
type isType struct {
	parse.Pos
	x node
	t *typeSpec
}

func (n *isType) position() parse.Pos { return n.Pos }

func (n *isType) truth(s *state, f *frame) (value.Tri, error) {
	b, err := n.x.eval(s, f, s.get())
	defer func() { s.put(b) }()
	switch {
	case err != nil:
		return value.Unknown, err
	case n.t.unknown != nil:
		return value.Unknown, n.t.unknown
	case len(b) == 0:
		return value.Unknown, nil
	case len(b) > 1:
		return value.Unknown, failf(n.Pos, "is takes a single value, not %d", len(b))
	}
	ok, err := n.t.matches(&b[0], false)
	return value.Of(ok), fail2(n.Pos, err)
}

func (n *isType) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

// asType is "as": the single value, if it has the type.
type asType struct {
	parse.Pos
	x node
	t *typeSpec
	// filters is set on descendants().as(T) and children().as(T): rules of R4 (dom-3) use it like ofType(), from before as
	// was confined to single values.
	filters bool
}

func (n *asType) position() parse.Pos { return n.Pos }

func (n *asType) eval(s *state, f *frame, dst []item) ([]item, error) {
	b, err := n.x.eval(s, f, s.get())
	defer func() { s.put(b) }()
	if err != nil {
		return dst, err
	}
	if len(b) > 1 && !n.filters {
		return dst, failf(n.Pos, "as takes a single value, not %d; ofType() filters", len(b))
	}
	return n.t.filter(n.Pos, b, dst)
}

// ofType is ofType().
type ofType struct {
	parse.Pos
	x node
	t *typeSpec
}

func (n *ofType) position() parse.Pos { return n.Pos }

func (n *ofType) eval(s *state, f *frame, dst []item) ([]item, error) {
	b, err := n.x.eval(s, f, s.get())
	defer func() { s.put(b) }()
	if err != nil {
		return dst, err
	}
	return n.t.filter(n.Pos, b, dst)
}

func (t *typeSpec) filter(pos parse.Pos, in, dst []item) ([]item, error) {
	if t.unknown != nil {
		return dst, t.unknown
	}
	for i := range in {
		ok, err := t.matches(&in[i], true)
		if err != nil {
			return dst, fail(pos, err)
		}
		if ok {
			dst = append(dst, in[i])
		}
	}
	return dst, nil
}

// collTruth judges a node that gives a collection.
type collTruth struct{ node }

func (n collTruth) truth(s *state, f *frame) (value.Tri, error) {
	b, err := n.eval(s, f, s.get())
	if err != nil {
		s.put(b)
		return value.Unknown, err
	}
	t, err := s.truthOf(b)
	s.put(b)
	return t, fail2(n.position(), err)
}

func asTruth(n node) truther {
	if t, ok := n.(truther); ok {
		return t
	}
	return &collTruth{n}
}
