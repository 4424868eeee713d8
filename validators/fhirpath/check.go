package fhirpath

import (
	"slices"
	"strings"

	"fhirwire/validators/fhirpath/parse"
)

// CompileFor is Compile, and refuses what cannot mean anything on any of the context types: elements that they do not have,
// types that do not exist, functions and operators on the wrong type. Where a type is not known in advance (resolve(),
// children(), contained resources) it says nothing.
func CompileFor(src string, m Model, contexts ...*Type) (*Expr, error) {
	x, err := Compile(src, m)
	if err != nil || m == nil {
		return x, err
	}
	c := &checker{src: src, model: m}
	this := static{types: contexts, unknown: len(contexts) == 0}
	if _, err := c.check(x.ast, this); err != nil {
		return nil, err
	}
	return x, nil
}

// static is what is known of a result in advance: the FHIR types and System types its items may have.
type static struct {
	types   []*Type
	system  kinds
	many    bool
	unknown bool // it may be anything else as well
}

func (t static) empty() bool { return !t.unknown && len(t.types) == 0 && t.system == 0 }

func (t static) single() static {
	t.many = false
	return t
}

func (t static) plural(many bool) static {
	t.many = t.many || many
	return t
}

func (t static) with(o static) static {
	out := static{system: t.system | o.system, many: t.many || o.many, unknown: t.unknown || o.unknown}
	out.types = slices.Clone(t.types)
	for _, ot := range o.types {
		if !slices.Contains(out.types, ot) {
			out.types = append(out.types, ot)
		}
	}
	return out
}

// converted is the System types that the items are or convert to.
func (t static) converted() kinds {
	k := t.system
	for _, ft := range t.types {
		k |= [...]kinds{0, isBoolean, isString, isInteger, isDecimal, isDate, isDateTime, isTime, isQuantity}[ft.system]
	}
	return k
}

func (t static) String() string {
	var names []string
	for _, ft := range t.types {
		names = append(names, ft.Name)
	}
	for i, name := range [...]string{"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"} {
		if t.system&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, " or ")
}

type checker struct {
	src   string
	model Model
}

func (c *checker) errorf(pos parse.Pos, format string, args ...any) error {
	return parse.ErrorAt(c.src, pos, format, args...)
}

func (c *checker) check(n parse.Node, this static) (static, error) {
	switch n := n.(type) {
	case *parse.Literal:
		return static{system: [...]kinds{0, isBoolean, isString, numberKind(n.Text), isDate, isDateTime, isTime, isQuantity}[n.Kind]}, nil
	case *parse.Variable:
		switch n.Name {
		case "this":
			return this, nil
		case "index":
			return static{system: isInteger}, nil
		}
		return static{unknown: true, many: true}, nil
	case *parse.External:
		if _, ok := externals[n.Name]; ok || strings.HasPrefix(n.Name, "vs-") || strings.HasPrefix(n.Name, "ext-") {
			return static{system: isString}, nil
		}
		return static{unknown: true}, nil
	case *parse.Identifier:
		return c.name(n, this)
	case *parse.Call:
		return c.call(n, this, this)
	case *parse.Dot:
		left, err := c.check(n.Left, this)
		if err != nil {
			return static{}, err
		}
		switch r := n.Right.(type) {
		case *parse.Identifier:
			return c.child(r, left)
		case *parse.Call:
			return c.call(r, left, this)
		}
		return c.check(n.Right, this)
	case *parse.Index:
		left, err := c.check(n.Left, this)
		if err != nil {
			return static{}, err
		}
		i, err := c.check(n.Index, this)
		if err == nil && !i.unknown && !i.empty() && i.converted()&isInteger == 0 {
			err = c.errorf(n.Pos, "an index is an Integer, not %s", i)
		}
		return left.single(), err
	case *parse.Unary:
		x, err := c.check(n.X, this)
		if err == nil && !x.unknown && !x.empty() && x.converted()&(isNumber|isQuantity) == 0 {
			err = c.errorf(n.Pos, "%s before %s has no meaning", n.Op, x)
		}
		return static{system: x.converted() & (isNumber | isQuantity), unknown: x.unknown}, err
	case *parse.TypeOp:
		x, err := c.check(n.X, this)
		if err != nil {
			return static{}, err
		}
		return c.typed(n.Pos, n.Op, n.Type, x)
	case *parse.Binary:
		return c.binary(n, this)
	}
	return static{unknown: true, many: true}, nil
}

func numberKind(text string) kinds {
	if strings.Contains(text, ".") {
		return isDecimal
	}
	return isInteger
}

// name is a name at the start of a path: a type of the context, or an element.
func (c *checker) name(n *parse.Identifier, this static) (static, error) {
	if n.Name[0] < 'A' || n.Name[0] > 'Z' {
		return c.child(n, this)
	}
	for _, t := range this.types {
		for b := t; b != nil; b = b.Base {
			if b.Name == n.Name {
				return static{types: []*Type{t}, many: this.many}, nil
			}
		}
	}
	t, ok := c.model.Type(n.Name)
	switch {
	case !ok:
		return c.child(n, this)
	case this.unknown || c.open(this):
		return static{types: []*Type{t}, many: this.many}, nil
	}
	return static{}, c.errorf(n.Pos, "the context is %s, not %s", this, n.Name)
}

// open reports types that stand for any resource.
func (c *checker) open(s static) bool {
	return slices.ContainsFunc(s.types, func(t *Type) bool { return t.Name == "Resource" || t.Name == "DomainResource" || t.Name == "Element" })
}

