package value

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number that keeps its trailing zeros: 1.50 is 150 at scale 2. The zero value is 0.
type Decimal struct {
	small int64    // the digits, unless large is set
	large *big.Int // never changed once set
	scale int32    // digits behind the point, never negative
}

// maxDigits bounds what a number may expand to (1e1000000 is seven bytes long).
const maxDigits = 1200

// ParseDecimal reads a number as JSON and FHIRPath write it, with an optional exponent.
func ParseDecimal(s string) (Decimal, error) {
	fault := func() (Decimal, error) { return Decimal{}, fmt.Errorf("%.40q is not a decimal number", s) }
	mantissa, exp := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e > maxDigits || e < -maxDigits {
			return fault()
		}
		exp = e
	}
	if len(mantissa) > 2*maxDigits {
		return fault()
	}
	negative := false
	if mantissa != "" && (mantissa[0] == '-' || mantissa[0] == '+') {
		negative = mantissa[0] == '-'
		mantissa = mantissa[1:]
	}
	digits, scale, seen, point := int64(0), 0, 0, false
	overflow := false
	for i := range len(mantissa) {
		c := mantissa[i]
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			return fault()
		}
		seen++
		if point {
			scale++
		}
		if digits > (math.MaxInt64-9)/10 {
			overflow = true
		}
		if !overflow {
			digits = digits*10 + int64(c-'0')
		}
	}
	if seen == 0 || point && scale == 0 || mantissa[0] == '.' {
		return fault()
	}
	d := Decimal{small: digits, scale: int32(scale)}
	if overflow {
		b, ok := new(big.Int).SetString(strings.Replace(mantissa, ".", "", 1), 10)
		if !ok {
			return fault()
		}
		d = fromBig(b, int32(scale))
	}
	if negative {
		d = d.Neg()
	}
	if exp > 0 {
		shift := min(exp, int(d.scale))
		d.scale -= int32(shift)
		d = fromBig(new(big.Int).Mul(d.big(), pow10(exp-shift)), d.scale)
	} else if exp < 0 {
		d.scale += int32(-exp)
	}
	return d, nil
}

// FromInt is the decimal of an integer.
func FromInt(i int64) Decimal { return Decimal{small: i} }

// fromFloat takes the shortest digits that give f back, cut to 15 significant ones.
func fromFloat(f float64) (Decimal, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Decimal{}, false
	}
	d, err := ParseDecimal(strconv.FormatFloat(f, 'g', 15, 64))
	if err != nil {
		return Decimal{}, false
	}
	return d.trim(), true
}

func fromBig(b *big.Int, scale int32) Decimal {
	if b.IsInt64() {
		return Decimal{small: b.Int64(), scale: scale}
	}
	return Decimal{large: b, scale: scale}
}

