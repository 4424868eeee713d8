package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// RunOf is a run of plan "match" over channel acme-ehr~diamond-payer with a window.
func RunOf(name string) *testplans.Run {
	return &testplans.Run{
		Plan: "match", PlanDigest: "d1", Channel: "acme-ehr~diamond-payer", Name: name, Since: Epoch, Until: Epoch.Add(time.Hour), Kind: testplans.Observed,
		CreatedBy: "Ada", Context: validators.Context{Guides: []string{"hl7.fhir.us.core#3.1.1"}, Rules: 3, Terminology: "offline"},
	}
}

func testRuns(t *testing.T, s Store) {
	ctx := t.Context()
	run := RunOf("Afternoon\x00")
	fatal(t, s.SaveRun(ctx, run))
	if run.ID == "" || run.Created.IsZero() {
		t.Errorf("not filled in: %+v", run)
	}
	got, err := s.Run(ctx, run.ID)
	fatal(t, err)
	want := *run
	want.Name = "Afternoon\uFFFD"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	standing := RunOf("")
	standing.Standing, standing.Since, standing.Until = true, time.Time{}, time.Time{}
	if _, err := s.StandingRun(ctx, "match", standing.Channel); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("before there is one: %v", err)
	}
	fatal(t, s.SaveRun(ctx, standing))
	second := *standing
	second.ID = ""
	if err := s.SaveRun(ctx, &second); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("a second standing run: %v", err)
	}
	if got, err := s.StandingRun(ctx, "match", standing.Channel); err != nil || got.ID != standing.ID || !got.Since.IsZero() {
		t.Errorf("standing run %+v, %v", got, err)
	}

	run.Since, run.Until = Epoch.Add(time.Minute), time.Time{}
	fatal(t, s.SetWindow(ctx, run))
	if got, err := s.Run(ctx, run.ID); err != nil || !got.Since.Equal(run.Since) || !got.Until.IsZero() {
		t.Errorf("window %+v, %v", got, err)
	}
	for _, r := range []*testplans.Run{standing, {ID: ID(77)}} {
		if err := s.SetWindow(ctx, r); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("window of %s: %v", r.ID, err)
		}
	}
	if _, err := s.Run(ctx, ID(77)); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("no run: %v", err)
	}
}

func testRunPages(t *testing.T, s Store) {
	ctx := t.Context()
	for i := range 5 {
		run := RunOf(fmt.Sprint(i))
		run.ID = ID(i)
		if i == 4 {
			run.Plan = "other"
		}
		if i == 3 {
			run.Channel = "x~y"
		}
		fatal(t, s.SaveRun(ctx, run))
	}
	names := func(q testplans.RunQuery) (names string, more bool) {
		t.Helper()
		runs, more, err := s.Runs(ctx, q)
		fatal(t, err)
		for _, r := range runs {
			names += r.Name
		}
		return names, more
	}
	for _, tt := range []struct {
		q    testplans.RunQuery
		want string
		more bool
	}{
		{testplans.RunQuery{}, "43210", false},
		{testplans.RunQuery{Limit: 2}, "43", true},
		{testplans.RunQuery{Limit: 2, Before: ID(3)}, "21", true},
		{testplans.RunQuery{Plan: "match"}, "3210", false},
		{testplans.RunQuery{Channel: "x~y"}, "3", false},
		{testplans.RunQuery{Plan: "other", Channel: "x~y"}, "", false},
	} {
		if got, more := names(tt.q); got != tt.want || more != tt.more {
			t.Errorf("%+v: %s, more %v; want %s, %v", tt.q, got, more, tt.want, tt.more)
		}
	}
}

func testResults(t *testing.T, s Store) {
	ctx := t.Context()
	run := RunOf("")
	fatal(t, s.SaveRun(ctx, run))
	result := func(step, check string, v testplans.Verdict) testplans.Result {
		r := testplans.Result{
			Plan: "match", PlanDigest: "d1", Step: step, Check: check, Verdict: v, Claim: "It holds", Evidence: []testplans.Evidence{{Exchange: ID(1), Number: 1}},
			Kind: testplans.Observed, Context: run.Context,
		}
		fatal(t, r.Seal())
		return r
	}
	save := func(minute int, want int, results ...testplans.Result) {
		t.Helper()
		n, err := s.AppendResults(ctx, run.ID, Epoch.Add(time.Duration(minute)*time.Minute), results)
		if err != nil || n != want {
			t.Fatalf("appended %d, want %d, %v", n, want, err)
		}
	}
	whole, step, shown := result("", "", testplans.NotShown), result("match", "", testplans.NotShown), result("match", "ok", testplans.Pass)
	save(0, 3, whole, step, shown)
	save(1, 0, whole, step, shown)
	failed := result("match", "ok", testplans.Fail)
	save(2, 1, whole, step, failed)
	save(3, 1, whole, step, shown) // back to what it was: that is news too

	history, err := s.History(ctx, run.ID, "match", "ok")
	fatal(t, err)
	var got []string
	for _, h := range history {
		got = append(got, fmt.Sprintf("%s %d", h.Result.Verdict, int(h.At.Sub(Epoch).Minutes())))
	}
	if want := []string{"pass 3", "fail 2", "pass 0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	latest, err := s.Results(ctx, run.ID)
	fatal(t, err)
	if len(latest) != 3 || latest[2].Result.Check != "ok" || latest[2].Result.Verdict != testplans.Pass {
		t.Errorf("latest %+v", latest)
	}
	shown.Run = run.ID
	if !reflect.DeepEqual(latest[2].Result, shown) {
		t.Errorf("a result comes back as %+v, want %+v", latest[2].Result, shown)
	}
	if _, err := s.AppendResults(ctx, ID(77), Epoch, []testplans.Result{whole}); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("results of no run: %v", err)
	}
}

