package checks

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
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
	seen := c.Desk.tallyOf(c.Check, c.Attempts, defs)
	if err := c.countNew(ctx, seen, defs); err != nil {
		return Outcome{}, err
	}
	var used []Item
	for _, it := range c.Attempts {
		if seen.counted[it.Exchange.ID] > 0 {
			used = append(used, it)
		}
	}
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
	counted := "1 resource"
	if p.Resources != 1 {
		counted = fmt.Sprintf("%d resources", p.Resources)
	}
	return Outcome{Verdict: testplans.NotShown, Items: used, Message: fmt.Sprintf("%d of %d not seen in %s: %s", len(gaps), len(p.Items), counted, strings.Join(names, ", "))}, nil
}

// covering is the tally of one check, which grows with its attempts.
type covering struct {
	check   *testplans.Check
	typ     string // the profile's
	tally   *coverage.Collector
	counted map[string]int // resources, by exchange
	doubt   string
}

// Together tells the desk which checks of a plan count over the same exchanges: each file is then read once for all of them.
func (d *Desk) Together(plan *testplans.Plan) {
	var steps []*testplans.Step
	for i := range plan.Steps {
		step := &plan.Steps[i]
		for k := range step.Checks {
			check := &step.Checks[k]
			if check.Covers == nil {
				continue
			}
			at := slices.IndexFunc(steps, func(o *testplans.Step) bool { return reflect.DeepEqual(o.Select, step.Select) })
			if at < 0 {
				at = len(steps)
				steps = append(steps, step)
				d.together = append(d.together, nil)
			}
			d.together[at] = append(d.together[at], check)
		}
	}
}

// tallyOf is the tally of a check so far, a new one where exchanges were counted that are no attempts any more.
func (d *Desk) tallyOf(check *testplans.Check, attempts []Item, defs definitions) *covering {
	seen := d.covered[check]
	if seen != nil {
		still := 0
		for _, it := range attempts {
			if _, ok := seen.counted[it.Exchange.ID]; ok {
				still++
			}
		}
		if still == len(seen.counted) {
			return seen
		}
	}
	seen = &covering{check: check, tally: coverage.New(defs, defs.Terms()), counted: map[string]int{}}
	if p, ok := defs.Profile(check.Covers.Profile); ok {
		seen.typ = p.Type
	}
	d.covered[check] = seen
	return seen
}

// countNew counts what was not counted yet, for this check and for those that count over the same exchanges.
func (c *Case) countNew(ctx context.Context, seen *covering, defs definitions) error {
	var all []*covering
	for _, it := range c.Attempts {
		if _, known := seen.counted[it.Exchange.ID]; known {
			continue
		}
		if all == nil {
			all = []*covering{seen}
			for _, group := range c.Desk.together {
				if slices.Contains(group, c.Check) {
					all = all[:0]
					for _, check := range group {
						all = append(all, c.Desk.tallyOf(check, c.Attempts, defs))
					}
				}
			}
		}
		fresh := slices.DeleteFunc(slices.Clone(all), func(o *covering) bool { _, known := o.counted[it.Exchange.ID]; return known })
		why, err := c.count(ctx, fresh, it)
		if err != nil {
			return err
		}
		for _, o := range fresh {
			o.doubt = cmp.Or(why, o.doubt)
			o.counted[it.Exchange.ID] += 0
		}
	}
	return nil
}

// count adds the resources of one answer to the tallies: the resource itself, those of a Bundle, or each line of a file.
func (c *Case) count(ctx context.Context, to []*covering, it Item) (why string, err error) {
	if status := it.Exchange.Status(); status < 200 || status > 299 {
		return "", nil
	}
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return body.why(), err
	}
	s := coverage.Subject{ID: it.Exchange.ID, Order: it.Exchange.Timing.Start.UnixNano()}
	add := func(r *fhirjson.Node) {
		if r == nil {
			return
		}
		typ := r.ResourceType()
		for _, o := range to {
			if o.typ == typ {
				c.Desk.addTo(ctx, o, s, r)
			}
		}
	}
	if strings.Contains(it.Exchange.Response.Header.Get("Content-Type"), "ndjson") {
		scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
		for scan.Scan() {
			doc := fhirjson.Parse(scan.Line().Bytes)
			if doc.Fatal() == nil {
				add(doc.Root())
			}
			doc.Release()
		}
		if err := scan.Err(); err != nil {
			why = err.Error()
		}
		return why, nil
	}
	root, fault := body.JSON()
	if fault != "" {
		return "", nil // a check of the body says so
	}
	if root.ResourceType() != "Bundle" {
		add(root)
		return "", nil
	}
	for e := range children(root.Member("entry")) {
		add(e.Member("resource"))
	}
	return "", nil
}

// addTo counts one resource of the profile's type, if the check's condition holds.
func (d *Desk) addTo(ctx context.Context, to *covering, s coverage.Subject, r *fhirjson.Node) {
	if expr := to.check.Covers.Where; expr != "" {
		ok, err := d.Truth(ctx, expr, r)
		if err != nil {
			to.doubt = "whether a resource is of the profile could not be told: " + err.Error()
		}
		if err != nil || !ok {
			return
		}
	}
	if to.tally.Add(s, r, to.check.Covers.Profile) {
		to.counted[s.ID]++
	}
}
