package fhirpath

import (
	"errors"
	"fmt"

	"fhirwire/validators/fhirpath/value"
)

// Filtering, projection, subsetting, combining and navigation: FHIRPath N1, 5.2, 5.3, 5.4 and 5.8.
var filterFunctions = map[string]*function{
	"where":  {min: 1, max: 1, do: funcWhere, lambda: true, gives: asInput},
	"select": {min: 1, max: 1, do: funcSelect, lambda: true, gives: asArgument},
	"repeat": {min: 1, max: 1, do: funcRepeat, lambda: true, gives: asArgument},
	"ofType": {min: 1, max: 1, typeArg: true, gives: asTypeArgument},
	"is":     {min: 1, max: 1, typeArg: true, gives: isBoolean},
	"as":     {min: 1, max: 1, typeArg: true, gives: asTypeArgument},
	"single": {do: func(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		if len(in) > 1 {
			return dst, fmt.Errorf("single() on %d items", len(in))
		}
		return append(dst, in...), nil
	}, gives: asInput},
	"first": {do: func(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		return append(dst, in[:min(1, len(in))]...), nil
	}, gives: asInput},
	"last": {do: func(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		return append(dst, in[max(0, len(in)-1):]...), nil
	}, gives: asInput},
	"tail": {do: func(_ *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		return append(dst, in[min(1, len(in)):]...), nil
	}, gives: asInput},
	"skip":      {min: 1, max: 1, do: funcSkip, gives: asInput},
	"take":      {min: 1, max: 1, do: funcTake, gives: asInput},
	"intersect": {min: 1, max: 1, do: funcIntersect, gives: asInput},
	"exclude":   {min: 1, max: 1, do: funcExclude, gives: asInput},
	"union":     {min: 1, max: 1, do: funcUnion, gives: isAny},
	"combine":   {min: 1, max: 2, do: funcCombine, gives: isAny},
	"coalesce":  {min: 1, max: 100, do: funcCoalesce, gives: isAny},
	"children": {do: func(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
		for i := range in {
			dst = s.allChildren(&in[i], dst)
		}
		return dst, nil
	}, gives: isAny},
	"descendants": {do: funcDescendants, gives: isAny},
	"sort":        {max: 10, do: funcSort, lambda: true, sortKeys: true, gives: asInput},
	"iif":         {min: 2, max: 3, do: funcIif, gives: isAny},
	"aggregate":   {min: 1, max: 2, do: funcAggregate, lambda: true, gives: isAny},
}

func funcWhere(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	for i := range in {
		t, err := s.test(f, c.criterion, in, i)
		if err != nil {
			return dst, err
		}
		if t == value.True {
			dst = append(dst, in[i])
		}
	}
	return dst, nil
}

// project evaluates the first argument on one item.
func (s *state) project(f *frame, arg node, in []item, i int, dst []item) ([]item, error) {
	if err := s.spend(1); err != nil {
		return dst, err
	}
	l := s.lambda(f)
	l.this, l.hasThis, l.many, l.index, l.hasIndex = in[i], true, nil, i, true
	dst, err := arg.eval(s, l, dst)
	s.drop(l)
	return dst, err
}

