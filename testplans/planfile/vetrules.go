package planfile

import (
	"fmt"
	"slices"

	"fhirwire/testplans"
)

// VetRules says which message ids in a plan's checks of findings no rule has; file is the plan's and src its text. Only who knows every
// rule can tell, so it stands beside Parse. A check that names an unknown id would pass for ever.
func VetRules(file string, src []byte, plan testplans.Plan, known []string) error {
	p, err := opened(file, src)
	if err != nil {
		return err
	}
	var faults []*Fault
	for i, s := range plan.Steps {
		for k, c := range s.Checks {
			if c.Findings == nil {
				continue
			}
			for n, id := range c.Findings.Rules {
				if !slices.Contains(known, id) {
					faults = append(faults, p.at(fmt.Sprintf("/steps/%d/checks/%d/findings/rules/%d", i, k, n), "no rule has the id %s; expected %s", id, nearby(id, known)))
				}
			}
		}
	}
	return joined(faults)
}

// nearby is the known word nearest to one, or where to find them: the rules are too many for a message.
func nearby(word string, known []string) string {
	best, at := "", max(3, len(word)/3)
	for _, k := range known {
		if d := distance(word, k); d < at {
			best, at = k, d
		}
	}
	if best != "" {
		return best
	}
	return "an id of the list of rules, as findings show it"
}
