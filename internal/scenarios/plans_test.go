package scenarios_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/live"
	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
)

// stricter is the plan with another text: the server has to answer 201, and a step is gone.
func stricter() testplans.Plan {
	p := plan
	p.Digest, p.Steps = "d2", slices.Clone(plan.Steps[:1])
	check := p.Steps[0].Checks[0]
	check.Status = []string{"201"}
	p.Steps[0].Checks = []testplans.Check{check}
	return p
}

func TestAChangedPlanJudgesAnew(t *testing.T) {
	hub := live.NewHub()
	bubble(t, scenarios.Options{Publisher: hub}, func(t *testing.T, store *counting, s *scenarios.Service) {
		heard := hub.Subscribe(t.Context(), 100)
		add(store, "1", capabilities, 200, clean...)
		settle()
		before, err := s.Judge(t.Context(), "match", pair)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Review(t.Context(), &testplans.Reviewed{Run: before.Run, State: testplans.Verified, By: "Ada"}); err != nil {
			t.Fatal(err)
		}
		if err := s.SetPlans([]testplans.Plan{stricter()}); err != nil {
			t.Fatal(err)
		}
		told := false
		for len(heard) > 0 {
			told = (<-heard).Kind == live.KindPlans || told
		}
		if !told {
			t.Error("nobody was told that the plans changed")
		}
		store.Hub.Publish(live.Notice{Kind: live.KindPlans})
		settle()
		if got := history(t, s, before.Run, "capabilities", "status"); got != "pass fail" {
			t.Errorf("history of the check, judged without being asked for: %s", got)
		}
		after, err := s.Judge(t.Context(), "match", pair)
		if err != nil || after.Run != before.Run || after.Whole().Verdict != testplans.Fail || after.Whole().PlanDigest != "d2" {
			t.Errorf("after the change: %+v, %v", after, err)
		}
		if _, there := after.Step("match"); there {
			t.Error("a step that the plan has no more is shown")
		}
		list, err := s.Reviews(t.Context(), before.Run)
		if _, stale := testplans.Decision(list[before.Run], after.Digest()); err != nil || !stale {
			t.Errorf("the decision on the older text is shown as one on this: %v", err)
		}
		if err := s.SetPlans([]testplans.Plan{plan}); err != nil {
			t.Fatal(err)
		}
		back, err := s.Judge(t.Context(), "match", pair)
		if err != nil || back.Digest() != before.Digest() {
			t.Errorf("the plan as it was gives other results than it gave: %+v, %v", back, err)
		}
		if got := history(t, s, before.Run, "capabilities", "status"); got != "pass fail pass" {
			t.Errorf("history of the check: %s", got)
		}
	})
}

func TestWhatDidNotChangeIsNotReadAgain(t *testing.T) {
	other := plan
	other.ID, other.Digest = "other", "o1"
	bubbleOf(t, []testplans.Plan{plan, other}, scenarios.Options{}, func(t *testing.T, store *counting, s *scenarios.Service) {
		add(store, "1", capabilities, 200, clean...)
		settle()
		n := store.loaded.Load()
		other.Title = "a change that no digest tells of"
		if err := s.SetPlans([]testplans.Plan{plan, other}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Judge(t.Context(), "match", pair); err != nil {
			t.Fatal(err)
		}
		if got := store.loaded.Load() - n; got != 0 {
			t.Errorf("%d exchanges were read for plans that did not change", got)
		}
	})
}

func TestAPlanThatIsGone(t *testing.T) {
	texts := map[string]testplans.Plan{}
	o := scenarios.Options{Former: func(id, digest string) (testplans.Plan, bool) { p, ok := texts[id+"@"+digest]; return p, ok }}
	bubble(t, o, func(t *testing.T, store *counting, s *scenarios.Service) {
		add(store, "1", capabilities, 200, clean...)
		settle()
		before, err := s.Judge(t.Context(), "match", pair)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetPlans(nil); err != nil {
			t.Fatal(err)
		}
		settle()
		for name, judge := range map[string]func() (testplans.Judgement, error){
			"by channel": func() (testplans.Judgement, error) { return s.Judge(t.Context(), "match", pair) },
			"by run":     func() (testplans.Judgement, error) { return s.JudgeRun(t.Context(), before.Run) },
		} {
			if j, err := judge(); err != nil || j.Digest() != before.Digest() || j.State != testplans.Done {
				t.Errorf("%s: %+v, %v", name, j, err)
			}
		}
		p, err := s.FormerPlan(t.Context(), "match")
		if err != nil || p.ID != "match" || p.Title != plan.Title || p.Digest != "d1" || len(p.Steps) != 2 || len(p.Steps[1].Checks) != 2 || p.Steps[1].Claim != plan.Steps[1].Claim {
			t.Errorf("from its results: %+v, %v", p, err)
		}
		texts["match@d1"] = plan
		if p, err = s.FormerPlan(t.Context(), "match"); err != nil || p.Track != plan.Track {
			t.Errorf("from its text: %+v, %v", p, err)
		}
		if _, err := s.FormerPlan(t.Context(), "nope"); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("one that never was: %v", err)
		}
		if _, err := s.Judge(t.Context(), "nope", pair); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("judging one that never was: %v", err)
		}
	})
}

// What is judged beside the page is shown as it stood last, unless another text of the plan said so.
func TestOlderTextIsNotShownAsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := fixture(t, scenarios.Options{AtOnce: 1, Clock: time.Now})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx, store.Hub); close(ended) }()
		for _, id := range []string{"1", "2", "3"} {
			add(store, id, capabilities, 200, clean...)
		}
		settle()
		if err := s.SetPlans([]testplans.Plan{stricter()}); err != nil {
			t.Fatal(err)
		}
		j, err := s.Judge(ctx, "match", pair)
		if err != nil || j.State != testplans.Evaluating || j.Whole().Verdict != testplans.NotChecked || j.Whole().PlanDigest != "d2" {
			t.Errorf("while it is judged anew: %+v, %v", j, err)
		}
		settle()
		if j, err = s.Judge(ctx, "match", pair); err != nil || j.Whole().Verdict != testplans.Fail {
			t.Errorf("then: %+v, %v", j, err)
		}
		stop()
		<-ended
	})
}

func TestTwoPlansWithOneId(t *testing.T) {
	_, s := fixture(t, scenarios.Options{})
	if err := s.SetPlans([]testplans.Plan{stricter(), plan}); err == nil {
		t.Error("two plans with one id are taken")
	}
	if plans, _ := s.Plans(t.Context()); len(plans) != 1 || plans[0].Digest != "d1" {
		t.Errorf("plans after a set that was refused: %+v", plans)
	}
}
