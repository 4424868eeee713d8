package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func run(t *testing.T, path, got string, write bool) (failed string) {
	r := &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		failed = r.failed
	}()
	check(r, path, []byte(got), write)
	return r.failed
}

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "x.txt")
	if got := run(t, path, "a\n", false); !strings.Contains(got, "-update") {
		t.Errorf("missing file: %q", got)
	}
	if got := run(t, path, "a\nb\n", true); got != "" {
		t.Errorf("update failed: %q", got)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "a\nb\n" {
		t.Errorf("wrote %q, error %v", b, err)
	}
	if got := run(t, path, "a\nb\n", false); got != "" {
		t.Errorf("equal content failed: %q", got)
	}
	for _, bad := range []string{"a\nc\n", "a\nb", "a\nb\nc\n", ""} {
		if got := run(t, path, bad, false); !strings.Contains(got, "differs") {
			t.Errorf("%q passed: %q", bad, got)
		}
	}
}
