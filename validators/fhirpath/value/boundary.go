package value

// maxPrecision is the largest precision that lowBoundary and highBoundary give a decimal.
const maxPrecision = 31

// Boundary is lowBoundary (high false) or highBoundary of v at a precision; precision < 0 asks for the default. ok is false
// where there is none, which makes the function empty.
func Boundary(v Value, high bool, precision int, given bool) (out Value, ok bool) {
	switch x := v.(type) {
	case Integer:
		return decimalBoundary(FromInt(int64(x)), high, precision, given)
	case Decimal:
		return decimalBoundary(x, high, precision, given)
	case Quantity:
		d, ok := decimalBoundary(x.Value, high, precision, given)
		if !ok {
			return nil, false
		}
		x.Value, _ = d.(Decimal)
		return x, true
	case Date:
		if !given {
			precision = 8
		}
		m, ok := dateBoundary(x.m, high, precision)
		if ok && precision > 8 {
			return DateTime{m}, true
		}
		return Date{m}, ok
	case DateTime:
		if !given {
			precision = 17
		}
		m, ok := dateBoundary(x.m, high, precision)
		return DateTime{m}, ok
	case Time:
		if !given {
			precision = 9
		}
		m, ok := timeBoundary(x.m, high, precision)
		return Time{m}, ok
	}
	return nil, false
}

// decimalBoundary takes d as standing for everything that rounds to it.
func decimalBoundary(d Decimal, high bool, precision int, given bool) (Value, bool) {
	if !given {
		precision = 8
	}
	if precision < 0 || precision > maxPrecision {
		return nil, false
	}
	half := Decimal{small: 5, scale: d.scale + 1}
	negative := d.Sign() < 0
	up := high != negative // away from zero
	out := d.Abs()
	if up {
		out = out.Add(half).round(precision, halfUp)
	} else {
		out = out.Sub(half).round(precision, floor)
	}
	if negative {
		out = out.Neg()
	}
	return out.pad(precision), true
}

// precisionOf turns a number of digits into a component.
func datePrecision(digits int) (Precision, bool) {
	p, ok := map[int]Precision{4: Year, 6: Month, 8: Day, 10: Hour, 12: Minute, 14: Second, 17: Millisecond}[digits]
	return p, ok
}

func dateBoundary(m moment, high bool, digits int) (moment, bool) {
	want, ok := datePrecision(digits)
	if !ok {
		return moment{}, false
	}
	had := m.prec
	if had == Hour {
		had = Minute // an hour states its minutes as 00
	}
	if had < Month {
		m.month = pick(high, 12, 1)
	}
	if had < Day {
		m.day = 1
		if high {
			m.day = daysIn(m.year, m.month)
		}
	}
	if had < Hour {
		m.hour, m.minute = pick(high, 23, 0), pick(high, 59, 0)
	}
	m.fineBoundary(had, high)
	m.prec = want
	if want < Hour {
		return moment{year: m.year, month: m.month, day: m.day, prec: want}, true
	}
	if !m.zoned {
		// Without a zone the instant may be in any: the earliest is furthest east.
		m.zoned, m.offset = true, pick(high, -12*60, 14*60)
	}
	return m, true
}

func timeBoundary(m moment, high bool, digits int) (moment, bool) {
	want, ok := map[int]Precision{2: Hour, 4: Minute, 6: Second, 9: Millisecond}[digits]
	if !ok {
		return moment{}, false
	}
	if m.prec < Minute {
		m.minute = pick(high, 59, 0)
	}
	m.fineBoundary(m.prec, high)
	m.prec = want
	return m, true
}

// fineBoundary fills seconds and their fraction where m states none.
func (m *moment) fineBoundary(had Precision, high bool) {
	if had < Second {
		m.second = pick(high, 59, 0)
	}
	if had < Millisecond {
		m.nanos = pick(high, 999_000_000, 0)
	}
	m.digits = max(m.digits, 3)
}

func pick(high bool, yes, no int32) int32 {
	if high {
		return yes
	}
	return no
}

// PrecisionDigits is what precision() counts: digits of a decimal behind the point, digits of a date or time.
func PrecisionDigits(v Value) (int, bool) {
	switch x := v.(type) {
	case Integer:
		return 0, true
	case Decimal:
		return x.Scale(), true
	case Date:
		return [...]int{0, 4, 6, 8, 10, 12, 14, 17}[x.m.prec], true
	case DateTime:
		return [...]int{0, 4, 6, 8, 10, 12, 14, 17}[x.m.prec], true
	case Time:
		return [...]int{0, 0, 0, 0, 2, 4, 6, 9}[x.m.prec], true
	}
	return 0, false
}
