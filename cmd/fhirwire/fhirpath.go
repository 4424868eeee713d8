package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
	"fhirwire/validators/instance"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

func runFHIRPath(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "fhirpath", "[--context EXPR] EXPR [FILE|-]", "Evaluates FHIRPath (R4) on a resource; \"-\" is standard input, and without a file the input is empty.\n"+
		"Prints one line per result, with its type and its value as written. An expression that starts with a minus follows \"--\".\n"+
		"Exit code 2 when the expression is wrong, 1 when its evaluation fails.\n")
	contextExpr := fs.String("context", "", "`EXPR` whose results are the starting points; default: the resource")
	data := fs.String("data", dataDir(p), "`DIR` that holds added packages")
	rest, err := parseFlags(fs, guardMinus(args))
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) == 0:
		return exitUsage, usagef("name an expression")
	case len(rest) > 2:
		return exitUsage, usagef("unexpected argument %q", rest[2])
	}
	lib, err := loadLibrary(*data)
	if err != nil {
		return exitUsage, err
	}
	set, err := lib.Set()
	if err != nil {
		return exitUsage, err
	}
	var root *fhirjson.Node
	if len(rest) == 2 {
		if root, err = readResource(rest[1], p); err != nil {
			return exitUsage, err
		}
	}
	e := newEvaluation(p, set, root)
	starts, err := e.starts(ctx, *contextExpr)
	if err == nil {
		err = e.compile(rest[0], starts)
	}
	if err != nil {
		return e.failed(err)
	}
	w := bufio.NewWriter(p.stdout)
	for _, s := range starts {
		results, err := e.eval(ctx, e.expr, s)
		for _, v := range results {
			if err := printValue(w, v); err != nil {
				return exitUsage, err
			}
		}
		if err != nil {
			if err := w.Flush(); err != nil {
				return exitUsage, err
			}
			return e.failed(err)
		}
	}
	return exitFine, w.Flush()
}

// guardMinus keeps an expression such as -1 from being taken for a flag: flags start with a letter.
func guardMinus(args []string) []string {
	var out []string
	for i, a := range args {
		if len(a) > 1 && a[0] == '-' && (i == 0 || args[i-1] != "--") && strings.ContainsAny(a[1:2], "0123456789(@'%`$") {
			out = append(out, "--")
		}
		out = append(out, a)
	}
	return out
}

func readResource(name string, p *process) (*fhirjson.Node, error) {
	var src []byte
	var err error
	if name == "-" {
		src, err = io.ReadAll(p.stdin)
	} else {
		src, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	doc := fhirjson.Parse(src)
	for _, problem := range doc.Problems() {
		if problem.ID == fhirjson.ProblemBOM || problem.ID == fhirjson.ProblemDuplicate {
			continue
		}
		at := doc.Position(problem.Offset)
		return nil, fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, problem.Text)
	}
	return doc.Root(), nil
}

// start is where an evaluation begins; the zero start is empty input.
type start struct {
	node *fhirjson.Node
	typ  *fhirpath.Type
}

type evaluation struct {
	p    *process
	set  *profile.Set
	root *fhirjson.Node
	env  fhirpath.Env
	expr *fhirpath.Expr
}

func newEvaluation(p *process, set *profile.Set, root *fhirjson.Node) *evaluation {
	e := &evaluation{p: p, set: set, root: root}
	terms := &answers{set: set, validator: instance.New(set, set.Terms(), instance.Options{Now: p.now})}
	inBundle := &folderResolver{byReference: map[string]*fhirjson.Node{}}
	inBundle.addTree(root)
	e.env = fhirpath.Env{Resource: root, RootResource: root, Terminology: terms, Conformance: terms, Resolver: inBundle, Now: p.now, Trace: e.trace}
	return e
}

// starts evaluates the context expression on the resource.
func (e *evaluation) starts(ctx context.Context, expr string) ([]start, error) {
	at := start{node: e.root}
	if e.root != nil {
		at.typ, _ = e.set.Type(e.root.ResourceType())
	}
	if expr == "" {
		return []start{at}, nil
	}
	if err := e.compile(expr, []start{at}); err != nil {
		return nil, fmt.Errorf("--context: %w", err)
	}
	found, err := e.eval(ctx, e.expr, at)
	if err != nil {
		return nil, &evaluationError{fmt.Errorf("--context: %w", err)}
	}
	out := make([]start, 0, len(found))
	for _, v := range found {
		el, ok := v.(value.Element)
		if !ok {
			return nil, usagef("--context: col 1: it gives a System.%s; a context is an element", v.Type())
		}
		s := start{node: el.Node}
		s.typ, _ = e.set.Type(el.FHIRType)
		out = append(out, s)
	}
	return out, nil
}

// compile checks the expression against the types of all starting points.
func (e *evaluation) compile(expr string, at []start) error {
	var types []*fhirpath.Type
	for _, s := range at {
		if s.typ == nil {
			types = nil // one may be anything
			break
		}
		if !slices.Contains(types, s.typ) {
			types = append(types, s.typ)
		}
	}
	var err error
	e.expr, err = fhirpath.CompileFor(expr, e.set, types...)
	return err
}

// evaluationError marks an expression that is right and whose evaluation failed.
type evaluationError struct{ error }

