package parse

import (
	"fmt"
	"strings"
)

// Error is a fault of syntax and its place.
type Error struct {
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in bytes, from 1
	Msg    string // what is wrong
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	if e.Line > 1 {
		return fmt.Sprintf("line %d, col %d: %s", e.Line, e.Column, e.Msg)
	}
	return fmt.Sprintf("col %d: %s", e.Column, e.Msg)
}

// ErrorAt makes an Error for a place in src; the compiler reports with it too.
func ErrorAt(src string, at Pos, format string, args ...any) *Error {
	return newError(src, at, fmt.Sprintf(format, args...))
}

func newError(src string, at Pos, msg string) *Error {
	off := min(int(at), len(src))
	before := src[:off]
	return &Error{Offset: off, Line: strings.Count(before, "\n") + 1, Column: off - strings.LastIndexByte(before, '\n'), Msg: msg}
}

// Limits on what an expression may be: they keep recursion over the tree harmless.
const (
	maxSource = 1 << 16
	maxDepth  = 400
)

// Parse reads one expression.
func Parse(src string) (n Node, err error) {
	if len(src) > maxSource {
		return nil, newError(src, maxSource, "the expression is longer than 64 KiB")
	}
	p := &parser{lex: lexer{src: src}}
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			n, err = nil, fault
		}
	}()
	p.advance()
	n, _ = p.expression(loosest+1, 0)
	if p.tok.kind != tokEnd {
		p.fail("%s does not belong here", p.tok)
	}
	return n, nil
}

type parser struct {
	lex lexer
	tok token
}

func (p *parser) fail(format string, args ...any) {
	panic(ErrorAt(p.lex.src, p.tok.pos, format, args...))
}

func (p *parser) advance() token {
	t := p.tok
	p.tok = p.lex.next()
	return t
}

func (p *parser) symbol(s string) bool { return p.tok.kind == tokSymbol && p.tok.text == s }

func (p *parser) expect(s string) {
	if !p.symbol(s) {
		p.fail("%q belongs here, not %s", s, p.tok)
	}
	p.advance()
}

// deeper bounds both recursion and the length of left-leaning chains: height is that of the tree built so far.
func (p *parser) deeper(height int) int {
	if height++; height > maxDepth {
		p.fail("the expression is nested too deeply")
	}
	return height
}

// operator is the operator at the current token and its power, or 0.
func (p *parser) operator() (string, int) {
	if p.tok.kind != tokSymbol && p.tok.kind != tokName {
		return "", 0
	}
	return p.tok.text, powers[p.tok.text]
}

// expression climbs: it takes operators that bind at least as tightly as least. It returns the tree and its height.
func (p *parser) expression(least, depth int) (Node, int) {
	depth = p.deeper(depth)
	left, height := p.unary(depth)
	for {
		op, pow := p.operator()
		if pow < least || pow == 0 {
			return left, height
		}
		at := p.advance().pos
		height = p.deeper(height)
		if pow == powType {
			left = &TypeOp{Pos: at, Op: op, X: left, Type: p.typeName()}
			continue
		}
		right, h := p.expression(pow+1, depth)
		left = &Binary{Pos: at, Op: op, Left: left, Right: right}
		height = max(height, p.deeper(h))
	}
}

func (p *parser) unary(depth int) (Node, int) {
	depth = p.deeper(depth)
	if p.symbol("+") || p.symbol("-") {
		t := p.advance()
		x, h := p.unary(depth)
		return &Unary{Pos: t.pos, Op: t.text, X: x}, p.deeper(h)
	}
	return p.postfix(depth)
}

