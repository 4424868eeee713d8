package golden

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files under testdata")

// Check fails t when got differs from testdata/name, showing the first line that differs. With -update it writes the file.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	check(t, filepath.Join("testdata", filepath.FromSlash(name)), got, *update)
}

func check(t testing.TB, path string, got []byte, write bool) {
	t.Helper()
	if write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s does not exist; run the test with -update to write it", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	line, w, g := firstDifference(want, got)
	t.Errorf("%s: line %d differs\nwant: %q\ngot:  %q\n(run with -update to rewrite the file)", path, line, w, g)
}

// firstDifference finds the first line, counted from 1, in which the two differ.
func firstDifference(want, got []byte) (line int, w, g []byte) {
	for line = 1; ; line++ {
		var wok, gok bool
		w, want, wok = bytes.Cut(want, []byte("\n"))
		g, got, gok = bytes.Cut(got, []byte("\n"))
		if !bytes.Equal(w, g) || wok != gok || !wok {
			return line, w, g
		}
	}
}
