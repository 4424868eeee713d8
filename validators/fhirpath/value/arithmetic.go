package value

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
)

// Add is a + b. A nil Value without an error is the empty collection.
func Add(a, b Value) (Value, error) {
	switch x := a.(type) {
	case String:
		if y, ok := b.(String); ok {
			return x + y, nil
		}
	case Integer:
		if y, ok := b.(Integer); ok {
			return inRange(x + y), nil
		}
	case Quantity:
		if y, ok := quantityOf(b); ok {
			return addQuantity(x, y)
		}
	case Date:
		if y, ok := b.(Quantity); ok {
			m, err := shift(x.m, y, 1)
			return dateResult(m), err
		}
	case DateTime:
		if y, ok := b.(Quantity); ok {
			m, err := shift(x.m, y, 1)
			return dateTimeResult(m), err
		}
	case Time:
		if y, ok := b.(Quantity); ok {
			return shiftTime(x, y, 1)
		}
	}
	if q, ok := b.(Quantity); ok {
		if x, isNumber := quantityOf(a); isNumber {
			return addQuantity(x, q)
		}
	}
	x, okX := Number(a)
	y, okY := Number(b)
	if okX && okY {
		return x.Add(y), nil
	}
	return nil, operands("+", a, b)
}

// Sub is a - b.
func Sub(a, b Value) (Value, error) {
	switch x := a.(type) {
	case Integer:
		if y, ok := b.(Integer); ok {
			return inRange(x - y), nil
		}
	case Quantity:
		if y, ok := quantityOf(b); ok {
			y.Value = y.Value.Neg()
			return addQuantity(x, y)
		}
	case Date:
		if y, ok := b.(Quantity); ok {
			m, err := shift(x.m, y, -1)
			return dateResult(m), err
		}
	case DateTime:
		if y, ok := b.(Quantity); ok {
			m, err := shift(x.m, y, -1)
			return dateTimeResult(m), err
		}
	case Time:
		if y, ok := b.(Quantity); ok {
			return shiftTime(x, y, -1)
		}
	}
	x, okX := Number(a)
	y, okY := Number(b)
	if okX && okY {
		return x.Sub(y), nil
	}
	return nil, operands("-", a, b)
}

// Mul is a * b.
func Mul(a, b Value) (Value, error) {
	if x, ok := a.(Integer); ok {
		if y, ok := b.(Integer); ok {
			return inRange(x * y), nil
		}
	}
	x, okX := Number(a)
	y, okY := Number(b)
	if okX && okY {
		return bounded(x.Mul(y)), nil
	}
	if p, q, ok := quantities(a, b); ok {
		return combineQuantity(p, q, '*')
	}
	return nil, operands("*", a, b)
}

// Div is a / b, empty for b = 0.
func Div(a, b Value) (Value, error) {
	x, okX := Number(a)
	y, okY := Number(b)
	if okX && okY {
		if q, ok := x.Div(y); ok {
			return q, nil
		}
		return nil, nil
	}
	if p, q, ok := quantities(a, b); ok {
		return combineQuantity(p, q, '/')
	}
	return nil, operands("/", a, b)
}

// DivInt is a div b, empty for b = 0.
func DivInt(a, b Value) (Value, error) {
	x, okX := Number(a)
	y, okY := Number(b)
	if !okX || !okY {
		return nil, operands("div", a, b)
	}
	q, ok := x.DivInt(y)
	if !ok {
		return nil, nil
	}
	if i, ok := q.Integer(); ok {
		return i, nil
	}
	return nil, nil
}

// Mod is a mod b, empty for b = 0.
func Mod(a, b Value) (Value, error) {
	x, okX := Number(a)
	y, okY := Number(b)
	if !okX || !okY {
		return nil, operands("mod", a, b)
	}
	r, ok := x.Mod(y)
	if !ok {
		return nil, nil
	}
	if isInteger(a) && isInteger(b) {
		i, _ := r.Integer()
		return i, nil
	}
	return r, nil
}

// Negate is -a.
func Negate(a Value) (Value, error) {
	switch x := a.(type) {
	case Integer:
		return inRange(-x), nil
	case Decimal:
		return x.Neg(), nil
	case Quantity:
		x.Value = x.Value.Neg()
		return x, nil
	}
	return nil, fmt.Errorf("%w: - and %s", ErrOperands, a.Type())
}

func operands(op string, a, b Value) error {
	return fmt.Errorf("%w: %s %s %s", ErrOperands, a.Type(), op, b.Type())
}

func isInteger(v Value) bool {
	_, ok := v.(Integer)
	return ok
}

// inRange is empty where a result cannot be represented.
func inRange(i Integer) Value {
	if i < MinInteger || i > MaxInteger {
		return nil
	}
	return i
}

// bounded is empty where repeated multiplication blew the number up.
func bounded(d Decimal) Value {
	if d.large != nil && d.large.BitLen() > 4*maxDigits || d.scale > maxDigits {
		return nil
	}
	return d
}

func quantityOf(v Value) (Quantity, bool) {
	if q, ok := v.(Quantity); ok {
		return q, true
	}
	if n, ok := Number(v); ok {
		return Quantity{Value: n, Unit: "1"}, true
	}
	return Quantity{}, false
}

func quantities(a, b Value) (p, q Quantity, ok bool) {
	p, okP := quantityOf(a)
	q, okQ := quantityOf(b)
	return p, q, okP && okQ
}

