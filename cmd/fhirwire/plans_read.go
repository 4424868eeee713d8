package main

import (
	"slices"

	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
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

// vetRequirements vets that the requirements a plan cites are in the list of this build, where it has others of their kind. run and judge
// take a plan that cites others.
func vetRequirements(name string, src []byte, plan testplans.Plan) error {
	all, err := plans.Requirements()
	if err != nil {
		return err
	}
	known := make([]string, len(all))
	for i := range all {
		known[i] = all[i].ID
	}
	return planfile.VetRequirements(name, src, plan, known)
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
