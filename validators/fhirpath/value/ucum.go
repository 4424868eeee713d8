package value

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// The dimensions a unit can have. mol counts as one of its own, as chemists use it.
const (
	dimLength = iota
	dimMass
	dimTime
	dimTemperature
	dimAmount
	dimAngle
	dimCharge
	dimLight
	dimUnits  // [iU] and its kin: arbitrary, comparable only with themselves
	dimOther  // enzyme units and the like are expressed by the others
	dimEquiv  // eq
	dimOsmole // osm
	dimCount
)

type dimension [dimCount]int8

// unit is a UCUM unit as a factor to base units. special marks one whose scale has an offset or is not linear.
type unit struct {
	factor  *big.Rat
	dim     dimension
	special string
}

func dims(pairs ...int8) dimension {
	var d dimension
	for i := 0; i+1 < len(pairs); i += 2 {
		d[pairs[i]] = pairs[i+1]
	}
	return d
}

type atom struct {
	factor string // a rational or decimal number
	dim    dimension
	metric bool // takes prefixes
}

var (
	none     = dims()
	length   = dims(dimLength, 1)
	area     = dims(dimLength, 2)
	volume   = dims(dimLength, 3)
	mass     = dims(dimMass, 1)
	duration = dims(dimTime, 1)
	pressure = dims(dimMass, 1, dimLength, -1, dimTime, -2)
	energy   = dims(dimMass, 1, dimLength, 2, dimTime, -2)
)

