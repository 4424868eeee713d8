package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "fhirwire/"

func TestImportsFollowTheLayers(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	seen := 0
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		seen++
		checkFile(t, root, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d files were seen: the walk starts at the wrong place", seen)
	}
}

func checkFile(t *testing.T, root fs.FS, file string) {
	t.Helper()
	src, err := fs.ReadFile(root, file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	from := path.Dir(file)
	if _, mapped := allowed(from, from); !mapped {
		t.Errorf("%s: package %s is not in the layer table of internal/arch", file, from)
		return
	}
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if forbidden(from, imported) {
			t.Errorf("%s imports %s, which its layer must not", file, imported)
		}
		to, ours := strings.CutPrefix(imported, module)
		if !ours {
			if (from == "proxy" || from == "validators") && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s: words import the standard library only", file, imported)
			}
			continue
		}
		if ok, _ := allowed(from, to); !ok {
			t.Errorf("%s imports %s, which its layer must not", file, to)
		}
	}
}

func TestTableRefusesWhatItShould(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"proxy", "validators", false},
		{"validators/instance", "validators/guides", true},
		{"validators/guides", "validators/instance", false},
		{"reference", "proxy", false},
		{"web/views", "proxy", false},
		{"internal/pipeline", "internal/store", false},
		{"cmd/fhirwire", "internal/store", true},
		{"web", "cmd/fhirwire", false},
	} {
		if got, mapped := allowed(tt.from, tt.to); got != tt.want || !mapped {
			t.Errorf("%s imports %s: allowed %v, mapped %v", tt.from, tt.to, got, mapped)
		}
	}
}
