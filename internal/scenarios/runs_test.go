package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/live"
	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

const pair = "acme~reference"

var bad = validators.Issue{Severity: validators.SeverityError, Message: "no", Part: validators.PartResponseBody, Side: validators.SideServer}

// bubble runs the service in a bubble with its own time.
func bubble(t *testing.T, o scenarios.Options, test func(t *testing.T, store *counting, s *scenarios.Service)) {
	t.Helper()
	bubbleOf(t, []testplans.Plan{plan}, o, test)
}

func bubbleOf(t *testing.T, plans []testplans.Plan, o scenarios.Options, test func(t *testing.T, store *counting, s *scenarios.Service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Clock = time.Now
		store, s := fixtureOf(t, plans, o)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx, store.Hub); close(ended) }()
		settle()
		test(t, store, s)
		stop()
		<-ended
	})
}

// settle lets what was heard be judged.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func history(t *testing.T, s *scenarios.Service, run, step, check string) string {
	t.Helper()
	list, err := s.History(t.Context(), run, step, check)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, h := range slices.Backward(list) {
		out = append(out, string(h.Result.Verdict))
	}
	return strings.Join(out, " ")
}

func TestResultsAreKeptAsTheyCome(t *testing.T) {
	bubble(t, scenarios.Options{}, func(t *testing.T, store *counting, s *scenarios.Service) {
		if runs, _, err := s.Runs(t.Context(), testplans.RunQuery{}); err != nil || len(runs) != 0 {
			t.Errorf("runs without traffic: %v, %v", runs, err)
		}
		add(store, "1", match, 200, bad)
		settle()
		runs, _, err := s.Runs(t.Context(), testplans.RunQuery{})
		if err != nil || len(runs) != 1 || !runs[0].Standing || runs[0].Plan != "match" || runs[0].Created.IsZero() {
			t.Fatalf("runs %+v, %v", runs, err)
		}
		id := runs[0].ID
		report(store, "1") // judged again, by better rules
		settle()
		add(store, "2", capabilities, 200, clean...)
		settle()
		if got := history(t, s, id, "match", "clean"); got != "fail pass" {
			t.Errorf("history of the check: %s", got)
		}
		if got := history(t, s, id, "", ""); got != "fail not-shown pass" {
			t.Errorf("history of the whole: %s", got)
		}
		if got := history(t, s, id, "capabilities", ""); got != "not-shown pass" {
			t.Errorf("history of the other step: %s", got)
		}
		for range 3 { // more of the same says nothing new but its evidence
			add(store, fmt.Sprint("c", time.Now().UnixNano()), capabilities, 200, clean...)
			settle()
		}
		if got := history(t, s, id, "match", ""); got != "fail pass" {
			t.Errorf("history of the step: %s", got)
		}
	})
}

func TestVerdictsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := live.NewHub()
		store, s := fixture(t, scenarios.Options{Publisher: hub, Clock: time.Now})
		ctx, stop := context.WithCancel(t.Context())
		heard := hub.Subscribe(ctx, 100)
		ended := make(chan struct{})
		go func() { s.Run(ctx, store.Hub); close(ended) }()
		settle()
		begun := time.Now()
		add(store, "1", capabilities, 200, clean...)
		n := <-heard
		if n.Kind != live.KindRun || n.ID == "" {
			t.Errorf("first %+v", n)
		}
		if v := <-heard; v.Kind != live.KindVerdict || v.ID != n.ID {
			t.Errorf("then %+v", v)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the verdict came after %s", took)
		}
		stop()
		<-ended
	})
}

func TestWindows(t *testing.T) {
	bubble(t, scenarios.Options{}, func(t *testing.T, store *counting, s *scenarios.Service) {
		ctx := t.Context()
		at := func(id string, when time.Time, status int) {
			e := &proxy.Exchange{ID: id, Channel: pair, Interaction: capabilities, Response: &proxy.Response{Status: status}, Timing: proxy.Timing{Start: when, End: when.Add(time.Second)}}
			e.Request.Method = "GET"
			store.AddExchange(e)
			report(store, id)
			settle()
		}
		now := time.Now()
		at("1", now.Add(-time.Hour), 500)
		at("2", now, 200)
		step := func(id string) testplans.Verdict {
			t.Helper()
			j, err := s.JudgeRun(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := j.Step("capabilities")
			return r.Verdict
		}
		early, err := s.Start(ctx, testplans.Run{Plan: "match", Channel: pair, Name: " Morning ", Since: now.Add(-2 * time.Hour), Until: now.Add(-time.Minute), CreatedBy: "Ada"})
		if err != nil || early.Name != "Morning" || early.Kind != testplans.Simulated {
			t.Fatalf("%+v, %v", early, err)
		}
		open, err := s.Start(ctx, testplans.Run{Plan: "match", Channel: pair})
		if err != nil || !open.Since.Equal(time.Now()) || !open.Until.IsZero() {
			t.Fatalf("%+v, %v", open, err)
		}
		if a, b := step(early.ID), step(open.ID); a != testplans.Fail || b != testplans.NotShown {
			t.Errorf("the early one is %s, the open one %s", a, b)
		}
		if got, err := s.SetWindow(ctx, early.ID, early.Since, now.Add(time.Minute)); err != nil || step(early.ID) != testplans.PassNotes {
			t.Errorf("%+v, %v: with a wider window it is %s", got, err, step(early.ID))
		}
		settle()
		if got := history(t, s, early.ID, "capabilities", ""); got != "fail pass-notes" {
			t.Errorf("history %s", got)
		}
		at("3", time.Now(), 200)
		if got := history(t, s, open.ID, "capabilities", ""); got != "not-shown pass" {
			t.Errorf("an open run is not judged along: %s", got)
		}
		if j, err := s.JudgeRun(ctx, open.ID); err != nil || j.Exchanges != 1 || j.State != testplans.Recording {
			t.Errorf("open: %d exchanges, %s, %v", j.Exchanges, j.State, err)
		}
		stopped, err := s.Stop(ctx, open.ID)
		if err != nil || !stopped.Until.Equal(time.Now()) {
			t.Fatalf("%+v, %v", stopped, err)
		}
		time.Sleep(time.Minute)
		if again, err := s.Stop(ctx, open.ID); err != nil || !again.Until.Equal(stopped.Until) {
			t.Errorf("stopped twice: %+v, %v", again, err)
		}
		at("4", time.Now(), 500)
		if j, err := s.JudgeRun(ctx, open.ID); err != nil || j.Exchanges != 1 || j.State != testplans.Done {
			t.Errorf("stopped: %d exchanges, %s, %v", j.Exchanges, j.State, err)
		}

		off, err := s.Start(ctx, testplans.Run{Plan: "match", Channel: pair})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if off, err = s.Stop(ctx, off.ID); err != nil || !off.CalledOff() {
			t.Errorf("stopped before anything came: %+v, %v", off, err)
		}
		at("5", time.Now(), 200)
		if j, err := s.JudgeRun(ctx, off.ID); err != nil || j.Exchanges != 0 || j.State != testplans.Cancelled {
			t.Errorf("called off: %d exchanges, %s, %v", j.Exchanges, j.State, err)
		}

		standing, err := s.Standing(ctx, "match", pair)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stop(ctx, standing.ID); !errors.Is(err, proxy.ErrConflict) {
			t.Errorf("stopping what is always on: %v", err)
		}
		for _, in := range []testplans.Run{
			{Plan: "nope", Channel: pair},
			{Plan: "match", Channel: "nope"},
			{Plan: "match", Channel: pair, Since: now, Until: now.Add(-1)},
		} {
			if _, err := s.Start(ctx, in); !errors.Is(err, proxy.ErrInvalid) {
				t.Errorf("%+v: %v", in, err)
			}
		}
		if _, err := s.JudgeRun(ctx, "nope"); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("no run: %v", err)
		}
	})
}

