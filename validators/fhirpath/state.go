package fhirpath

import (
	"context"
	"fmt"
	"sync"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// item is one member of a collection: an element (node, and its type where known) or a System value.
type item struct {
	node *fhirjson.Node
	typ  *Type
	val  value.Value
}

// node is one operation of a compiled expression. eval appends its result to dst.
type node interface {
	position() parse.Pos
	eval(s *state, f *frame, dst []item) ([]item, error)
}

// truther is a node that can say whether it holds without building a collection.
type truther interface {
	node
	truth(s *state, f *frame) (value.Tri, error)
}

// frame is what a part of an expression is evaluated against.
type frame struct {
	this     item
	hasThis  bool
	many     []item // $this where it is a collection: only in the second argument of defineVariable()
	hasIndex bool
	hasTotal bool
	index    int
	total    []item
	vars     *binding
}

// input appends $this.
func (f *frame) input(dst []item) []item {
	if f.many != nil {
		return append(dst, f.many...)
	}
	if f.hasThis {
		return append(dst, f.this)
	}
	return dst
}

// binding is a variable that defineVariable() made.
type binding struct {
	name  string
	items []item
	outer *binding
}

// state is one evaluation. Its buffers are reused.
type state struct {
	ctx    context.Context //nolint:containedctx // lives for one call of Eval
	expr   *Expr
	env    Env
	root   frame
	budget int
	free   [][]item
	frames []*frame
}

var states = sync.Pool{New: func() any { return new(state) }}

func (x *Expr) begin(ctx context.Context, focus *fhirjson.Node, env Env) *state {
	s := states.Get().(*state)
	s.ctx, s.expr, s.env = ctx, x, env
	s.budget = env.MaxItems
	if s.budget <= 0 {
		s.budget = defaultMaxItems
	}
	if s.env.Context == nil {
		s.env.Context = focus
	}
	s.root = frame{}
	if focus != nil {
		t := env.FocusType
		if t == nil {
			t = x.typeOf(focus)
		}
		s.root.this, s.root.hasThis = item{node: focus, typ: t}, true
	}
	return s
}

func (s *state) end() {
	s.ctx, s.expr, s.env, s.root = nil, nil, Env{}, frame{}
	const keep = 16
	if len(s.free) > keep {
		clear(s.free[keep:])
		s.free = s.free[:keep]
	}
	states.Put(s)
}

// get gives an empty buffer; put takes it back.
func (s *state) get() []item {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return make([]item, 0, 8)
}

func (s *state) put(b []item) {
	if cap(b) == 0 || cap(b) > 4096 {
		return
	}
	clear(b)
	s.free = append(s.free, b[:0])
}

// lambda gives a frame for evaluating an argument on one item.
func (s *state) lambda(f *frame) *frame {
	var l *frame
	if n := len(s.frames); n > 0 {
		l = s.frames[n-1]
		s.frames = s.frames[:n-1]
	} else {
		l = new(frame)
	}
	*l = *f
	return l
}

func (s *state) drop(l *frame) {
	*l = frame{}
	s.frames = append(s.frames, l)
}

// spend counts work, so that no expression runs for ever.
func (s *state) spend(n int) error {
	before := s.budget
	s.budget -= n
	if s.budget < 0 {
		return fmt.Errorf("%w: the expression visits too many elements", ErrNotChecked)
	}
	if before>>12 != s.budget>>12 {
		return s.ctx.Err()
	}
	return nil
}

// export turns items into values.
func (s *state) export(items []item) value.Collection {
	if len(items) == 0 {
		return nil
	}
	out := make(value.Collection, len(items))
	for i, it := range items {
		if it.node == nil {
			out[i] = it.val
			continue
		}
		e := value.Element{Node: it.node}
		if it.typ != nil {
			e.FHIRType = it.typ.Name
		}
		out[i] = e
	}
	return out
}

// adopt turns values into items.
func (s *state) adopt(c value.Collection, dst []item) []item {
	for _, v := range c {
		e, ok := v.(value.Element)
		if !ok {
			dst = append(dst, item{val: v})
			continue
		}
		it := item{node: e.Node}
		if s.expr.model != nil && e.FHIRType != "" {
			it.typ, _ = s.expr.model.Type(e.FHIRType)
		}
		if it.typ == nil {
			it.typ = s.expr.typeOf(e.Node)
		}
		dst = append(dst, it)
	}
	return dst
}

// system is the System value an item stands for; nil when it has none.
func (s *state) system(it *item) (value.Value, error) {
	if it.node == nil {
		return it.val, nil
	}
	n := it.node
	var kind systemKind
	if it.typ != nil {
		kind = it.typ.system
	} else {
		kind = untypedKind(n)
	}
	if kind == sysQuantity {
		return quantityOf(n), nil
	}
	if kind == sysNone || !n.IsPrimitive() {
		return nil, nil
	}
	text := n.Text()
	var v value.Value
	var err error
	switch kind {
	case sysBoolean:
		switch text {
		case "true":
			return value.Boolean(true), nil
		case "false":
			return value.Boolean(false), nil
		}
		err = fmt.Errorf("%.40q is not a boolean", text)
	case sysInteger:
		i, ok := value.ToInteger(value.String(text))
		if v = i; !ok {
			err = fmt.Errorf("%.40q is not an integer", text)
		}
	case sysDecimal:
		v, err = value.ParseDecimal(text)
	case sysDate:
		v, err = value.ParseDate(text)
	case sysDateTime:
		v, err = value.ParseDateTime(text)
	case sysTime:
		v, err = value.ParseTime(text)
	default:
		return value.String(text), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotChecked, n.Expression(), err)
	}
	return v, nil
}

