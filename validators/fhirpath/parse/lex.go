package parse

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokQuotedName
	tokString
	tokNumber
	tokDate
	tokDateTime
	tokTime
	tokVariable // $this
	tokExternal // %name
	tokSymbol
)

type token struct {
	kind tokenKind
	pos  Pos
	text string // the value: quotes and escapes resolved, sigils dropped
}

func (t token) String() string {
	switch t.kind {
	case tokEnd:
		return "the end of the expression"
	case tokString:
		return "the string '" + t.text + "'"
	default:
		return "\"" + t.text + "\""
	}
}

type lexer struct {
	src string
	pos int
}

func (l *lexer) fail(at int, msg string) { panic(newError(l.src, Pos(at), msg)) }

func (l *lexer) space() {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			l.pos++
		case strings.HasPrefix(rest, "\u00a0"):
			l.pos += 2 // editors leave no-break spaces in published rules
		case strings.HasPrefix(rest, "//"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.pos += i + 1
			} else {
				l.pos = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				l.fail(l.pos, "the comment that starts here is not closed")
			}
			l.pos += i + 4
		default:
			return
		}
	}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (l *lexer) peekByte(i int) byte {
	if l.pos+i < len(l.src) {
		return l.src[l.pos+i]
	}
	return 0
}

func (l *lexer) next() token {
	l.space()
	at := l.pos
	tok := func(k tokenKind, s string) token { return token{k, Pos(at), s} }
	if at >= len(l.src) {
		return tok(tokEnd, "")
	}
	switch c := l.src[at]; {
	case isLetter(c):
		return tok(tokName, l.word())
	case isDigit(c):
		return tok(tokNumber, l.number())
	case c == '\'':
		return tok(tokString, l.quoted('\''))
	case c == '`':
		return tok(tokQuotedName, l.quoted('`'))
	case c == '"':
		l.fail(at, "strings are written in single quotes")
	case c == '@':
		return l.temporal()
	case c == '$':
		l.pos++
		w := l.word()
		if w != "this" && w != "index" && w != "total" {
			l.fail(at, "there is no variable $"+w)
		}
		return tok(tokVariable, w)
	case c == '%':
		l.pos++
		switch q := l.peekByte(0); q {
		case '`', '\'', '"':
			return tok(tokExternal, l.quoted(q))
		}
		w := l.word()
		// %vs-name and %ext-name occur without quotes in older rules.
		for (w == "vs" || w == "ext") && l.peekByte(0) == '-' && isLetter(l.peekByte(1)) {
			from := l.pos
			for l.pos < len(l.src) && (l.src[l.pos] == '-' || isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
				l.pos++
			}
			w += l.src[from:l.pos]
		}
		if w == "" {
			l.fail(at, "a name belongs after %")
		}
		return tok(tokExternal, w)
	}
	for _, s := range [...]string{"<=", ">=", "!=", "!~"} {
		if strings.HasPrefix(l.src[at:], s) {
			l.pos += 2
			return tok(tokSymbol, s)
		}
	}
	if strings.IndexByte("()[]{}.,+-*/&|=~<>", l.src[at]) >= 0 {
		l.pos++
		return tok(tokSymbol, l.src[at:at+1])
	}
	r, _ := utf8.DecodeRuneInString(l.src[at:])
	l.fail(at, "the character "+strings.ToValidUTF8(string(r), "?")+" has no meaning here")
	return token{}
}

func (l *lexer) word() string {
	at := l.pos
	for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || l.pos > at && isDigit(l.src[l.pos])) {
		l.pos++
	}
	return l.src[at:l.pos]
}

func (l *lexer) digits() {
	for isDigit(l.peekByte(0)) {
		l.pos++
	}
}

func (l *lexer) number() string {
	at := l.pos
	l.digits()
	if l.peekByte(0) == '.' && isDigit(l.peekByte(1)) {
		l.pos++
		l.digits()
	}
	return l.src[at:l.pos]
}