func (p *parser) postfix(depth int) (Node, int) {
	left, height := p.term(depth)
	for {
		switch {
		case p.symbol("."):
			at := p.advance().pos
			height = p.deeper(height)
			var right Node
			if p.tok.kind == tokVariable {
				t := p.advance()
				right = &Variable{t.pos, t.text}
			} else {
				var h int
				right, h = p.invocation(depth)
				height = max(height, p.deeper(h))
			}
			left = &Dot{at, left, right}
		case p.symbol("["):
			at := p.advance().pos
			height = p.deeper(height)
			i, h := p.expression(loosest+1, depth)
			p.expect("]")
			left = &Index{at, left, i}
			height = max(height, p.deeper(h))
		default:
			return left, height
		}
	}
}

// invocation is a name or a function call.
func (p *parser) invocation(depth int) (Node, int) {
	if p.tok.kind != tokName && p.tok.kind != tokQuotedName {
		p.fail("a name belongs here, not %s", p.tok)
	}
	t := p.advance()
	if t.kind == tokQuotedName && t.text == "" {
		panic(newError(p.lex.src, t.pos, "a name is empty"))
	}
	if !p.symbol("(") {
		return &Identifier{t.pos, t.text}, 1
	}
	p.advance()
	c := &Call{Pos: t.pos, Name: t.text}
	height := 1
	for !p.symbol(")") {
		if len(c.Args) > 0 {
			p.expect(",")
		}
		a, h := p.expression(loosest+1, depth)
		height = max(height, p.deeper(h))
		c.Args = append(c.Args, a)
	}
	p.advance()
	return c, height
}

func (p *parser) typeName() TypeName {
	name := func() string {
		if p.tok.kind != tokName && p.tok.kind != tokQuotedName || p.tok.text == "" {
			p.fail("a type belongs here, not %s", p.tok)
		}
		return p.advance().text
	}
	t := TypeName{Name: name()}
	// A dot after the type may also go on with a path: "value as Quantity.unit" is no FHIRPath, so take it as a namespace
	// only where one can stand.
	if p.symbol(".") && (t.Name == "FHIR" || t.Name == "System") {
		p.advance()
		t.Namespace, t.Name = t.Name, name()
	}
	return t
}

func (p *parser) term(depth int) (Node, int) {
	t := p.tok
	switch t.kind {
	case tokString:
		p.advance()
		return &Literal{Pos: t.pos, Kind: String, Text: t.text}, 1
	case tokNumber:
		p.advance()
		return p.quantity(t), 1
	case tokDate, tokDateTime, tokTime:
		p.advance()
		return &Literal{Pos: t.pos, Kind: Date + LiteralKind(t.kind-tokDate), Text: t.text}, 1 // both in this order
	case tokVariable:
		p.advance()
		return &Variable{t.pos, t.text}, 1
	case tokExternal:
		p.advance()
		return &External{t.pos, t.text}, 1
	case tokName:
		switch t.text {
		case "true", "false":
			p.advance()
			return &Literal{Pos: t.pos, Kind: Boolean, Text: t.text}, 1
		case "and", "or", "xor", "implies", "div", "mod":
			p.fail("an expression belongs before %q", t.text)
		}
		return p.invocation(depth)
	case tokQuotedName:
		return p.invocation(depth)
	default:
		return p.bracketed(depth)
	}
}

// bracketed is an expression in parentheses, or the empty collection.
func (p *parser) bracketed(depth int) (Node, int) {
	t := p.tok
	switch {
	case p.symbol("("):
		p.advance()
		n, h := p.expression(loosest+1, depth)
		p.expect(")")
		return n, h
	case p.symbol("{"):
		p.advance()
		p.expect("}")
		return &Literal{Pos: t.pos, Kind: Empty}, 1
	}
	p.fail("an expression belongs here, not %s", t)
	return nil, 0
}

// quantity is a number, with the unit that may follow it.
func (p *parser) quantity(number token) Node {
	n := &Literal{Pos: number.pos, Kind: Number, Text: number.text}
	switch {
	case p.tok.kind == tokString:
		n.Kind, n.Unit = Quantity, p.advance().text
	case p.tok.kind == tokName && calendarUnits[p.tok.text]:
		n.Kind, n.Unit, n.Calendar = Quantity, p.advance().text, true
	}
	return n
}
