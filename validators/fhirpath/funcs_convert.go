package fhirpath

import (
	"fmt"

	"fhirwire/validators/fhirpath/value"
)

// Conversion: FHIRPath N1, 5.5.
var conversionFunctions = conversions()

func conversions() map[string]*function {
	out := map[string]*function{}
	add := func(name string, gives kinds, convert func(v value.Value) (value.Value, bool)) {
		out["to"+name] = &function{do: converter(convert), gives: gives}
		out["convertsTo"+name] = &function{do: convertsTo(convert), gives: isBoolean}
	}
	add("Boolean", isBoolean, func(v value.Value) (value.Value, bool) { return lift(value.ToBoolean(v)) })
	add("Integer", isInteger, func(v value.Value) (value.Value, bool) { return lift(value.ToInteger(v)) })
	add("Decimal", isDecimal, func(v value.Value) (value.Value, bool) { return lift(value.ToDecimal(v)) })
	add("Date", isDate, func(v value.Value) (value.Value, bool) { return lift(value.ToDate(v)) })
	add("DateTime", isDateTime, func(v value.Value) (value.Value, bool) { return lift(value.ToDateTime(v)) })
	add("Time", isTime, func(v value.Value) (value.Value, bool) { return lift(value.ToTime(v)) })
	add("String", isString, func(v value.Value) (value.Value, bool) {
		_, info := v.(value.TypeInfo)
		return value.String(v.String()), !info
	})
	quantity := func(v value.Value) (value.Value, bool) { return lift(value.ToQuantity(v)) }
	out["toQuantity"] = &function{max: 1, do: funcToQuantity, gives: isQuantity}
	out["convertsToQuantity"] = &function{max: 1, do: convertsTo(quantity), gives: isBoolean}
	return out
}

func lift[V value.Value](v V, ok bool) (value.Value, bool) { return v, ok }

// one is the single System value of the input; nil when there is none.
func (c *call) one(s *state, in []item) (value.Value, error) {
	switch len(in) {
	case 0:
		return nil, nil
	case 1:
		return s.system(&in[0])
	}
	return nil, fmt.Errorf("%s() takes a single value, not %d", c.name, len(in))
}

func converter(convert func(value.Value) (value.Value, bool)) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		v, err := c.one(s, in)
		if err != nil || v == nil {
			return dst, err
		}
		// A date or number of the resource keeps its spelling as a string.
		if out, ok := convert(v); ok {
			if _, isText := out.(value.String); isText && in[0].node != nil {
				if t, plain := in[0].text(); plain {
					out = value.String(t)
				}
			}
			dst = append(dst, item{val: out})
		}
		return dst, nil
	}
}

func convertsTo(convert func(value.Value) (value.Value, bool)) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		if len(in) == 0 {
			return dst, nil
		}
		v, err := c.one(s, in)
		if err != nil {
			return dst, err
		}
		ok := false
		if v != nil {
			_, ok = convert(v)
		}
		return appendTri(dst, value.Of(ok)), nil
	}
}

func funcToQuantity(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	v, err := c.one(s, in)
	if err != nil || v == nil {
		return dst, err
	}
	q, ok := value.ToQuantity(v)
	if !ok {
		return dst, nil
	}
	if len(c.args) == 1 {
		unit, err := c.value(s, f, 0)
		if err != nil || unit == nil {
			return dst, err
		}
		if q, err = q.Convert(unit.String()); err != nil {
			return dst, err
		}
	}
	return append(dst, item{val: q}), nil
}
