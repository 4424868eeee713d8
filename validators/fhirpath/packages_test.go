package fhirpath_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
)

type constraint struct{ Key, Expression string }

type profiled struct {
	ResourceType, URL, Type string
	Snapshot                struct {
		Element []struct {
			ID, Path   string
			Constraint []constraint
		}
	}
}

// packageFiles calls use with each JSON file of a package.
func packageFiles(t testing.TB, path string, use func(name string, src []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		src, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		use(h.Name, src)
	}
}

// Every invariant of the packages compiles, and evaluates on the resources in them without an error.
func TestInvariantsOfThePackages(t *testing.T) {
	dir := shared(t, "fhir-packages")
	m := r4Model(t)
	list, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	compiled := map[string]*fhirpath.Expr{}
	roots := map[string]map[string]*fhirpath.Expr{}
	evaluated, failed := 0, 0
	for _, pkg := range list {
		if strings.Contains(pkg, "terminology") {
			continue
		}
		packageFiles(t, pkg, func(name string, src []byte) {
			if !strings.Contains(name, "StructureDefinition-") {
				return
			}
			var sd profiled
			if err := json.Unmarshal(src, &sd); err != nil {
				return
			}
			for _, e := range sd.Snapshot.Element {
				for _, c := range e.Constraint {
					if c.Expression == "" {
						continue
					}
					x, seen := compiled[c.Expression]
					if !seen {
						var err error
						if x, err = fhirpath.Compile(c.Expression, m); err != nil {
							t.Errorf("%s %s %s: %s: %v", filepath.Base(pkg), e.ID, c.Key, c.Expression, err)
						}
						compiled[c.Expression] = x
					}
					if x != nil && !strings.Contains(e.Path, ".") {
						if roots[sd.Type] == nil {
							roots[sd.Type] = map[string]*fhirpath.Expr{}
						}
						roots[sd.Type][c.Key+" "+c.Expression] = x
					}
				}
			}
		})
	}
	// Rules that the guides publish and that no engine can take literally; errata replace them.
	broken := map[string]bool{"telecom or endpoint": true}
	everything, err := fhirpath.Compile("$this | descendants()", m)
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range list {
		if strings.Contains(pkg, "terminology") || strings.Contains(pkg, "r4.core") {
			continue
		}
		packageFiles(t, pkg, func(name string, src []byte) {
			if !strings.Contains(name, "/example") || len(src) > 60_000 {
				return
			}
			root := fhirjson.Parse(src).Root()
			all, err := everything.Eval(t.Context(), root, fhirpath.Env{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, v := range all {
				e, ok := v.(value.Element)
				if !ok || e.FHIRType == "" {
					continue
				}
				typ, _ := m.Type(e.FHIRType)
				for key, x := range roots[e.FHIRType] {
					evaluated++
					_, err := x.Truth(t.Context(), e.Node, fhirpath.Env{FocusType: typ})
					if err != nil {
						failed++
					}
					if err != nil && !errors.Is(err, fhirpath.ErrNotChecked) && !broken[x.String()] {
						t.Errorf("%s: %s: %s: %v", filepath.Base(name), e.Node.Expression(), key, err)
					}
				}
			}
		})
	}
	t.Logf("%d expressions compiled, %d evaluations, %d not checked", len(compiled), evaluated, failed)
}
