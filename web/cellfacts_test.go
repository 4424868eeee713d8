package web

import (
	"testing"

	"fhirwire/testplans"
)

func TestCellFacts(t *testing.T) {
	j := testplans.Judgement{Results: []testplans.Result{
		{Verdict: testplans.PassNotes},
		{Step: "a", Verdict: testplans.PassNotes},
		{Step: "a", Check: "1", Verdict: testplans.PassNotes},
		{Step: "b", Verdict: testplans.Pass},
		{Step: "c", Verdict: testplans.Fail, Optional: true},
		{Step: "d", Verdict: testplans.NotShown, Optional: true},
		{Step: "e", Check: "1", Kind: testplans.Attested, Message: "attested by Ada Lovelace: on both screens"},
		{Step: "e", Check: "2", Kind: testplans.Attested, Message: "attested by Ada Lovelace"},
		{Step: "e", Check: "3", Kind: testplans.Attested, Message: "attested by Grace"},
		{Step: "e", Check: "4", Kind: testplans.Observed, Message: "attested by nobody"},
	}}
	if got := stepsWithNotes(&j); got != 2 {
		t.Errorf("%d notes, want 2: a step with notes and an optional one that failed", got)
	}
	if got := attesters(&j); got != "Ada Lovelace, Grace" {
		t.Errorf("by %q", got)
	}
	if none := (testplans.Judgement{}); attesters(&none) != "people" || stepsWithNotes(&none) != 1 {
		t.Error("a pass by people, or with notes, is not told as one")
	}
}