// atoms in metre, gram, second, kelvin, mole, radian, coulomb, candela.
var atoms = map[string]atom{
	"m": {"1", length, true}, "g": {"1", mass, true}, "s": {"1", duration, true}, "K": {"1", dims(dimTemperature, 1), true},
	"mol": {"1", dims(dimAmount, 1), true}, "rad": {"1", dims(dimAngle, 1), true}, "C": {"1", dims(dimCharge, 1), true}, "cd": {"1", dims(dimLight, 1), true},
	"eq": {"1", dims(dimEquiv, 1), true}, "osm": {"1", dims(dimOsmole, 1), true},
	"[iU]": {"1", dims(dimUnits, 1), true}, "[IU]": {"1", dims(dimUnits, 1), true}, "[arb'U]": {"1", dims(dimUnits, 2), false},

	"%": {"1/100", none, false}, "[ppth]": {"1/1000", none, false}, "[ppm]": {"1/1000000", none, false}, "[ppb]": {"1/1000000000", none, false},
	"10*": {"10", none, false}, "10^": {"10", none, false}, "[pi]": {"3.1415926535897932384626433832795028841971693993751058209749445923", none, false},

	"min": {"60", duration, false}, "h": {"3600", duration, false}, "d": {"86400", duration, false}, "wk": {"604800", duration, false},
	"a": {"31557600", duration, false}, "a_j": {"31557600", duration, false}, "mo": {"2629800", duration, false}, "mo_j": {"2629800", duration, false},
	"a_t": {"31556925.216", duration, false}, "a_g": {"31556952", duration, false}, "mo_g": {"2629746", duration, false}, "mo_s": {"2551442.976", duration, false},

	"l": {"1/1000", volume, true}, "L": {"1/1000", volume, true}, "ar": {"100", area, true},
	"t": {"1000000", mass, true}, "u": {"1.66053906660e-24", mass, true},
	"Hz": {"1", dims(dimTime, -1), true}, "Bq": {"1", dims(dimTime, -1), true}, "Ci": {"37000000000", dims(dimTime, -1), true},
	"N": {"1000", dims(dimMass, 1, dimLength, 1, dimTime, -2), true}, "dyn": {"1/100", dims(dimMass, 1, dimLength, 1, dimTime, -2), true},
	"Pa": {"1000", pressure, true}, "bar": {"100000000", pressure, true}, "atm": {"101325000", pressure, false},
	"m[Hg]": {"133322000", pressure, true}, "m[H2O]": {"9806650", pressure, true}, "[in_i'Hg]": {"3386378.8", pressure, false}, "[psi]": {"6894757.293168361", pressure, false},
	"J": {"1000", energy, true}, "cal": {"4184", energy, true}, "[Cal]": {"4184000", energy, false}, "eV": {"1.602176634e-16", energy, true}, "erg": {"1/10000", energy, true},
	"W": {"1000", dims(dimMass, 1, dimLength, 2, dimTime, -3), true},
	"A": {"1", dims(dimCharge, 1, dimTime, -1), true},
	"V": {"1000", dims(dimMass, 1, dimLength, 2, dimTime, -2, dimCharge, -1), true}, "Ohm": {"1000", dims(dimMass, 1, dimLength, 2, dimTime, -1, dimCharge, -2), true},
	"F": {"1/1000", dims(dimMass, -1, dimLength, -2, dimTime, 2, dimCharge, 2), true}, "S": {"1/1000", dims(dimMass, -1, dimLength, -2, dimTime, 1, dimCharge, 2), true},
	"Gy": {"1", dims(dimLength, 2, dimTime, -2), true}, "Sv": {"1", dims(dimLength, 2, dimTime, -2), true}, "RAD": {"1/100", dims(dimLength, 2, dimTime, -2), true},
	"REM": {"1/100", dims(dimLength, 2, dimTime, -2), true}, "lm": {"1", dims(dimLight, 1, dimAngle, 2), true}, "lx": {"1", dims(dimLight, 1, dimAngle, 2, dimLength, -2), true},
	"kat": {"1", dims(dimAmount, 1, dimTime, -1), true}, "U": {"1/60000000", dims(dimAmount, 1, dimTime, -1), true},
	"P": {"100", dims(dimMass, 1, dimLength, -1, dimTime, -1), true}, "St": {"1/10000", dims(dimLength, 2, dimTime, -1), true},
	"deg": {"0.0174532925199432957692369076848861271344287188854172545609719144", dims(dimAngle, 1), false},
	"Ao":  {"1/10000000000", length, false}, "sr": {"1", dims(dimAngle, 2), true},
	"kn": {"1852/3600", dims(dimLength, 1, dimTime, -1), false}, "[nmi_i]": {"1852", length, false}, "[kn_i]": {"1852/3600", dims(dimLength, 1, dimTime, -1), false},

	"[in_i]": {"0.0254", length, false}, "[ft_i]": {"0.3048", length, false}, "[yd_i]": {"0.9144", length, false}, "[mi_i]": {"1609.344", length, false},
	"[in_us]": {"100/3937", length, false}, "[ft_us]": {"1200/3937", length, false},
	"[sin_i]": {"0.00064516", area, false}, "[sft_i]": {"0.09290304", area, false}, "[cin_i]": {"0.000016387064", volume, false}, "[cft_i]": {"0.028316846592", volume, false},
	"[gr]": {"0.06479891", mass, false}, "[lb_av]": {"453.59237", mass, false}, "[oz_av]": {"28.349523125", mass, false}, "[stone_av]": {"6350.29318", mass, false},
	"[ston_av]": {"907184.74", mass, false}, "[oz_tr]": {"31.1034768", mass, false}, "[dr_av]": {"1.7718451953125", mass, false}, "[car_m]": {"1/5", mass, false},
	"[gal_us]": {"0.003785411784", volume, false}, "[qt_us]": {"0.000946352946", volume, false}, "[pt_us]": {"0.000473176473", volume, false},
	"[foz_us]": {"0.0000295735295625", volume, false}, "[cup_us]": {"0.0002365882365", volume, false}, "[tbs_us]": {"0.00001478676478125", volume, false},
	"[tsp_us]": {"0.00000492892159375", volume, false}, "[cup_m]": {"0.00024", volume, false}, "[tbs_m]": {"0.000015", volume, false}, "[tsp_m]": {"0.000005", volume, false},
	"[foz_m]": {"0.00003", volume, false}, "[foz_br]": {"0.0000284130625", volume, false}, "[pt_br]": {"0.00056826125", volume, false}, "[gal_br]": {"0.00454609", volume, false},
	"[drp]": {"0.00000005", volume, false}, "[degRe]": {"5/4", dims(dimTemperature, 1), false},
}

// Scales with an offset or a logarithm: only values in the very same unit compare.
var specials = map[string]dimension{
	"Cel": dims(dimTemperature, 1), "[degF]": dims(dimTemperature, 1), "[pH]": dims(dimAmount, 1, dimLength, -3), "B": none, "Np": none,
}

var prefixes = []struct{ code, factor string }{
	{"da", "10"},
	{"Y", "1e24"},
	{"Z", "1e21"},
	{"E", "1e18"},
	{"P", "1e15"},
	{"T", "1e12"},
	{"G", "1e9"},
	{"M", "1e6"},
	{"k", "1e3"},
	{"h", "1e2"},
	{"d", "1e-1"},
	{"c", "1e-2"},
	{"m", "1e-3"},
	{"u", "1e-6"},
	{"n", "1e-9"},
	{"p", "1e-12"},
	{"f", "1e-15"},
	{"a", "1e-18"},
	{"z", "1e-21"},
	{"y", "1e-24"},
	{"Ki", "1024"},
	{"Mi", "1048576"},
}

func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return big.NewRat(0, 1)
	}
	return r
}

const maxUnit = 60 // bytes

