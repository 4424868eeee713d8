package testplans_test

import (
	"testing"

	"fhirwire/testplans"
)

func TestStateOf(t *testing.T) {
	seen := []testplans.Evidence{{Exchange: "x", Number: 1}}
	for _, tt := range []struct {
		name    string
		results []testplans.Result
		waiting int
		want    testplans.State
	}{
		{"nothing", nil, 0, testplans.NotTried},
		{"nothing yet judged", nil, 2, testplans.Evaluating},
		{"nothing of the plan", []testplans.Result{{Step: "a", Verdict: testplans.NotShown}}, 0, testplans.NotTried},
		{"a required step is missing", []testplans.Result{{Step: "a", Verdict: testplans.Pass, Evidence: seen}, {Step: "b", Verdict: testplans.NotShown}}, 0, testplans.Recording},
		{"an optional step is missing", []testplans.Result{{Step: "a", Verdict: testplans.Fail, Evidence: seen}, {Step: "b", Optional: true, Verdict: testplans.NotShown}}, 0, testplans.Done},
		{"some wait", []testplans.Result{{Step: "a", Verdict: testplans.Pass, Evidence: seen}}, 1, testplans.Evaluating},
	} {
		if got := testplans.StateOf(tt.results, tt.waiting); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestJudgementParts(t *testing.T) {
	j := testplans.Judgement{Results: []testplans.Result{
		{Claim: "all"}, {Step: "a", Claim: "step"}, {Step: "a", Check: "1"}, {Step: "a", Check: "2"}, {Step: "b"},
	}}
	step, ok := j.Step("a")
	if _, none := j.Step("c"); j.Whole().Claim != "all" || step.Claim != "step" || !ok || none || len(j.Checks("a")) != 2 || len(j.Checks("b")) != 0 {
		t.Errorf("whole %+v, step %+v, checks %v", j.Whole(), step, j.Checks("a"))
	}
}
