package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/web/api"
)

const ownPlanText = `# The capabilities, as our track wants them.
plan: our-capabilities
title: The server says what it can do
track: Our track
roles: {client: App, server: Payer}
steps:
  - step: capabilities
    title: Read the capabilities
    claim: The server says what it can do
    requirements: [OWN-1]
    select: {kind: [capabilities]}
    checks:
      - check: answered
        claim: It is answered as it should be
        side: server
        status: ["200"]
`

// planServe is a serve process with traffic on one channel, and a folder of plans.
type planServe struct {
	*served
	dir string
}

const planPair = "acme~built-in"

func (s *planServe) write(name, text string) {
	s.t.Helper()
	// As an editor does: beside, and then in place.
	part := filepath.Join(s.dir, "."+name+".part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *planServe) get(path string) string {
	s.t.Helper()
	status, body, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+path, "", "")
	if status != http.StatusOK {
		return ""
	}
	return body
}

// until waits for what the API says of a path.
func until[T any](s *planServe, path, what string, is func(T) bool) T {
	s.t.Helper()
	var out T
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text := s.get(path)
		out = *new(T)
		if text != "" && json.Unmarshal([]byte(text), &out) == nil && is(out) {
			return out
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s never came to be: %.2000s\n%s", path, what, text, s.out.String())
		}
	}
}

// verdict waits for a plan's verdict over the channel, by the text in use.
func (s *planServe) verdict(plan string, want testplans.Verdict) api.Cell {
	s.t.Helper()
	digest := until(s, "/api/v1/plans/"+plan, "the plan", func(p testplans.Plan) bool { return p.Digest != "" }).Digest
	m := until(s, "/api/v1/matrix?plan="+plan, string(want)+" by "+digest, func(m api.Matrix) bool {
		return len(m.Cells) == 1 && m.Cells[0].Verdict == want && m.Cells[0].State == testplans.Done && m.Cells[0].Results[0].PlanDigest == digest
	})
	return m.Cells[0]
}

// TestPlansChangeWhileServing edits a plan on the day: the verdict changes with it, broken texts change nothing, and what was judged stays.
func TestPlansChangeWhileServing(t *testing.T) {
	dir := t.TempDir()
	s := &planServe{startServe(t, t.TempDir(), "--plans", dir), dir}
	s.channel("acme", "built-in", s.reference+"/fhir")
	if status, _, _ := s.do(http.DefaultClient, http.MethodGet, s.proxy+"/"+planPair+"/fhir/metadata", "", ""); status != http.StatusOK {
		t.Fatalf("the capabilities are answered %d", status)
	}

	s.write("ours.yaml", ownPlanText)
	until(s, "/api/v1/plans", "the plan in the list", func(l api.PlanList) bool {
		for _, p := range l.Items {
			if p.ID == "our-capabilities" {
				return p.File == filepath.Join(dir, "ours.yaml") && !p.Replaces
			}
		}
		return false
	})
	passed := s.verdict("our-capabilities", testplans.Pass)
	status, answer, _ := s.do(http.DefaultClient, http.MethodPost, s.dashboard+"/api/v1/reviews", "application/json", `{"run": "`+passed.Run+`", "state": "verified", "by": "Ada"}`)
	if status != http.StatusCreated {
		t.Fatalf("a review is answered %d %s", status, answer)
	}

	s.write("ours.yaml", strings.Replace(ownPlanText, `["200"]`, `["201"]`, 1))
	until(s, "/api/v1/matrix?plan=our-capabilities", "the other verdict", func(m api.Matrix) bool { return len(m.Cells) == 1 && m.Cells[0].Verdict == testplans.Fail })
	failed := s.verdict("our-capabilities", testplans.Fail)
	if failed.Run != passed.Run || failed.Review != testplans.Verified || !failed.ReviewStale {
		t.Errorf("a decision on the older text: %+v", failed)
	}
	history := until(s, "/api/v1/runs/"+passed.Run+"/history?step=capabilities", "the history", func(l api.List[api.HistoryItem]) bool { return len(l.Items) >= 2 })
	before := passed.Results[0].PlanDigest
	if first := history.Items[len(history.Items)-1].Result; first.Verdict != testplans.Pass || first.PlanDigest != before {
		t.Errorf("the oldest result is %+v", first)
	}
	if text := s.get("/api/v1/plans/our-capabilities/text?digest=" + before); text != ownPlanText {
		t.Errorf("the text that judged before: %q", text)
	}

	s.write("ours.yaml", strings.Replace(ownPlanText, "kind: [capabilities]", "kind: [capability]", 1))
	list := until(s, "/api/v1/plans", "the fault", func(l api.PlanList) bool { return len(l.Faults) > 0 && l.Faults[0].Effect == testplans.FaultKept })
	if f := list.Faults[0]; f.Line != 11 || f.Column != 21 || !strings.Contains(f.Message, "capabilities") {
		t.Errorf("fault %+v", f)
	}
	if page := s.get("/scenarios"); !strings.Contains(page, "ours.yaml cannot be read") || !strings.Contains(page, "line 11, column 21") {
		t.Error("Scenarios does not say what is wrong with the file")
	}
	if still := s.verdict("our-capabilities", testplans.Fail); still.Digest != failed.Digest {
		t.Error("a text that cannot be read changed the results")
	}

	if err := os.Remove(filepath.Join(dir, "ours.yaml")); err != nil {
		t.Fatal(err)
	}
	until(s, "/api/v1/plans", "the list without it", func(l api.PlanList) bool {
		return len(l.Items) > 0 && len(l.Faults) == 0 && !hasPlan(l, "our-capabilities")
	})
	gone := s.verdict("our-capabilities", testplans.Fail) // where it was
	if gone.Digest != failed.Digest {
		t.Errorf("the results of a plan that is gone: %+v", gone)
	}
	if page := s.get("/scenarios/our-capabilities?channel=" + planPair); !strings.Contains(page, "not in use any more") || !strings.Contains(page, "Read the capabilities") {
		t.Errorf("the run page of a plan that is gone: %.3000s", page)
	}
}

