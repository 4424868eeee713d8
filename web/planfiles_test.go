package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/web/api/apitest"
)

// formerScenarios judge a plan that is not listed over one channel.
type formerScenarios struct {
	*apitest.Scenarios
	judgement testplans.Judgement
}

func (f formerScenarios) Judge(ctx context.Context, plan, channel string) (testplans.Judgement, error) {
	if plan == f.judgement.Plan && channel == f.judgement.Channel {
		return f.judgement, nil
	}
	return f.Scenarios.Judge(ctx, plan, channel)
}

const ownPlan = "plans/own.yaml"

func planFault(file string, line int, message string, effect testplans.FaultEffect) testplans.PlanFault {
	return testplans.PlanFault{File: file, Line: line, Column: 5, Message: message, Effect: effect}
}

func TestPagesOfPlanFiles(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	const channel = "harborlight~cedar"
	own := []testplans.PlanFile{{Plan: matchPlan.ID, File: ownPlan, Replaces: true, Digest: "d2", Since: start.Add(time.Minute)}}
	broken := []testplans.PlanFault{
		planFault("plans/new.yaml", 3, "no plan has a title", testplans.FaultNoted),
		planFault(ownPlan, 14, `unknown interaction "raed"; expected read`, testplans.FaultKept), planFault(ownPlan, 20, "checks: missing key: side", testplans.FaultKept),
		{File: "/mnt/plans", Message: "permission denied", Effect: testplans.FaultSkipped},
	}
	judgement := failedMatch(channel, testplans.Observed)
	inUse := &apitest.Scenarios{List: []testplans.Plan{drugPlan, matchPlan}, Judgements: map[string]testplans.Judgement{channel: judgement}}
	former := formerScenarios{&apitest.Scenarios{List: []testplans.Plan{drugPlan}}, judgement}
	old := matchPlan
	old.Digest = "d1"
	gone := map[string]testplans.Plan{matchPlan.ID: old}
	texts := map[string]string{matchPlan.ID + "@d1": "plan: payer-to-payer"}
	for _, tt := range []struct {
		name, path string
		gone       bool
		files      *apitest.PlanFiles
	}{
		{"planfiles-scenarios", "/scenarios", false, &apitest.PlanFiles{Files: testplans.PlanFiles{Files: own}}},
		{"planfiles-scenarios-broken", "/scenarios", false, &apitest.PlanFiles{Files: testplans.PlanFiles{Files: own, Faults: broken}}},
		{"planfiles-run", "/scenarios/payer-to-payer?part=1&channel=" + channel, false, &apitest.PlanFiles{Files: testplans.PlanFiles{Files: own}}},
		{"planfiles-run-broken", "/scenarios/payer-to-payer?part=1&channel=" + channel, false, &apitest.PlanFiles{Files: testplans.PlanFiles{Files: own, Faults: broken}}},
		{"planfiles-run-former", "/scenarios/payer-to-payer?part=1&channel=" + channel, true, &apitest.PlanFiles{Former: gone, Texts: texts}},
		{"planfiles-run-former-no-text", "/scenarios/payer-to-payer?part=1&channel=" + channel, true, &apitest.PlanFiles{Former: gone}},
		{"planfiles-results-former", "/results?plan=payer-to-payer", true, &apitest.PlanFiles{Former: gone}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := store.Deps()
			if d.Scenarios = inUse; tt.gone {
				d.Scenarios = former
			}
			d.PlanFiles = tt.files
			s, err := New(d, Options{Clock: func() time.Time { return start.Add(4 * time.Minute) }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			w := get(t, s, tt.path)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d", w.Code)
			}
			checkPage(t, tt.name+".html", w.Body.String())
		})
	}
}

func TestHostilePlanFiles(t *testing.T) {
	store := apitest.NewStore()
	channel := addPair(t, store, "Harborlight", "Cedar", false)
	p := testplans.Plan{ID: hostile, Title: hostile, Digest: hostile}
	files := &apitest.PlanFiles{Files: testplans.PlanFiles{Files: []testplans.PlanFile{{Plan: hostile, File: hostile, Replaces: true, Digest: hostile}}}, Texts: map[string]string{hostile: hostile}}
	for _, effect := range []testplans.FaultEffect{testplans.FaultKept, testplans.FaultNoted, testplans.FaultSkipped} {
		files.Files.Faults = append(files.Files.Faults, testplans.PlanFault{File: hostile, Line: 1, Column: 1, Message: hostile, Effect: effect, Plan: hostile})
	}
	d := store.Deps()
	d.Scenarios, d.PlanFiles = &apitest.Scenarios{List: []testplans.Plan{p}}, files
	s, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, path := range []string{"/scenarios", runHref(hostile, channel)} {
		w := get(t, s, path)
		if w.Code >= 500 {
			t.Errorf("%s: status %d", path, w.Code)
		}
		noMarkup(t, path, w)
	}
}

func TestManyFaultsOfAFile(t *testing.T) {
	var faults []testplans.PlanFault
	for i := range 500 {
		faults = append(faults, planFault(ownPlan, i+1, fmt.Sprint("fault ", i), testplans.FaultKept))
	}
	faults = append(faults, planFault("plans/other.yaml", 1, strings.Repeat("x", 9000), testplans.FaultSkipped))
	list := faultsView(faults)
	if len(list) != 2 || len(list[0].Lines) != maxFaults+1 || !strings.Contains(list[0].Lines[maxFaults].Message, "plans check") || len(list[1].Lines[0].Message) > 500 {
		t.Errorf("%d files, %d lines of the first", len(list), len(list[0].Lines))
	}
}

// What another text of a plan said is marked in the history of a step.
func TestHistoryNamesOtherTexts(t *testing.T) {
	d := apitest.NewStore().Deps()
	d.PlanFiles = &apitest.PlanFiles{Texts: map[string]string{"p@d1": "plan: p"}}
	s, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, tt := range []struct{ digest, text, href string }{
		{"d2", "", ""},
		{"d1", "by another text of the plan", "/api/v1/plans/p/text?digest=d1"},
		{"d0", "by another text of the plan", ""},
		{"", "", ""},
	} {
		if l := s.otherText(&testplans.Result{Plan: "p", PlanDigest: tt.digest}, "d2"); l.Text != tt.text || l.Href != tt.href {
			t.Errorf("%q: %+v", tt.digest, l)
		}
	}
}
