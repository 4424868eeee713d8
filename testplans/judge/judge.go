package judge

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// Judge gives the results of a vetted plan over evidence: the whole, then each step with its checks, in the plan's order. Exchanges of
// other channels and outside the run's window are left out. The error is for evidence that could not be read.
func Judge(ctx context.Context, plan testplans.Plan, run testplans.Run, evidence iter.Seq2[checks.Item, error], table checks.Table) ([]testplans.Result, error) {
	j := &judging{
		plan: &plan, run: &run, table: table, desk: checks.NewDesk(table.Model),
		attempts: map[string][]checks.Item{}, verdicts: map[string]testplans.Verdict{},
	}
	for _, s := range plan.Steps {
		for _, c := range s.Capture {
			j.desk.Set(c.Name, nil) // known, without a value
		}
	}
	candidates := make([][]checks.Item, len(plan.Steps))
	for it, err := range evidence {
		if err != nil {
			return nil, fmt.Errorf("evidence: %w", err)
		}
		if !j.inWindow(it) {
			continue
		}
		for i := range plan.Steps {
			if !onlyAttests(&plan.Steps[i]) && plainly(&plan.Steps[i].Select, it.Exchange) {
				candidates[i] = append(candidates[i], it)
			}
		}
	}
	results := make([]testplans.Result, 1, 1+8*len(plan.Steps))
	var parts []testplans.Part
	var side validators.Side
	for i := range plan.Steps {
		s := &plan.Steps[i]
		slices.SortFunc(candidates[i], byTime)
		got, err := j.step(ctx, s, candidates[i])
		if err != nil {
			return nil, fmt.Errorf("plan %s: step %s: %w", plan.ID, s.ID, err)
		}
		results = append(results, got...)
		parts = append(parts, testplans.Part{Verdict: got[0].Verdict, Optional: s.Optional})
		if !s.Optional && got[0].Verdict == testplans.Fail {
			side = join(side, got[0].Side)
		}
	}
	whole := testplans.Result{Claim: plan.Title, Verdict: testplans.RollUp(parts)}
	if whole.Verdict == testplans.Fail {
		whole.Side = side
	}
	results[0] = whole
	for i := range results {
		r := &results[i]
		r.Run, r.Plan, r.PlanDigest, r.Context = run.ID, plan.ID, plan.Digest, run.Context
		if r.Kind == "" {
			r.Kind = run.Kind
		}
		if err := r.Seal(); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// judging is the state of one Judge.
type judging struct {
	plan     *testplans.Plan
	run      *testplans.Run
	table    checks.Table
	desk     *checks.Desk
	attempts map[string][]checks.Item
	verdicts map[string]testplans.Verdict
}

func (j *judging) inWindow(it checks.Item) bool {
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

func byTime(a, b checks.Item) int {
	return cmp.Or(a.Exchange.Timing.Start.Compare(b.Exchange.Timing.Start), strings.Compare(a.Exchange.ID, b.Exchange.ID))
}

// answer is a check's outcome.
type answer struct {
	check *testplans.Check
	checks.Outcome
}

// step judges one step: its result, then those of its checks.
func (j *judging) step(ctx context.Context, s *testplans.Step, candidates []checks.Item) ([]testplans.Result, error) {
	if !testplans.Applies(j.plan.Guides, j.run.Context.Guides) || !testplans.Applies(s.Guides, j.run.Context.Guides) {
		return j.same(s, testplans.NotApplicable, "the plan says this of other versions of the guide"), nil
	}
	attempts, doubt, err := j.attemptsOf(ctx, s, candidates)
	if err != nil {
		return nil, err
	}
	j.attempts[s.ID] = attempts
	if len(attempts) == 0 && !onlyAttests(s) {
		if doubt != "" {
			return j.same(s, testplans.NotChecked, doubt), nil
		}
		return j.same(s, testplans.NotShown, "no such exchange was recorded"), nil
	}

	answers := make([]answer, len(s.Checks))
	best, others, err := j.perAttempt(ctx, s, attempts, answers)
	if err != nil {
		return nil, err
	}
	for i := range s.Checks {
		c := &s.Checks[i]
		if kind, _ := j.table.Find(c); !kind.Step {
			continue
		}
		out, err := j.table.Ask(ctx, j.newCase(s, c, checks.Item{}))
		if err != nil {
			return nil, err
		}
		if out.Items == nil && c.Attestation == nil {
			out.Items = attempts
		}
		answers[i] = answer{c, out}
	}
	results := j.results(s, answers, others)
	if best >= 0 {
		if err := j.capture(ctx, s, attempts[best]); err != nil {
			return nil, err
		}
		if len(results[0].Evidence) == 0 {
			j.cite(&results[0], []checks.Item{attempts[best]})
		}
	}
	return results, nil
}

func onlyAttests(s *testplans.Step) bool {
	return !slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Attestation == nil })
}

// same gives a step and all its checks one verdict.
func (j *judging) same(s *testplans.Step, v testplans.Verdict, message string) []testplans.Result {
	j.verdicts[s.ID] = v
	results := []testplans.Result{j.ofStep(s)}
	for i := range s.Checks {
		results = append(results, j.ofCheck(s, &s.Checks[i]))
	}
	for i := range results {
		results[i].Verdict, results[i].Message = v, message
	}
	return results
}

func (j *judging) ofStep(s *testplans.Step) testplans.Result {
	return testplans.Result{Step: s.ID, Claim: s.Claim, Optional: s.Optional, Strength: cmp.Or(s.Strength, validators.Shall), Requirements: s.Requirements}
}

func (j *judging) ofCheck(s *testplans.Step, c *testplans.Check) testplans.Result {
	return testplans.Result{Step: s.ID, Check: c.ID, Claim: c.Claim, Optional: s.Optional, Strength: s.StrengthOf(c), Requirements: s.RequirementsOf(c)}
}

func (j *judging) newCase(s *testplans.Step, c *testplans.Check, attempt checks.Item) *checks.Case {
	k := &checks.Case{Desk: j.desk, Check: c, Attempt: attempt, Attempts: j.attempts[s.ID], Steps: j.attempts, Verdicts: j.verdicts}
	for i := range j.run.Attestations {
		if a := &j.run.Attestations[i]; a.Step == s.ID && a.Check == c.ID {
			k.Attestation = a // the last word counts
		}
	}
	return k
}

// perAttempt asks the checks of single attempts. Those marked Every are answered by all attempts; the others by the best one, whose index is
// returned (-1 for no attempt), and others says how many of the rest failed.
func (j *judging) perAttempt(ctx context.Context, s *testplans.Step, attempts []checks.Item, answers []answer) (best int, others []checks.Item, err error) {
	best = -1
	var bestVerdict testplans.Verdict
	bestShort := 0 // checks of it that did not pass, which decides between equals
	for n, at := range attempts {
		mine := make([]answer, 0, len(s.Checks))
		for i := range s.Checks {
			c := &s.Checks[i]
			if kind, _ := j.table.Find(c); kind.Step {
				continue
			}
			out, err := j.table.Ask(ctx, j.newCase(s, c, at))
			if err != nil {
				return -1, nil, err
			}
			if out.Items == nil {
				out.Items = []checks.Item{at}
			}
			if c.Every {
				answers[i] = worse(answers[i], answer{c, out})
				continue
			}
			mine = append(mine, answer{c, out})
		}
		v := rollUp(s, mine)
		if v == testplans.Fail {
			others = append(others, at)
		}
		short := 0
		for _, a := range mine {
			if a.Verdict != testplans.Pass {
				short++
			}
		}
		if best >= 0 && (rank(v) > rank(bestVerdict) || v == bestVerdict && short >= bestShort) {
			continue
		}
		best, bestVerdict, bestShort = n, v, short
		for _, a := range mine {
			i := slices.IndexFunc(s.Checks, func(c testplans.Check) bool { return c.ID == a.check.ID })
			answers[i] = a
		}
	}
	if bestVerdict == testplans.Fail {
		others = nil // the best one failed: its message says how
	}
	return best, others, nil
}

// rank orders attempts, best first.
func rank(v testplans.Verdict) int {
	return slices.Index([]testplans.Verdict{
		testplans.Pass, testplans.PassNotes, testplans.NotApplicable, testplans.NotChecked, testplans.NotShown, testplans.Fail, testplans.ToolError,
	}, v)
}

// worse joins the answers of two attempts to a check asked of every one: the heavier verdict with all its exchanges.
func worse(a, b answer) answer {
	switch {
	case a.check == nil || a.Verdict != b.Verdict && testplans.RollUp([]testplans.Part{{Verdict: a.Verdict}, {Verdict: b.Verdict}}) == b.Verdict:
		return b
	case a.Verdict == b.Verdict:
		a.Items = append(a.Items, b.Items...) // each attempt's list is its own
	}
	return a
}

// rollUp is the verdict of answers of a step: a SHOULD or MAY that does not hold makes a note.
func rollUp(s *testplans.Step, answers []answer) testplans.Verdict {
	parts := make([]testplans.Part, 0, len(answers))
	required := false
	for _, a := range answers {
		must := s.StrengthOf(a.check) == validators.Shall
		required = required || must
		parts = append(parts, testplans.Part{Verdict: a.Verdict, Optional: !must})
	}
	if !required { // nothing but SHOULD and MAY: they decide, and cannot fail
		for i := range parts {
			parts[i].Optional = false
			if parts[i].Verdict == testplans.Fail {
				parts[i].Verdict = testplans.PassNotes
			}
		}
	}
	if len(parts) == 0 {
		return testplans.Pass
	}
	return testplans.RollUp(parts)
}

func (j *judging) results(s *testplans.Step, answers []answer, others []checks.Item) []testplans.Result {
	whole := j.ofStep(s)
	whole.Verdict = rollUp(s, answers)
	results := []testplans.Result{whole}
	var deciding []checks.Item
	message := ""
	for _, a := range answers {
		r := j.ofCheck(s, a.check)
		r.Verdict, r.Message = a.Verdict, a.Message
		if a.Verdict == testplans.Fail {
			r.Side = a.check.Side
			if r.Strength == validators.Shall && whole.Verdict == testplans.Fail {
				whole.Side = join(whole.Side, r.Side)
			}
		}
		if a.check.Attestation != nil && a.Verdict != testplans.NotShown {
			r.Kind = testplans.Attested
		}
		j.cite(&r, a.Items)
		if a.Verdict == whole.Verdict && (a.Verdict != testplans.Fail || r.Strength == validators.Shall) {
			deciding = append(deciding, a.Items...)
			if message == "" && a.Message != "" {
				message = a.check.ID + ": " + a.Message
			}
		}
		results = append(results, r)
	}
	if len(others) > 0 && (whole.Verdict == testplans.Pass || whole.Verdict == testplans.PassNotes) {
		whole.Verdict = testplans.PassNotes
		attempts := "attempts"
		if len(others) == 1 {
			attempts = "attempt"
		}
		message = strings.TrimPrefix(fmt.Sprintf("%s; %d other %s did not pass", message, len(others), attempts), "; ")
	}
	whole.Message = message
	j.cite(&whole, deciding)
	j.verdicts[s.ID] = whole.Verdict
	results[0] = whole
	return results
}

// cite sets a result's evidence: each exchange once, in order of time, up to MaxEvidence.
func (j *judging) cite(r *testplans.Result, items []checks.Item) {
	items = slices.Clone(items)
	slices.SortFunc(items, byTime)
	items = slices.CompactFunc(items, func(a, b checks.Item) bool { return a.Exchange.ID == b.Exchange.ID })
	r.Evidence, r.EvidenceCut = nil, max(0, len(items)-testplans.MaxEvidence)
	for _, it := range items[:len(items)-r.EvidenceCut] {
		r.Evidence = append(r.Evidence, testplans.Evidence{Exchange: it.Exchange.ID, Number: it.Exchange.Number})
	}
}

func join(a, b validators.Side) validators.Side {
	switch {
	case a == "" || a == b:
		return b
	case b == "":
		return a
	default:
		return validators.SideBoth
	}
}