// fixed steps over exactly n digits.
func (l *lexer) fixed(n int, what string) {
	for range n {
		if !isDigit(l.peekByte(0)) {
			l.fail(l.pos, "a digit of the "+what+" belongs here")
		}
		l.pos++
	}
}

func (l *lexer) temporal() token {
	at := l.pos
	l.pos++
	if l.peekByte(0) == 'T' {
		l.pos++
		from := l.pos
		l.clock()
		if l.zone() {
			l.fail(from, "a time has no zone")
		}
		return token{tokTime, Pos(at), l.src[from:l.pos]}
	}
	from := l.pos
	l.fixed(4, "year")
	if l.peekByte(0) == '-' && isDigit(l.peekByte(1)) {
		l.pos++
		l.fixed(2, "month")
		if l.peekByte(0) == '-' && isDigit(l.peekByte(1)) {
			l.pos++
			l.fixed(2, "day")
		}
	}
	if l.peekByte(0) != 'T' {
		return token{tokDate, Pos(at), l.src[from:l.pos]}
	}
	l.pos++
	if isDigit(l.peekByte(0)) {
		l.clock()
		l.zone()
	}
	return token{tokDateTime, Pos(at), l.src[from:l.pos]}
}

func (l *lexer) clock() {
	l.fixed(2, "hour")
	for _, part := range [...]string{"minute", "second"} {
		if l.peekByte(0) != ':' {
			return
		}
		l.pos++
		l.fixed(2, part)
	}
	if l.peekByte(0) == '.' && isDigit(l.peekByte(1)) {
		l.pos++
		l.digits()
	}
}

func (l *lexer) zone() bool {
	switch l.peekByte(0) {
	case 'Z':
		l.pos++
		return true
	case '+', '-':
		if !isDigit(l.peekByte(1)) || !isDigit(l.peekByte(2)) || l.peekByte(3) != ':' {
			return false // an operator
		}
		l.pos += 4
		l.fixed(2, "zone")
		return true
	}
	return false
}

func (l *lexer) quoted(q byte) string {
	at := l.pos
	l.pos++
	from := l.pos
	for l.pos < len(l.src) && l.src[l.pos] != q && l.src[l.pos] != '\\' {
		l.pos++
	}
	if l.pos < len(l.src) && l.src[l.pos] == q {
		l.pos++
		return l.src[from : l.pos-1]
	}
	var b strings.Builder
	b.WriteString(l.src[from:l.pos])
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		l.pos++
		switch c {
		case q:
			return b.String()
		case '\\':
			l.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
	l.fail(at, "the text that starts here is not closed")
	return ""
}

const escapes = "'\"`\\/"

func (l *lexer) escape(b *strings.Builder) {
	at := l.pos - 1
	c := l.peekByte(0)
	l.pos++
	switch {
	case c != 0 && strings.IndexByte(escapes, c) >= 0:
		b.WriteByte(c)
	case c == 'n':
		b.WriteByte('\n')
	case c == 'r':
		b.WriteByte('\r')
	case c == 't':
		b.WriteByte('\t')
	case c == 'f':
		b.WriteByte('\f')
	case c == 'u':
		r := l.hex(at)
		if utf16.IsSurrogate(r) && l.peekByte(0) == '\\' && l.peekByte(1) == 'u' {
			l.pos += 2
			r = utf16.DecodeRune(r, l.hex(at))
		}
		b.WriteRune(r)
	default:
		// The grammar has no other escapes, but published rules write regular expressions such as '\d' with one backslash.
		if c == 0 || c < 0x20 || c >= 0x80 {
			l.fail(at, "this is no escape")
		}
		b.WriteByte('\\')
		b.WriteByte(c)
	}
}

func (l *lexer) hex(at int) rune {
	var r rune
	for range 4 {
		c := l.peekByte(0)
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			l.fail(at, "four hexadecimal digits belong after \\u")
		}
		l.pos++
	}
	return r
}
