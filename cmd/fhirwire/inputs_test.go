package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func gzipped(t *testing.T, src []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(src)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func validated(t *testing.T, stdin []byte, args ...string) (code int, stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{
		stdin: bytes.NewReader(stdin), stdout: &out, stderr: &errs, getenv: func(string) string { return "" },
		now: func() time.Time { return time.Unix(0, 0) },
	}
	code = runMain(t.Context(), p, append([]string{"validate", "--data", filepath.Join(t.TempDir(), "none"), "--jobs", "2"}, args...))
	if errs.Len() > 0 {
		t.Errorf("stderr %q", errs.String())
	}
	return code, out.String()
}

// TestGzippedInputs: what a bulk export gave is validated as it was stored, with the places in what is inside.
func TestGzippedInputs(t *testing.T) {
	dir := t.TempDir()
	good, bad := `{"resourceType":"Patient","id":"a","active":true}`, `{"resourceType":"Patient","id":"b","active":7}`
	lines := []byte(good + "\n" + bad + "\n")
	for name, src := range map[string][]byte{"Patient.ndjson.gz": gzipped(t, lines), "one.JSON.GZ": gzipped(t, []byte(bad)), "notes.gz": gzipped(t, []byte("x"))} {
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, got := validated(t, nil, dir)
	if code != exitFindings || !strings.Contains(got, "Patient.ndjson.gz:2:") || !strings.Contains(got, "one.JSON.GZ:1:") || !strings.Contains(got, "3 resources validated: 2 errors") {
		t.Errorf("exit %d: %s", code, got)
	}
	if code, got = validated(t, gzipped(t, lines), "-"); code != exitFindings || !strings.Contains(got, "-:2:") {
		t.Errorf("standard input, exit %d: %s", code, got)
	}
	large := largeBundle("")
	_, plain := validated(t, large, "--format", "ndjson", "-")
	if _, got = validated(t, gzipped(t, large), "--format", "ndjson", "-"); got != plain {
		t.Errorf("a large Bundle gives %.300s, and without gzip %.300s", got, plain)
	}
}

// TestUnlistedFindings: what is counted and not listed is said in every format.
func TestUnlistedFindings(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Patient","name":[{"nope":1}`)
	for range 1100 {
		b.WriteString(`,{"nope":1}`)
	}
	b.WriteString(`]}`)
	_, text := validated(t, b.Bytes(), "-")
	_, line := validated(t, b.Bytes(), "--format", "ndjson", "-")
	var l resultLine
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		t.Fatal(err)
	}
	if l.IssuesCut == 0 || l.Errors <= len(l.Issues) {
		t.Fatalf("%d errors, %d issues, %d cut", l.Errors, len(l.Issues), l.IssuesCut)
	}
	if want := fmt.Sprintf("Not listed: %d findings", l.IssuesCut); !strings.Contains(text, want) {
		t.Errorf("no %q in the text's end: %s", want, text[max(0, len(text)-200):])
	}
	if _, outcome := validated(t, b.Bytes(), "--format", "json", "-"); !strings.Contains(outcome, fmt.Sprintf("Not listed: %d further findings", l.IssuesCut)) {
		t.Error("the OperationOutcome does not say that findings are not listed")
	}
}
