package main

import (
	"context"
	"fmt"

	"fhirwire/reference"
	"fhirwire/reference/resources"
)

// maxRejects is how many rejected resources are told one by one.
const maxRejects = 20

// load fills the reference server while it serves. What is no resource is told with its place; the rest is loaded.
func (a *app) load(ctx context.Context) error {
	start := a.p.now()
	show := newProgress(a.p, "resources loaded")
	report, err := a.payer.Load(ctx, reference.Files(a.cfg.Load), resources.LoadOptions{Progress: func(done int) { show.n = done; show.show() }})
	show.end()
	for i, r := range report.Rejects {
		if i == maxRejects {
			_, _ = fmt.Fprintf(a.p.stderr, "… and %d more rejected\n", len(report.Rejects)-i)
			break
		}
		_, _ = fmt.Fprintf(a.p.stderr, "rejected %s:%d: %s\n", r.Source, r.Line, r.Reason)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("load: %w", err)
	}
	_, _ = fmt.Fprintf(a.p.stdout, "Loaded %d resources in %s: %d new, %d changed, %d as they were, %d rejected\n",
		report.Created+report.Updated+report.Unchanged, a.p.now().Sub(start).Round(10e6), report.Created, report.Updated, report.Unchanged, len(report.Rejects))
	return nil
}
