package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/text/encoding/unicode"
)

// TestPlainText: a HAR is read as tools and shells leave it.
func TestPlainText(t *testing.T) {
	const text = `{"log":{"comment":"Müller"}}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"as it is": text, "byte order mark": "\ufeff" + text, "UTF-16": wide, "gzip": packed.String()} {
		r, err := plainText(strings.NewReader(in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for in, want := range map[string]string{"": "the file is empty", "GET / HTTP/1.1": "it is no JSON object", "\x1f\x8bx": "EOF", "[]": "it is no JSON object"} {
		if _, err := plainText(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// TestBodiesThatAFileDoesNotHave: a check on one is not decided, neither for nor against.
func TestBodiesThatAFileDoesNotHave(t *testing.T) {
	e := `{"startedDateTime":"2025-01-15T12:00:00Z","time":1,"request":{"method":"GET","url":"https://payer.example/fhir/Patient/1","headers":[]},"response":{"status":200,"headers":[{"name":"Content-Type","value":"application/fhir+json"}],"content":{"size":99,"mimeType":"application/fhir+json"}}}`
	code, out, errs := judgedFile(t, `{"log":{"entries":[`+e+`]}}`)
	if code != exitFine || !strings.Contains(out, "not-checked  patient: the body was not kept: the file has its size and not its text") {
		t.Errorf("%d, %s, %s", code, out, errs)
	}
	code, out, errs = judgedFile(t, `{"log":{"entries":[`+strings.Replace(e, `"size":99`, `"size":0`, 1)+`]}}`)
	if code != exitFindings || !strings.Contains(out, "the response has no body") {
		t.Errorf("%d, %s, %s", code, out, errs)
	}
}

// TestJudgedWindow: verdicts on nothing are not taken for verdicts on the traffic.
func TestJudgedWindow(t *testing.T) {
	entry := func(own string) string {
		return `{"log":{"entries":[{"startedDateTime":"2025-01-15T12:00:00Z","time":1,"request":{"method":"GET","url":"https://payer.example/fhir/Patient/1","headers":[]},"response":{"status":200,"headers":[],"content":{"size":2,"text":"{}"}}` + own + `}]}}`
	}
	ours := entry(`,"_fhirwire":{"id":"0194a3c8-0000-7000-8000-000000000001","channel":"a~b","times":{"Start":"2025-01-15T12:00:00Z"},"request":{"body":{}},"response":{"body":{"Size":2,"Stored":2,"Redacted":true,"Complete":true}}}`)
	for _, tt := range []struct {
		name, text string
		args       []string
		code       int
		want       string // on stderr
	}{
		{"the channel of the file", ours, []string{"--channel", "a~b"}, exitFine, ""},
		{"another channel", ours, []string{"--channel", "c~d"}, exitUsage, `none of the file's exchanges is of "c~d"; there is a~b`},
		{"a file without channels", entry(""), []string{"--channel", "c~d"}, exitUsage, "the file names none for its exchanges"},
		{"a window with nothing in it", ours, []string{"--since", "2025-01-16"}, exitFine, "none of the 1 exchanges began in the window"},
		{"a window with something in it", ours, []string{"--since", "2025-01-15", "--until", "2025-01-16"}, exitFine, ""},
		{"a window that ends first", ours, []string{"--since", "2h", "--until", "3h"}, exitUsage, "--until: the window ends before it begins"},
	} {
		code, out, errs := judgedFile(t, tt.text, tt.args...)
		if code != tt.code || tt.want == "" && (errs != "" || !strings.Contains(out, "patient: the body of 2 bytes was not stored")) || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit %d, %q, %q", tt.name, code, out, errs)
		}
	}
}

// TestJudgeStopped: Ctrl-C while a file is read is told as that.
func TestJudgeStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const entry = `{"startedDateTime":"2025-01-15T12:00:00Z","time":1,"request":{"method":"GET","url":"https://payer.example/fhir/Patient/1","headers":[]},"response":{"status":200,"headers":[],"content":{"size":2,"text":"{}"}}}`
	in := io.MultiReader(strings.NewReader(`{"log":{"entries":[`+entry+","), readerFunc(func(b []byte) (int, error) {
		stop()
		return copy(b, entry+`]}}`), io.EOF
	}))
	var out, errs bytes.Buffer
	p := &process{stdin: in, stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
	code := runMain(ctx, p, []string{"judge", "us-core-3-1-1-server", "--har", "-", "--data", t.TempDir()})
	if code != exitUsage || out.Len() > 0 || !strings.Contains(errs.String(), "stopped after ") {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// judgedFile judges a HAR by a plan of one read.
func judgedFile(t *testing.T, text string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	plan, file := filepath.Join(dir, "plan.yaml"), filepath.Join(dir, "t.har")
	const source = `plan: own
title: A read
track: Own
roles: {client: Client, server: Server}
steps:
  - step: read
    title: Read
    claim: It is answered
    requirements: [OWN-1]
    select: {kind: [read]}
    checks:
      - {check: patient, claim: It is a patient, side: server, fhirpath: {on: response, expr: "$this is Patient"}}
`
	if err := errors.Join(os.WriteFile(plan, []byte(source), 0o600), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return atOnce(t, append([]string{"judge", plan, "--har", file, "--data", dir}, args...)...)
}
