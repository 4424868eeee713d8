package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"fhirwire/internal/scenarios"
	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
)

// wants reports whether an exchange is evidence, and whether its report is. It may be asked of a short form.
type wants func(*proxy.Exchange) (wanted, report bool)

// storedAtOnce is how many exchanges are read together: so many reports are in memory at a time.
const storedAtOnce = 200

// storedEvidence is what the store has on a filter, oldest first, with the reports that are wanted; what was not inspected with this
// version's rules is now. What is not wanted comes in short form and without report.
func storedEvidence(ctx context.Context, p *process, st *store.Store, lib *guides.Library, filter proxy.Filter, want wants) iter.Seq2[checks.Item, error] {
	e := &evidenceReader{
		st: st, inspector: inspect.New(lib, st, inspect.Options{Channels: st, Now: p.now}), want: want, shared: scenarios.NewShared(),
	}
	return ahead(func(yield func(checks.Item, error) bool) {
		q := proxy.Query{Filter: filter, Before: 2, Limit: storedAtOnce, SkipTotal: true} // the first one, for After needs one before
		for {
			page, err := st.Exchanges(ctx, q)
			if err != nil {
				yield(checks.Item{}, err)
				return
			}
			slices.Reverse(page.Exchanges) // oldest first
			if !e.read(ctx, page.Exchanges, yield) || q.After > 0 && !page.Newer {
				return
			}
			q.Before, q.After = 0, max(q.After, 1)
			if n := len(page.Exchanges); n > 0 {
				q.After = page.Exchanges[n-1].Number
			}
		}
	})
}

// ahead reads the evidence while what came before it is worked on, a little further than that has come.
func ahead(evidence iter.Seq2[checks.Item, error]) iter.Seq2[checks.Item, error] {
	type read struct {
		item checks.Item
		err  error
	}
	return func(yield func(checks.Item, error) bool) {
		items, stop := make(chan read, storedAtOnce), make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			defer close(items)
			for it, err := range evidence {
				select {
				case items <- read{it, err}:
				case <-stop:
					return
				}
			}
		})
		defer reader.Wait()
		defer close(stop)
		for r := range items {
			if !yield(r.item, r.err) {
				return
			}
		}
	}
}

// evidenceReader reads exchanges whole.
type evidenceReader struct {
	st        *store.Store
	inspector *inspect.Inspector
	want      wants
	shared    scenarios.Shared
}

// read yields the exchanges of a page that is in short form; false when there is no going on.
func (e *evidenceReader) read(ctx context.Context, list []*proxy.Exchange, yield func(checks.Item, error) bool) bool {
	var ids, inspected []string
	for _, ex := range list {
		wanted, report := e.want(ex)
		if wanted {
			ids = append(ids, ex.ID)
		}
		if report {
			inspected = append(inspected, ex.ID)
		}
	}
	whole, err := e.st.ExchangesByID(ctx, ids)
	if err != nil {
		yield(checks.Item{}, err)
		return false
	}
	byID := make(map[string]*proxy.Exchange, len(whole))
	for _, ex := range whole {
		byID[ex.ID] = ex
	}
	reports, err := e.st.FindingsByID(ctx, inspected)
	if err != nil {
		yield(checks.Item{}, err)
		return false
	}
	for _, short := range list {
		it := checks.Item{Exchange: short, Bodies: e.st}
		if wanted, report := e.want(short); wanted {
			ex := byID[short.ID]
			if ex == nil {
				continue // deleted in the meantime
			}
			it.Exchange = e.shared.Exchange(ex)
			if report {
				if it.Report, err = e.report(ctx, ex, reports[ex.ID]); err != nil {
					yield(checks.Item{}, fmt.Errorf("exchange %d: %w", ex.Number, err))
					return false
				}
			}
		}
		if !yield(it, nil) {
			return false
		}
	}
	return true
}

// report is an exchange's report by this version's rules.
func (e *evidenceReader) report(ctx context.Context, ex *proxy.Exchange, had *validators.Report) (*validators.Report, error) {
	if had != nil && had.Context.Rules >= validators.RulesVersion {
		return had, nil
	}
	fresh, err := e.inspector.Inspect(ctx, ex)
	return &fresh, err
}
