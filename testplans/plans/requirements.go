package plans

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/validators"
)

//go:embed requirements.csv
var requirementsFile []byte

// Requirement is one of the specifications' requirements: facts only, never its text.
type Requirement struct {
	ID       string `json:"id"`
	Document string `json:"document"`
	// Strength is as the document gives it: "SHALL", "SHALL*" (stated as a fact), "SHOULD", "1..1" (of a profile's element), "scenario"
	// (a track's own check).
	Strength string `json:"strength"`
	// Who has to hold it: "client", "server", "both"; empty where that was not told apart.
	Who string `json:"who,omitempty"`
	// Shown is how it is shown: "traffic", "profile NAME", "directory" or "no"; empty where that was not told apart.
	Shown  string `json:"shown,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Binds reports a requirement that a party has to hold: a SHALL, or a profile's cardinality.
func (r *Requirement) Binds() bool {
	s := strings.TrimSpace(r.Strength)
	if strings.HasPrefix(s, "MAY") || strings.HasPrefix(s, "SHOULD") || strings.HasPrefix(s, "OPTIONAL") {
		return false
	}
	return strings.Contains(s, "SHALL") || s != "" && s[0] >= '1' && s[0] <= '9' || s == "error"
}

// Scenario reports a check of a track's own scenario.
func (r *Requirement) Scenario() bool { return r.Strength == "scenario" }

// Showable reports a requirement that recorded traffic can show.
func (r *Requirement) Showable() bool {
	return r.Shown == "traffic" || strings.HasPrefix(r.Shown, "profile ")
}

// Requirements is the list, sorted by document and place in it.
func Requirements() ([]Requirement, error) {
	rows, err := csv.NewReader(bytes.NewReader(requirementsFile)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("list of requirements: %w", err)
	}
	out := make([]Requirement, 0, len(rows))
	for _, row := range rows[min(1, len(rows)):] {
		out = append(out, Requirement{ID: row[0], Document: row[1], Strength: row[2], Who: row[3], Shown: row[4], Reason: row[5]})
	}
	return out, nil
}

// Citation is what decides about a requirement: a check of a plan, a rule, or a profile that data is held against.
type Citation struct {
	// Kind is "check", "step" (what its selection and its checks show together), "attestation", "rule" or "profile".
	Kind string `json:"kind"`
	// Name is "PLAN/STEP/CHECK" or "PLAN/STEP", a rule's message id or a profile's name.
	Name string `json:"name"`
}

// Covered is a requirement with what decides about it.
type Covered struct {
	Requirement
	By []Citation `json:"by,omitempty"`
}

// Decided reports that something other than a person decides about it.
func (c *Covered) Decided() bool {
	return slices.ContainsFunc(c.By, func(by Citation) bool { return by.Kind != "attestation" })
}

// Cover joins the requirements with the plans' checks, with rules and with the profiles that has knows.
func Cover(all []Requirement, list []testplans.Plan, rules []validators.Rule, has func(profile string) bool) []Covered {
	by := map[string][]Citation{}
	add := func(id string, c Citation) {
		if !slices.Contains(by[id], c) {
			by[id] = append(by[id], c)
		}
	}
	for p := range list {
		for i := range list[p].Steps {
			s := &list[p].Steps[i]
			step := "attestation"
			for k := range s.Checks {
				c := &s.Checks[k]
				kind := "check"
				if c.Attestation != nil {
					kind = "attestation"
				} else {
					step = "step"
				}
				for _, id := range s.RequirementsOf(c) {
					add(id, Citation{kind, list[p].ID + "/" + s.ID + "/" + c.ID})
				}
			}
			for _, id := range s.Requirements {
				if !slices.ContainsFunc(by[id], func(c Citation) bool { return strings.HasPrefix(c.Name, list[p].ID+"/"+s.ID+"/") }) {
					add(id, Citation{step, list[p].ID + "/" + s.ID})
				}
			}
		}
	}
	for i := range rules {
		for _, id := range rules[i].Requirements {
			add(id, Citation{"rule", rules[i].ID})
		}
	}
	out := make([]Covered, 0, len(all))
	for _, r := range all {
		if name, ok := strings.CutPrefix(r.Shown, "profile "); ok && has(name) {
			add(r.ID, Citation{"profile", name})
		}
		c := Covered{Requirement: r, By: by[r.ID]}
		slices.SortFunc(c.By, func(a, b Citation) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
		out = append(out, c)
	}
	return out
}
