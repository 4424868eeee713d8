package reference_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"testing"
)

// examplesOf reads examples out of a guide's package, in the order asked for.
func examplesOf(t *testing.T, file string, names ...string) []string {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no package to take examples from: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(names))
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.Index(names, path.Base(h.Name)); i >= 0 {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = string(b)
		}
	}
	if slices.Contains(out, "") {
		t.Fatalf("%s lacks one of %v", path.Base(file), names)
	}
	return out
}
