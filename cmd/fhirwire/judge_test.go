package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/testplans"
)

// lockedBuffer is written by a running command and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestJudgeOfHARIsThatOfTheStore records the demo, exports it, and judges both: every verdict, message and piece of evidence is the same.
func TestJudgeOfHARIsThatOfTheStore(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the demo")
	}
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "demo.har")
	var out lockedBuffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }, now: time.Now}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan int, 1)
	go func() {
		served <- runMain(ctx, p, []string{"serve", "--demo", "--data", data, "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--reference-listen", "127.0.0.1:0", "--log-level", "error"})
	}()
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(out.String(), "Demo played"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo did not end: %s", out.String())
		}
	}
	stop()
	if code := <-served; code != exitFine {
		t.Fatalf("serve ended with %d: %s", code, out.String())
	}

	runCommand(t, exitFine, "har", "export", "--data", data, "--filter", "channel:demo-client~reference", "--out", file)
	attest := []string{"--attest", "mtls/connected=Track lead", "--format", "json", "--data", data}
	live := judged(t, append([]string{"judge", "payer-to-payer-stu2", "--channel", "demo-client~reference"}, attest...))
	offline := judged(t, append([]string{"judge", "payer-to-payer-stu2", "--har", file}, attest...))
	if len(live) != len(offline) {
		t.Fatalf("%d results live, %d offline", len(live), len(offline))
	}
	passes := 0
	for i := range live {
		a, b := live[i], offline[i]
		if a.Verdict == testplans.Pass {
			passes++
		}
		if a.Kind != b.Kind && (a.Kind != testplans.Simulated || b.Kind != testplans.Imported) {
			t.Errorf("%s/%s: evidence %s live, %s offline", a.Step, a.Check, a.Kind, b.Kind)
		}
		a.Kind, a.Digest, b.Kind, b.Digest = "", "", "", ""
		x, y := plainJSON(t, a), plainJSON(t, b)
		if x != y {
			t.Errorf("%s/%s differs:\nlive    %s\noffline %s", a.Step, a.Check, x, y)
		}
	}
	if passes < 30 {
		t.Errorf("only %d parts pass: the demo shows more", passes)
	}
}

func runCommand(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
	if code := runMain(t.Context(), p, args); code != want {
		t.Fatalf("%v: exit %d, want %d: %s", args, code, want, errs.String())
	}
	return out.String()
}

func judged(t *testing.T, args []string) []testplans.Result {
	t.Helper()
	var answer struct{ Results []testplans.Result }
	if err := json.Unmarshal([]byte(runCommand(t, exitFine, args...)), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Results
}

func plainJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
