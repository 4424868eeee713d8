package web

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a lexical unit of JSON as lenient as it gets: punctuation is its own kind, '"' is a string, 'x' is any other run.
type token struct {
	kind       byte
	start, end int
}

// nextToken finds the token at or after i. A string ends at its quote, or where the line or the source ends.
func nextToken(src []byte, i int) (token, bool) {
	for i < len(src) && isSpace(src[i]) {
		i++
	}
	if i >= len(src) {
		return token{}, false
	}
	switch c := src[i]; c {
	case '{', '}', '[', ']', ':', ',':
		return token{kind: c, start: i, end: i + 1}, true
	case '"':
		return token{kind: '"', start: i, end: stringEnd(src, i+1)}, true
	}
	end := i + 1
	for end < len(src) && !isSpace(src[end]) && !isPunct(src[end]) {
		end++
	}
	return token{kind: 'x', start: i, end: end}, true
}

func stringEnd(src []byte, i int) int {
	for i < len(src) {
		n := bytes.IndexAny(src[i:min(len(src), i+256)], "\"\\\n")
		if n < 0 {
			i = min(len(src), i+256)
			continue
		}
		i += n
		switch src[i] {
		case '"':
			return i + 1
		case '\n':
			return i
		}
		i += 2
	}
	return len(src)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func isPunct(c byte) bool {
	return c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ',' || c == '"'
}

func colonFollows(src []byte, i int) bool {
	t, ok := nextToken(src, i)
	return ok && t.kind == ':'
}

// visible is b as text in which nothing hides: control characters become their pictures, characters that turn the direction
// of text and bytes that are no UTF-8 become their code in brackets.
func visible(b []byte) string {
	if plain(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			out.WriteString("⟨" + strings.ToUpper(strconv.FormatUint(uint64(b[0]), 16)) + "⟩")
		case r == '\t':
			out.WriteByte('\t')
		case r < 0x20:
			out.WriteRune(0x2400 + r)
		case r == 0x7f:
			out.WriteRune(0x2421)
		case hides(r):
			out.WriteString("⟨U+" + strings.ToUpper(strconv.FormatInt(int64(r), 16)) + "⟩")
		default:
			out.WriteRune(r)
		}
		b = b[n:]
	}
	return out.String()
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// hides reports characters that change how their neighbours are read: C1 controls, zero width and bidirectional controls.
func hides(r rune) bool {
	return r >= 0x80 && r <= 0x9f || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff
}
