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

// largeBundle is a Bundle above largeInput in which the last entry refers to the first, and has an error.
func largeBundle(meta string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle",` + meta + `"type":"collection","entry":[`)
	text := strings.Repeat("x", 2000)
	i := 0
	for ; b.Len() <= largeInput; i++ {
		fmt.Fprintf(&b, `{"fullUrl":"http://example.org/fhir/Patient/%d","resource":{"resourceType":"Patient","id":"%d","name":[{"text":"%s"}]}},`+"\n", i, i, text)
	}
	fmt.Fprintf(&b, `{"fullUrl":"http://example.org/fhir/Observation/%d","resource":{"resourceType":"Observation","id":"%d","status":"final","code":{"text":"x"},
		"subject":{"reference":"Patient/0"},"device":{"reference":"Patient/0"}}}],"total":1}`, i, i)
	return b.Bytes()
}

// TestLargeBundle: a large Bundle gives the same from a file, from a pipe and, where its profile asks for that, read as a whole.
func TestLargeBundle(t *testing.T) {
	dir := t.TempDir()
	run := func(stdin []byte, args ...string) (stdout, stderr string) {
		var out, errs bytes.Buffer
		p := &process{
			stdin: bytes.NewReader(stdin), stdout: &out, stderr: &errs, getenv: func(string) string { return "" },
			now: func() time.Time { return time.Unix(0, 0) },
		}
		args = append([]string{"validate", "--data", filepath.Join(dir, "none"), "--jobs", "2"}, args...)
		if code := runMain(t.Context(), p, args); code != exitFindings {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
		return out.String(), errs.String()
	}
	name := filepath.Join(dir, "large.json")
	src := largeBundle("")
	if err := os.WriteFile(name, src, 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile, said := run(nil, "--format", "ndjson", name)
	if said != "" {
		t.Errorf("stderr %q", said)
	}
	for _, want := range []string{
		`"expression":"Bundle.entry[`, `resource.device"`, `"messageId":"reference-target"`, `"constraint":"bdl-1"`, `"errors":2,`,
	} {
		if !strings.Contains(fromFile, want) {
			t.Errorf("no %s in %.400s", want, fromFile)
		}
	}
	fromPipe, _ := run(src, "--format", "ndjson", "-")
	if got := strings.ReplaceAll(fromPipe, `"source":"-"`, `"source":"`+name+`"`); got != fromFile {
		t.Errorf("the pipe gives %.400s, the file %.400s", got, fromFile)
	}
	covered, said := run(nil, "--coverage", "--profile", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0", name)
	if !strings.Contains(said, "1 resources deep in large Bundles") || !strings.Contains(covered, "Must-support coverage") {
		t.Errorf("coverage says %q, %.400s", said, covered)
	}
	var shown bytes.Buffer
	var tick atomic.Int64
	p := &process{
		stdin: bytes.NewReader(nil), stdout: new(bytes.Buffer), stderr: &shown, getenv: func(string) string { return "" }, terminal: true,
		now: func() time.Time { return time.Unix(tick.Add(1), 0) },
	}
	if code := runMain(t.Context(), p, []string{"validate", "--data", filepath.Join(dir, "none"), name}); code != exitFindings {
		t.Errorf("exit %d", code)
	}
	if said := shown.String(); !strings.Contains(said, "\r64 resources of large.json validated") || !strings.HasSuffix(said, "\r\x1b[K") {
		t.Errorf("a terminal is shown %.200q", said)
	}
	open := largeBundle(`"meta":{"profile":["http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/mtls-bundle"]},`)
	if _, said = run(open, "-"); !strings.Contains(said, "-: read into memory as a whole, 8 MB: which version of profile") {
		t.Errorf("stderr %q", said)
	}
}
