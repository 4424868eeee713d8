package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// example is a change to something sound that breaks a rule: a replacement, or a change in words of the test. Where a test says it
// otherwise it is the test's name.
type example struct {
	base          string
	before, after string
	change        string
	test          string
}

// examplesIn reads the examples of rules from the test files of a folder. It knows these forms, where rule is the literal id:
//
//	{rule, base, "before", "after"}                      a row of a table
//	{rule, "base", swap…("before", "after")}             a row with a replacement
//	{rule, "base", func(e *T) { change }}                a row with any other change, as are calls of other functions
//	rule: strings.Replace(base, "before", "after", 1)    an entry of a map
func examplesIn(dir string, rules []ruleRow) (map[string][]example, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	r := reader{ids: map[string]bool{}, found: map[string][]example{}, named: map[string][]example{}, aside: map[string][]example{}}
	for _, rule := range rules {
		r.ids[rule.ID] = true
	}
	slices.Sort(files)
	for _, name := range files {
		r.fset = token.NewFileSet()
		f, err := parser.ParseFile(r.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("examples: %w", err)
		}
		ast.Inspect(f, r.visit)
		r.mentions(f)
	}
	for _, second := range []map[string][]example{r.named, r.aside} {
		for id, tests := range second {
			if len(r.found[id]) == 0 {
				r.found[id] = tests
			}
		}
	}
	return r.found, nil
}

// mentions notes the tests that name a rule: what is an example of it has no row where it takes more than one change. A test that
// has rows may name the others for its own reasons, and is the last resort.
func (r *reader) mentions(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(fn.Name.Name, "Test") {
			continue
		}
		rows := reader{fset: r.fset, ids: r.ids, found: map[string][]example{}}
		named := r.named
		if ast.Inspect(fn, rows.visit); len(rows.found) > 1 {
			named = r.aside
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			x := example{test: fn.Name.Name}
			if lit, ok := n.(*ast.BasicLit); ok && r.ids[text(lit)] && !slices.Contains(named[text(lit)], x) {
				named[text(lit)] = append(named[text(lit)], x)
			}
			return true
		})
	}
}

type reader struct {
	fset  *token.FileSet
	ids   map[string]bool
	found map[string][]example
	// named and aside are the tests that name a rule, without and with rows of their own.
	named, aside map[string][]example
}

func (r *reader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if n.Type == nil && len(n.Elts) >= 3 && r.ids[text(n.Elts[0])] {
			r.row(text(n.Elts[0]), n.Elts[1:])
			return false
		}
	case *ast.KeyValueExpr:
		if call, ok := n.Value.(*ast.CallExpr); ok && r.ids[text(n.Key)] && len(call.Args) == 4 && r.source(call.Fun) == "strings.Replace" {
			r.row(text(n.Key), call.Args[:3])
			return false
		}
	}
	return true
}

func (r *reader) row(id string, cols []ast.Expr) {
	x := example{base: text(cols[0])}
	if x.base == "" {
		x.base = r.source(cols[0])
	}
	switch change := cols[1].(type) {
	case *ast.FuncLit:
		x.change = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(r.source(change.Body), "{"), "}"))
	case *ast.CallExpr:
		if len(change.Args) != 2 || !strings.HasPrefix(r.source(change.Fun), "swap") {
			x.change = r.source(change)
			break
		}
		x.before, x.after = r.value(change.Args[0]), r.value(change.Args[1])
	default:
		if len(cols) < 3 {
			return
		}
		x.before, x.after = r.value(cols[1]), r.value(cols[2])
	}
	r.found[id] = append(r.found[id], x)
}

// text is a string literal's value, "" for anything else.
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}

// value is what an expression of literals gives; what is computed is shown as written.
func (r *reader) value(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return text(e)
	case *ast.BinaryExpr:
		return r.value(e.X) + r.value(e.Y)
	}
	return "{" + r.source(e) + "}"
}

func (r *reader) source(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, r.fset, n); err != nil {
		return ""
	}
	return b.String()
}
