package plans_test

import (
	"slices"
	"sync"
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/testplans/rehearsal"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// TestExamples runs the example traffic of every plan: each check's verdict is exactly the one expected, in every example.
func TestExamples(t *testing.T) {
	all, err := plans.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no plans are built in")
	}
	_, set := library(t)
	ids := map[string]string{}
	for _, f := range all {
		t.Run(f.Path, func(t *testing.T) {
			plan, err := planfile.Parse(f.Path, f.Source, set)
			if err != nil {
				t.Fatal(err)
			}
			if other := ids[plan.ID]; other != "" {
				t.Errorf("%s has the id of %s", f.Path, other)
			}
			ids[plan.ID] = f.Path
			examples, err := planfile.Examples(plans.ExamplesPath(f.Path), f.Examples)
			if err != nil {
				t.Fatal(err)
			}
			if err := planfile.VetExamples(f.Path, f.Source, plan, plans.ExamplesPath(f.Path), examples); err != nil {
				t.Error(err)
			}
			for i := range examples {
				t.Run(examples[i].Name, func(t *testing.T) { runExample(t, set, plan, &examples[i]) })
			}
		})
	}
}

func runExample(t *testing.T, set *profile.Set, plan testplans.Plan, e *planfile.Example) {
	items := evidence(t, plan, e)
	run := testplans.Run{Kind: testplans.Imported, Attestations: rehearsal.Attested(plan)}
	results, err := judge.Judge(t.Context(), plan, run, rehearsal.Sequence(items), checks.NewTable(set))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range results {
		if r.Check == "" {
			continue
		}
		seen++
		id := r.Step + "/" + r.Check
		if want := e.WantOf(id); r.Verdict != want {
			t.Errorf("%s %s\n\twant %s; %s", id, r.Verdict, want, r.Message)
		}
		if r.Verdict == testplans.Fail && (r.Side == "" || r.Message == "" || len(r.Evidence) == 0) {
			t.Errorf("%s fails without a side, a reason or evidence: %+v", id, r)
		}
	}
	if seen == 0 {
		t.Error("no checks")
	}
	slices.Reverse(items) // the order in which evidence comes must not matter
	again, err := judge.Judge(t.Context(), plan, run, rehearsal.Sequence(items), checks.NewTable(set))
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if results[i].Digest != again[i].Digest {
			t.Errorf("%s/%s depends on the order of the evidence: %s %q, %s %q", results[i].Step, results[i].Check, results[i].Verdict, results[i].Message, again[i].Verdict, again[i].Message)
		}
	}
}

var library = func() func(testing.TB) (*guides.Library, *profile.Set) {
	load := sync.OnceValues(guides.Load)
	return func(t testing.TB) (*guides.Library, *profile.Set) {
		t.Helper()
		lib, err := load()
		if err != nil {
			t.Fatal(err)
		}
		set, err := lib.Set()
		if err != nil {
			t.Fatal(err)
		}
		return lib, set
	}
}()

// stage judges the examples of all tests: compiling profiles is the slow part.
var stage = func() func(testing.TB) *rehearsal.Stage {
	var once sync.Once
	var kept *rehearsal.Stage
	return func(t testing.TB) *rehearsal.Stage {
		t.Helper()
		lib, set := library(t)
		once.Do(func() { kept = rehearsal.New(lib, checks.NewTable(set)) })
		return kept
	}
}()

// evidence classifies and inspects the exchanges of an example, as recording does.
func evidence(t testing.TB, plan testplans.Plan, e *planfile.Example) []checks.Item {
	t.Helper()
	items, err := stage(t).Items(t.Context(), plan, e)
	if err != nil {
		t.Fatal(err)
	}
	return items
}