func testAttestations(t *testing.T, s Store) {
	ctx := t.Context()
	run := RunOf("")
	fatal(t, s.SaveRun(ctx, run))
	a := testplans.Attestation{Step: "talk", Check: "said", Verdict: testplans.Pass, By: "Ada", At: Epoch, Note: "on stage"}
	b := testplans.Attestation{Step: "talk", Check: "said", Verdict: testplans.Fail, By: "Bo\x00"}
	fatal(t, s.Attest(ctx, run.ID, a))
	fatal(t, s.Attest(ctx, run.ID, b))
	b.By, b.At = "Bo\uFFFD", Epoch.Add(time.Hour)
	got, err := s.Attestations(ctx, run.ID)
	if want := []testplans.Attestation{a, b}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, %v", got, want, err)
	}
	if err := s.Attest(ctx, ID(77), a); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("attestation of no run: %v", err)
	}
}

func testReviews(t *testing.T, s Store) {
	ctx := t.Context()
	run, other := RunOf("a"), RunOf("b")
	fatal(t, s.SaveRun(ctx, run))
	fatal(t, s.SaveRun(ctx, other))
	first := &testplans.Reviewed{Run: run.ID, State: testplans.Claimed, By: "Ada", Role: "track lead", At: Epoch, Digest: "d1"}
	second := &testplans.Reviewed{Run: run.ID, State: testplans.Rejected, By: "Ada", Comment: "no consent", Digest: "d2"}
	fatal(t, s.SaveReview(ctx, first))
	fatal(t, s.SaveReview(ctx, second))
	if first.ID == "" || first.ID == second.ID || second.At.IsZero() {
		t.Errorf("not filled in: %+v, %+v", first, second)
	}
	got, err := s.Reviews(ctx, run.ID, other.ID, ID(77))
	if want := map[string][]testplans.Reviewed{run.ID: {*first, *second}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, %v", got, want, err)
	}
	if err := s.SaveReview(ctx, &testplans.Reviewed{Run: ID(77), State: testplans.Verified, By: "Ada"}); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("review of no run: %v", err)
	}
}

// testSeveral reads exchanges and reports together, as one by one.
func testSeveral(t *testing.T, s Store) {
	ctx, bodies := t.Context(), Bodies{}
	var ids []string
	for n := range 3 {
		putAll(t, s, bodies, Exchange(n, bodies))
		ids = append(ids, ID(n))
	}
	fatal(t, s.SaveReport(ctx, Report(1, 1, Issue(validators.SeverityError, "old"))))
	fatal(t, s.SaveReport(ctx, Report(1, 1, Issue(validators.SeverityError, "new"))))
	got, err := s.ExchangesByID(ctx, append(ids, ID(77)))
	fatal(t, err)
	if len(got) != 3 {
		t.Fatalf("%d exchanges", len(got))
	}
	for _, e := range got {
		if one, err := s.Exchange(ctx, e.ID); err != nil || !reflect.DeepEqual(one, e) {
			t.Errorf("together %+v, alone %+v, %v", e, one, err)
		}
	}
	reports, err := s.ReportsByID(ctx, ids)
	if err != nil || len(reports) != 1 || reports[ID(1)].Issues[0].MessageID != "new" {
		t.Errorf("reports %+v, %v", reports, err)
	}
	found, err := s.FindingsByID(ctx, ids)
	fatal(t, err)
	if len(reports[ID(1)].Resources) != 1 {
		t.Errorf("resources %+v", reports[ID(1)].Resources)
	}
	reports[ID(1)].Resources = nil
	if !reflect.DeepEqual(found, reports) {
		t.Errorf("findings %+v, reports %+v", found, reports)
	}
}
