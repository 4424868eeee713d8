package instance

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The functions here say what is wrong with the text of a primitive, "" when nothing is. They follow the formats of R4's
// datatypes page; the regular expressions there for decimal and string are malformed and not used.

// date fields as read from text; zero for those absent.
type dateParts struct {
	year, month, day int
	precision        int // 1 year, 2 month, 3 day, 4 time
	zone             bool
}

func digits(s string, n int) (int, bool) {
	if len(s) < n {
		return 0, false
	}
	v := 0
	for i := range n {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// parseDate reads YYYY, YYYY-MM or YYYY-MM-DD and gives the rest.
func parseDate(s string) (d dateParts, rest string, fault string) {
	const form = "it is not of the form YYYY, YYYY-MM or YYYY-MM-DD"
	var ok bool
	if d.year, ok = digits(s, 4); !ok {
		return d, s, form
	}
	d.precision, s = 1, s[4:]
	if s == "" || s[0] != '-' {
		return d, s, ""
	}
	if d.month, ok = digits(s[1:], 2); !ok {
		return d, s, form
	}
	d.precision, s = 2, s[3:]
	if d.month < 1 || d.month > 12 {
		return d, s, "there is no such month"
	}
	if s == "" || s[0] != '-' {
		return d, s, ""
	}
	if d.day, ok = digits(s[1:], 2); !ok {
		return d, s, form
	}
	d.precision, s = 3, s[3:]
	if d.day < 1 || d.day > daysIn(d.year, d.month) {
		return d, s, "the calendar has no such day"
	}
	return d, s, ""
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func dateFault(s string) (dateParts, string) {
	d, rest, fault := parseDate(s)
	switch {
	case fault != "":
		return d, fault
	case d.year == 0:
		return d, "there is no year 0000"
	case rest != "":
		return d, "it is not of the form YYYY, YYYY-MM or YYYY-MM-DD"
	}
	return d, ""
}

func timeFault(s string) (rest, fault string) {
	const form = "the time is not of the form hh:mm:ss"
	h, ok := digits(s, 2)
	if !ok || len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return s, form
	}
	m, ok1 := digits(s[3:], 2)
	sec, ok2 := digits(s[6:], 2)
	switch {
	case !ok1 || !ok2:
		return s, form
	case h > 23 || m > 59 || sec > 60:
		return s, "the clock has no such time"
	}
	s = s[8:]
	if s != "" && s[0] == '.' {
		i := 1
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 1 {
			return s, form
		}
		s = s[i:]
	}
	return s, ""
}

func zoneFault(s string) string {
	if s == "Z" {
		return ""
	}
	if len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':' {
		h, ok1 := digits(s[1:], 2)
		m, ok2 := digits(s[4:], 2)
		if ok1 && ok2 && m < 60 && (h < 14 || h == 14 && m == 0) {
			return ""
		}
	}
	return "the time zone is neither Z nor of the form +hh:mm"
}

func dateTimeFault(s string) (dateParts, string) {
	d, rest, fault := parseDate(s)
	if fault != "" {
		return d, fault
	}
	if d.year == 0 {
		return d, "there is no year 0000"
	}
	if rest == "" {
		return d, ""
	}
	if d.precision < 3 || rest[0] != 'T' {
		return d, "it is not of the form YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz"
	}
	rest, fault = timeFault(rest[1:])
	switch {
	case fault != "":
		return d, fault
	case rest == "":
		return d, "a time needs a time zone"
	}
	d.precision, d.zone = 4, true
	return d, zoneFault(rest)
}

func instantFault(s string) (dateParts, string) {
	d, fault := dateTimeFault(s)
	if fault == "" && d.precision < 4 {
		fault = "an instant has a date, a time with seconds, and a time zone"
	}
	return d, fault
}

func clockFault(s string) string {
	rest, fault := timeFault(s)
	if fault == "" && rest != "" {
		fault = "text follows the time"
	}
	return fault
}

func idFault(s string) string {
	if len(s) > 64 {
		return "an id has at most 64 characters"
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return "an id has only letters, digits, '-' and '.'"
		}
	}
	return ""
}

func codeFault(s string) string {
	if isBlank(s[0]) || isBlank(s[len(s)-1]) {
		return "a code has no blank at its start or end"
	}
	for i, r := range s {
		if r < utf8.RuneSelf && isBlank(s[i]) && (s[i] != ' ' || isBlank(s[i+1])) || r >= utf8.RuneSelf && unicode.IsSpace(r) {
			return "a code has only single blanks inside"
		}
	}
	return ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func uriFault(s string) string {
	for i := range len(s) {
		if isBlank(s[i]) {
			return "a URI has no blanks"
		}
	}
	switch {
	case strings.HasPrefix(s, "urn:oid:"):
		return oidFault(s)
	case strings.HasPrefix(s, "urn:uuid:"):
		return uuidFault(s)
	}
	return ""
}

func oidFault(s string) string {
	const form = "an OID is urn:oid: and numbers joined by points, the first 0, 1 or 2, none with a leading zero"
	rest, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || rest == "" || rest[0] > '2' {
		return form
	}
	arcs := 0
	for arc := range strings.SplitSeq(rest, ".") {
		if arc == "" || len(arc) > 1 && arc[0] == '0' || arcs == 0 && len(arc) > 1 {
			return form
		}
		for i := range len(arc) {
			if arc[i] < '0' || arc[i] > '9' {
				return form
			}
		}
		arcs++
	}
	if arcs < 2 {
		return form
	}
	return ""
}

func uuidFault(s string) string {
	const form = "a UUID is urn:uuid: and 32 hexadecimal digits in groups of 8-4-4-4-12"
	rest, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(rest) != 36 {
		return form
	}
	for i := range len(rest) {
		c := rest[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return form
			}
			continue
		}
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c >= 'A' && c <= 'F':
			return "a UUID is written in lower case"
		default:
			return form
		}
	}
	return ""
}

