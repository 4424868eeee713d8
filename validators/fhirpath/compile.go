package fhirpath

import (
	"fmt"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// Compile turns source into an expression. It refuses faults of syntax, functions that do not exist and wrong numbers of
// arguments with a *parse.Error; it accepts names that m does not know, since instances tolerate them. m may be nil: then
// names are those of the JSON, and types are not checked.
func Compile(src string, m Model) (*Expr, error) {
	ast, err := parse.Parse(src)
	if err != nil {
		return nil, err
	}
	x := &Expr{src: src, ast: ast, model: m}
	c := &compiler{x: x}
	if x.root, err = c.compile(ast); err != nil {
		return nil, err
	}
	x.truth = asTruth(x.root)
	return x, nil
}

type compiler struct{ x *Expr }

func (c *compiler) errorf(pos parse.Pos, format string, args ...any) error {
	return parse.ErrorAt(c.x.src, pos, format, args...)
}

func (c *compiler) compile(n parse.Node) (node, error) {
	switch n := n.(type) {
	case *parse.Literal:
		return c.literal(n)
	case *parse.Variable:
		return &variable{n.Pos, n.Name}, nil
	case *parse.External:
		return c.external(n), nil
	case *parse.Identifier:
		return &path{Pos: n.Pos, steps: []*step{{name: n.Name}}}, nil
	case *parse.Call:
		return c.call(n, nil)
	case *parse.Dot:
		return c.dot(n)
	case *parse.Index:
		left, err := c.compile(n.Left)
		if err != nil {
			return nil, err
		}
		i, err := c.compile(n.Index)
		return &index{n.Pos, left, i}, err
	case *parse.Unary:
		x, err := c.compile(n.X)
		return &sign{n.Pos, n.Op == "-", x}, err
	case *parse.TypeOp:
		x, err := c.compile(n.X)
		if err != nil {
			return nil, err
		}
		t := c.typeSpec(n.Pos, n.Type)
		if n.Op == "is" {
			return &isType{n.Pos, x, t}, nil
		}
		return &asType{Pos: n.Pos, x: x, t: t}, nil
	case *parse.Binary:
		return c.binary(n)
	}
	return nil, c.errorf(n.Position(), "%T is unknown to the compiler", n)
}

func (c *compiler) dot(n *parse.Dot) (node, error) {
	left, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	switch right := n.Right.(type) {
	case *parse.Identifier:
		// A chain of names becomes one path.
		if p, ok := left.(*path); ok {
			p.steps = append(p.steps, &step{name: right.Name})
			return p, nil
		}
		return &path{Pos: right.Pos, from: left, steps: []*step{{name: right.Name}}}, nil
	case *parse.Call:
		return c.call(right, left)
	}
	// a.$this: the variable does not depend on what stands before it
	return c.compile(n.Right)
}

func (c *compiler) binary(n *parse.Binary) (node, error) {
	l, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	r, err := c.compile(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case "and", "or", "xor", "implies":
		return &logic{Pos: n.Pos, op: n.Op[0], l: asTruth(l), r: asTruth(r)}, nil
	case "=", "!=":
		return &equality{n.Pos, l, r, n.Op == "!="}, nil
	case "~", "!~":
		return &equivalence{n.Pos, l, r, n.Op == "!~"}, nil
	case "<", "<=", ">", ">=":
		return &comparison{n.Pos, l, r, n.Op}, nil
	case "|":
		return &union{n.Pos, l, r}, nil
	case "in":
		return &membership{n.Pos, l, r}, nil
	case "contains":
		return &membership{n.Pos, r, l}, nil
	case "&":
		return &concatenation{n.Pos, l, r}, nil
	}
	ops := map[string]func(a, b value.Value) (value.Value, error){
		"+": value.Add, "-": value.Sub, "*": value.Mul, "/": value.Div, "div": value.DivInt, "mod": value.Mod,
	}
	op, ok := ops[n.Op]
	if !ok {
		return nil, c.errorf(n.Pos, "there is no operator %q", n.Op)
	}
	return &arithmetic{n.Pos, l, r, n.Op, op}, nil
}

func (c *compiler) literal(n *parse.Literal) (node, error) {
	out := &literal{Pos: n.Pos}
	v, err := literalValue(n)
	if err != nil {
		return nil, c.errorf(n.Pos, "%v", err)
	}
	if v != nil {
		out.items = []item{{val: v}}
	}
	return out, nil
}

func literalValue(n *parse.Literal) (value.Value, error) {
	switch n.Kind {
	case parse.Boolean:
		return value.Boolean(n.Text == "true"), nil
	case parse.String:
		return value.String(n.Text), nil
	case parse.Number:
		d, err := value.ParseDecimal(n.Text)
		if err != nil {
			return nil, err
		}
		if strings.Contains(n.Text, ".") {
			return d, nil
		}
		i, ok := d.Integer()
		if !ok && d.Cmp(value.FromInt(-int64(value.MinInteger))) == 0 {
			i, ok = -value.MinInteger, true // so that -2147483648 can be written
		}
		if !ok {
			return nil, fmt.Errorf("%s is larger than an integer can be", n.Text)
		}
		return i, nil
	case parse.Quantity:
		d, err := value.ParseDecimal(n.Text)
		return value.Quantity{Value: d, Unit: n.Unit, Calendar: n.Calendar}, err
	case parse.Date:
		return value.ParseDate(n.Text)
	case parse.DateTime:
		return value.ParseDateTime(n.Text)
	case parse.Time:
		return value.ParseTime(n.Text)
	default:
		return nil, nil
	}
}

// externals are the constants that FHIR defines.
var externals = map[string]string{"ucum": ucumSystem, "sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}

func (c *compiler) external(n *parse.External) node {
	constant := func(s string) node { return &literal{n.Pos, []item{{val: value.String(s)}}} }
	switch n.Name {
	case "resource":
		return &place{n.Pos, (*state).resource}
	case "rootResource":
		return &place{n.Pos, (*state).rootResource}
	case "context":
		return &place{n.Pos, func(s *state) *fhirjson.Node { return s.env.Context }}
	}
	if s, ok := externals[n.Name]; ok {
		return constant(s)
	}
	if s, ok := strings.CutPrefix(n.Name, "vs-"); ok {
		return constant("http://hl7.org/fhir/ValueSet/" + s)
	}
	if s, ok := strings.CutPrefix(n.Name, "ext-"); ok {
		return constant("http://hl7.org/fhir/StructureDefinition/" + s)
	}
	return &named{n.Pos, n.Name}
}

func (c *compiler) call(n *parse.Call, input node) (node, error) {
	fn, ok := functions[n.Name]
	if !ok {
		return nil, c.errorf(n.Pos, "unknown function %q", n.Name)
	}
	if len(n.Args) < fn.min || len(n.Args) > fn.max {
		return nil, c.errorf(n.Pos, "%s() takes %s, not %d", n.Name, arity(fn), len(n.Args))
	}
	out := &call{Pos: n.Pos, fn: fn, name: n.Name, input: input}
	if fn.typeArg {
		name, ok := typeArgument(n.Args[0])
		if !ok {
			return nil, c.errorf(n.Args[0].Position(), "a type belongs here")
		}
		t := c.typeSpec(n.Args[0].Position(), name)
		in := input
		if in == nil {
			in = &variable{n.Pos, "this"}
		}
		switch n.Name {
		case "is":
			return &isType{n.Pos, in, t}, nil
		case "as":
			before, _ := in.(*call)
			filters := before != nil && (before.name == "descendants" || before.name == "children")
			return &asType{Pos: n.Pos, x: in, t: t, filters: filters}, nil
		default:
			return &ofType{n.Pos, in, t}, nil
		}
	}
	for i, a := range n.Args {
		if fn.sortKeys {
			if u, isSign := a.(*parse.Unary); isSign && u.Op == "-" {
				a = u.X
				out.descending |= 1 << i
			}
		}
		arg, err := c.compile(a)
		if err != nil {
			return nil, err
		}
		out.args = append(out.args, arg)
	}
	if fn.regexArg {
		out.prepareRegex()
	}
	switch n.Name {
	case "not":
		return &not{out, asTruth(out.inputNode())}, nil
	case "exists", "empty":
		e := &existence{call: out, empty: n.Name == "empty"}
		e.path, _ = input.(*path)
		if len(out.args) == 1 {
			e.criterion = asTruth(out.args[0])
		}
		return e, nil
	case "all", "where":
		out.criterion = asTruth(out.args[0])
	case "iif":
		out.criterion = asTruth(out.args[0])
	}
	return out, nil
}

func (c *call) inputNode() node {
	if c.input == nil {
		return &variable{c.Pos, "this"}
	}
	return c.input
}

func arity(fn *function) string {
	switch {
	case fn.max == 0:
		return "no arguments"
	case fn.min == fn.max && fn.min == 1:
		return "one argument"
	case fn.min == fn.max:
		return fmt.Sprintf("%d arguments", fn.min)
	default:
		return fmt.Sprintf("%d to %d arguments", fn.min, fn.max)
	}
}

// typeArgument reads a type specifier written as an argument: Quantity, FHIR.Patient, System.`String`.
func typeArgument(n parse.Node) (parse.TypeName, bool) {
	switch n := n.(type) {
	case *parse.Identifier:
		return parse.TypeName{Name: n.Name}, true
	case *parse.Dot:
		l, okL := n.Left.(*parse.Identifier)
		r, okR := n.Right.(*parse.Identifier)
		if okL && okR {
			return parse.TypeName{Namespace: l.Name, Name: r.Name}, true
		}
	}
	return parse.TypeName{}, false
}

// typeSpec is a type that an expression names. Without a namespace it may be a FHIR or a System type.
type typeSpec struct {
	name   string
	fhir   *Type
	system string
	// systemOnly says that the namespace is System.
	systemOnly bool
	// unknown says that no such type exists, which is an error when the expression is evaluated.
	unknown error
}

var systemTypes = map[string]bool{
	"Boolean": true, "String": true, "Integer": true, "Decimal": true, "Date": true, "DateTime": true, "Time": true, "Quantity": true, "Any": true,
}

func (c *compiler) typeSpec(pos parse.Pos, n parse.TypeName) *typeSpec {
	t := &typeSpec{name: n.Name, systemOnly: n.Namespace == "System"}
	if n.Namespace != "System" && c.x.model != nil {
		t.fhir, _ = c.x.model.Type(n.Name)
	}
	if n.Namespace != "FHIR" && systemTypes[n.Name] {
		t.system = n.Name
	}
	if t.fhir == nil && t.system == "" && n.Namespace != "System" && c.x.model != nil {
		t.unknown = failf(pos, "there is no type %s", n)
	}
	return t
}

// matches reports whether it has the type. exact asks for the very type of a primitive: a code is a string, but ofType(string)
// does not select it.
func (t *typeSpec) matches(it *item, exact bool) (bool, error) {
	if t.unknown != nil {
		return false, t.unknown
	}
	if it.node == nil {
		return t.system != "" && (it.val.Type() == t.system || t.system == "Any"), nil
	}
	if it.typ == nil && !t.systemOnly {
		if r := it.node.ResourceType(); r != "" {
			return r == t.name, nil
		}
		return false, fmt.Errorf("%w: the type of %s is not known", ErrNotChecked, it.node.Expression())
	}
	if t.systemOnly {
		return false, nil
	}
	if t.fhir == nil {
		return t.fhirByName(it.typ), nil
	}
	if exact && it.typ.Kind == PrimitiveType {
		return it.typ == t.fhir, nil
	}
	return it.typ.Is(t.fhir), nil
}

// fhirByName serves expressions compiled without a model on elements whose type the caller gave.
func (t *typeSpec) fhirByName(typ *Type) bool {
	if t.system != "" {
		return false
	}
	for ; typ != nil; typ = typ.Base {
		if typ.Name == t.name {
			return true
		}
	}
	return false
}
