package fhirpath

import (
	"errors"
	"fmt"

	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// logic is and, or, xor and implies in three values.
type logic struct {
	parse.Pos
	op   byte // the first letter
	l, r truther
}

func (n *logic) position() parse.Pos { return n.Pos }

func (n *logic) truth(s *state, f *frame) (value.Tri, error) {
	l, err := operandTruth(s, f, n.l)
	if err != nil {
		return value.Unknown, err
	}
	switch {
	case n.op == 'a' && l == value.False:
		return value.False, nil
	case n.op == 'o' && l == value.True:
		return value.True, nil
	case n.op == 'i' && l == value.False:
		return value.True, nil
	case n.op == 'x' && l == value.Unknown:
		return value.Unknown, nil
	}
	r, err := operandTruth(s, f, n.r)
	if err != nil {
		return value.Unknown, err
	}
	switch n.op {
	case 'a':
		if l == value.True || r == value.False {
			return r, nil
		}
	case 'o':
		if l == value.False || r == value.True {
			return r, nil
		}
	case 'i':
		if l == value.True || r == value.True {
			return r, nil
		}
	default:
		if r != value.Unknown {
			return value.Of(l != r), nil
		}
	}
	return value.Unknown, nil
}

// operandTruth keeps variables defined in an operand inside it.
func operandTruth(s *state, f *frame, n truther) (value.Tri, error) {
	vars := f.vars
	t, err := n.truth(s, f)
	f.vars = vars
	return t, err
}

func operand(s *state, f *frame, n node, dst []item) ([]item, error) {
	vars := f.vars
	dst, err := n.eval(s, f, dst)
	f.vars = vars
	return dst, err
}

func (n *logic) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

// both evaluates two operands into buffers; use gives them back.
func both(s *state, f *frame, l, r node, use func(a, b []item) error) error {
	a, err := operand(s, f, l, s.get())
	if err != nil {
		s.put(a)
		return err
	}
	b, err := operand(s, f, r, s.get())
	if err == nil {
		err = use(a, b)
	}
	s.put(a)
	s.put(b)
	return err
}

// equality is = and !=.
type equality struct {
	parse.Pos
	l, r   node
	negate bool
}

func (n *equality) position() parse.Pos { return n.Pos }

func (n *equality) truth(s *state, f *frame) (t value.Tri, err error) {
	a, err := operand(s, f, n.l, s.get())
	if err != nil {
		s.put(a)
		return value.Unknown, err
	}
	b, err := operand(s, f, n.r, s.get())
	if err == nil {
		t, err = s.equal(a, b)
		err = fail2(n.Pos, err)
	}
	s.put(a)
	s.put(b)
	if n.negate {
		t = t.Not()
	}
	return t, err
}

func (n *equality) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

// equivalence is ~ and !~.
type equivalence struct {
	parse.Pos
	l, r   node
	negate bool
}

func (n *equivalence) position() parse.Pos { return n.Pos }

func (n *equivalence) truth(s *state, f *frame) (value.Tri, error) {
	same := false
	err := both(s, f, n.l, n.r, func(a, b []item) (err error) {
		same, err = s.equivalent(a, b)
		return fail2(n.Pos, err)
	})
	return value.Of(same != n.negate), err
}

func (n *equivalence) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	if err != nil {
		return dst, err
	}
	return appendTri(dst, t), nil
}

// comparison is <, <=, > and >=.
type comparison struct {
	parse.Pos
	l, r node
	op   string
}

func (n *comparison) position() parse.Pos { return n.Pos }