func (c *checker) child(n *parse.Identifier, of static) (static, error) {
	out := static{many: of.many, unknown: of.unknown || c.open(of)}
	found := out.unknown || of.empty()
	for _, t := range of.types {
		if e, ok := t.Element(n.Name); ok {
			found = true
			out = out.with(static{types: e.Types, many: e.Many})
		} else if n.Name == "value" && t.Kind == PrimitiveType {
			found = true
			out.system |= static{types: []*Type{t}}.converted()
		}
	}
	if of.system&isQuantity != 0 && (n.Name == "value" || n.Name == "unit" || n.Name == "code") {
		found = true
		out.unknown = true
	}
	if !found {
		return out, c.errorf(n.Pos, "%s has no element %q", of, n.Name)
	}
	return out, nil
}

// typed is is, as and ofType.
func (c *checker) typed(pos parse.Pos, op string, name parse.TypeName, x static) (static, error) {
	var t *Type
	if name.Namespace != "System" {
		t, _ = c.model.Type(name.Name)
	}
	isSystem := name.Namespace != "FHIR" && systemTypes[name.Name]
	if t == nil && !isSystem && name.Namespace != "System" {
		return static{}, c.errorf(pos, "there is no type %s", name)
	}
	if op == "is" {
		return static{system: isBoolean}, nil
	}
	out := static{many: x.many}
	if t != nil {
		out.types = []*Type{t}
	}
	if isSystem && (t == nil || x.system != 0) {
		out.unknown = true
	}
	return out, nil
}

func (c *checker) binary(n *parse.Binary, this static) (static, error) {
	l, err := c.check(n.Left, this)
	if err != nil {
		return static{}, err
	}
	r, err := c.check(n.Right, this)
	if err != nil {
		return static{}, err
	}
	switch n.Op {
	case "|":
		return l.with(r).plural(!l.empty() && !r.empty()), nil
	case "&":
		return static{system: isString}, nil
	case "+", "-", "*", "/", "div", "mod":
	default:
		return static{system: isBoolean}, nil
	}
	if l.unknown || r.unknown || l.empty() || r.empty() {
		return static{unknown: true}, nil
	}
	a, b := l.converted(), r.converted()
	out := arithmeticKinds(n.Op, a, b)
	if out == 0 {
		return static{}, c.errorf(n.Pos, "%s %s %s has no meaning", l, n.Op, r)
	}
	return static{system: out}, nil
}

func arithmeticKinds(op string, a, b kinds) kinds {
	var out kinds
	if a&isNumber != 0 && b&isNumber != 0 {
		out |= isNumber
	}
	if op == "div" || op == "mod" {
		return out
	}
	if (a|b)&isQuantity != 0 && a&(isNumber|isQuantity) != 0 && b&(isNumber|isQuantity) != 0 {
		out |= isQuantity
	}
	if op == "*" || op == "/" {
		return out
	}
	if op == "+" && a&isString != 0 && b&isString != 0 {
		out |= isString
	}
	if b&isQuantity != 0 {
		out |= a & (isDate | isDateTime | isTime)
	}
	return out
}

func (c *checker) call(n *parse.Call, input, this static) (static, error) {
	fn := functions[n.Name] // Compile has seen it
	if fn.typeArg {
		name, _ := typeArgument(n.Args[0])
		return c.typed(n.Args[0].Position(), n.Name, name, input)
	}
	if fn.takes != 0 && !input.unknown && !input.empty() && !accepts(fn.takes, input) {
		return static{}, c.errorf(n.Pos, "%s() on %s has no meaning", n.Name, input)
	}
	args := make([]static, len(n.Args))
	for i, a := range n.Args {
		context := this
		if fn.lambda || n.Name == "iif" {
			context = input.single()
		} else if n.Name == "defineVariable" {
			context = input
		}
		if u, ok := a.(*parse.Unary); ok && fn.sortKeys {
			a = u.X
		}
		var err error
		if args[i], err = c.check(a, context); err != nil {
			return static{}, err
		}
	}
	if n.Name == "iif" {
		if input.many && !input.unknown {
			return static{}, c.errorf(n.Pos, "iif() on what may be more than one value")
		}
		return c.iif(n, args)
	}
	return c.gives(n.Name, fn, input, args), nil
}

// accepts is lenient with primitives of other kinds: what is written counts as a string.
func accepts(takes kinds, input static) bool {
	if input.converted()&takes != 0 {
		return true
	}
	return takes&isString != 0 && slices.ContainsFunc(input.types, func(t *Type) bool { return t.Kind == PrimitiveType })
}

func (c *checker) iif(n *parse.Call, args []static) (static, error) {
	criterion := args[0]
	if !criterion.unknown && !criterion.empty() {
		if criterion.converted()&isBoolean == 0 {
			return static{}, c.errorf(n.Args[0].Position(), "the criterion of iif() is %s, not Boolean", criterion)
		}
		if criterion.many {
			return static{}, c.errorf(n.Args[0].Position(), "the criterion of iif() may be more than one value")
		}
	}
	out := args[1]
	if len(args) == 3 {
		out = out.with(args[2])
	}
	return out, nil
}

func (c *checker) gives(name string, fn *function, input static, args []static) static {
	switch name {
	case "first", "last", "single":
		return input.single()
	case "union", "combine":
		return input.with(args[0]).plural(true)
	case "split", "toChars":
		return static{system: isString, many: true}
	}
	switch fn.gives {
	case asInput:
		return input
	case asArgument:
		return args[0].plural(input.many)
	case isExtension:
		if t, ok := c.model.Type("Extension"); ok {
			return static{types: []*Type{t}, many: true}
		}
		return static{unknown: true, many: true}
	case isAny:
		return static{unknown: true, many: true}
	default:
		return static{system: fn.gives}
	}
}