// parseUnit reads a UCUM code: units with prefixes and exponents, joined by points and slashes.
func parseUnit(code string) (unit, error) {
	if code == "" || len(code) > maxUnit {
		return unit{}, fmt.Errorf("%w: %.40q", ErrUnit, code)
	}
	p := unitReader{rest: code}
	u, ok := p.term(0)
	if !ok || p.rest != "" {
		return unit{}, fmt.Errorf("%w: %q", ErrUnit, code)
	}
	return u, nil
}

type unitReader struct{ rest string }

func (p *unitReader) term(depth int) (unit, bool) {
	if depth > 10 {
		return unit{}, false
	}
	out := unit{factor: big.NewRat(1, 1)}
	divide := strings.HasPrefix(p.rest, "/")
	if divide {
		p.rest = p.rest[1:]
	}
	for first := true; ; first = false {
		u, ok := p.component(depth)
		if !ok {
			return unit{}, false
		}
		if u.special != "" && (!first || divide || p.rest != "") {
			return unit{}, false
		}
		if divide {
			out.factor.Quo(out.factor, u.factor)
		} else {
			out.factor.Mul(out.factor, u.factor)
		}
		for i := range u.dim {
			if divide {
				out.dim[i] -= u.dim[i]
			} else {
				out.dim[i] += u.dim[i]
			}
		}
		out.special = u.special
		if p.rest == "" || p.rest[0] != '.' && p.rest[0] != '/' {
			return out, true
		}
		divide = p.rest[0] == '/'
		p.rest = p.rest[1:]
	}
}

func (p *unitReader) component(depth int) (unit, bool) {
	switch {
	case p.rest == "":
		return unit{}, false
	case p.rest[0] == '(':
		p.rest = p.rest[1:]
		u, ok := p.term(depth + 1)
		if !ok || p.rest == "" || p.rest[0] != ')' {
			return unit{}, false
		}
		p.rest = p.rest[1:]
		return u, true
	case p.rest[0] == '{':
		return unit{factor: big.NewRat(1, 1)}, p.annotation()
	}
	end := 0
	for depthOfBrackets := 0; end < len(p.rest); end++ {
		c := p.rest[end]
		switch {
		case c == '[':
			depthOfBrackets++
		case c == ']':
			depthOfBrackets--
		case depthOfBrackets == 0 && strings.IndexByte("./(){}", c) >= 0:
			goto cut
		}
	}
cut:
	word := p.rest[:end]
	p.rest = p.rest[end:]
	u, ok := simpleUnit(word)
	if ok && strings.HasPrefix(p.rest, "{") {
		ok = p.annotation()
	}
	return u, ok
}

func (p *unitReader) annotation() bool {
	i := strings.IndexByte(p.rest, '}')
	if i < 0 {
		return false
	}
	p.rest = p.rest[i+1:]
	return true
}

// simpleUnit is [prefix]atom[exponent], or a whole number.
func simpleUnit(word string) (unit, bool) {
	if n, err := strconv.ParseUint(word, 10, 32); err == nil && n > 0 {
		return unit{factor: new(big.Rat).SetUint64(n)}, true
	}
	name, exp := word, 1
	i := len(word)
	for i > 0 && word[i-1] >= '0' && word[i-1] <= '9' {
		i--
	}
	if i < len(word) && i > 0 {
		if word[i-1] == '-' || word[i-1] == '+' {
			i--
		}
		n, err := strconv.Atoi(word[i:])
		if err != nil || n < -12 || n > 12 {
			return unit{}, false
		}
		name, exp = word[:i], n
	}
	u, ok := lookupUnit(name)
	if !ok || u.special != "" && exp != 1 {
		return unit{}, false
	}
	out := unit{factor: big.NewRat(1, 1), special: u.special}
	for range max(exp, -exp) {
		out.factor.Mul(out.factor, u.factor)
	}
	if exp < 0 {
		out.factor.Inv(out.factor)
	}
	for i := range u.dim {
		out.dim[i] = u.dim[i] * int8(exp)
	}
	return out, true
}

func lookupUnit(name string) (unit, bool) {
	if d, ok := specials[name]; ok {
		return unit{factor: big.NewRat(1, 1), dim: d, special: name}, true
	}
	if a, ok := atoms[name]; ok {
		return unit{factor: rational(a.factor), dim: a.dim}, true
	}
	for _, pre := range prefixes {
		rest, ok := strings.CutPrefix(name, pre.code)
		if !ok {
			continue
		}
		if a, known := atoms[rest]; known && a.metric {
			return unit{factor: new(big.Rat).Mul(rational(pre.factor), rational(a.factor)), dim: a.dim}, true
		}
	}
	return unit{}, false
}
