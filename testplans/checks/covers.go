package checks

import (
	"bytes"
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
	tally := coverage.New(defs, defs.Terms())
	doubt := ""
	var used []Item
	for i, it := range c.Attempts {
		if it.Exchange.Status() < 200 || it.Exchange.Status() > 299 {
			continue
		}
		n, why, err := c.count(ctx, tally, coverage.Subject{ID: it.Exchange.ID, Order: int64(i)}, it)
		if err != nil {
			return Outcome{}, err
		}
		if why != "" {
			doubt = why
		}
		if n > 0 {
			used = append(used, it)
		}
	}
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

// count adds the resources of one answer: the resource itself, those of a Bundle, or each line of a file.
func (c *Case) count(ctx context.Context, tally *coverage.Collector, s coverage.Subject, it Item) (n int, why string, err error) {
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return 0, body.why(), err
	}
	add := func(r *fhirjson.Node) error {
		if r == nil {
			return nil
		}
		if expr := c.Check.Covers.Where; expr != "" {
			ok, err := c.Desk.Truth(ctx, expr, r)
			if err != nil {
				why = "whether a resource is of the profile could not be told: " + err.Error()
				return nil //nolint:nilerr // beyond us for this data, said in the outcome
			}
			if !ok {
				return nil
			}
		}
		if tally.Add(s, r, c.Check.Covers.Profile) {
			n++
		}
		return nil
	}
	if strings.Contains(it.Exchange.Response.Header.Get("Content-Type"), "ndjson") {
		scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
		for scan.Scan() {
			doc := fhirjson.Parse(scan.Line().Bytes)
			if doc.Fatal() == nil {
				err = add(doc.Root())
			}
			doc.Release()
			if err != nil {
				return n, why, err
			}
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
		return n, why, add(root)
	}
	for e := range children(root.Member("entry")) {
		if err := add(e.Member("resource")); err != nil {
			return n, why, err
		}
	}
	return n, why, nil
}