func funcSelect(s *state, f *frame, c *call, in, dst []item) (_ []item, err error) {
	for i := range in {
		if dst, err = s.project(f, c.args[0], in, i, dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func funcRepeat(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	from := len(dst)
	set := itemSet{s: s, buckets: map[uint64][]int{}}
	step := func(source []item, i int) error {
		found, err := s.project(f, c.args[0], source, i, s.get())
		for j := 0; j < len(found) && err == nil; j++ {
			var added bool
			if added, err = set.add(dst[from:], &found[j]); added {
				dst = append(dst, found[j])
			}
		}
		s.put(found)
		return err
	}
	for i := range in {
		if err := step(in, i); err != nil {
			return dst, err
		}
	}
	for i := from; i < len(dst); i++ {
		if err := step(dst, i); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (c *call) integer(s *state, f *frame, i int) (int, bool, error) {
	v, err := c.value(s, f, i)
	if err != nil || v == nil {
		return 0, false, err
	}
	n, ok := v.(value.Integer)
	if !ok {
		return 0, false, fmt.Errorf("%s() takes an Integer here, not a %s", c.name, v.Type())
	}
	return int(n), true, nil
}

func funcSkip(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	n, ok, err := c.integer(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, in[min(max(n, 0), len(in)):]...), nil
}

func funcTake(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	n, ok, err := c.integer(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, in[:min(max(n, 0), len(in))]...), nil
}

// sift appends items of in by whether they occur in the argument.
func sift(s *state, f *frame, c *call, in, dst []item, keep bool) ([]item, error) {
	other, err := c.arg(s, f, 0, s.get())
	defer func() { s.put(other) }()
	if err != nil {
		return dst, err
	}
	set := s.newSet(len(other))
	if set.buckets != nil {
		for i := range other {
			h := s.hash(&other[i])
			set.buckets[h] = append(set.buckets[h], i)
		}
	}
	for i := range in {
		at, err := set.find(other, &in[i])
		if err != nil {
			return dst, err
		}
		if at >= 0 == keep {
			dst = append(dst, in[i])
		}
	}
	return dst, nil
}

func funcIntersect(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	common, err := sift(s, f, c, in, s.get(), true)
	if err == nil {
		dst, err = s.distinct(dst, common)
	}
	s.put(common)
	return dst, err
}

func funcExclude(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	return sift(s, f, c, in, dst, false)
}

func funcUnion(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	other, err := c.arg(s, f, 0, s.get())
	if err == nil {
		dst, err = s.distinct(dst, in, other)
	}
	s.put(other)
	return dst, err
}

func funcCombine(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	dst = append(dst, in...)
	return c.arg(s, f, 0, dst)
}

func funcCoalesce(s *state, f *frame, c *call, _, dst []item) (_ []item, err error) {
	from := len(dst)
	for i := range c.args {
		if dst, err = c.arg(s, f, i, dst); err != nil || len(dst) > from {
			return dst, err
		}
	}
	return dst, nil
}

func funcDescendants(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	from := len(dst)
	for i := range in {
		dst = s.allChildren(&in[i], dst)
	}
	// dst is the queue as well as the result.
	for i := from; i < len(dst); i++ {
		if err := s.spend(1); err != nil {
			return dst, err
		}
		it := dst[i]
		dst = s.allChildren(&it, dst)
	}
	return dst, nil
}

// funcIif evaluates only the branch taken. Its arguments see the input as $this.
func funcIif(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	if len(in) > 1 {
		return dst, fmt.Errorf("iif() takes a single value, not %d", len(in))
	}
	l := s.lambda(f)
	defer s.drop(l)
	if c.input != nil {
		l.this, l.hasThis, l.many = item{}, len(in) == 1, nil
		if len(in) == 1 {
			l.this = in[0]
		}
	}
	got, err := c.args[0].eval(s, l, s.get())
	if err == nil && len(got) > 1 {
		err = errors.New("the criterion of iif() is not a single value")
	}
	t := value.Unknown
	if err == nil && len(got) == 1 {
		var v value.Value
		if v, err = s.system(&got[0]); err == nil && v != nil {
			b, ok := v.(value.Boolean)
			if !ok {
				err = fmt.Errorf("the criterion of iif() is a %s, not a Boolean", v.Type())
			}
			t = value.Of(bool(b))
		}
	}
	s.put(got)
	switch {
	case err != nil:
		return dst, err
	case t == value.True:
		return c.args[1].eval(s, l, dst)
	case len(c.args) == 3:
		return c.args[2].eval(s, l, dst)
	}
	return dst, nil
}

func funcAggregate(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	var total []item
	if len(c.args) == 2 {
		var err error
		if total, err = c.arg(s, f, 1, nil); err != nil {
			return dst, err
		}
	}
	for i := range in {
		if err := s.spend(1); err != nil {
			return dst, err
		}
		l := s.lambda(f)
		l.this, l.hasThis, l.many = in[i], true, nil
		l.index, l.hasIndex, l.total, l.hasTotal = i, true, total, true
		next, err := c.args[0].eval(s, l, nil)
		s.drop(l)
		if err != nil {
			return dst, err
		}
		total = next
	}
	return append(dst, total...), nil
}
