package plans_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/testplans/rehearsal"
)

// TestIncrements judges the examples of every plan together, as the traffic of one channel: in any order, with reports that come later,
// asked for results at any point, the results at the end are those of judging all of it at once.
func TestIncrements(t *testing.T) {
	all, err := plans.All()
	if err != nil {
		t.Fatal(err)
	}
	_, set := library(t)
	table := checks.NewTable(set)
	most := 400
	if raceDetector {
		most = 100 // there is one goroutine, and the tests without the detector judge all
	}
	for _, f := range all {
		t.Run(f.Path, func(t *testing.T) {
			plan, err := planfile.Parse(f.Path, f.Source, set)
			if err != nil {
				t.Fatal(err)
			}
			examples, err := planfile.Examples(plans.ExamplesPath(f.Path), f.Examples)
			if err != nil {
				t.Fatal(err)
			}
			var items []checks.Item
			for i := range examples {
				if len(items) > most {
					break // enough of each kind; the time grows with the square
				}
				for _, it := range evidence(t, plan, &examples[i]) {
					ex := *it.Exchange
					ex.ID = fmt.Sprintf("%02d-%s", i, ex.ID)
					ex.Number = int64(len(items) + 1)
					ex.Timing.Start, ex.Timing.End = ex.Timing.Start.Add(time.Duration(i)*time.Hour), ex.Timing.End.Add(time.Duration(i)*time.Hour)
					it.Exchange = &ex
					items = append(items, it)
				}
			}
			for seed := range uint64(6) {
				if seed == 3 {
					items = items[:len(items)/2] // other variables are captured
				}
				run := testplans.Run{Kind: testplans.Imported, Attestations: rehearsal.Attested(plan)}
				want, err := judge.Judge(t.Context(), plan, run, rehearsal.Sequence(items), table)
				if err != nil {
					t.Fatal(err)
				}
				run.Attestations = nil
				j := judge.New(plan, run, table)
				r := rand.New(rand.NewPCG(seed, 1))
				type event struct {
					item int
					kind string
				}
				var events []event
				for _, i := range r.Perm(len(items)) {
					if r.IntN(2) == 0 {
						events = append(events, event{i, "whole"})
						continue
					}
					events = append(events, event{i, "bare"})
				}
				for _, i := range r.Perm(len(events)) {
					if events[i].kind == "bare" {
						events = append(events, event{events[i].item, "report"})
					}
				}
				attest := r.IntN(len(events) + 1)
				for n, e := range events {
					it := items[e.item]
					if e.kind == "bare" {
						it.Report = nil
					}
					j.Add(it)
					if n == attest {
						j.Attest(rehearsal.Attested(plan))
					}
					if r.IntN(4) == 0 {
						if _, err := j.Results(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				j.Attest(rehearsal.Attested(plan))
				got, err := j.Results(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(want) {
					t.Fatalf("seed %d: %d results, want %d", seed, len(got), len(want))
				}
				for i := range want {
					if got[i].Digest != want[i].Digest {
						t.Errorf("seed %d: %s/%s is %s %q %v\nof all at once it is %s %q %v", seed, want[i].Step, want[i].Check,
							got[i].Verdict, got[i].Message, got[i].Evidence, want[i].Verdict, want[i].Message, want[i].Evidence)
					}
				}
			}
		})
	}
}