// base64Byte marks the alphabet of base64.
var base64Byte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = true
	}
	return t
}()

// base64Fault also gives the decoded length and whether there are blanks, which R4 tolerates.
func base64Fault(s string) (size int, blanks bool, fault string) {
	n, pad := 0, 0
	for i := 0; i < len(s); i++ {
		if pad == 0 {
			from := i
			for i < len(s) && base64Byte[s[i]] {
				i++
			}
			n += i - from
			if i == len(s) {
				break
			}
		}
		switch c := s[i]; {
		case c == '=':
			pad++
		case isBlank(c):
			blanks = true
		case base64Byte[c]:
			return 0, blanks, "base64 ends at its padding"
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			return 0, blanks, "base64 has no character " + quoteRune(r)
		}
	}
	if (n+pad)%4 != 0 || pad > 2 {
		return 0, blanks, "the length of base64 is a multiple of 4"
	}
	return n * 3 / 4, blanks, ""
}

func quoteRune(r rune) string { return "'" + string(r) + "'" }

// wholeFault checks integers; min is the least value allowed.
func wholeFault(s string, least int) string {
	digitsPart := strings.TrimPrefix(s, "-")
	if digitsPart == "" || len(digitsPart) > 1 && digitsPart[0] == '0' || s == "-0" {
		return "it is not a whole number"
	}
	v := 0
	for i := range len(digitsPart) {
		c := digitsPart[i]
		if c < '0' || c > '9' {
			return "it is not a whole number"
		}
		if v = v*10 + int(c-'0'); v > 1<<31 {
			return "it is beyond the 32 bits of an integer"
		}
	}
	if len(digitsPart) != len(s) {
		v = -v
	}
	switch {
	case v > 1<<31-1:
		return "it is beyond the 32 bits of an integer"
	case v < least && least == 0:
		return "it must not be negative"
	case v < least && least == 1:
		return "it must be 1 or more"
	}
	return ""
}

// compareDecimals compares two decimal literals by value, without rounding.
func compareDecimals(a, b string) int {
	an, ai, af, ae := splitDecimal(a)
	bn, bi, bf, be := splitDecimal(b)
	if ae != 0 || be != 0 {
		ai, af = shiftDecimal(ai, af, ae)
		bi, bf = shiftDecimal(bi, bf, be)
	}
	ai, bi = strings.TrimLeft(ai, "0"), strings.TrimLeft(bi, "0")
	af, bf = strings.TrimRight(af, "0"), strings.TrimRight(bf, "0")
	if ai == "" && af == "" {
		an = false
	}
	if bi == "" && bf == "" {
		bn = false
	}
	c := 0
	switch {
	case len(ai) != len(bi):
		c = cmpInt(len(ai), len(bi))
	case ai != bi:
		c = strings.Compare(ai, bi)
	default:
		c = strings.Compare(af, bf)
	}
	switch {
	case an != bn && an:
		return -1
	case an != bn:
		return 1
	case an:
		return -c
	}
	return c
}

func cmpInt(a, b int) int {
	if a < b {
		return -1
	}
	return 1
}

func splitDecimal(s string) (neg bool, whole, frac string, exp int) {
	s, neg = strings.CutPrefix(s, "-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		sign := 1
		for _, c := range s[i+1:] {
			switch {
			case c == '-':
				sign = -1
			case c >= '0' && c <= '9' && exp < 10_000:
				exp = exp*10 + int(c-'0')
			}
		}
		exp *= sign
		s = s[:i]
	}
	whole, frac, _ = strings.Cut(s, ".")
	return neg, whole, frac, exp
}

func shiftDecimal(whole, frac string, exp int) (string, string) {
	const most = 1000 // digits; larger exponents are compared as if they were this large
	exp = max(-most, min(most, exp))
	if exp >= 0 {
		if len(frac) < exp {
			frac += strings.Repeat("0", exp-len(frac))
		}
		return whole + frac[:exp], frac[exp:]
	}
	if len(whole) < -exp {
		whole = strings.Repeat("0", -exp-len(whole)) + whole
	}
	return whole[:len(whole)+exp], whole[len(whole)+exp:] + frac
}
