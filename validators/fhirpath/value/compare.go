package value

import (
	"cmp"
	"strings"
	"unicode"
)

// Compare orders two values for <, <=, > and >=. known is false where precision leaves the order open. The error is
// ErrOperands for types that have no order with each other, ErrUnit for units that cannot be converted.
func Compare(a, b Value) (order int, known bool, err error) {
	switch x := a.(type) {
	case String:
		if y, ok := b.(String); ok {
			return cmp.Compare(x, y), true, nil
		}
	case Integer:
		if y, ok := b.(Integer); ok {
			return cmp.Compare(x, y), true, nil
		}
		return compareNumber(FromInt(int64(x)), b)
	case Decimal:
		return compareNumber(x, b)
	case Quantity:
		switch y := b.(type) {
		case Quantity:
			return compareQuantity(x, y)
		case Integer:
			return compareQuantity(x, Quantity{Value: FromInt(int64(y)), Unit: "1"})
		case Decimal:
			return compareQuantity(x, Quantity{Value: y, Unit: "1"})
		}
	case Time:
		if y, ok := b.(Time); ok {
			order, known = compareMoments(x.m, y.m, Hour)
			return order, known, nil
		}
	case Date:
		if m, ok := dateMoment(b); ok {
			order, known = compareMoments(x.m, m, Year)
			return order, known, nil
		}
	case DateTime:
		if m, ok := dateMoment(b); ok {
			order, known = compareMoments(x.m, m, Year)
			return order, known, nil
		}
	}
	return 0, false, ErrOperands
}

func compareNumber(x Decimal, b Value) (int, bool, error) {
	switch y := b.(type) {
	case Integer:
		return x.Cmp(FromInt(int64(y))), true, nil
	case Decimal:
		return x.Cmp(y), true, nil
	case Quantity:
		return compareQuantity(Quantity{Value: x, Unit: "1"}, y)
	}
	return 0, false, ErrOperands
}

func dateMoment(v Value) (moment, bool) {
	switch d := v.(type) {
	case Date:
		return d.m, true
	case DateTime:
		return d.m, true
	}
	return moment{}, false
}

// Equal is the = of two System values. Values of types that cannot be equal are not; the error is ErrUnit where units keep
// us from knowing.
func Equal(a, b Value) (Tri, error) {
	switch x := a.(type) {
	case Boolean:
		y, ok := b.(Boolean)
		return Of(ok && x == y), nil
	case TypeInfo:
		y, ok := b.(TypeInfo)
		return Of(ok && x == y), nil
	case Element:
		y, ok := b.(Element)
		return Of(ok && x.Node == y.Node), nil
	case Quantity:
		return equalQuantity(x, b)
	}
	if q, ok := b.(Quantity); ok {
		return equalQuantity(q, a)
	}
	order, known, err := Compare(a, b)
	switch {
	case err != nil:
		return False, nil //nolint:nilerr // types without an order are simply not equal
	case !known:
		return Unknown, nil
	default:
		return Of(order == 0), nil
	}
}

// Equivalent is the ~ of two System values: strings without regard to case and blanks, decimals and quantities at the lesser
// precision, dates of different precision not.
func Equivalent(a, b Value) (bool, error) {
	switch x := a.(type) {
	case String:
		y, ok := b.(String)
		return ok && EquivalentText(string(x), string(y)), nil
	case Integer, Decimal:
		l, _ := Number(a)
		r, ok := Number(b)
		if !ok {
			q, isQuantity := b.(Quantity)
			return isQuantity && q.Unit == "1" && equivalentDecimal(l, q.Value), nil
		}
		return equivalentDecimal(l, r), nil
	case Quantity:
		y, ok := b.(Quantity)
		if !ok {
			if n, isNumber := Number(b); isNumber {
				y, ok = Quantity{Value: n, Unit: "1"}, true
			}
		}
		if !ok {
			return false, nil
		}
		return equivalentQuantity(x, y)
	case Date, DateTime, Time:
		t, err := Equal(a, b)
		return t == True && samePrecision(a, b), err
	}
	t, err := Equal(a, b)
	return t == True, err
}

// samePrecision takes seconds and their fractions as one.
func samePrecision(a, b Value) bool {
	prec := func(v Value) Precision {
		switch d := v.(type) {
		case Date:
			return d.m.prec
		case DateTime:
			return min(d.m.prec, Second)
		case Time:
			return min(d.m.prec, Second)
		}
		return NoPrecision
	}
	return prec(a) == prec(b)
}

// EquivalentText compares strings without regard to case, with any run of blanks as one.
func EquivalentText(a, b string) bool {
	return a == b || strings.EqualFold(normal(a), normal(b))
}

func normal(s string) string {
	if strings.IndexFunc(s, unicode.IsSpace) < 0 {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// Number is an Integer or Decimal as a Decimal.
func Number(v Value) (Decimal, bool) {
	switch n := v.(type) {
	case Integer:
		return FromInt(int64(n)), true
	case Decimal:
		return n, true
	}
	return Decimal{}, false
}

func equivalentDecimal(a, b Decimal) bool {
	scale := min(a.trim().Scale(), b.trim().Scale())
	return a.Round(scale).Cmp(b.Round(scale)) == 0
}
