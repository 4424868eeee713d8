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
	// own says that Items are attempts of the step.
	own bool
	// overruled: traffic has decided what a person was to be asked otherwise.
	overruled bool
}

func (j *Judging) ofStep(s *testplans.Step) testplans.Result {
	return testplans.Result{Step: s.ID, Claim: s.Claim, Optional: s.Optional, Strength: cmp.Or(s.Strength, validators.Shall), Requirements: s.Requirements}
}

func (j *Judging) ofCheck(s *testplans.Step, c *testplans.Check) testplans.Result {
	return testplans.Result{Step: s.ID, Check: c.ID, Claim: c.Claim, Optional: s.Optional, Strength: s.StrengthOf(c), Requirements: s.RequirementsOf(c)}
}

// rank orders attempts, best first; failing is that of one that fails.
func rank(v testplans.Verdict) int {
	return slices.Index([]testplans.Verdict{
		testplans.Pass, testplans.PassNotes, testplans.NotApplicable, testplans.NotChecked, testplans.NotShown, testplans.Fail, testplans.ToolError,
	}, v)
}

const failing = 5

// worse joins the answers of two attempts to a check asked of every one: the heavier verdict with all its exchanges.
func worse(a, b answer) answer {
	switch {
	case a.check == nil || a.Verdict != b.Verdict && testplans.RollUp([]testplans.Part{{Verdict: a.Verdict}, {Verdict: b.Verdict}}) == b.Verdict:
		b.Items = slices.Clip(b.Items) // it may be remembered: what is appended goes elsewhere
		return b
	case a.Verdict == b.Verdict:
		a.Items = append(a.Items, b.Items...)
		a.own = a.own && b.own
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

// resultsOf are the step's result and those of its checks; others is how many attempts did not pass besides the best one.
func (s *step) resultsOf(answers []answer, others int) []testplans.Result {
	whole := s.j.ofStep(s.Step)
	whole.Verdict = rollUp(s.Step, answers)
	if onlySaid(answers) {
		whole.Kind = testplans.Attested
	}
	results := []testplans.Result{whole}
	var deciding []answer
	message := ""
	for i, a := range answers {
		r := s.j.ofCheck(s.Step, a.check)
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
		s.cite(&r, 1+i, a.Items)
		if a.Verdict == whole.Verdict && (a.Verdict != testplans.Fail || r.Strength == validators.Shall) {
			deciding = append(deciding, a)
			if message == "" && a.Message != "" {
				message = a.check.ID + ": " + a.Message
			}
		}
		results = append(results, r)
	}
	if others > 0 && (whole.Verdict == testplans.Pass || whole.Verdict == testplans.PassNotes) {
		whole.Verdict = testplans.PassNotes
		attempts := "attempts"
		if others == 1 {
			attempts = "attempt"
		}
		message = strings.TrimPrefix(fmt.Sprintf("%s; %d other %s did not pass", message, others, attempts), "; ")
	}
	whole.Message = message
	s.cite(&whole, 0, s.apart(deciding)...)
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