func TestWords(t *testing.T) {
	asking := plan
	asking.ID, asking.Digest = "ask", "d2"
	asking.Steps = append(slices.Clone(plan.Steps), testplans.Step{ID: "talk", Claim: "They talked.", Checks: []testplans.Check{{ID: "said", Side: validators.SideBoth, Attestation: &testplans.Attest{Question: "Did they?"}}}})
	bubbleOf(t, []testplans.Plan{asking}, scenarios.Options{}, func(t *testing.T, store *counting, s *scenarios.Service) {
		ctx := t.Context()
		add(store, "1", capabilities, 200, clean...)
		settle()
		run, err := s.Standing(ctx, "ask", pair)
		if err != nil {
			t.Fatal(err)
		}
		j, err := s.Attest(ctx, run.ID, testplans.Attestation{Step: "talk", Check: "said", Verdict: testplans.Pass, By: " Ada ", Note: "on stage"})
		if err != nil {
			t.Fatal(err)
		}
		said := j.Checks("talk")[0]
		if said.Verdict != testplans.Pass || said.Kind != testplans.Attested || !strings.Contains(said.Message, "attested by Ada") {
			t.Errorf("%+v", said)
		}
		for _, a := range []testplans.Attestation{{Step: "talk", Check: "said", Verdict: testplans.Pass}, {Step: "match", Check: "status", Verdict: testplans.Pass, By: "Ada"}} {
			if _, err := s.Attest(ctx, run.ID, a); !errors.Is(err, proxy.ErrInvalid) {
				t.Errorf("%+v: %v", a, err)
			}
		}

		r := &testplans.Reviewed{Run: run.ID, State: testplans.Verified, By: "Lead"}
		if err := s.Review(ctx, r); err != nil || r.Digest != j.Digest() || r.At.IsZero() {
			t.Errorf("%+v, %v", r, err)
		}
		add(store, "2", match, 200, bad)
		settle()
		j, err = s.JudgeRun(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.Reviews(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if last, stale := testplans.Decision(list[run.ID], j.Digest()); last.State != testplans.Verified || !stale {
			t.Errorf("%+v, stale %v", last, stale)
		}
		if err := s.Review(ctx, &testplans.Reviewed{Run: run.ID, State: testplans.Rejected, By: "Lead"}); !errors.Is(err, proxy.ErrInvalid) {
			t.Errorf("a rejection without a word: %v", err)
		}
		if err := s.Review(ctx, &testplans.Reviewed{Run: "nope", State: testplans.Verified, By: "Lead"}); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("a review of nothing: %v", err)
		}
	})
}

// TestMemoryIsBounded judges channels with more than is kept, whose verdicts are the same, only later.
func TestMemoryIsBounded(t *testing.T) {
	bubble(t, scenarios.Options{Keep: 5}, func(t *testing.T, store *counting, s *scenarios.Service) {
		for i := range 20 {
			add(store, fmt.Sprint(i), match, 200, clean...)
		}
		settle()
		add(store, "x", capabilities, 200, clean...)
		settle()
		state, got := verdicts(t, s)
		if state != testplans.Done || got[""] != testplans.Pass {
			t.Errorf("%s, %v", state, got)
		}
		before := store.loaded.Load()
		verdicts(t, s)
		if n := store.loaded.Load() - before; n != 0 {
			t.Errorf("%d exchanges are read again though nothing came", n)
		}
		add(store, "y", capabilities, 200, clean...)
		settle()
		if n := store.loaded.Load() - before; n < 20 {
			t.Errorf("%d exchanges are read again: more is kept than is allowed", n)
		}
	})
}
