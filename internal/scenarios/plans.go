package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
)

// planSet is the plans known at one time, by track and title. It is immutable: runs point into it.
type planSet struct {
	list []testplans.Plan
	byID map[string]int
	none [][]testplans.Result // of each while nothing is known
}

func newPlanSet(plans []testplans.Plan) (*planSet, error) {
	set := &planSet{list: slices.Clone(plans), byID: map[string]int{}}
	slices.SortFunc(set.list, func(a, b testplans.Plan) int {
		return cmp.Or(strings.Compare(a.Track, b.Track), strings.Compare(a.Title, b.Title), strings.Compare(a.ID, b.ID))
	})
	for i := range set.list {
		if _, twice := set.byID[set.list[i].ID]; twice {
			return nil, fmt.Errorf("plan %s: two plans have this id", set.list[i].ID)
		}
		set.byID[set.list[i].ID] = i
		set.none = append(set.none, lastOf(&set.list[i], nil))
	}
	return set, nil
}

// untold are the results of a plan while nothing is known of them, nil for a plan that is not in use.
func (set *planSet) untold(p *testplans.Plan) []testplans.Result {
	if i, ok := set.byID[p.ID]; ok && set.list[i].Digest == p.Digest {
		return set.none[i]
	}
	return nil
}

func (set *planSet) digest(id string) string {
	if i, ok := set.byID[id]; ok {
		return set.list[i].Digest
	}
	return ""
}

func (s *Service) known() *planSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plans
}

// Plans are the plans known, by track and title.
func (s *Service) Plans(context.Context) ([]testplans.Plan, error) {
	return slices.Clone(s.known().list), nil
}

func (s *Service) plan(id string) (*testplans.Plan, error) {
	set := s.known()
	i, ok := set.byID[id]
	if !ok {
		return nil, fmt.Errorf("plan %s: %w", id, proxy.ErrNotFound)
	}
	return &set.list[i], nil
}

// SetPlans puts vetted plans in place of those known. What was recorded is judged anew by those whose text changed; the others' judgings go
// on, and results of plans that are gone stay as they were stored. Plans with one id are an error, and nothing changes.
func (s *Service) SetPlans(plans []testplans.Plan) error {
	set, err := newPlanSet(plans)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.plans = set
	s.mu.Unlock()
	for _, c := range s.listed() {
		s.tell(c, s.leaveOld)
	}
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindPlans})
	return nil
}

// leaveOld drops a channel's runs by texts of plans that are not in use any more. The caller has the channel's turn.
func (s *Service) leaveOld(c *channel) {
	set := s.known()
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range c.runs {
		if set.digest(r.plan.ID) != r.plan.Digest {
			delete(c.runs, key)
			delete(c.last, key)
		}
	}
	c.opened, c.large = false, false
}

// judgedBy reports whether results are by a plan's text.
func judgedBy(results []testplans.Result, p *testplans.Plan) bool {
	return len(results) == 0 || results[0].PlanDigest == p.Digest
}

// lastText is the digest of the plan by which results were stored last.
func lastText(list []testplans.Recorded) string {
	at := slices.IndexFunc(list, func(r testplans.Recorded) bool { return r.Result.Step == "" })
	if at < 0 {
		return ""
	}
	return list[at].Result.PlanDigest
}

// stoodLast is how a plan that is not known any more stood over a channel.
func (s *Service) stoodLast(ctx context.Context, plan, name string) (testplans.Judgement, error) {
	run, err := s.store.StandingRun(ctx, plan, name)
	if err != nil {
		return testplans.Judgement{}, err
	}
	return s.stored(ctx, run)
}

// FormerPlan is a plan that is not known any more and judged before: its text where that was kept, else what its results say of it. The
// error wraps proxy.ErrNotFound when there are none.
func (s *Service) FormerPlan(ctx context.Context, id string) (testplans.Plan, error) {
	runs, _, err := s.store.Runs(ctx, testplans.RunQuery{Plan: id, Limit: 20})
	if err != nil {
		return testplans.Plan{}, err
	}
	for i := range runs {
		j, err := s.stored(ctx, runs[i])
		if err != nil && !errors.Is(err, proxy.ErrNotFound) {
			return testplans.Plan{}, err
		}
		if len(j.Results) == 0 {
			continue
		}
		if s.opt.Former != nil {
			if p, ok := s.opt.Former(id, j.Results[0].PlanDigest); ok {
				return p, nil
			}
		}
		return planOfResults(id, j.Results), nil
	}
	return testplans.Plan{}, fmt.Errorf("plan %s: %w", id, proxy.ErrNotFound)
}

// planOfResults is what results say of their plan.
func planOfResults(id string, results []testplans.Result) testplans.Plan {
	p := testplans.Plan{ID: id, Title: id}
	at := map[string]int{}
	for i := range results {
		r := &results[i]
		if r.Step == "" {
			p.Title, p.Digest = cmp.Or(r.Claim, id), r.PlanDigest
			continue
		}
		if _, ok := at[r.Step]; !ok {
			at[r.Step] = len(p.Steps)
			p.Steps = append(p.Steps, testplans.Step{ID: r.Step, Title: r.Step})
		}
		st := &p.Steps[at[r.Step]]
		if r.Check == "" {
			st.Claim, st.Optional, st.Requirements = r.Claim, r.Optional, r.Requirements
			continue
		}
		st.Checks = append(st.Checks, testplans.Check{ID: r.Check, Claim: r.Claim, Strength: r.Strength, Requirements: r.Requirements})
	}
	return p
}