func hasPlan(l api.PlanList, id string) bool {
	for _, p := range l.Items {
		if p.ID == id {
			return true
		}
	}
	return false
}

// TestPlansOfTheDataFolder replaces a built-in plan by a file in plans/, and has it back.
func TestPlansOfTheDataFolder(t *testing.T) {
	data := t.TempDir()
	s := &planServe{startServe(t, data), filepath.Join(data, plansDir)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const id = "smart-backend-services"
	text := s.get("/api/v1/plans/" + id + "/text")
	if !strings.Contains(text, "plan: "+id+"\n") {
		t.Fatalf("the text of a built-in plan: %.200s", text)
	}
	s.write("broken.yaml", "plan: {")
	s.write("smart.yaml", text+"\n# ours\n")
	titles := func(own bool) func(api.PlanList) bool {
		return func(l api.PlanList) bool {
			for _, p := range l.Items {
				if p.ID == id {
					return own == (p.File != "") && p.Replaces == own && len(l.Faults) > 0
				}
			}
			return false
		}
	}
	list := until(s, "/api/v1/plans", "the file's plan", titles(true))
	effects := map[string]testplans.FaultEffect{}
	for _, f := range list.Faults {
		effects[filepath.Base(f.File)] = f.Effect
	}
	if effects["broken.yaml"] != testplans.FaultSkipped || effects["smart.yaml"] != testplans.FaultNoted { // it has no example traffic
		t.Errorf("faults %+v", list.Faults)
	}
	if page := s.get("/scenarios"); !strings.Contains(page, "from smart.yaml, not built in") {
		t.Error("the page does not say where the plan comes from")
	}
	if err := os.Remove(filepath.Join(s.dir, "smart.yaml")); err != nil {
		t.Fatal(err)
	}
	until(s, "/api/v1/plans", "the built-in plan", titles(false))
	if back := s.get("/api/v1/plans/" + id + "/text"); back != text {
		t.Error("the built-in text is not back")
	}
}

// TestServeRefusesBrokenPlans is the start with a plan that cannot be read: exit 2, with the place.
func TestServeRefusesBrokenPlans(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(ownPlanText, "side: server", "side: sever", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ plans, want string }{
		{file, file + ":15:15: "},
		{file + ".none", "no such file"},
	} {
		var out bytes.Buffer
		p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(name string) string {
			return map[string]string{"FHIRWIRE_PLANS": tt.plans}[name]
		}, now: time.Now}
		args := []string{"serve", "--data", t.TempDir(), "--tls-listen", off, "--reference-listen", off, "--forward-listen", off, "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0"}
		if code := runMain(t.Context(), p, args); code != exitUsage || !strings.Contains(out.String(), tt.want) {
			t.Errorf("serve with %s ends with %d: %s", tt.plans, code, out.String())
		}
	}
}
