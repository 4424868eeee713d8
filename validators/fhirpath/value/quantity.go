package value

import (
	"fmt"
	"math/big"
	"strings"
)

// Quantity is System.Quantity: a number with a unit of UCUM, or with a calendar duration written as a word.
type Quantity struct {
	Value Decimal
	// Unit is a UCUM code ("1" for none), a calendar word ("days"), or something opaque that equals only itself.
	Unit string
	// Calendar says that Unit is a calendar word.
	Calendar bool
}

// String writes it as a literal: 4 'mg', 4 days.
func (q Quantity) String() string {
	if q.Calendar {
		return q.Value.String() + " " + q.Unit
	}
	return q.Value.String() + " '" + q.Unit + "'"
}

type calendarWord struct {
	// step is the component the unit moves, times how many of it one is.
	step  Precision
	times int64
	ucum  string // the UCUM unit nearest to it
	// definite is false for years and months, which vary in length.
	definite bool
}

var calendarWords = map[string]calendarWord{
	"year": {Year, 1, "a", false}, "month": {Month, 1, "mo", false}, "week": {Day, 7, "wk", true}, "day": {Day, 1, "d", true},
	"hour": {Hour, 1, "h", true}, "minute": {Minute, 1, "min", true}, "second": {Second, 1, "s", true}, "millisecond": {Millisecond, 1, "ms", true},
}

// calendarUnit reports a word for a calendar duration.
func calendarUnit(word string) bool {
	_, ok := calendarWords[strings.TrimSuffix(word, "s")]
	return ok && word != "ss"
}

// ParseQuantity reads what toQuantity() accepts: 4, 4 days, 4 'mg'.
func ParseQuantity(s string) (Quantity, bool) {
	number, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	d, err := ParseDecimal(number)
	if err != nil || strings.ContainsAny(number, "eE") {
		return Quantity{}, false
	}
	unit = strings.TrimSpace(unit)
	switch {
	case unit == "":
		return Quantity{Value: d, Unit: "1"}, true
	case calendarUnit(unit):
		return Quantity{Value: d, Unit: unit, Calendar: true}, true
	case len(unit) > 2 && unit[0] == '\'' && unit[len(unit)-1] == '\'':
		return Quantity{Value: d, Unit: unit[1 : len(unit)-1]}, true
	}
	return Quantity{}, false
}

// ucum is the unit of q in UCUM; definite is false for calendar years and months, which have no fixed length.
func (q Quantity) ucum() (unit string, isDefinite bool) {
	if !q.Calendar {
		return q.Unit, true
	}
	w := calendarWords[strings.TrimSuffix(q.Unit, "s")]
	return w.ucum, w.definite
}

// sameUnit reports the same unit; calendar words may differ in number.
func sameUnit(a, b Quantity) bool {
	if a.Calendar != b.Calendar {
		return false
	}
	return a.Unit == b.Unit || a.Calendar && strings.TrimSuffix(a.Unit, "s") == strings.TrimSuffix(b.Unit, "s")
}

// common gives both values in one unit. comparable is false when they measure different things, or when a calendar year or
// month meets a UCUM one.
func common(a, b Quantity, loose bool) (x, y *big.Rat, comparable bool, err error) {
	if sameUnit(a, b) {
		return a.Value.rat(), b.Value.rat(), true, nil
	}
	au, aDefinite := a.ucum()
	bu, bDefinite := b.ucum()
	if aDefinite != bDefinite && !loose && (a.Calendar != b.Calendar) {
		return nil, nil, false, nil
	}
	if !aDefinite && !bDefinite && a.Calendar && b.Calendar {
		// a calendar year has twelve months
		return calendarMonths(a), calendarMonths(b), true, nil
	}
	ua, err := parseUnit(au)
	if err != nil {
		return nil, nil, false, err
	}
	ub, err := parseUnit(bu)
	if err != nil {
		return nil, nil, false, err
	}
	if ua.dim != ub.dim {
		return nil, nil, false, nil
	}
	if ua.special != ub.special {
		return nil, nil, false, fmt.Errorf("%w: %q and %q are not proportional", ErrUnit, au, bu)
	}
	return new(big.Rat).Mul(a.Value.rat(), ua.factor), new(big.Rat).Mul(b.Value.rat(), ub.factor), true, nil
}

func calendarMonths(q Quantity) *big.Rat {
	r := q.Value.rat()
	if strings.HasPrefix(q.Unit, "year") {
		r.Mul(r, big.NewRat(12, 1))
	}
	return r
}

