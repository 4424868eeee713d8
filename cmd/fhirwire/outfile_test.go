package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWriteWhole: a file is replaced at once or not at all, a link leads to what is replaced, and nothing is left beside it.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "out.txt"), filepath.Join(dir, "link")
	say := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			return errors.Join(err, werr)
		}
	}
	if err := writeWhole(file, say("one", nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := writeWhole(link, say("two", nil)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := writeWhole(file, say("three", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "two" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || !slices.EqualFunc(list, []string{"link", "out.txt"}, func(e os.DirEntry, name string) bool { return e.Name() == name }) {
		t.Errorf("in the folder: %v, %v", list, err)
	}
}

// TestInFlags: what is wrong with the connection is said in terms of the command line.
func TestInFlags(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	code, out, errs := atOnce(t, "run", "formulary-bulk-export", "--server", srv.URL+"/fhir")
	if code != exitUsage || out != "" || !strings.Contains(errs, "--ca FILE") || strings.Contains(errs, "server system") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}
