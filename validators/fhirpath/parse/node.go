package parse

import (
	"strings"
)

// Pos is a byte offset in the source.
type Pos int

// Node is an expression. String prints it so that it parses to the same tree.
type Node interface {
	Position() Pos
	String() string
	print(b *strings.Builder, outer int)
}

// Position is the place itself; nodes embed Pos.
func (p Pos) Position() Pos { return p }

// LiteralKind sorts literals.
type LiteralKind uint8

// The kinds of literals.
const (
	Empty    LiteralKind = iota // {}
	Boolean                     // true
	String                      // 'text', Text is the value
	Number                      // 12 or 1.50
	Date                        // @2015-02, Text without @
	DateTime                    // @2015-02-04T14, Text without @
	Time                        // @T14:30, Text without @T
	Quantity                    // 4 'mg' or 4 days: Text is the number, Unit the unit
)

// Literal is a literal value, as text.
type Literal struct {
	Pos
	Kind LiteralKind
	Text string
	Unit string
	// Calendar marks a unit written as a word, days.
	Calendar bool
}

// Variable is $this, $index or $total; Name has no $.
type Variable struct {
	Pos
	Name string
}

// External is an external constant; Name has no %.
type External struct {
	Pos
	Name string
}

// Identifier is a name: an element, or a type at the start of a path.
type Identifier struct {
	Pos
	Name string
}

// Call is a function with its arguments.
type Call struct {
	Pos
	Name string
	Args []Node
}

// Dot applies Right, an Identifier, Call or Variable, to Left.
type Dot struct {
	Pos
	Left, Right Node
}

// Index is Left[Index].
type Index struct {
	Pos
	Left, Index Node
}

// Unary is a sign before an expression.
type Unary struct {
	Pos
	Op string
	X  Node
}

// Binary is an operator between two expressions.
type Binary struct {
	Pos
	Op          string
	Left, Right Node
}

// TypeOp is "is" or "as" with a type name, which may have a namespace.
type TypeOp struct {
	Pos
	Op   string
	X    Node
	Type TypeName
}

// TypeName is a type specifier.
type TypeName struct {
	Namespace, Name string
}

// String prints the type specifier.
func (t TypeName) String() string {
	if t.Namespace == "" {
		return quoteName(t.Name)
	}
	return quoteName(t.Namespace) + "." + quoteName(t.Name)
}

// The binding powers, loosest first.
const (
	loosest = iota
	powImplies
	powOr
	powAnd
	powMember
	powEqual
	powCompare
	powUnion
	powType
	powAdd
	powMul
	powSign
	powPostfix
)

var powers = map[string]int{
	"implies": powImplies, "or": powOr, "xor": powOr, "and": powAnd, "in": powMember, "contains": powMember,
	"=": powEqual, "~": powEqual, "!=": powEqual, "!~": powEqual,
	"<": powCompare, "<=": powCompare, ">": powCompare, ">=": powCompare, "|": powUnion, "is": powType, "as": powType,
	"+": powAdd, "-": powAdd, "&": powAdd, "*": powMul, "/": powMul, "div": powMul, "mod": powMul,
}

func text(n Node) string {
	var b strings.Builder
	n.print(&b, loosest)
	return b.String()
}

func (n *Literal) String() string    { return text(n) }
func (n *Variable) String() string   { return text(n) }
func (n *External) String() string   { return text(n) }
func (n *Identifier) String() string { return text(n) }
func (n *Call) String() string       { return text(n) }
func (n *Dot) String() string        { return text(n) }
func (n *Index) String() string      { return text(n) }
func (n *Unary) String() string      { return text(n) }
func (n *Binary) String() string     { return text(n) }
func (n *TypeOp) String() string     { return text(n) }

func (n *Literal) print(b *strings.Builder, _ int) {
	switch n.Kind {
	case Empty:
		b.WriteString("{}")
	case String:
		quote(b, n.Text, '\'')
	case Date, DateTime:
		b.WriteString("@" + n.Text)
	case Time:
		b.WriteString("@T" + n.Text)
	case Quantity:
		b.WriteString(n.Text + " ")
		if n.Calendar {
			b.WriteString(n.Unit)
		} else {
			quote(b, n.Unit, '\'')
		}
	default:
		b.WriteString(n.Text)
	}
}

func (n *Variable) print(b *strings.Builder, _ int) { b.WriteString("$" + n.Name) }

func (n *External) print(b *strings.Builder, _ int) { b.WriteString("%" + quoteName(n.Name)) }

func (n *Identifier) print(b *strings.Builder, _ int) { b.WriteString(quoteName(n.Name)) }

func (n *Call) print(b *strings.Builder, _ int) {
	b.WriteString(quoteName(n.Name))
	b.WriteByte('(')
	for i, a := range n.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		a.print(b, loosest)
	}
	b.WriteByte(')')
}

func (n *Dot) print(b *strings.Builder, _ int) {
	n.Left.print(b, powPostfix)
	b.WriteByte('.')
	n.Right.print(b, powPostfix)
}

func (n *Index) print(b *strings.Builder, _ int) {
	n.Left.print(b, powPostfix)
	b.WriteByte('[')
	n.Index.print(b, loosest)
	b.WriteByte(']')
}

func group(b *strings.Builder, need bool, inner func()) {
	if need {
		b.WriteByte('(')
	}
	inner()
	if need {
		b.WriteByte(')')
	}
}

func (n *Unary) print(b *strings.Builder, outer int) {
	group(b, outer > powSign, func() {
		b.WriteString(n.Op)
		n.X.print(b, powSign)
	})
}

func (n *Binary) print(b *strings.Builder, outer int) {
	pow := powers[n.Op]
	group(b, outer > pow, func() {
		n.Left.print(b, pow)
		b.WriteString(" " + n.Op + " ")
		n.Right.print(b, pow+1)
	})
}

func (n *TypeOp) print(b *strings.Builder, outer int) {
	group(b, outer > powType, func() {
		n.X.print(b, powType)
		b.WriteString(" " + n.Op + " " + n.Type.String())
	})
}

func quoteName(s string) string {
	if isName(s) && !reserved(s) {
		return s
	}
	var b strings.Builder
	quote(&b, s, '`')
	return b.String()
}

func quote(b *strings.Builder, s string, q byte) {
	b.WriteByte(q)
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', q:
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\f':
			b.WriteString(`\f`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(q)
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// reserved words cannot stand as a bare name everywhere.
func reserved(s string) bool {
	_, op := powers[s]
	return op || s == "true" || s == "false" || calendarUnits[s]
}

var calendarUnits = map[string]bool{
	"year": true, "years": true, "month": true, "months": true, "week": true, "weeks": true, "day": true, "days": true,
	"hour": true, "hours": true, "minute": true, "minutes": true, "second": true, "seconds": true,
	"millisecond": true, "milliseconds": true,
}