func compareQuantity(a, b Quantity) (int, bool, error) {
	if sameUnit(a, b) {
		return a.Value.Cmp(b.Value), true, nil
	}
	x, y, ok, err := common(a, b, false)
	if err != nil || !ok {
		return 0, false, err
	}
	return x.Cmp(y), true, nil
}

func equalQuantity(a Quantity, v Value) (Tri, error) {
	b, ok := v.(Quantity)
	if !ok {
		n, isNumber := Number(v)
		if !isNumber {
			return False, nil
		}
		b = Quantity{Value: n, Unit: "1"}
	}
	if sameUnit(a, b) {
		return Of(a.Value.Cmp(b.Value) == 0), nil
	}
	x, y, ok, err := common(a, b, false)
	switch {
	case err != nil:
		return Unknown, err
	case !ok && a.Calendar != b.Calendar:
		return Unknown, nil
	case !ok:
		return False, nil
	}
	return Of(x.Cmp(y) == 0), nil
}

// equivalentQuantity compares at the lesser precision of the two as written.
func equivalentQuantity(a, b Quantity) (bool, error) {
	if sameUnit(a, b) {
		return equivalentDecimal(a.Value, b.Value), nil
	}
	x, y, ok, err := common(a, b, true)
	if err != nil || !ok {
		return false, err
	}
	// Both are in base units now; bring them to a's unit, then to b's, and round where fewer digits were written.
	if x.Cmp(y) == 0 {
		return true, nil
	}
	return near(x, y, a), nil
}

// near reports whether y, expressed in the unit of a, rounds to a's value at a's precision.
func near(x, y *big.Rat, a Quantity) bool {
	if a.Value.Sign() == 0 {
		return y.Sign() == 0
	}
	perUnit := new(big.Rat).Quo(x, a.Value.rat())
	scale := a.Value.trim().Scale()
	return fromRat(new(big.Rat).Quo(y, perUnit), scale).Cmp(a.Value.Round(scale)) == 0
}

// Convert gives q in another unit of the same dimension. It fails with ErrUnit, or with ErrOperands when the units measure
// different things.
func (q Quantity) Convert(unit string) (Quantity, error) {
	x, one, ok, err := common(q, Quantity{Value: FromInt(1), Unit: unit}, false)
	if err != nil {
		return Quantity{}, err
	}
	if !ok {
		return Quantity{}, ErrOperands
	}
	return Quantity{Value: fromRat(x.Quo(x, one), 24).trim(), Unit: unit}, nil
}

// addQuantity adds in the unit of a.
func addQuantity(a, b Quantity) (Value, error) {
	if sameUnit(a, b) {
		return Quantity{a.Value.Add(b.Value), a.Unit, a.Calendar}, nil
	}
	x, y, ok, err := common(a, b, false)
	if err != nil || !ok {
		return nil, err
	}
	if a.Value.Sign() == 0 {
		return b, nil
	}
	perUnit := new(big.Rat).Quo(x, a.Value.rat())
	return Quantity{fromRat(x.Add(x, y).Quo(x, perUnit), 16).trim(), a.Unit, a.Calendar}, nil
}

// combineQuantity multiplies or divides, units included.
func combineQuantity(a, b Quantity, op byte) (Value, error) {
	au, aOK := a.ucum()
	bu, bOK := b.ucum()
	if !aOK || !bOK {
		return nil, nil
	}
	ua, err := parseUnit(au)
	if err != nil {
		return nil, err
	}
	ub, err := parseUnit(bu)
	if err != nil {
		return nil, err
	}
	if op == '*' {
		out := Quantity{Value: a.Value.Mul(b.Value)}
		switch {
		case bu == "1":
			out.Unit = au
		case au == "1":
			out.Unit = bu
		default:
			out.Unit = au + "." + bu
		}
		return out, nil
	}
	v, ok := a.Value.Div(b.Value)
	if !ok {
		return nil, nil
	}
	switch {
	case bu == "1":
		return Quantity{Value: v, Unit: au}, nil
	case ua.dim == ub.dim:
		r := new(big.Rat).Mul(a.Value.rat(), ua.factor)
		r.Quo(r, new(big.Rat).Mul(b.Value.rat(), ub.factor))
		return Quantity{Value: fromRat(r, divisionScale).trim(), Unit: "1"}, nil
	case strings.ContainsAny(bu, "./"):
		return Quantity{Value: v, Unit: au + "/(" + bu + ")"}, nil
	default:
		return Quantity{Value: v, Unit: au + "/" + bu}, nil
	}
}

// Comparable reports that a and b measure the same thing.
func Comparable(a, b Quantity) bool {
	_, _, ok, err := common(a, b, false)
	return ok && err == nil
}
