package checks

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
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
	seen := c.Desk.tallyOf(c.Check, c.Attempts, func() *coverage.Collector { return coverage.New(defs, defs.Terms()) })
	var used []Item
	for _, it := range c.Attempts {
		n, known := seen.counted[it.Exchange.ID]
		if !known {
			var why string
			var err error
			if n, why, err = c.count(ctx, seen.tally, coverage.Subject{ID: it.Exchange.ID, Order: it.Exchange.Timing.Start.UnixNano()}, it); err != nil {
				return Outcome{}, err
			}
			seen.doubt = cmp.Or(why, seen.doubt)
			seen.counted[it.Exchange.ID] = n
		}
		if n > 0 {
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
	tally   *coverage.Collector
	counted map[string]int // resources, by exchange
	doubt   string
}

// tallyOf is the tally of a check so far, a new one where exchanges were counted that are no attempts any more.
func (d *Desk) tallyOf(check *testplans.Check, attempts []Item, fresh func() *coverage.Collector) *covering {
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
	seen = &covering{tally: fresh(), counted: map[string]int{}}
	d.covered[check] = seen
	return seen
}

// count adds the resources of one answer: the resource itself, those of a Bundle, or each line of a file.
func (c *Case) count(ctx context.Context, tally *coverage.Collector, s coverage.Subject, it Item) (n int, why string, err error) {
	if status := it.Exchange.Status(); status < 200 || status > 299 {
		return 0, "", nil
	}
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return 0, body.why(), err
	}
	add := func(r *fhirjson.Node) {
		if r == nil {
			return
		}
		if expr := c.Check.Covers.Where; expr != "" {
			ok, err := c.Desk.Truth(ctx, expr, r)
			if err != nil {
				why = "whether a resource is of the profile could not be told: " + err.Error()
			}
			if err != nil || !ok {
				return
			}
		}
		if tally.Add(s, r, c.Check.Covers.Profile) {
			n++
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
		return n, why, nil
	}
	root, fault := body.JSON()
	if fault != "" {
		return n, "", nil // a check of the body says so
	}
	if root.ResourceType() != "Bundle" {
		add(root)
		return n, why, nil
	}
	for e := range children(root.Member("entry")) {
		add(e.Member("resource"))
	}
	return n, why, nil
}
