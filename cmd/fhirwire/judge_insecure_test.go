package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
)

// TestJudgedInsecure: each format says that servers were not verified, and says nothing of it where they were.
func TestJudgedInsecure(t *testing.T) {
	plan := testplans.Plan{ID: "p", Title: "P", Digest: "0123456789abcdef", Steps: []testplans.Step{{ID: "s", Title: "S", Claim: "It works", Checks: []testplans.Check{{ID: "ok", Claim: "It is 200", Requirements: []string{"R-1"}}}}}}
	for n, want := range map[int]bool{0: false, 3: true} {
		evidence := []testplans.Evidence{{Exchange: "e1", Number: 1, Insecure: n > 0}}
		j := &judgement{p: &process{now: time.Now}, plan: plan, read: 3, results: []testplans.Result{
			{Plan: "p", Claim: "P", Verdict: testplans.Pass, Kind: testplans.Observed},
			{Plan: "p", Step: "s", Claim: "It works", Verdict: testplans.Pass, Evidence: evidence, Insecure: n},
			{Plan: "p", Step: "s", Check: "ok", Claim: "It is 200", Requirements: []string{"R-1"}, Verdict: testplans.PassNotes, Evidence: evidence, EvidenceCut: 2, Insecure: n},
		}}
		for format, write := range judgeFormats {
			var out bytes.Buffer
			if err := write(&out, j); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out.String(), "not verified") || strings.Contains(out.String(), `"insecure": 3`); got != want {
				t.Errorf("%s with %d: %s", format, n, out.String())
			}
		}
	}
}
