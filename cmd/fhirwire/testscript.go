package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/testscript"
	"fhirwire/validators/instance"
	"fhirwire/validators/profile"
)

// judgedBy is the plan of a name or file and the kinds of check it uses; a .json file is a FHIR TestScript.
func judgedBy(name string, set *profile.Set) (testplans.Plan, checks.Table, error) {
	if !strings.EqualFold(filepath.Ext(name), ".json") {
		plan, err := findPlan(name, set)
		return plan, checks.NewTable(set), err
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return testplans.Plan{}, checks.Table{}, fmt.Errorf("TestScript: %w", err)
	}
	script, err := testscript.Read(src)
	if err != nil {
		return testplans.Plan{}, checks.Table{}, fmt.Errorf("%s: %w", name, err)
	}
	j := script.Plan(src)
	return j.Plan, j.Table(checks.NewTable(set), instance.New(set, set.Terms(), instance.Options{})), nil
}
