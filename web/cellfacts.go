package web

import (
	"slices"
	"strings"

	"fhirwire/testplans"
)

// stepsWithNotes counts what made a pass one with notes: steps that have some, and optional steps that failed or could not be judged.
func stepsWithNotes(j *testplans.Judgement) (n int) {
	for i := range j.Results {
		r := &j.Results[i]
		if r.Step == "" || r.Check != "" {
			continue
		}
		switch r.Verdict {
		case testplans.PassNotes:
			n++
		case testplans.Fail, testplans.NotChecked, testplans.ToolError:
			if r.Optional {
				n++
			}
		default:
		}
	}
	return max(n, 1)
}

// attesters are the people whose word a result is.
func attesters(j *testplans.Judgement) string {
	var names []string
	for i := range j.Results {
		r := &j.Results[i]
		by, ok := strings.CutPrefix(r.Message, "attested by ")
		if r.Check == "" || r.Kind != testplans.Attested || !ok {
			continue
		}
		by, _, _ = strings.Cut(by, ": ")
		if by = visible([]byte(clip(by, 40))); !slices.Contains(names, by) {
			names = append(names, by)
		}
	}
	if len(names) == 0 {
		return "people"
	}
	return strings.Join(names, ", ")
}
