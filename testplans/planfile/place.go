package planfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// readable is a text as the parser takes it: UTF-8 without a byte order mark, lines that end with LF. The fault says what it is instead.
func readable(file string, src []byte) ([]byte, *Fault) {
	src = unmarked(src)
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) || len(src) > 1 && (src[0] == 0) != (src[1] == 0) {
		return nil, &Fault{File: file, Line: 1, Column: 1, Message: "the text is UTF-16; expected it to be saved as UTF-8"}
	}
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	number := 0
	for line := range bytes.Lines(src) {
		number++
		for column := 1; len(line) > 0; column++ {
			r, n := utf8.DecodeRune(line)
			switch {
			case r == utf8.RuneError && n == 1:
				return nil, &Fault{File: file, Line: number, Column: column, Message: fmt.Sprintf("the byte %#02x is no text; expected it to be saved as UTF-8", line[0])}
			case r < ' ' && r != '\t' && r != '\n' || r == 0x7f:
				return nil, &Fault{File: file, Line: number, Column: column, Message: fmt.Sprintf("the control character %U; expected text without", r)}
			}
			line = line[n:]
		}
	}
	return src, nil
}

// inside makes a fault about a place within the text at a pointer, whose value it is: offset in bytes of the value.
func (p *places) inside(pointer string, offset int, format string, args ...any) *Fault {
	t := p.values[pointer]
	if t == nil {
		return p.at(pointer, format, args...)
	}
	var from int
	text := written{raw: p.src}
	switch n := p.nodes[pointer].(type) {
	case *ast.LiteralNode:
		if n.Value == nil {
			return p.fault(t, format, args...)
		}
		text.value, text.block = n.Value.Value, true
		from = p.index(n.Start.Position.Line+1, 1)
	case *ast.StringNode:
		text.value = n.Value
		from = p.index(t.Position.Line, t.Position.Column)
		if quote, quoted := map[token.Type]byte{token.SingleQuoteType: '\'', token.DoubleQuoteType: '"'}[t.Type]; quoted {
			text.quote, from = quote, from+1
		}
	default:
		return p.fault(t, format, args...)
	}
	at := text.find(from, offset)
	before := p.src[:at]
	line := bytes.LastIndexByte(before, '\n') + 1
	return &Fault{
		File: p.file, Line: bytes.Count(before, []byte("\n")) + 1, Column: utf8.RuneCount(before[line:]) + 1, Message: fmt.Sprintf(format, args...),
	}
}

// index is the byte at which a line and column, 1-based and in characters, begin.
func (p *places) index(line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(p.src[at:], '\n')
		if n < 0 {
			return len(p.src)
		}
		at += n + 1
	}
	for ; column > 1 && at < len(p.src); column-- {
		_, n := utf8.DecodeRune(p.src[at:])
		at += n
	}
	return at
}

// written is a value and how it is written in YAML: plain, in quotes or as a block.
type written struct {
	raw   []byte
	value string
	quote byte
	block bool
}

// find is the byte of the text that gives the byte of the value at an offset; from is where the value begins. It follows both together, over
// what YAML leaves out of a value: escapes, indentation, and the ends of lines that are folded.
func (w *written) find(from, offset int) int {
	p, i := from, 0
	if w.block {
		first := w.raw[p:]
		blank := len(first) - len(bytes.TrimLeft(first, " \n"))
		p += blank - (len(w.value) - len(strings.TrimLeft(w.value, " \n")))
		p = max(p, from)
	}
	for i < min(offset, len(w.value)) && p < len(w.raw) {
		c, r := w.value[i], w.raw[p]
		switch {
		case w.quote == '"' && r == '\\':
			n, m := escaped(w.raw[p:])
			p, i = p+n, i+m
		case w.quote == '\'' && r == '\'':
			p, i = p+2, i+1
		case r == c:
			p, i = p+1, i+1
			if c == '\n' {
				p += w.indentation(p, i)
			}
		case c == ' ' && r == '\n':
			p, i = p+w.blank(p), i+1
		case r == ' ' || r == '\n' || r == '\t':
			p++
		default:
			return p
		}
	}
	if i < len(w.value) && w.value[i] != ' ' && w.value[i] != '\n' {
		p += w.blank(p)
	}
	return min(p, len(w.raw))
}

// indentation is how much of the line at p is not of the value, which goes on at i.
func (w *written) indentation(p, i int) int {
	have := len(w.raw[p:]) - len(bytes.TrimLeft(w.raw[p:], " "))
	own := len(w.value[i:]) - len(strings.TrimLeft(w.value[i:], " "))
	return max(0, have-own)
}

func (w *written) blank(p int) int { return len(w.raw[p:]) - len(bytes.TrimLeft(w.raw[p:], " \t\n")) }

// escaped is how many bytes the escape takes that text begins with, and how many of the value it gives.
func escaped(text []byte) (written, value int) {
	if len(text) < 2 {
		return 1, 0
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[1]]
	switch {
	case text[1] == '\n': // the value goes on in the next line
		return 2 + len(text[2:]) - len(bytes.TrimLeft(text[2:], " \t")), 0
	case text[1] == 'N', text[1] == '_':
		return 2, 2
	case text[1] == 'L', text[1] == 'P':
		return 2, 3
	case digits == 0:
		return 2, 1
	case len(text) < 2+digits:
		return len(text), 0
	}
	var r rune
	if _, err := fmt.Sscanf(string(text[2:2+digits]), "%x", &r); err != nil {
		return 2 + digits, 1
	}
	return 2 + digits, max(1, utf8.RuneLen(r))
}
