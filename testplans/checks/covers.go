package checks

import (
	"context"
	"fmt"
	"strings"

	"fhirwire/testplans"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// definitions are what must-support is counted by; *profile.Set has them.
type definitions interface {
	Profile(canonical string) (*profile.Profile, bool)
	Terms() *terminology.Service
}

// maxNamed bounds the elements named in a message.
const maxNamed = 12

// covers: over all attempts, what a profile marks must-support occurs. What does not is listed and is nobody's fault.
func covers(ctx context.Context, c *Case) (Outcome, error) {
	want := c.Check.Covers
	defs, ok := c.Desk.model.(definitions)
	if !ok {
		return notChecked("no profiles are at hand"), nil
	}
	if _, ok := defs.Profile(want.Profile); !ok {
		return notChecked("the profile " + want.Profile + " is not at hand"), nil
	}
	group := c.Desk.countingOf(c.Check, defs)
	used, err := c.countAll(ctx, group, defs)
	if err != nil {
		return Outcome{}, err
	}
	seen := group.of(c.Check)
	doubt, tally := seen.doubt, seen.tally
	report := tally.Report()
	switch {
	case len(report) == 0 && doubt != "":
		return notChecked(doubt), nil
	case len(report) == 0:
		return notShown("no resource of the profile came"), nil
	}
	p := &report[0]
	gaps := p.Missing()
	if len(gaps) == 0 {
		seen.full = true
		return Outcome{Verdict: testplans.Pass, Items: used}, nil
	}
	names := make([]string, 0, maxNamed+1)
	for i := range gaps {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("%d more", len(gaps)-maxNamed))
			break
		}
		names = append(names, gaps[i].ID)
	}
	among := counted(p.Resources+seen.again, "resource", "resources")
	return Outcome{Verdict: testplans.NotShown, Items: used, Message: fmt.Sprintf("%d of %d not seen in %s: %s", len(gaps), len(p.Items), among, strings.Join(names, ", "))}, nil
}
