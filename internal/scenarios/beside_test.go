package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// gated lets exchanges be read while its gate is open.
type gated struct {
	*counting
	gate chan struct{}
}

func (g *gated) ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error) {
	select {
	case <-g.gate:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return g.counting.ExchangesByID(ctx, ids)
}

// restarted is another process over what one had recorded and judged before; its reading waits for the gate.
func restarted(t *testing.T, p testplans.Plan, test func(t *testing.T, store *counting, s *scenarios.Service, gate chan struct{})) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		plans := []testplans.Plan{p}
		store, first := fixtureOf(t, plans, scenarios.Options{Clock: time.Now})
		stop := running(t, store, first)
		for i := range 30 {
			add(store, fmt.Sprint(i), match, 200, clean...)
		}
		settle()
		stop()
		g := &gated{store, make(chan struct{})}
		s, err := scenarios.New(plans, scenarios.Source{Exchanges: g, Reports: store, Bodies: store}, store, store.runs, checks.NewTable(nil), scenarios.Options{AtOnce: 20, Clock: time.Now, Publisher: store.Hub})
		if err != nil {
			t.Fatal(err)
		}
		stop = running(t, store, s)
		test(t, store, s, g.gate)
		stop()
	})
}

// running runs a service until stop.
func running(t *testing.T, store *counting, s *scenarios.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx, store.Hub); close(ended) }()
	synctest.Wait()
	return func() { cancel(); <-ended }
}

// standing is the stored run that is always on.
func standing(t *testing.T, store *counting) (testplans.Run, testplans.Judgement) {
	t.Helper()
	run, err := store.runs.StandingRun(t.Context(), "match", pair)
	if err != nil {
		t.Fatal(err)
	}
	list, err := store.runs.Results(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	var j testplans.Judgement
	for _, r := range list {
		j.Results = append(j.Results, r.Result)
	}
	return run, j
}

func TestNobodyWaitsForALongJudging(t *testing.T) {
	restarted(t, plan, func(t *testing.T, store *counting, s *scenarios.Service, gate chan struct{}) {
		ctx := t.Context()
		run, stored := standing(t, store)
		asked := func(j testplans.Judgement, err error) {
			t.Helper()
			if err != nil || j.State != testplans.Evaluating || j.Run != run.ID || len(j.Results) != len(stored.Results) || j.Whole().Digest != stored.Whole().Digest {
				t.Errorf("while the exchanges are read: %+v, %v", j, err)
			}
		}
		for range 3 {
			asked(s.Judge(ctx, "match", pair))
			asked(s.JudgeRun(ctx, run.ID))
			settle()
		}
		if got, err := s.Standing(ctx, "match", pair); err != nil || got.ID != run.ID {
			t.Errorf("the run always on: %+v, %v", got, err)
		}
		window, err := s.Start(ctx, testplans.Run{Plan: "match", Channel: pair, Name: "now", Since: start})
		if err != nil {
			t.Fatal(err)
		}
		j, err := s.JudgeRun(ctx, window.ID)
		if err != nil || j.State != testplans.Evaluating || j.Whole().Verdict != testplans.NotChecked || len(j.Results) != 6 {
			t.Errorf("a run never judged: %+v, %v", j, err)
		}
		add(store, "capabilities", capabilities, 200, clean...)
		settle()
		close(gate)
		settle()
		settle()
		for _, id := range []string{run.ID, window.ID} {
			j, err := s.JudgeRun(ctx, id)
			if err != nil || j.State != testplans.Done || j.Exchanges != 31 || j.Whole().Verdict != testplans.Pass {
				t.Errorf("run %s afterwards: %+v, %v", id, j, err)
			}
		}
		if got := history(t, s, run.ID, "capabilities", ""); got != "not-shown pass" {
			t.Errorf("history %s", got)
		}
	})
}

func TestAWordSaidDuringALongJudging(t *testing.T) {
	asking := plan
	asking.Steps = append(asking.Steps[:2:2], testplans.Step{ID: "seen", Claim: "It was seen.", Checks: []testplans.Check{{ID: "word", Attestation: &testplans.Attest{Question: "Was it?"}}}})
	restarted(t, asking, func(t *testing.T, store *counting, s *scenarios.Service, gate chan struct{}) {
		ctx := t.Context()
		run, _ := standing(t, store)
		if j, err := s.Attest(ctx, run.ID, testplans.Attestation{Step: "seen", Check: "word", Verdict: testplans.Pass, By: "Jane"}); err != nil || j.State != testplans.Evaluating {
			t.Errorf("%s, %v", j.State, err)
		}
		close(gate)
		settle()
		settle()
		if j, err := s.JudgeRun(ctx, run.ID); err != nil || j.State == testplans.Evaluating {
			t.Errorf("%s, %v", j.State, err)
		} else if r, _ := j.Step("seen"); r.Verdict != testplans.Pass {
			t.Errorf("what was said is not in it: %+v", r)
		}
	})
}

func TestALongJudgingThatFails(t *testing.T) {
	restarted(t, plan, func(t *testing.T, store *counting, s *scenarios.Service, gate chan struct{}) {
		store.FailWith(errors.New("disk"))
		close(gate)
		settle()
		if _, err := s.Judge(t.Context(), "match", pair); err == nil {
			t.Error("a broken store gives a verdict")
		}
		store.FailWith(nil)
		_, _ = s.Judge(t.Context(), "match", pair) // it is tried again
		settle()
		if j, err := s.Judge(t.Context(), "match", pair); err != nil || j.State != testplans.Recording {
			t.Errorf("once the store is well: %s, %v", j.State, err)
		}
	})
}

// TestALongJudgingIsCalledOff ends only when Run does, which does not wait for the gate.
func TestALongJudgingIsCalledOff(t *testing.T) {
	restarted(t, plan, func(t *testing.T, _ *counting, s *scenarios.Service, _ chan struct{}) {
		if j, err := s.Judge(t.Context(), "match", pair); err != nil || j.State != testplans.Evaluating {
			t.Errorf("%s, %v", j.State, err)
		}
	})
}
