package fhirpath

import (
	"fmt"

	"fhirwire/validators/fhirpath/value"
)

// Existence: FHIRPath N1, 5.1.
var existenceFunctions = map[string]*function{
	// empty, exists and not are compiled to nodes of their own.
	"empty":      {do: nil, gives: isBoolean},
	"exists":     {max: 1, do: nil, lambda: true, gives: isBoolean},
	"not":        {do: nil, gives: isBoolean},
	"all":        {min: 1, max: 1, do: funcAll, lambda: true, gives: isBoolean},
	"allTrue":    {do: every(value.True, true), gives: isBoolean},
	"anyTrue":    {do: every(value.False, false), gives: isBoolean},
	"allFalse":   {do: every(value.False, true), gives: isBoolean},
	"anyFalse":   {do: every(value.True, false), gives: isBoolean},
	"subsetOf":   {min: 1, max: 1, do: funcSubsetOf, gives: isBoolean},
	"supersetOf": {min: 1, max: 1, do: funcSupersetOf, gives: isBoolean},
	"count": {do: func(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		return append(dst, item{val: value.Integer(len(in))}), nil
	}, gives: isInteger},
	"distinct": {do: func(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		return s.distinct(dst, in)
	}, gives: asInput},
	"isDistinct": {do: funcIsDistinct, gives: isBoolean},
}

// existence is exists() and empty().
type existence struct {
	*call
	path      *path
	criterion truther
	empty     bool
}

func (n *existence) truth(s *state, f *frame) (value.Tri, error) {
	found, err := n.find(s, f)
	return value.Of(found != n.empty), err
}

func (n *existence) find(s *state, f *frame) (bool, error) {
	if n.path != nil && n.criterion == nil {
		return n.path.exists(s, f)
	}
	in := s.get()
	defer func() { s.put(in) }()
	var err error
	if in, err = n.inputNode().eval(s, f, in); err != nil || n.criterion == nil {
		return len(in) > 0, err
	}
	for i := range in {
		t, err := s.test(f, n.criterion, in, i)
		if err != nil || t == value.True {
			return err == nil, err
		}
	}
	return false, nil
}

func (n *existence) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	if err != nil {
		return dst, err
	}
	return appendTri(dst, t), nil
}

// test judges a criterion on one item.
func (s *state) test(f *frame, criterion truther, in []item, i int) (value.Tri, error) {
	if err := s.spend(1); err != nil {
		return value.Unknown, err
	}
	l := s.lambda(f)
	l.this, l.hasThis, l.many, l.index, l.hasIndex = in[i], true, nil, i, true
	t, err := criterion.truth(s, l)
	s.drop(l)
	return t, err
}

// not is not().
type not struct {
	*call
	x truther
}

func (n *not) truth(s *state, f *frame) (value.Tri, error) {
	t, err := n.x.truth(s, f)
	return t.Not(), err
}

func (n *not) eval(s *state, f *frame, dst []item) ([]item, error) {
	t, err := n.truth(s, f)
	return appendTri(dst, t), err
}

func funcAll(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	for i := range in {
		t, err := s.test(f, c.criterion, in, i)
		if err != nil {
			return dst, err
		}
		if t != value.True {
			return appendTri(dst, value.False), nil
		}
	}
	return appendTri(dst, value.True), nil
}

// every makes allTrue and its kin: each item must be want (all), or some item must not be (any).
func every(want value.Tri, all bool) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		for i := range in {
			v, err := s.system(&in[i])
			if err != nil {
				return dst, err
			}
			b, ok := v.(value.Boolean)
			if !ok {
				return dst, fmt.Errorf("%w: every item must be a Boolean", value.ErrOperands)
			}
			if value.Of(bool(b)) != want {
				return appendTri(dst, value.Of(!all)), nil
			}
		}
		return appendTri(dst, value.Of(all)), nil
	}
}

func (s *state) contained(small, large []item) (bool, error) {
	set := s.newSet(len(large))
	if set.buckets != nil {
		for i := range large {
			h := s.hash(&large[i])
			set.buckets[h] = append(set.buckets[h], i)
		}
	}
	for i := range small {
		at, err := set.find(large, &small[i])
		if err != nil || at < 0 {
			return false, err
		}
	}
	return true, nil
}

func funcSubsetOf(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	other, err := c.arg(s, f, 0, s.get())
	ok := false
	if err == nil {
		ok, err = s.contained(in, other)
	}
	s.put(other)
	return appendTri(dst, value.Of(ok)), err
}

func funcSupersetOf(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	other, err := c.arg(s, f, 0, s.get())
	ok := false
	if err == nil {
		ok, err = s.contained(other, in)
	}
	s.put(other)
	return appendTri(dst, value.Of(ok)), err
}

func funcIsDistinct(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	set := s.newSet(len(in))
	for i := range in {
		added, err := set.add(in[:i], &in[i])
		if err != nil {
			return dst, err
		}
		if !added {
			return appendTri(dst, value.False), nil
		}
	}
	return appendTri(dst, value.True), nil
}
