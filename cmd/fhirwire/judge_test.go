package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
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
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: unlimited, now: time.Now}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan int, 1)
	go func() {
		served <- runMain(ctx, p, []string{"serve", "--demo", "--data", data, "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--reference-listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--forward-listen", "127.0.0.1:0", "--log-level", "error"})
	}()
	for deadline := time.Now().Add(patience); !strings.Contains(out.String(), "Demo played"); time.Sleep(50 * time.Millisecond) {
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
	live := judged(t, exitFine, append([]string{"judge", "payer-to-payer-stu2", "--channel", "demo-client~reference"}, attest...))
	offline := judged(t, exitFine, append([]string{"judge", "payer-to-payer-stu2", "--har", file}, attest...))
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
	importing(t, dir, data, file)
}

// importing brings the export back, which changes nothing, and another tool's HAR, whose secrets must not arrive.
func importing(t *testing.T, dir, data, exported string) {
	t.Helper()
	const channel = "newman~reference"
	if out := runCommand(t, exitFine, "har", "import", exported, "--channel", channel, "--data", data); !strings.HasPrefix(out, "0 exchanges imported") {
		t.Errorf("the store's own exchanges were imported again: %s", out)
	}
	other := filepath.Join(dir, "other.har")
	if err := os.WriteFile(other, []byte(otherHAR), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 exchanges imported into newman~reference, 0 were there already", "0 exchanges imported into newman~reference, 2 were there already"} {
		if out := runCommand(t, exitFine, "har", "import", other, "--channel", channel, "--data", data); strings.TrimSpace(out) != want {
			t.Errorf("%s, want %s", out, want)
		}
	}
	text := runCommand(t, exitFine, "har", "export", "--data", data, "--filter", "channel:"+channel)
	if strings.Contains(text, "s3cr3t") || strings.Count(text, `"id":"01946`) != 2 {
		t.Errorf("the imported exchanges are not as they should be: %s", text)
	}
	for _, r := range judged(t, exitFindings, []string{"judge", "payer-to-payer-stu2", "--channel", channel, "--data", data, "--format", "json"}) {
		if r.Step == "token" && r.Check == "access-token" && (r.Verdict != testplans.Pass || len(r.Evidence) != 1) {
			t.Errorf("the imported token request is judged %s: %s", r.Verdict, r.Message)
		}
	}
	runCommand(t, exitUsage, "har", "import", other, "--channel", "nobody~nothing", "--data", data)
}

const otherHAR = `{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[
{"startedDateTime":"2025-01-15T12:00:00Z","time":5,"request":{"method":"POST","url":"https://payer.example/oauth/token","httpVersion":"HTTP/1.1","headers":[{"name":"Content-Type","value":"application/x-www-form-urlencoded"}],"postData":{"mimeType":"application/x-www-form-urlencoded","text":"grant_type=client_credentials&client_id=a&client_secret=s3cr3t-a"}},"response":{"status":200,"headers":[{"name":"Content-Type","value":"application/json"}],"content":{"text":"{\"access_token\":\"s3cr3t-b\",\"token_type\":\"bearer\"}"}}},
{"startedDateTime":"2025-01-15T12:00:01Z","time":5,"request":{"method":"GET","url":"https://payer.example/fhir/Patient?name=x","httpVersion":"HTTP/1.1","headers":[{"name":"Authorization","value":"Bearer s3cr3t-b"},{"name":"Cookie","value":"session=s3cr3t-c"}]},"response":{"status":200,"headers":[{"name":"Content-Type","value":"application/fhir+json"}],"content":{"text":"{}"}}}
]}}`

func runCommand(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
	if code := runMain(t.Context(), p, args); code != want {
		t.Fatalf("%v: exit %d, want %d: %s", args, code, want, errs.String())
	}
	return out.String()
}

func judged(t *testing.T, want int, args []string) []testplans.Result {
	t.Helper()
	var answer struct{ Results []testplans.Result }
	if err := json.Unmarshal([]byte(runCommand(t, want, args...)), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Results
}

func plainJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
