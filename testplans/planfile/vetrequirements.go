package planfile

import (
	"fmt"
	"regexp"
	"slices"

	"fhirwire/testplans"
)

// requirementForm takes the id of a requirement apart: the letters before the number, and the number.
var requirementForm = regexp.MustCompile(`^(.*-)([0-9]+[a-z]?)$`)

// VetRequirements says which requirements that a plan cites are in no list, though a list has others of their kind: with the same letters
// before the number. Ids of another kind are the plan's own. file is the plan's and src its text.
func VetRequirements(file string, src []byte, plan testplans.Plan, known []string) error {
	byKind := map[string][]string{}
	for _, id := range known {
		if m := requirementForm.FindStringSubmatch(id); m != nil {
			byKind[m[1]] = append(byKind[m[1]], id)
		}
	}
	p, err := opened(file, src)
	if err != nil {
		return err
	}
	var faults []*Fault
	vet := func(at string, ids []string) {
		for n, id := range ids {
			m := requirementForm.FindStringSubmatch(id)
			if m == nil {
				continue
			}
			if kind := byKind[m[1]]; len(kind) > 0 && !slices.Contains(kind, id) {
				faults = append(faults, p.at(fmt.Sprintf("%s/requirements/%d", at, n), "there is no requirement %s; %s", id, neighbour(id, kind)))
			}
		}
	}
	for i, s := range plan.Steps {
		at := fmt.Sprintf("/steps/%d", i)
		vet(at, s.Requirements)
		for k, c := range s.Checks {
			vet(fmt.Sprintf("%s/checks/%d", at, k), c.Requirements)
		}
	}
	return joined(faults)
}

// neighbour is the id of a kind that is one edit away, or which there are.
func neighbour(id string, kind []string) string {
	for _, k := range kind {
		if distance(id, k) == 1 {
			return "did you mean " + k + "?"
		}
	}
	if len(kind) == 1 {
		return "the only one of its kind is " + kind[0]
	}
	return fmt.Sprintf("there are %d from %s to %s", len(kind), kind[0], kind[len(kind)-1])
}

// VetPackages says which packages in a plan's ranges are one letter from one of the build, which they are then meant to be: a range of
// a package that no run names rules nothing out. Others are the plan's own affair. file is the plan's and src its text.
func VetPackages(file string, src []byte, plan testplans.Plan, known []string) error {
	p, err := opened(file, src)
	if err != nil {
		return err
	}
	var faults []*Fault
	vet := func(at string, ranges map[string]string) {
		for name := range ranges {
			if slices.Contains(known, name) {
				continue
			}
			for _, k := range known {
				if distance(name, k) == 1 {
					faults = append(faults, p.key(at+"/"+escape(name), "this build has no package %s; did you mean %s?", name, k))
					break
				}
			}
		}
	}
	vet("/guides", plan.Guides)
	for i, s := range plan.Steps {
		vet(fmt.Sprintf("/steps/%d/guides", i), s.Guides)
	}
	return joined(faults)
}
