package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestProgress: a folder of many files shows a count on a terminal, and nothing elsewhere.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	for i := range 10_000 {
		name := filepath.Join(dir, fmt.Sprintf("%05d.json", i))
		if err := os.WriteFile(name, []byte(`{"resourceType":"Patient","active":true}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, terminal := range []bool{true, false} {
		var stdout, stderr bytes.Buffer
		var tick atomic.Int64
		p := &process{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, terminal: terminal,
			now: func() time.Time { return time.Unix(tick.Add(1), 0) },
		}
		if code := runMain(t.Context(), p, []string{"validate", "--data", filepath.Join(dir, "none"), dir}); code != exitFine {
			t.Fatalf("exit %d: %s", code, stderr.String())
		}
		if want := "10000 resources validated: no errors, 0 warnings, 0 not checked.\n"; stdout.String() != want {
			t.Errorf("stdout %q", stdout.String())
		}
		shown := stderr.String()
		switch {
		case terminal && (strings.Count(shown, "\r") < 10 || !strings.Contains(shown, "\r9984 resources validated") || !strings.HasSuffix(shown, "\r\x1b[K")):
			t.Errorf("a terminal is shown %q", shown)
		case !terminal && shown != "":
			t.Errorf("a pipe is shown %q", shown)
		}
	}
}