func (e *evaluationError) Unwrap() error { return e.error }

func (e *evaluation) eval(ctx context.Context, x *fhirpath.Expr, s start) (value.Collection, error) {
	env := e.env
	env.Context, env.FocusType = s.node, s.typ
	got, err := x.Eval(ctx, s.node, env)
	if err != nil {
		return nil, &evaluationError{err}
	}
	return got, nil
}

// failed turns an error into its exit code, with one line on stderr.
func (e *evaluation) failed(err error) (int, error) {
	if _, ok := err.(*evaluationError); ok { //nolint:errorlint // it is the outermost by construction
		_, _ = fmt.Fprintf(e.p.stderr, "fhirwire fhirpath: %s\n", printable(oneLine(err)))
		return exitFindings, nil
	}
	return exitUsage, err
}

func (e *evaluation) trace(name string, c value.Collection) {
	for _, v := range c {
		line, err := valueLine(v)
		if err != nil {
			line = []byte(err.Error())
		}
		_, _ = fmt.Fprintf(e.p.stderr, "trace %s: %s\n", printable(name), line)
	}
}

func printValue(w *bufio.Writer, v value.Value) error {
	line, err := valueLine(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// valueLine is a result as documented: {"type":"FHIR.HumanName","value":{…}}.
func valueLine(v value.Value) ([]byte, error) {
	typ, raw := "System."+v.Type(), []byte(nil)
	switch x := v.(type) {
	case value.Element:
		typ = "FHIR." + elementType(x)
		raw = x.Node.Raw()
		if x.Node.IsTwin() { // no value: null, and what there is instead
			return line(typ, []byte("null"), raw)
		}
		if x.Node.Kind() == fhirjson.Null && x.Node.Twin() != nil {
			return line(typ, raw, x.Node.Twin().Raw())
		}
	case value.Boolean, value.Integer, value.Decimal:
		raw = []byte(v.String())
	default:
		var err error
		if raw, err = quoted(v.String()); err != nil {
			return nil, err
		}
	}
	return line(typ, raw, nil)
}

// elementType names backbone elements as FHIR does, and not by their path.
func elementType(e value.Element) string {
	switch {
	case strings.Contains(e.FHIRType, "."):
		return "BackboneElement"
	case e.FHIRType == "":
		return "Element"
	}
	return e.FHIRType
}

func line(typ string, raw, twin []byte) ([]byte, error) {
	name, err := quoted(typ)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`{"type":`)
	b.Write(name)
	b.WriteString(`,"value":`)
	if err := json.Compact(&b, raw); err != nil { // numbers and escapes stay as written
		return nil, fmt.Errorf("a result is not JSON: %w", err)
	}
	if twin != nil {
		b.WriteString(`,"element":`)
		if err := json.Compact(&b, twin); err != nil {
			return nil, fmt.Errorf("a result is not JSON: %w", err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func quoted(s string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// answers is what memberOf() and conformsTo() ask.
type answers struct {
	set       *profile.Set
	validator *instance.Validator
}

// MemberOf holds when one of the element's codes is in the value set.
func (a *answers) MemberOf(_ context.Context, item *fhirjson.Node, valueSet string) (bool, error) {
	why := ""
	for _, c := range codesOf(item) {
		system, code := c.MemberText("system"), c.MemberText("code")
		if c.IsPrimitive() {
			code = c.Text()
		}
		switch got := a.set.Terms().Member(valueSet, system, code); got.Value {
		case terminology.Yes:
			return true, nil
		case terminology.Unknown:
			why = got.Why
		case terminology.No:
		}
	}
	if why != "" {
		return false, fmt.Errorf("%w: %s", fhirpath.ErrNotChecked, why)
	}
	return false, nil
}

// codesOf are the Codings of a CodeableConcept, or the node itself.
func codesOf(item *fhirjson.Node) []*fhirjson.Node {
	if item.Member("coding") != nil {
		return item.AppendElements(nil, "coding")
	}
	return []*fhirjson.Node{item}
}

// ConformsTo validates a resource against a profile; what its own claims ask for does not count.
func (a *answers) ConformsTo(ctx context.Context, item *fhirjson.Node, canonical string) (bool, error) {
	def, ok := a.set.Profile(canonical)
	switch {
	case !ok:
		return false, fmt.Errorf("%w: %w", fhirpath.ErrNotChecked, a.set.Missing(canonical))
	case item.ResourceType() == "":
		return false, fmt.Errorf("%w: conformsTo() of a part of a resource", fhirpath.ErrNotChecked)
	case def.Type != item.ResourceType() && def.Type != "Resource" && def.Type != "DomainResource":
		return false, nil
	}
	rep, err := a.validator.Validate(ctx, item, canonical)
	if err != nil {
		return false, err
	}
	claimed := map[string]bool{}
	for _, c := range item.Member("meta").AppendElements(nil, "profile") {
		claimed[c.Text()] = true
	}
	for i := range rep.Issues {
		is := &rep.Issues[i]
		url, _, _ := strings.Cut(is.Profile, "|")
		if is.IsError() && (url == def.URL || !claimed[url] && !claimed[is.Profile]) {
			return false, nil
		}
	}
	return true, nil
}
