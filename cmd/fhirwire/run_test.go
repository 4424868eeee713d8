package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/play"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// played plays a built-in plan against the reference payer, whose members it fills in itself where no seeds are given.
func played(t testing.TB, lib *guides.Library, set *profile.Set, from *seeds, plan string, edges ...string) (*judgement, []play.Outcome) {
	t.Helper()
	p := &process{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), getenv: func(string) string { return "" }, now: time.Now}
	r := runner{p: p, f: runFlags{edges: edges, patience: 10 * time.Minute}, lib: lib, model: set, inputs: map[string]string{}, around: paced}
	if from != nil {
		r.members = from.put
	}
	if len(edges) == 0 {
		r.f.har = filepath.Join(t.TempDir(), "played.har")
	}
	var err error
	if r.plan, err = findPlan(plan, set); err != nil {
		t.Fatal(err)
	}
	j, err := r.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.f.har != "" {
		judgedAlike(t, &r, j)
	}
	return j, r.outcomes
}

func builtinGuides(t testing.TB) (*guides.Library, *profile.Set) {
	t.Helper()
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	return lib, set
}

// TestPlansPass plays every plan that can be played against the reference payer: each act is played, and nothing that a SHALL asks fails.
func TestPlansPass(t *testing.T) {
	if raceDetector {
		t.Skip("plays with the race detector take minutes; testplans/play is under it, and one run of the scripts")
	}
	lib, set := builtinGuides(t)
	all, err := builtinPlans(set)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, plan := range all {
		if plan.Play == nil {
			continue
		}
		n++
		t.Run(plan.ID, func(t *testing.T) {
			t.Parallel()
			j, outcomes := played(t, lib, set, nil, plan.ID)
			for _, o := range outcomes {
				if o.State != play.Played {
					t.Errorf("act %s %s: %s", o.Act, o.State, o.Why)
				}
			}
			for _, r := range j.results {
				switch {
				case r.Check != "" || r.Step == "":
					if r.Failed() || r.Verdict == testplans.ToolError {
						t.Errorf("%s/%s: %s %s", r.Step, r.Check, r.Verdict, r.Message)
					}
				case plan.Play.ShownBy(r.Step) == "":
				case r.Verdict != testplans.Pass && r.Verdict != testplans.PassNotes && r.Verdict != testplans.NotApplicable:
					t.Errorf("step %s: %s: %s", r.Step, r.Verdict, r.Message)
				}
				if r.Kind != testplans.Simulated && r.Kind != testplans.Attested {
					t.Errorf("evidence is %s, and one side is ours", r.Kind)
				}
			}
		})
	}
	if n == 0 {
		t.Error("no plan can be played")
	}
}

// TestStoppedRun: what was recorded before Ctrl-C is judged.
func TestStoppedRun(t *testing.T) {
	lib, set := builtinGuides(t)
	var stderr bytes.Buffer
	p := &process{stdout: new(bytes.Buffer), stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
	r := runner{p: p, f: runFlags{format: "text", out: filepath.Join(t.TempDir(), "out.txt"), patience: time.Minute}, lib: lib, model: set, inputs: map[string]string{}}
	var err error
	if r.plan, err = findPlan("provider-access-bulk", set); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r.watch = func(e play.Event) {
		if e.Act == "group" && e.Outcome != nil {
			stop()
		}
	}
	j, err := r.run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := r.report(j); err != nil || code != exitFindings { // half a plan is not fine
		t.Errorf("%d, %v", code, err)
	}
	if want := fmt.Sprintf("stopped after 4 of %d acts; judging what was recorded", len(r.plan.Play.Acts)); !strings.Contains(stderr.String(), want) || !r.stopped {
		t.Errorf("stderr %q", stderr.String())
	}
	if j.results[0].Verdict == testplans.Pass {
		t.Error("half a run passes")
	}
	text, err := os.ReadFile(r.f.out)
	if err != nil || !strings.Contains(string(text), "provider-access-bulk: ") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestRunProgress: one line that is written over, with what acts did not do on lines of their own.
func TestRunProgress(t *testing.T) {
	var b bytes.Buffer
	s := newRunProgress(&process{stderr: &b, terminal: true})
	s.event(play.Event{Act: "export", Index: 2, Total: 9, Progress: "half\x1b[2Jway", Wait: time.Second})
	s.event(play.Event{Act: "export", Index: 2, Total: 9, Method: "GET", URL: "http://x/f", Status: 200, Bytes: 3 << 20})
	s.event(play.Event{Act: "read", Index: 3, Total: 9, Outcome: &play.Outcome{State: play.Skipped, Why: "there is no value for id"}})
	s.end()
	for _, want := range []string{"2/9 export: half\uFFFD[2Jway, asking again in 1s", "GET http://x/f 200, 3.0 MB", "3/9 read: skipped: there is no value for id\n"} {
		if !strings.Contains(strings.ReplaceAll(b.String(), " \n", "\n"), want) && !strings.Contains(b.String(), strings.TrimSuffix(want, "\n")) {
			t.Errorf("%q lacks %q", b.String(), want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a server steers the terminal")
	}
	b.Reset()
	s.columns = func() int { return 40 }
	why := strings.Repeat("reason ", 20)
	s.event(play.Event{Act: "export", Index: 2, Total: 9, Method: "GET", URL: "http://payer.example/a/long/address", Status: 200})
	s.event(play.Event{Act: "export", Index: 2, Total: 9, Outcome: &play.Outcome{State: play.Broken, Why: why}})
	lines := strings.Split(b.String(), "\r")
	if len(lines) != 4 || len([]rune(lines[1])) > 39 || lines[1] != "2/9 export: GET …ng/address 200, 0.0 kB" || lines[3] != "2/9 export: broken: "+why+"\n" {
		t.Errorf("a narrow terminal is shown %q", lines)
	}
	b.Reset()
	quiet := newRunProgress(&process{stderr: &b})
	quiet.event(play.Event{Act: "export"})
	quiet.end()
	if b.Len() > 0 {
		t.Errorf("without a terminal: %q", b.String())
	}
}

func TestServerSystem(t *testing.T) {
	for base, want := range map[string]string{
		"https://Payer.Example:8443/fhir/R4": "payer-example-8443-fhir-r4", "http://127.0.0.1:8083/fhir": "127-0-0-1-8083-fhir",
		"https://" + strings.Repeat("a", 60) + "/x": strings.Repeat("a", 40),
	} {
		sys := serverSystem(base, false)
		if sys.Slug != want || sys.Simulated || sys.Validate() != nil {
			t.Errorf("%s: %+v, %v", base, sys, sys.Validate())
		}
	}
	text, err := json.Marshal(serverSystem("http://x/fhir", true))
	if err != nil || !strings.Contains(string(text), `"Simulated":true`) {
		t.Error(fmt.Sprint(string(text), err))
	}
}
