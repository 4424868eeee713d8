package fhirjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

func (s *scanner) number(n *Node) {
	at := s.pos
	n.kind = Number
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c != '+' && !isWord(c) {
			break
		}
		s.pos++
	}
	lit := s.src[at:s.pos]
	if ValidNumber(lit) {
		return
	}
	if len(lit) > 1 && (lit[0] != '-' || lit[1] >= '0' && lit[1] <= '9') && !onlyNumberBytes(lit) {
		n.kind = String
		s.problem(ProblemUnquotedValue, at, n, "the value %s is not in quotes", show(lit))
		return
	}
	s.problem(ProblemNumber, at, n, "%s is not a number in JSON", show(lit))
}

func onlyNumberBytes(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return true
}

// ValidNumber reports whether b is a JSON number.
func ValidNumber(b []byte) bool {
	i, n := 0, len(b)
	digits := func() bool {
		from := i
		for i < n && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < n && b[i] == '-' {
		i++
	}
	if i < n && b[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < n && b[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < n && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < n && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == n
}

// plainByte marks the bytes that stand for themselves in a string: ASCII without quote, backslash and controls.
var plainByte = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// str steps over the quoted string at pos and reports whether it has escapes.
func (s *scanner) str(n *Node) (escaped bool) {
	at := s.pos
	ascii := true
	s.pos++
	for s.pos < len(s.src) {
		src, i := s.src, s.pos
		for i < len(src) && plainByte[src[i]] {
			i++
		}
		if s.pos = i; i == len(src) {
			break
		}
		c := src[i]
		switch {
		case c == '"':
			s.pos++
			if !ascii && !utf8.Valid(s.src[at:s.pos]) {
				s.problem(ProblemUTF8, at, n, "the text is not UTF-8")
			}
			return escaped
		case c == '\\':
			escaped = true
			s.escape(n)
			continue
		case c < 0x20:
			s.problem(ProblemControl, s.pos, n, "a bare control character (0x%02x) in a string; write it as an escape", c)
		case c >= 0x80:
			ascii = false
		}
		s.pos++
	}
	s.fatal(ProblemNotJSON, at, "the string that starts here is not closed")
	return escaped
}

func (s *scanner) escape(n *Node) {
	at := s.pos
	s.pos++
	if s.pos >= len(s.src) {
		return
	}
	c := s.src[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return
	case 'u':
		if _, ok := hex4(s.src[s.pos:]); ok {
			s.pos += 4
			return
		}
	}
	s.problem(ProblemEscape, at, n, "%s is no escape in JSON", show(s.src[at:min(at+2, len(s.src))]))
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

func trimQuotes(b []byte) []byte {
	b = b[1:]
	if len(b) > 0 && b[len(b)-1] == '"' {
		b = b[:len(b)-1]
	}
	return b
}

// unescape decodes the inside of a string. Escapes that JSON does not know stand for themselves.
func unescape(b []byte) string {
	out := make([]byte, 0, len(b))
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || i+1 == len(b) {
			return unsafeString(append(out, b...))
		}
		out = append(out, b[:i]...)
		c := b[i+1]
		b = b[i+2:]
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(b)
			if !ok {
				out = append(out, 'u')
				continue
			}
			b = b[4:]
			if utf16.IsSurrogate(r) && len(b) >= 6 && b[0] == '\\' && b[1] == 'u' {
				if low, ok := hex4(b[2:]); ok {
					if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
						r = pair
						b = b[6:]
					}
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
}
