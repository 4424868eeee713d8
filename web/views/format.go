package views

import (
	"math"
	"strconv"
	"strings"
)

// plural is "1 header" or "3 headers".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Plural is "1 header" or "2,306 headers".
func Plural(n int, one, many string) string { return plural(n, one, many) }

// Count writes n with thousands separators: "2,306".
func Count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(c)
	}
	return sign + b.String()
}

// Size writes a number of bytes as people read it: "0 B", "840 B", "1.6 kB", "184 kB", "18.4 MB". One kB is 1,000 bytes.
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		f /= 1000
		if f < 99.95 {
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
		}
		if f < 999.5 || unit == "GB" {
			return Count(int(math.Round(f))) + " " + unit
		}
	}
	return ""
}
