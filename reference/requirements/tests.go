package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// citation is a test that says it holds a requirement.
type citation struct {
	pkg, test string // "./reference", "TestFormularySearch"
}

func (c citation) String() string { return strings.TrimPrefix(c.pkg, "./") + " " + c.test }

// more is what may follow an id: "to FORM-SP-27", "to 27", ", 05", "and 05".
var more = regexp.MustCompile(`^(?:\s+(to)\s+|,\s*|\s+and\s+)(?:([A-Z0-9]+(?:-[A-Z]+)*)-)?([0-9]{2,3})\b`)

// mentioned are the ids in a text, ranges and enumerations spelled out.
func mentioned(text string) []string {
	var out []string
	for _, at := range idPattern.FindAllStringIndex(text, -1) {
		id := text[at[0]:at[1]]
		out = append(out, id)
		cut := strings.LastIndexByte(id, '-')
		prefix, last := id[:cut], number(id[cut+1:])
		for rest := text[at[1]:]; ; {
			m := more.FindStringSubmatch(rest)
			if m == nil || m[2] != "" && m[2] != prefix {
				break
			}
			n := number(m[3])
			if m[1] == "" {
				last = n - 1
			}
			for i := last + 1; i <= n; i++ {
				out = append(out, fmt.Sprintf("%s-%0*d", prefix, len(m[3]), i))
			}
			last = n
			rest = rest[len(m[0]):]
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // the pattern lets digits through only
	return n
}

// readTests collects what the tests below root cite, by id. Comments and strings count for the test function they belong to;
// those outside of one for the next test function of the file.
func readTests(root string) (map[string][]citation, error) {
	out := map[string][]citation{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, "_test.go"):
			return nil
		case strings.Contains(filepath.ToSlash(path), "reference/requirements/"):
			return nil // ids there are examples
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return readTestFile(path, "./"+filepath.ToSlash(rel), out)
	})
	for id := range out {
		slices.SortFunc(out[id], func(a, b citation) int { return strings.Compare(a.String(), b.String()) })
		out[id] = slices.Compact(out[id])
	}
	return out, err
}

func readTestFile(path, pkg string, out map[string][]citation) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("test file: %w", err)
	}
	var tests []*ast.FuncDecl
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) && f.Name.Name != "TestMain" {
			tests = append(tests, f)
		}
	}
	cite := func(text string, pos token.Pos) {
		ids := mentioned(text)
		if len(ids) == 0 {
			return
		}
		line := fset.Position(pos).Line
		i := slices.IndexFunc(tests, func(f *ast.FuncDecl) bool { return fset.Position(f.End()).Line >= line })
		if i < 0 {
			return // behind the last test: no test's claim
		}
		for _, id := range ids {
			out[id] = append(out[id], citation{pkg, tests[i].Name.Name})
		}
	}
	for _, group := range file.Comments {
		cite(strings.Join(strings.Fields(group.Text()), " "), group.Pos()) // a range may go over a line's end
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			cite(lit.Value, lit.Pos())
		}
		return true
	})
	return nil
}