func untypedKind(n *fhirjson.Node) systemKind {
	switch n.Kind() {
	case fhirjson.Bool:
		return sysBoolean
	case fhirjson.String:
		return sysString
	case fhirjson.Number:
		for _, c := range n.Raw() {
			if c == '.' || c == 'e' || c == 'E' {
				return sysDecimal
			}
		}
		return sysInteger
	default:
		return sysNone
	}
}

const ucumSystem = "http://unitsofmeasure.org"

// quantityOf reads a FHIR Quantity. One with a comparator is no number, one without a value nothing at all.
func quantityOf(n *fhirjson.Node) value.Value {
	v := n.Member("value")
	if v == nil || !v.IsPrimitive() || n.Member("comparator") != nil {
		return nil
	}
	d, err := value.ParseDecimal(v.Text())
	if err != nil {
		return nil
	}
	system, code, unit := n.MemberText("system"), n.MemberText("code"), n.MemberText("unit")
	q := value.Quantity{Value: d}
	switch {
	case system == ucumSystem && code != "":
		q.Unit = code
	case code != "":
		q.Unit = "{" + system + "|" + code + " is no unit"
	case unit != "":
		q.Unit = unit
	default:
		q.Unit = "1"
	}
	return q
}

// text is the characters of an item that is a string, or an element whose value is written as one.
func (it *item) text() (string, bool) {
	if it.node != nil {
		if !it.node.IsPrimitive() || it.typ != nil && it.typ.Kind != PrimitiveType {
			return "", false
		}
		return it.node.Text(), true
	}
	t, ok := it.val.(value.String)
	return string(t), ok
}

// isString reports an item that converts to System.String.
func (it *item) isString() bool {
	if it.node == nil {
		_, ok := it.val.(value.String)
		return ok
	}
	if it.typ != nil {
		return it.typ.system == sysString && it.node.IsPrimitive()
	}
	return it.node.Kind() == fhirjson.String
}

// truthOf is singleton evaluation of a boolean.
func (s *state) truthOf(items []item) (value.Tri, error) {
	switch len(items) {
	case 0:
		return value.Unknown, nil
	case 1:
	default:
		return value.Unknown, fmt.Errorf("a single value belongs here, not %d", len(items))
	}
	it := &items[0]
	if it.node != nil && (it.typ == nil || it.typ.system != sysBoolean) && it.node.Kind() != fhirjson.Bool {
		return value.True, nil
	}
	v, err := s.system(it)
	if err != nil {
		return value.Unknown, err
	}
	if b, ok := v.(value.Boolean); ok {
		return value.Of(bool(b)), nil
	}
	if v == nil && it.typ != nil && it.typ.system == sysBoolean {
		return value.Unknown, nil // a boolean without a value
	}
	return value.True, nil
}

func appendTri(dst []item, t value.Tri) []item {
	if t == value.Unknown {
		return dst
	}
	return append(dst, item{val: value.Boolean(t == value.True)})
}
