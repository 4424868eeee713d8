package judge

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// Judge gives the results of a vetted plan over evidence: the whole, then each step with its checks, in the plan's order. Exchanges of
// other channels and outside the run's window are left out. The error is for evidence that could not be read.
func Judge(ctx context.Context, plan testplans.Plan, run testplans.Run, evidence iter.Seq2[checks.Item, error], table checks.Table) ([]testplans.Result, error) {
	j := New(plan, run, table)
	for it, err := range evidence {
		if err != nil {
			return nil, fmt.Errorf("evidence: %w", err)
		}
		j.Add(it)
	}
	return j.Results(ctx)
}

// Selects reports whether a step may select an exchange by what its short form tells, and whether a check of such a step looks at its
// report: what needs not be loaded otherwise.
func Selects(plan *testplans.Plan, ex *proxy.Exchange) (wanted, report bool) {
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if onlyAttests(s) || !briefly(&s.Select, ex) {
			continue
		}
		wanted = true
		report = report || slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return checks.NeedsReport(&c) })
	}
	return wanted, report
}

// Judging is a plan over evidence that arrives piece by piece: Add what was recorded or inspected, in any order, and ask for Results,
// again and again. They are those that Judge gives over all of it. What was answered about an exchange is remembered, so that another
// one asks only about itself, unless it changes what steps that depend on it may look at. It is for one goroutine at a time.
type Judging struct {
	plan  *testplans.Plan
	run   testplans.Run
	table checks.Table
	desk  *checks.Desk

	known map[string]*entry
	steps []*step
	names []string       // of captured variables
	stamp map[string]int // a number for each value that a variable has had, by name, as the walk over the steps goes
	clock int            // numbers what changes

	// attempts and verdicts are of the steps before the one that is judged.
	attempts map[string][]checks.Item
	verdicts map[string]testplans.Verdict
	said     map[said]*checks.Outcome

	results []testplans.Result // nil when something changed since
}

// entry is an exchange that a step may select.
type entry struct {
	item checks.Item
	in   []*candidate
}

// New starts judging a vetted plan without evidence.
func New(plan testplans.Plan, run testplans.Run, table checks.Table) *Judging {
	j := &Judging{
		plan: &plan, run: run, table: table, desk: checks.NewDesk(table.Model), known: map[string]*entry{}, stamp: map[string]int{},
		attempts: map[string][]checks.Item{}, verdicts: map[string]testplans.Verdict{}, said: map[said]*checks.Outcome{},
	}
	for i := range plan.Steps {
		for _, c := range plan.Steps[i].Capture {
			if !slices.Contains(j.names, c.Name) {
				j.names = append(j.names, c.Name)
			}
		}
	}
	for i := range plan.Steps {
		j.addStep(&plan.Steps[i])
	}
	j.desk.Together(j.plan)
	return j
}

// Len is how many exchanges are kept.
func (j *Judging) Len() int { return len(j.known) }

// Has reports whether an exchange is kept.
func (j *Judging) Has(id string) bool { return j.known[id] != nil }

// Add takes an exchange as evidence, or the report of one that was added without, or anew. What no step may select is not kept.
func (j *Judging) Add(it checks.Item) {
	if e := j.known[it.Exchange.ID]; e != nil {
		if it.Report == nil {
			return
		}
		e.item.Report = it.Report
		for _, c := range e.in {
			c.forgetReport()
			j.results = nil
		}
		return
	}
	if !j.inWindow(it) {
		return
	}
	var e *entry
	for _, s := range j.steps {
		if !s.applies || onlyAttests(s.Step) || !plainly(&s.Select, it.Exchange) {
			continue
		}
		if e == nil {
			if it.Known == nil {
				it.Known = new(checks.Known)
			}
			e = &entry{item: it}
			j.known[it.Exchange.ID] = e
			j.results = nil
		}
		c := &candidate{entry: e, step: s}
		e.in = append(e.in, c)
		s.add(c)
		c.askReport()
	}
	if e != nil {
		e.releaseReport()
	}
}

// Attest sets what people said: the last word on a check counts.
func (j *Judging) Attest(list []testplans.Attestation) {
	j.run.Attestations = slices.Clone(list)
	for _, s := range j.steps {
		if slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Attestation != nil }) {
			s.dirty, j.results = true, nil
		}
	}
}

// Results are the whole's, then each step's with its checks. They are shared: do not change them.
func (j *Judging) Results(ctx context.Context) ([]testplans.Result, error) {
	if j.results != nil {
		return j.results, nil
	}
	defer j.desk.Release()
	clear(j.attempts)
	clear(j.verdicts)
	clear(j.stamp)
	for _, name := range j.names {
		j.desk.Set(name, nil) // known, without a value
	}
	results := make([]testplans.Result, 1, 1+8*len(j.steps))
	var parts []testplans.Part
	var side validators.Side
	for _, s := range j.steps {
		if err := s.judge(ctx); err != nil {
			return nil, fmt.Errorf("plan %s: step %s: %w", j.plan.ID, s.ID, err)
		}
		results = append(results, s.results...)
		parts = append(parts, testplans.Part{Verdict: s.results[0].Verdict, Optional: s.Optional})
		if !s.Optional && s.results[0].Verdict == testplans.Fail {
			side = join(side, s.results[0].Side)
		}
	}
	whole := testplans.Result{Claim: j.plan.Title, Verdict: testplans.RollUp(parts)}
	if whole.Verdict == testplans.Fail {
		whole.Side = side
	}
	results[0] = whole
	if err := j.seal(results[:1]); err != nil {
		return nil, err
	}
	j.results = results
	return results, nil
}

// seal says of results what they were computed from.
func (j *Judging) seal(results []testplans.Result) error {
	for i := range results {
		r := &results[i]
		r.Run, r.Plan, r.PlanDigest, r.Context = j.run.ID, j.plan.ID, j.plan.Digest, j.run.Context
		if r.Kind == "" {
			r.Kind = j.run.Kind
		}
		if err := r.Seal(); err != nil {
			return err
		}
	}
	return nil
}

func (j *Judging) inWindow(it checks.Item) bool {
	ex, start := it.Exchange, it.Exchange.Timing.Start
	switch {
	case j.run.Channel != "" && ex.Channel != j.run.Channel:
		return false
	case !j.run.Since.IsZero() && start.Before(j.run.Since):
		return false
	default:
		return j.run.Until.IsZero() || start.Before(j.run.Until)
	}
}

func onlyAttests(s *testplans.Step) bool {
	return !slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Attestation == nil })
}
