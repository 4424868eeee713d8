package value

import "math"

// Root, exponential, logarithm and power are computed in binary floating point and given with 15 significant digits. false
// means that there is no result.

// Sqrt is the square root.
func Sqrt(d Decimal) (Decimal, bool) { return fromFloat(math.Sqrt(d.float())) }

// Exp is e to the power of d.
func Exp(d Decimal) (Decimal, bool) { return fromFloat(math.Exp(d.float())) }

// Ln is the natural logarithm.
func Ln(d Decimal) (Decimal, bool) {
	if d.Sign() <= 0 {
		return Decimal{}, false
	}
	return fromFloat(math.Log(d.float()))
}

// Log is the logarithm to a base.
func Log(d, base Decimal) (Decimal, bool) {
	if d.Sign() <= 0 || base.Sign() <= 0 {
		return Decimal{}, false
	}
	return fromFloat(math.Log(d.float()) / math.Log(base.float()))
}

// Power is a to the power of b: exact for a small whole exponent.
func Power(a, b Decimal) (Decimal, bool) {
	if n, ok := b.Integer(); ok && n >= 0 && n <= 64 {
		out := FromInt(1)
		for range n {
			out = out.Mul(a)
		}
		return out, bounded(out) != nil
	}
	return fromFloat(math.Pow(a.float(), b.float()))
}
