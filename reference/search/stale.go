package search

import (
	"fmt"
	"slices"
	"strings"
)

// The formulary guide's code systems got a suffix between its ballot and 2.0.0. Much data, many clients and the guide's own
// example queries still have the older names, so a search under one name finds both (FORM-GEN-01, FORM-Q-14).
const (
	formularySystems = "http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-"
	trialUse         = "-TEMPORARY-TRIAL-USE"
)

var renamed = []string{"DrugTierCS", "PharmacyBenefitTypeCS", "BenefitCostTypeCS", "CostShareOptionCS", "PlanContactTypeCS"}

// otherName is a renamed code system's other name.
func otherName(system string) (other string, stale, ok bool) {
	name, ok := strings.CutPrefix(system, formularySystems)
	if !ok {
		return "", false, false
	}
	if old, current := strings.CutSuffix(name, trialUse); current {
		return formularySystems + old, false, slices.Contains(renamed, old)
	}
	return system + trialUse, true, slices.Contains(renamed, name)
}

// alias adds the alternative under a renamed system's other name.
func (p *parser) alias(c *Clause, name string, alt Alternative) {
	other, stale, ok := otherName(alt.Qualifier)
	if !ok || c.Param.Kind != Token {
		return
	}
	if stale {
		p.q.Notes = append(p.q.Notes, fmt.Sprintf("Parameter %s: code system %s is now %s; codes of both are found.", name, alt.Qualifier, other))
	}
	alt.Qualifier = other
	c.Alts = append(c.Alts, alt)
}