func (n *comparison) truth(s *state, f *frame) (value.Tri, error) {
	vars := f.vars
	a, err := s.single(n.l, f)
	f.vars = vars
	if err != nil {
		return value.Unknown, fail(n.Pos, err)
	}
	b, err := s.single(n.r, f)
	f.vars = vars
	if err != nil {
		return value.Unknown, fail(n.Pos, err)
	}
	if a == nil || b == nil {
		return value.Unknown, nil
	}
	order, known, err := value.Compare(a, b)
	if errors.Is(err, value.ErrOperands) {
		err = fmt.Errorf("%w: %s %s %s", err, a.Type(), n.op, b.Type())
	}
	if err != nil {
		return value.Unknown, fail(n.Pos, err)
	}
	if !known {
		return value.Unknown, nil
	}
	switch n.op {
	case "<":
		return value.Of(order < 0), nil
	case "<=":
		return value.Of(order <= 0), nil
	case ">":
		return value.Of(order > 0), nil
	default:
		return value.Of(order >= 0), nil
	}
}

func (n *comparison) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

// union is |.
type union struct {
	parse.Pos
	l, r node
}

func (n *union) position() parse.Pos { return n.Pos }

func (n *union) eval(s *state, f *frame, dst []item) ([]item, error) {
	err := both(s, f, n.l, n.r, func(a, b []item) (err error) {
		dst, err = s.distinct(dst, a, b)
		return fail2(n.Pos, err)
	})
	return dst, err
}

// membership is in, and contains with its operands exchanged.
type membership struct {
	parse.Pos
	one, many node
}

func (n *membership) position() parse.Pos { return n.Pos }

func (n *membership) truth(s *state, f *frame) (value.Tri, error) {
	out := value.Unknown
	err := both(s, f, n.one, n.many, func(a, b []item) error {
		switch {
		case len(a) == 0:
			return nil
		case len(a) > 1:
			return failf(n.Pos, "a single value belongs here, not %d", len(a))
		}
		out = value.False
		for i := range b {
			t, err := s.equalItem(&a[0], &b[i])
			if err != nil {
				return fail(n.Pos, err)
			}
			if t == value.True {
				out = value.True
				return nil
			}
		}
		return nil
	})
	return out, err
}

func (n *membership) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

// concatenation is &, to which nothing is the empty string.
type concatenation struct {
	parse.Pos
	l, r node
}

func (n *concatenation) position() parse.Pos { return n.Pos }

func (n *concatenation) eval(s *state, f *frame, dst []item) ([]item, error) {
	err := both(s, f, n.l, n.r, func(a, b []item) error {
		x, err := s.optionalText(a)
		if err != nil {
			return fail(n.Pos, err)
		}
		y, err := s.optionalText(b)
		if err != nil {
			return fail(n.Pos, err)
		}
		if len(x)+len(y) > maxText {
			return fail(n.Pos, errTooLong)
		}
		dst = append(dst, item{val: value.String(x + y)})
		return nil
	})
	return dst, err
}

func (s *state) optionalText(b []item) (string, error) {
	switch len(b) {
	case 0:
		return "", nil
	case 1:
		if t, ok := b[0].text(); ok {
			return t, nil
		}
		if b[0].node == nil {
			return "", fmt.Errorf("%w: & and %s", value.ErrOperands, b[0].val.Type())
		}
		return "", nil
	}
	return "", fmt.Errorf("a single value belongs here, not %d", len(b))
}

// arithmetic is + - * / div mod.
type arithmetic struct {
	parse.Pos
	l, r node
	op   string
	do   func(a, b value.Value) (value.Value, error)
}

func (n *arithmetic) position() parse.Pos { return n.Pos }

func (n *arithmetic) eval(s *state, f *frame, dst []item) ([]item, error) {
	vars := f.vars
	a, err := s.single(n.l, f)
	f.vars = vars
	if err != nil {
		return dst, fail(n.Pos, err)
	}
	b, err := s.single(n.r, f)
	f.vars = vars
	if err != nil {
		return dst, fail(n.Pos, err)
	}
	if a == nil || b == nil {
		return dst, nil
	}
	v, err := n.do(a, b)
	if t, ok := v.(value.String); ok && len(t) > maxText {
		v, err = nil, errTooLong
	}
	return appendValue(dst, v), fail2(n.Pos, err)
}

var errTooLong = fmt.Errorf("%w: the text that the expression makes is too long", ErrNotChecked)