func (d Decimal) big() *big.Int {
	if d.large != nil {
		return d.large
	}
	return big.NewInt(d.small)
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

var smallPow = [...]int64{1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000}

// rescale gives the digits at a larger or equal scale.
func (d Decimal) rescale(scale int32) *big.Int {
	if scale == d.scale {
		return d.big()
	}
	return new(big.Int).Mul(d.big(), pow10(int(scale-d.scale)))
}

// Scale is the number of digits behind the point.
func (d Decimal) Scale() int { return int(d.scale) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	if d.large != nil {
		return d.large.Sign()
	}
	return cmp.Compare(d.small, 0)
}

// Cmp compares by value.
func (d Decimal) Cmp(e Decimal) int {
	if d.large == nil && e.large == nil {
		if d.scale == e.scale {
			return cmp.Compare(d.small, e.small)
		}
		a, b := d, e
		flip := 1
		if a.scale > b.scale {
			a, b, flip = b, a, -1
		}
		if n := b.scale - a.scale; int(n) < len(smallPow) {
			p := smallPow[n]
			if a.small <= math.MaxInt64/p && a.small >= math.MinInt64/p {
				return flip * cmp.Compare(a.small*p, b.small)
			}
		}
	}
	scale := max(d.scale, e.scale)
	return d.rescale(scale).Cmp(e.rescale(scale))
}

// Neg is -d.
func (d Decimal) Neg() Decimal {
	if d.large == nil && d.small != math.MinInt64 {
		return Decimal{small: -d.small, scale: d.scale}
	}
	return fromBig(new(big.Int).Neg(d.big()), d.scale)
}

// Abs is the distance from zero.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Add is d + e.
func (d Decimal) Add(e Decimal) Decimal {
	scale := max(d.scale, e.scale)
	return fromBig(new(big.Int).Add(d.rescale(scale), e.rescale(scale)), scale)
}

// Sub is d - e.
func (d Decimal) Sub(e Decimal) Decimal { return d.Add(e.Neg()) }

// Mul is d * e.
func (d Decimal) Mul(e Decimal) Decimal {
	return fromBig(new(big.Int).Mul(d.big(), e.big()), d.scale+e.scale)
}

// divisionScale is how many digits a quotient that does not end gets behind the point.
const divisionScale = 16

// Div is d / e, exact or rounded to 16 digits behind the point; false for e = 0.
func (d Decimal) Div(e Decimal) (Decimal, bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	q := new(big.Rat).Quo(d.rat(), e.rat())
	return fromRat(q, max(divisionScale, int(max(d.scale, e.scale)))).trim(), true
}

// DivInt is the quotient without its fraction; false for e = 0.
func (d Decimal) DivInt(e Decimal) (Decimal, bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	scale := max(d.scale, e.scale)
	return fromBig(new(big.Int).Quo(d.rescale(scale), e.rescale(scale)), 0), true
}

// Mod is the remainder of DivInt; false for e = 0.
func (d Decimal) Mod(e Decimal) (Decimal, bool) {
	if e.Sign() == 0 {
		return Decimal{}, false
	}
	scale := max(d.scale, e.scale)
	return fromBig(new(big.Int).Rem(d.rescale(scale), e.rescale(scale)), scale), true
}

func (d Decimal) rat() *big.Rat {
	return new(big.Rat).SetFrac(d.big(), pow10(int(d.scale)))
}

// fromRat rounds half away from zero.
func fromRat(r *big.Rat, scale int) Decimal {
	n := new(big.Int).Mul(r.Num(), pow10(scale))
	return fromBig(quoRound(n, r.Denom(), halfUp), int32(scale))
}

type rounding uint8

const (
	halfUp   rounding = iota // half away from zero
	truncate                 // towards zero
	floor                    // towards negative infinity
	ceiling                  // towards positive infinity
)

func quoRound(n, d *big.Int, how rounding) *big.Int {
	q, r := new(big.Int).QuoRem(n, d, new(big.Int))
	if r.Sign() == 0 {
		return q
	}
	sign := int64(n.Sign())
	switch {
	case how == halfUp && new(big.Int).Lsh(new(big.Int).Abs(r), 1).Cmp(d) >= 0,
		how == floor && sign < 0,
		how == ceiling && sign > 0:
		q.Add(q, big.NewInt(sign))
	}
	return q
}

func (d Decimal) round(scale int, how rounding) Decimal {
	if scale >= int(d.scale) {
		return d
	}
	return fromBig(quoRound(d.big(), pow10(int(d.scale)-scale), how), int32(scale))
}

// Round keeps scale digits behind the point, rounding half away from zero.
func (d Decimal) Round(scale int) Decimal { return d.round(scale, halfUp) }

// Truncate drops the fraction.
func (d Decimal) Truncate() Decimal { return d.round(0, truncate) }

// Floor is the largest whole number not above d.
func (d Decimal) Floor() Decimal { return d.round(0, floor) }

// Ceiling is the smallest whole number not below d.
func (d Decimal) Ceiling() Decimal { return d.round(0, ceiling) }

// pad gives d at least scale digits behind the point.
func (d Decimal) pad(scale int) Decimal {
	if int(d.scale) >= scale {
		return d
	}
	return fromBig(d.rescale(int32(scale)), int32(scale))
}

// trim drops trailing zeros behind the point.
func (d Decimal) trim() Decimal {
	if d.large == nil {
		for d.scale > 0 && d.small%10 == 0 {
			d.small /= 10
			d.scale--
		}
		return d
	}
	ten, b, scale := big.NewInt(10), d.large, d.scale
	for scale > 0 {
		q, r := new(big.Int).QuoRem(b, ten, new(big.Int))
		if r.Sign() != 0 {
			break
		}
		b, scale = q, scale-1
	}
	return fromBig(b, scale)
}

// Integer is d as an Integer when it is whole and in range.
func (d Decimal) Integer() (Integer, bool) {
	t := d.trim()
	if t.scale != 0 || t.large != nil || t.small < int64(MinInteger) || t.small > int64(MaxInteger) {
		return 0, false
	}
	return Integer(t.small), true
}

func (d Decimal) float() float64 {
	f, _ := d.rat().Float64()
	return f
}

// String writes d with all its digits and no exponent.
func (d Decimal) String() string {
	var s string
	if d.large != nil {
		s = d.large.String()
	} else {
		s = strconv.FormatInt(d.small, 10)
	}
	if d.scale == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if n := int(d.scale) + 1 - len(s); n > 0 {
		s = strings.Repeat("0", n) + s
	}
	point := len(s) - int(d.scale)
	return sign + s[:point] + "." + s[point:]
}

// Normal is String without trailing zeros: the same for equal values.
func (d Decimal) Normal() string { return d.trim().String() }
