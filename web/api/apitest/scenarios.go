package apitest

import (
	"context"
	"slices"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// Scenarios are plans with judgements that were made up. It is api.Scenarios.
type Scenarios struct {
	List []testplans.Plan
	// Judgements are by channel; a channel without one was not tried.
	Judgements map[string]testplans.Judgement
	// Err is the answer for the channel Failing.
	Err     error
	Failing string
}

// Plans is part of api.Scenarios.
func (s *Scenarios) Plans(context.Context) ([]testplans.Plan, error) { return s.List, nil }

// Judge is part of api.Scenarios.
func (s *Scenarios) Judge(_ context.Context, plan, channel string) (testplans.Judgement, error) {
	i := slices.IndexFunc(s.List, func(p testplans.Plan) bool { return p.ID == plan })
	if i < 0 {
		return testplans.Judgement{}, proxy.ErrNotFound
	}
	if channel == s.Failing && s.Err != nil {
		return testplans.Judgement{}, s.Err
	}
	if j, ok := s.Judgements[channel]; ok && j.Plan == plan {
		return j, nil
	}
	j := testplans.Judgement{Plan: plan, Channel: channel, Kind: testplans.Observed, State: testplans.NotTried, Results: []testplans.Result{{Plan: plan, Verdict: testplans.NotShown, Kind: testplans.Observed}}}
	for _, st := range s.List[i].Steps {
		j.Results = append(j.Results, testplans.Result{Step: st.ID, Claim: st.Claim, Optional: st.Optional, Verdict: testplans.NotShown, Message: "no such exchange was recorded", Kind: testplans.Observed})
		for _, c := range st.Checks {
			j.Results = append(j.Results, testplans.Result{Step: st.ID, Check: c.ID, Claim: c.Claim, Verdict: testplans.NotShown, Kind: testplans.Observed})
		}
	}
	return j, nil
}
