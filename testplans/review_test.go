package testplans_test

import (
	"testing"
	"time"

	"fhirwire/testplans"
)

func TestReviewedValid(t *testing.T) {
	for _, tt := range []struct {
		r     testplans.Reviewed
		field string
	}{
		{testplans.Reviewed{State: testplans.Verified, By: "Ada"}, ""},
		{testplans.Reviewed{State: testplans.Claimed, By: "Ada"}, ""},
		{testplans.Reviewed{State: testplans.Rejected, By: "Ada", Comment: "no"}, ""},
		{testplans.Reviewed{State: testplans.Rejected, By: "Ada", Comment: " "}, "comment"},
		{testplans.Reviewed{State: testplans.PartlyVerified, By: "Ada"}, "comment"},
		{testplans.Reviewed{State: testplans.Unreviewed, By: "Ada"}, "state"},
		{testplans.Reviewed{State: testplans.Verified, By: " "}, "by"},
	} {
		if field, fault := tt.r.Valid(); field != tt.field || (field == "") != (fault == "") {
			t.Errorf("%+v: %q %q, want %q", tt.r, field, fault, tt.field)
		}
	}
}

func TestDecision(t *testing.T) {
	if last, stale := testplans.Decision(nil, "d"); last.State != testplans.Unreviewed || stale {
		t.Errorf("none: %+v %v", last, stale)
	}
	list := []testplans.Reviewed{{State: testplans.Claimed, Digest: "d"}, {State: testplans.Verified, Digest: "e"}}
	if last, stale := testplans.Decision(list, "e"); last.State != testplans.Verified || stale {
		t.Errorf("same results: %+v %v", last, stale)
	}
	if last, stale := testplans.Decision(list, "f"); last.State != testplans.Verified || !stale {
		t.Errorf("other results: %+v %v", last, stale)
	}
}

func TestAttestationValid(t *testing.T) {
	p := &testplans.Plan{Steps: []testplans.Step{{ID: "s", Checks: []testplans.Check{{ID: "seen", Status: []string{"200"}}, {ID: "said", Attestation: &testplans.Attest{}}}}}}
	for _, tt := range []struct {
		a     testplans.Attestation
		field string
	}{
		{testplans.Attestation{Step: "s", Check: "said", Verdict: testplans.Pass, By: "Ada"}, ""},
		{testplans.Attestation{Step: "x", Check: "said", Verdict: testplans.Pass, By: "Ada"}, "step"},
		{testplans.Attestation{Step: "s", Check: "x", Verdict: testplans.Pass, By: "Ada"}, "check"},
		{testplans.Attestation{Step: "s", Check: "seen", Verdict: testplans.Pass, By: "Ada"}, "check"},
		{testplans.Attestation{Step: "s", Check: "said", Verdict: testplans.NotShown, By: "Ada"}, "verdict"},
		{testplans.Attestation{Step: "s", Check: "said", Verdict: testplans.Fail}, "by"},
	} {
		if field, _ := tt.a.Valid(p); field != tt.field {
			t.Errorf("%+v: %q, want %q", tt.a, field, tt.field)
		}
	}
}

func TestStateOfRun(t *testing.T) {
	at := time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC)
	results := []testplans.Result{{Step: "a", Verdict: testplans.Pass, Evidence: []testplans.Evidence{{Exchange: "x"}}}, {Step: "b", Verdict: testplans.NotShown}}
	for _, tt := range []struct {
		until   time.Time
		waiting int
		want    testplans.State
	}{
		{time.Time{}, 0, testplans.Recording},
		{at.Add(time.Minute), 0, testplans.Recording},
		{at, 0, testplans.Done},
		{at, 1, testplans.Evaluating},
	} {
		if got := testplans.StateOfRun(&testplans.Run{Until: tt.until}, results, tt.waiting, at); got != tt.want {
			t.Errorf("until %v: %s, want %s", tt.until, got, tt.want)
		}
	}
}

func TestJudgementDigest(t *testing.T) {
	a := testplans.Judgement{Results: []testplans.Result{{Digest: "1"}, {Digest: "2"}}}
	b := testplans.Judgement{Results: []testplans.Result{{Digest: "1"}, {Digest: "3"}}}
	if a.Digest() == b.Digest() || len(a.Digest()) != 64 {
		t.Errorf("digests %s and %s", a.Digest(), b.Digest())
	}
}

func TestPlaysTrack(t *testing.T) {
	plans := []testplans.Plan{{Track: "Payer to payer"}, {Track: "Formulary"}}
	for _, tt := range []struct {
		channel string
		want    bool
	}{{"", true}, {"payer-to-payer", true}, {"Formulary", false}, {"Something else", true}} {
		if got := testplans.PlaysTrack(tt.channel, plans[0].Track, plans); got != tt.want {
			t.Errorf("%q: %v", tt.channel, got)
		}
	}
}
