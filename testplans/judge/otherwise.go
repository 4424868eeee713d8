package judge

import (
	"context"
	"slices"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// unseen concludes a step without attempts: people may have answered for what traffic does not show.
func (s *step) unseen(ctx context.Context) error {
	s.capturedBy = nil
	verdict, message := testplans.NotShown, "no such exchange was recorded"
	if s.doubt != "" {
		verdict, message = testplans.NotChecked, s.doubt
	}
	at := slices.IndexFunc(s.Checks, asksOtherwise)
	if at < 0 || s.newCase(&s.Checks[at], checks.Item{}).Attestation == nil {
		return s.conclude(s.same(verdict, message))
	}
	answers := make([]answer, len(s.Checks))
	for i := range s.Checks {
		answers[i] = answer{check: &s.Checks[i], Outcome: checks.Outcome{Verdict: verdict, Message: message}}
	}
	out, err := s.j.table.Ask(ctx, s.newCase(&s.Checks[at], checks.Item{}))
	if err != nil {
		return err
	}
	answers[at].Outcome = out
	s.settle(answers)
	return s.conclude(s.resultsOf(answers, 0))
}

func asksOtherwise(c testplans.Check) bool { return c.Attestation != nil && c.Attestation.Otherwise }

// settle says what decides where a question is for what traffic does not: traffic where it decides all, else the person who has answered.
// The other is not applicable, so that what was seen and what was said stay apart.
func (s *step) settle(answers []answer) {
	at := slices.IndexFunc(s.Checks, asksOtherwise)
	if at < 0 {
		return
	}
	open := func(a answer) bool {
		return a.check.Attestation == nil && (a.Verdict == testplans.NotShown || a.Verdict == testplans.NotChecked)
	}
	word := &answers[at]
	switch {
	case !slices.ContainsFunc(answers, open):
		message := "traffic decides"
		if word.Verdict != testplans.NotShown {
			message += ", not what was " + word.Message
		}
		word.Outcome, word.overruled = checks.Outcome{Verdict: testplans.NotApplicable, Message: message}, true
	case word.Verdict == testplans.NotShown: // nobody has answered yet
	default:
		for i := range answers {
			if open(answers[i]) {
				answers[i].Verdict, answers[i].Message = testplans.NotApplicable, word.Message+", where traffic does not decide: "+answers[i].Message
			}
		}
	}
}
