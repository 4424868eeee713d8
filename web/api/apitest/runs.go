package apitest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// Runs keeps runs in memory, as the store does. It is safe for concurrent use.
type Runs struct {
	mu       sync.Mutex // guards all below
	runs     []testplans.Run
	results  map[string][]testplans.Recorded
	words    map[string][]testplans.Attestation
	reviews  map[string][]testplans.Reviewed
	sequence int
}

// NewRuns returns an empty store of runs.
func NewRuns() *Runs {
	return &Runs{results: map[string][]testplans.Recorded{}, words: map[string][]testplans.Attestation{}, reviews: map[string][]testplans.Reviewed{}}
}

func (s *Runs) id() string {
	s.sequence++
	return fmt.Sprintf("run-%04d", s.sequence)
}

// SaveRun is part of scenarios.RunStore.
func (s *Runs) SaveRun(_ context.Context, run *testplans.Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if run.Standing && r.Standing && r.Plan == run.Plan && r.Channel == run.Channel {
			return proxy.ErrConflict
		}
	}
	run.ID = cmp.Or(run.ID, s.id())
	s.runs = append(s.runs, *run)
	return nil
}

func (s *Runs) find(is func(r *testplans.Run) bool) (testplans.Run, error) {
	for i := range s.runs {
		if is(&s.runs[i]) {
			return s.runs[i], nil
		}
	}
	return testplans.Run{}, proxy.ErrNotFound
}

// Run is part of scenarios.RunStore.
func (s *Runs) Run(_ context.Context, id string) (testplans.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(func(r *testplans.Run) bool { return r.ID == id })
}

// StandingRun is part of scenarios.RunStore.
func (s *Runs) StandingRun(_ context.Context, plan, channel string) (testplans.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(func(r *testplans.Run) bool { return r.Standing && r.Plan == plan && r.Channel == channel })
}

// Runs is part of scenarios.RunStore.
func (s *Runs) Runs(_ context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.runs) {
		if q.Plan != "" && r.Plan != q.Plan || q.Channel != "" && r.Channel != q.Channel || q.Before != "" && r.ID >= q.Before {
			continue
		}
		if len(runs) == cmp.Or(q.Limit, 100) {
			return runs, true, nil
		}
		runs = append(runs, r)
	}
	return runs, false, nil
}

// SetWindow is part of scenarios.RunStore.
func (s *Runs) SetWindow(_ context.Context, run *testplans.Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.runs {
		if s.runs[i].ID == run.ID && !s.runs[i].Standing {
			s.runs[i].Since, s.runs[i].Until = run.Since, run.Until
			return nil
		}
	}
	return proxy.ErrNotFound
}

// AppendResults is part of scenarios.ResultStore.
func (s *Runs) AppendResults(_ context.Context, run string, at time.Time, results []testplans.Result) (appended int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		digest := ""
		for _, have := range s.results[run] {
			if have.Result.Step == r.Step && have.Result.Check == r.Check {
				digest = have.Result.Digest
			}
		}
		if digest == r.Digest && digest != "" {
			continue
		}
		s.results[run] = append(s.results[run], testplans.Recorded{At: at, Result: r})
		appended++
	}
	return appended, nil
}

// Results is part of scenarios.ResultStore.
func (s *Runs) Results(_ context.Context, run string) ([]testplans.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []testplans.Recorded
	for _, r := range slices.Backward(s.results[run]) {
		if !slices.ContainsFunc(out, func(o testplans.Recorded) bool {
			return o.Result.Step == r.Result.Step && o.Result.Check == r.Result.Check
		}) {
			out = append(out, r)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// History is part of scenarios.ResultStore.
func (s *Runs) History(_ context.Context, run, step, check string) ([]testplans.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []testplans.Recorded
	for _, r := range slices.Backward(s.results[run]) {
		if r.Result.Step == step && r.Result.Check == check {
			out = append(out, r)
		}
	}
	return out, nil
}

// Attest is part of scenarios.WordStore.
func (s *Runs) Attest(_ context.Context, run string, a testplans.Attestation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words[run] = append(s.words[run], a)
	return nil
}

// Attestations is part of scenarios.WordStore.
func (s *Runs) Attestations(_ context.Context, run string) ([]testplans.Attestation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.words[run]), nil
}

// SaveReview is part of scenarios.WordStore.
func (s *Runs) SaveReview(_ context.Context, r *testplans.Reviewed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID = cmp.Or(r.ID, s.id())
	s.reviews[r.Run] = append(s.reviews[r.Run], *r)
	return nil
}

// Reviews is part of scenarios.WordStore.
func (s *Runs) Reviews(_ context.Context, runs ...string) (map[string][]testplans.Reviewed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]testplans.Reviewed{}
	for _, id := range runs {
		if len(s.reviews[id]) > 0 {
			out[id] = slices.Clone(s.reviews[id])
		}
	}
	return out, nil
}

// ExchangesByID is part of scenarios.Exchanges.
func (s *Store) ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error) {
	var out []*proxy.Exchange
	for _, id := range ids {
		e, err := s.Exchange(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// FindingsByID is part of scenarios.Reports.
func (s *Store) FindingsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error) {
	return s.ReportsByID(ctx, ids)
}

// ReportsByID reads many reports.
func (s *Store) ReportsByID(_ context.Context, ids []string) (map[string]*validators.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]*validators.Report{}
	for _, id := range ids {
		if r := s.reports[id]; r != nil {
			out[id] = r
		}
	}
	return out, nil
}
