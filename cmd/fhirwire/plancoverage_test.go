package main

import (
	"strings"
	"testing"

	"fhirwire/testplans/plans"
	"fhirwire/validators/guides"
)

// TestCoverage holds that more than four in five of the requirements that bind a party and that traffic can show are decided, and that
// each of the others has a reason or is known to be open.
func TestCoverage(t *testing.T) {
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := coveredRequirements(t.Context(), nil, lib)
	if err != nil {
		t.Fatal(err)
	}
	n := tallyOf(all)
	t.Log(n)
	if n.Binding < 400 || n.Showable < 300 || n.Decided*100 <= n.Showable*80 {
		t.Errorf("too little is decided: %+v", n)
	}
	known := map[string]bool{}
	for i := range all {
		c := &all[i]
		known[c.ID] = true
		switch {
		case c.Binds() && c.Shown == "":
			t.Errorf("%s binds and it is not said how it is shown", c.ID)
		case c.Shown == "no" && c.Reason == "":
			t.Errorf("%s cannot be shown, and there is no reason", c.ID)
		case strings.HasPrefix(c.Shown, "profile ") && !c.Decided():
			t.Errorf("%s names %s, which is not built in", c.ID, c.Shown)
		}
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	list, err := builtinPlans(set)
	if err != nil {
		t.Fatal(err)
	}
	// A plan that cites what is in no specification has a typing error.
	for _, plan := range list {
		for i := range plan.Steps {
			s := &plan.Steps[i]
			for _, id := range s.Requirements {
				if !known[id] {
					t.Errorf("%s/%s: %s is in no specification", plan.ID, s.ID, id)
				}
			}
			for k := range s.Checks {
				for _, id := range s.Checks[k].Requirements {
					if !known[id] {
						t.Errorf("%s/%s/%s: %s is in no specification", plan.ID, s.ID, s.Checks[k].ID, id)
					}
				}
			}
		}
	}
}

func TestCovered(t *testing.T) {
	for _, tt := range []struct {
		r           plans.Requirement
		binds, show bool
	}{
		{plans.Requirement{Strength: "SHALL", Shown: "traffic"}, true, true},
		{plans.Requirement{Strength: "SHALL NOT", Shown: "no"}, true, false},
		{plans.Requirement{Strength: "1..*", Shown: "profile x"}, true, true},
		{plans.Requirement{Strength: "0..1", Shown: "profile x"}, false, true},
		{plans.Requirement{Strength: "SHOULD 2.0 / SHALL 2.1+"}, false, false},
		{plans.Requirement{Strength: "scenario", Shown: "traffic"}, false, true},
	} {
		if tt.r.Binds() != tt.binds || tt.r.Showable() != tt.show {
			t.Errorf("%+v: %t, %t", tt.r, tt.r.Binds(), tt.r.Showable())
		}
	}
}
