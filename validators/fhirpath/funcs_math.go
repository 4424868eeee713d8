package fhirpath

import (
	"fmt"

	"fhirwire/validators/fhirpath/value"
)

// Math: FHIRPath N1, 5.7; boundaries and precision: FHIRPath 2.0 (later additions).
var mathFunctions = map[string]*function{
	"abs": {do: numeric(func(v value.Value, d value.Decimal) (value.Value, bool) {
		if i, ok := v.(value.Integer); ok {
			return max(i, -i), true
		}
		return d.Abs(), true
	}), takes: isNumber | isQuantity, gives: asInput},
	"ceiling":  {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return whole(d.Ceiling()) }), takes: isNumber, gives: isInteger},
	"floor":    {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return whole(d.Floor()) }), takes: isNumber, gives: isInteger},
	"truncate": {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return whole(d.Truncate()) }), takes: isNumber, gives: isInteger},
	"exp":      {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return lift(value.Exp(d)) }), takes: isNumber, gives: isDecimal},
	"ln":       {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return lift(value.Ln(d)) }), takes: isNumber, gives: isDecimal},
	"sqrt":     {do: numeric(func(_ value.Value, d value.Decimal) (value.Value, bool) { return lift(value.Sqrt(d)) }), takes: isNumber, gives: isDecimal},
	"log":      {min: 1, max: 1, do: funcLog, takes: isNumber, gives: isDecimal},
	"power":    {min: 1, max: 1, do: funcPower, takes: isNumber, gives: isNumber},
	"round":    {max: 1, do: funcRound, takes: isNumber, gives: isDecimal},

	"lowBoundary":  {max: 1, do: boundary(false), gives: asInput},
	"highBoundary": {max: 1, do: boundary(true), gives: asInput},
	"precision":    {do: funcPrecision, gives: isInteger},
	"comparable":   {min: 1, max: 1, do: funcComparable, gives: isBoolean},
}

func whole(d value.Decimal) (value.Value, bool) {
	if i, ok := d.Integer(); ok {
		return i, true
	}
	return d, true
}

func numeric(do func(v value.Value, d value.Decimal) (value.Value, bool)) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		v, err := c.one(s, in)
		if err != nil || v == nil {
			return dst, err
		}
		if q, ok := v.(value.Quantity); ok && c.name == "abs" {
			q.Value = q.Value.Abs()
			return append(dst, item{val: q}), nil
		}
		d, err := c.number(v)
		if err != nil {
			return dst, err
		}
		if out, ok := do(v, d); ok {
			dst = append(dst, item{val: out})
		}
		return dst, nil
	}
}

func (c *call) number(v value.Value) (value.Decimal, error) {
	d, ok := value.Number(v)
	if !ok {
		return d, fmt.Errorf("%s() takes a number, not a %s", c.name, v.Type())
	}
	return d, nil
}

// numbers is the input and the first argument; ok is false when one is empty.
func (c *call) numbers(s *state, f *frame, in []item) (a, b value.Decimal, whole, ok bool, err error) {
	v, err := c.one(s, in)
	if err != nil {
		return a, b, false, false, err
	}
	w, err := c.value(s, f, 0)
	if err != nil || v == nil || w == nil {
		return a, b, false, false, err
	}
	if a, err = c.number(v); err != nil {
		return a, b, false, false, err
	}
	if b, err = c.number(w); err != nil {
		return a, b, false, false, err
	}
	_, intA := v.(value.Integer)
	_, intB := w.(value.Integer)
	return a, b, intA && intB, true, nil
}

func funcLog(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	a, base, _, ok, err := c.numbers(s, f, in)
	if err != nil || !ok {
		return dst, err
	}
	if d, ok := value.Log(a, base); ok {
		dst = append(dst, item{val: d})
	}
	return dst, nil
}

func funcPower(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	a, b, integers, ok, err := c.numbers(s, f, in)
	if err != nil || !ok {
		return dst, err
	}
	d, ok := value.Power(a, b)
	if !ok {
		return dst, nil
	}
	if i, isWhole := d.Integer(); isWhole && integers {
		return append(dst, item{val: i}), nil
	}
	return append(dst, item{val: d}), nil
}

func funcRound(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	v, err := c.one(s, in)
	if err != nil || v == nil {
		return dst, err
	}
	places := 0
	if len(c.args) == 1 {
		n, ok, err := c.integer(s, f, 0)
		if err != nil || !ok {
			return dst, err
		}
		if n < 0 {
			return dst, fmt.Errorf("round() cannot keep %d digits", n)
		}
		places = n
	}
	d, err := c.number(v)
	if err != nil {
		return dst, err
	}
	return append(dst, item{val: d.Round(places)}), nil
}

func boundary(high bool) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
		v, err := c.one(s, in)
		if err != nil || v == nil {
			return dst, err
		}
		digits := 0
		if len(c.args) == 1 {
			n, ok, err := c.integer(s, f, 0)
			if err != nil || !ok {
				return dst, err
			}
			digits = n
		}
		if out, ok := value.Boundary(v, high, digits, len(c.args) == 1); ok {
			dst = append(dst, item{val: out})
		}
		return dst, nil
	}
}

func funcPrecision(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
	v, err := c.one(s, in)
	if err != nil || v == nil {
		return dst, err
	}
	if n, ok := value.PrecisionDigits(v); ok {
		dst = append(dst, item{val: value.Integer(n)})
	}
	return dst, nil
}

func funcComparable(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	v, err := c.one(s, in)
	if err != nil {
		return dst, err
	}
	w, err := c.value(s, f, 0)
	if err != nil || v == nil || w == nil {
		return dst, err
	}
	a, okA := v.(value.Quantity)
	b, okB := w.(value.Quantity)
	if !okA || !okB {
		return dst, nil
	}
	return appendTri(dst, value.Of(value.Comparable(a, b))), nil
}