func dateResult(m moment) Value {
	if m.prec == NoPrecision {
		return nil
	}
	return Date{m}
}

func dateTimeResult(m moment) Value {
	if m.prec == NoPrecision {
		return nil
	}
	return DateTime{m}
}

// step is the calendar step that a quantity stands for. Definite UCUM durations count as calendar ones; UCUM years and
// months do not, since they are no whole number of days.
func step(q Quantity) (calendarWord, error) {
	if w, ok := calendarWords[strings.TrimSuffix(q.Unit, "s")]; ok && q.Unit != "s" {
		return w, nil
	}
	if !q.Calendar {
		for _, w := range calendarWords {
			if w.ucum == q.Unit && w.definite {
				return w, nil
			}
		}
	}
	return calendarWord{}, fmt.Errorf("%w: '%s' is no calendar duration", ErrOperands, q.Unit)
}

// shift moves a date by a duration. The fraction of a unit above the second is dropped; a unit finer than the date's
// precision counts in whole units of that precision.
func shift(m moment, q Quantity, sign int64) (moment, error) {
	w, err := step(q)
	if err != nil {
		return moment{}, err
	}
	if w.step == Millisecond || w.step == Second {
		return shiftSeconds(m, q, w, sign)
	}
	n := q.Value.Truncate()
	if n.large != nil || n.Abs().small > 1e12 {
		return moment{}, nil
	}
	count := sign * n.small * w.times
	at := w.step
	if at > m.prec {
		count, at = coarsen(count, at, m.prec)
	}
	return m.add(count, at), nil
}

// coarsen counts whole units of a coarser precision: 24 months are 2 years.
func coarsen(count int64, from, to Precision) (n int64, at Precision) {
	per := map[Precision]int64{Minute: 60, Hour: 24, Day: 30, Month: 12}
	if from >= Second {
		count, from = count/60, Minute
	}
	if from == Day && to == Year {
		return count / 365, Year
	}
	for from > to {
		count /= per[from]
		from--
	}
	return count, from
}

func shiftSeconds(m moment, q Quantity, w calendarWord, sign int64) (moment, error) {
	nanos := q.Value.rat()
	if w.step == Millisecond {
		nanos.Mul(nanos, big.NewRat(1e6, 1))
	} else {
		// A fraction of a second does not count where the unit is the second.
		nanos.Mul(q.Value.Truncate().rat(), big.NewRat(1e9, 1))
	}
	n := new(big.Int).Quo(nanos.Num(), nanos.Denom())
	if !n.IsInt64() || n.Int64() > math.MaxInt64/2 || n.Int64() < math.MinInt64/2 {
		return moment{}, nil
	}
	total := sign * n.Int64()
	if m.prec < Second {
		count, at := coarsen(total/1e9, Second, m.prec)
		return m.add(count, at), nil
	}
	if m.prec == Second && total%1e9 != 0 {
		total = total / 1e9 * 1e9
	}
	out := m.at(m.local().Add(time.Duration(total)))
	out.offset = m.offset
	return out.checked(), nil
}

// local is the wall clock of m.
func (m *moment) local() time.Time {
	return time.Date(int(m.year), time.Month(max(m.month, 1)), int(max(m.day, 1)), int(m.hour), int(m.minute), int(m.second), int(m.nanos), time.UTC)
}

func (m moment) checked() moment {
	if m.year < 1 || m.year > 9999 {
		return moment{}
	}
	return m
}

// add moves the component at and keeps the day within its month.
func (m moment) add(count int64, at Precision) moment {
	if count > 1e10 || count < -1e10 {
		return moment{}
	}
	if at == Year || at == Month {
		if at == Year {
			count *= 12
		}
		months := int64(m.year)*12 + int64(max(m.month, 1)-1) + count
		if months < 12 || months >= 120000 {
			return moment{}
		}
		m.year = int32(months / 12)
		if m.prec >= Month {
			m.month = int32(months%12) + 1
		}
		if m.prec >= Day {
			m.day = min(m.day, daysIn(m.year, m.month))
		}
		return m
	}
	if m.prec == Year || m.prec == Month {
		return m
	}
	t := m.local()
	var perDay int64
	var unit time.Duration
	switch at {
	case Hour:
		perDay, unit = 24, time.Hour
	case Minute:
		perDay, unit = 24*60, time.Minute
	default:
		perDay, unit = 1, 24*time.Hour
	}
	t = t.AddDate(0, 0, int(count/perDay)).Add(time.Duration(count%perDay) * unit)
	if t.Year() < 1 || t.Year() > 9999 {
		return moment{}
	}
	out := m.at(t)
	out.offset = m.offset
	return out
}

// shiftTime moves a time of day round the clock.
func shiftTime(t Time, q Quantity, sign int64) (Value, error) {
	w, err := step(q)
	if err != nil {
		return nil, err
	}
	if w.step < Hour {
		return nil, fmt.Errorf("%w: a time of day and '%s'", ErrOperands, q.Unit)
	}
	m := t.m
	m.year, m.month, m.day = 2000, 1, 1
	prec := m.prec
	out, err := shift(m, q, sign)
	if err != nil || out.prec == NoPrecision {
		return nil, err
	}
	out.year, out.month, out.day, out.prec = 0, 0, 0, prec
	return Time{out}, nil
}
