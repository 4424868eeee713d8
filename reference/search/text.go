package search

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxKey bounds an index key in bytes; longer text is cut on both sides of a comparison.
const maxKey = 250

// fold is the normal form of text: lower case, accents away, runs of blanks one blank.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c <= ' ' && (c != ' ' || i == 0 || s[i-1] == ' ' || i == len(s)-1) {
			plain = false
			break
		}
	}
	if plain {
		return cut(strings.ToLower(s))
	}
	var b strings.Builder
	blank := false
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			blank = b.Len() > 0
		default:
			if blank {
				b.WriteByte(' ')
				blank = false
			}
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return cut(b.String())
}

func cut(s string) string {
	if len(s) <= maxKey {
		return s
	}
	n := maxKey
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// decimalRange is the number and the span its written precision covers: 100 is 99.5 to 100.5, 1.00 is 0.995 to 1.005.
func decimalRange(s string) (v, lo, hi float64, ok bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(s, "xXpP_") {
		return 0, 0, 0, false
	}
	mantissa, exp, _ := strings.Cut(strings.ToLower(s), "e")
	scale := 0
	if exp != "" {
		if scale, err = strconv.Atoi(exp); err != nil {
			return 0, 0, 0, false
		}
	}
	if _, frac, ok := strings.Cut(mantissa, "."); ok {
		scale -= len(frac)
	}
	half := 0.5 * math.Pow10(scale)
	return v, v - half, v + half, true
}
