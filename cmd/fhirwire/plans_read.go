package main

import (
	"slices"

	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
	"fhirwire/validators"
	"fhirwire/validators/directory"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/httprules"
	"fhirwire/validators/instance"
	"fhirwire/validators/tokens"
)

// readPlan reads a plan from a file and vets what only this build knows: the ids of its rules.
func readPlan(name string, src []byte, model fhirpath.Model) (testplans.Plan, error) {
	plan, err := planfile.Parse(name, src, model)
	if err != nil {
		return plan, err
	}
	return plan, planfile.VetRules(name, src, plan, ruleIDs())
}

// allRules are the rules that findings come from.
func allRules() []validators.Rule {
	rules := slices.Concat(instance.Rules(), directory.Rules(), tokens.Rules())
	for _, r := range httprules.Table() {
		rules = append(rules, r.Rule)
	}
	return rules
}

func ruleIDs() []string {
	var ids []string
	for _, r := range allRules() {
		ids = append(ids, r.ID)
	}
	return ids
}
