package web

import (
	"context"
	"strings"

	"fhirwire/testplans"
)

// nothingSeen is what a form says was decided where nobody had decided yet.
const nothingSeen = "none"

// seenOf is what a form to decide remembers of the decisions that stood beside it.
func seenOf(list []testplans.Reviewed) string {
	if len(list) == 0 {
		return nothingSeen
	}
	return list[len(list)-1].ID
}

// meanwhile is the decision of somebody else that who decides has not seen; ok is false for none. A form that does not say what was seen
// is not held up, nor is one whose own decision came last.
func meanwhile(list []testplans.Reviewed, seen, by string) (last testplans.Reviewed, ok bool) {
	if seen == "" || seen == seenOf(list) || len(list) == 0 {
		return last, false
	}
	last = list[len(list)-1]
	return last, last.By != strings.TrimSpace(by)
}

// overtaken says that somebody else decided on a run while another person looked at it, "" if nobody did.
func (s *Server) overtaken(ctx context.Context, run *testplans.Run, seen, by string) (string, error) {
	list, err := s.reviewsOf(ctx, run)
	if err != nil {
		return "", err
	}
	last, ok := meanwhile(list, seen, by)
	if !ok {
		return "", nil
	}
	text := visible([]byte(clip(last.By, 80))) + " decided while you looked: " + strings.ToLower(stampWord(last.State).Word) + ", " + s.clock(last.At)
	if last.Comment != "" {
		text += ", “" + visible([]byte(clip(last.Comment, 300))) + "”"
	}
	return "Not decided yet. " + text + ". Both decisions stay on record; decide again if yours is to stand last.", nil
}

// claimedBy says who else took a run on, "" for nobody.
func (s *Server) claimedBy(list []testplans.Reviewed, by string) string {
	if len(list) == 0 {
		return ""
	}
	last := list[len(list)-1]
	if last.State != testplans.Claimed || last.By == strings.TrimSpace(by) {
		return ""
	}
	return visible([]byte(clip(last.By, 80))) + " claimed this, " + s.clock(last.At) + ". Talk to them before you decide."
}
