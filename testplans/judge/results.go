package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// answer is a check's outcome.
type answer struct {
	check *testplans.Check
	checks.Outcome
	// overruled: traffic has decided what a person was to be asked otherwise.
	overruled bool
}

func (j *Judging) ofStep(s *testplans.Step) testplans.Result {
	return testplans.Result{Step: s.ID, Claim: s.Claim, Optional: s.Optional, Strength: cmp.Or(s.Strength, validators.Shall), Requirements: s.Requirements}
}

func (j *Judging) ofCheck(s *testplans.Step, c *testplans.Check) testplans.Result {
	return testplans.Result{Step: s.ID, Check: c.ID, Claim: c.Claim, Optional: s.Optional, Strength: s.StrengthOf(c), Requirements: s.RequirementsOf(c)}
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
		b.Items = slices.Clip(b.Items) // it may be remembered: what is appended goes elsewhere
		return b
	case a.Verdict == b.Verdict:
		a.Items = append(a.Items, b.Items...)
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

func (j *Judging) resultsOf(s *testplans.Step, answers []answer, others []checks.Item) []testplans.Result {
	whole := j.ofStep(s)
	whole.Verdict = rollUp(s, answers)
	if onlySaid(answers) {
		whole.Kind = testplans.Attested
	}
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
		if attested(a) {
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
	results[0] = whole
	return results
}

// attested reports a person's word that decides a check.
func attested(a answer) bool {
	return a.check.Attestation != nil && a.Verdict != testplans.NotShown && !a.overruled
}

// onlySaid reports that nothing but people's words decides.
func onlySaid(answers []answer) bool {
	said := false
	for _, a := range answers {
		switch {
		case attested(a):
			said = true
		case a.Verdict != testplans.NotApplicable:
			return false
		}
	}
	return said
}

// cite sets a result's evidence: each exchange once, in order of time, up to MaxEvidence.
func (j *Judging) cite(r *testplans.Result, items []checks.Item) {
	if !slices.IsSortedFunc(items, checks.ByTime) {
		items = slices.Clone(items)
		slices.SortFunc(items, checks.ByTime)
	}
	r.Evidence, r.EvidenceCut, r.Insecure = nil, 0, 0
	for i, it := range items {
		if i > 0 && items[i-1].Exchange.ID == it.Exchange.ID {
			continue
		}
		insecure := it.Exchange.Insecure()
		if insecure {
			r.Insecure++
		}
		switch {
		case len(r.Evidence) == testplans.MaxEvidence:
			r.EvidenceCut++
		default:
			r.Evidence = append(r.Evidence, testplans.Evidence{Exchange: it.Exchange.ID, Number: it.Exchange.Number, Insecure: insecure})
		}
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
