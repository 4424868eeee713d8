package scenarios

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// Exchanges reads what was recorded: pages in short form, and one exchange whole.
type Exchanges interface {
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
}

// Reports reads what was found. Report is proxy.ErrNotFound for an exchange that was not judged; Summaries has no entry for one.
type Reports interface {
	Report(ctx context.Context, exchangeID string) (*validators.Report, error)
	Summaries(ctx context.Context, ids []string) (map[string]validators.Summary, error)
}

// Source is where evidence comes from.
type Source struct {
	Exchanges Exchanges
	Reports   Reports
	Bodies    proxy.Bodies
}

// Tally counts what a reading of evidence saw.
type Tally struct {
	// Exchanges of the channel, Waiting of them without a report.
	Exchanges, Waiting int
	// Newest is the highest number among them and Last when that one began.
	Newest int64
	Last   time.Time
	// Older says that there are more before, beyond the limit.
	Older bool
}

const page = 500

// Evidence reads the exchanges of a channel that a plan's steps may select, newest first, at most limit of the channel's. What
// it saw is in tally once the sequence ended. Exchanges that no step asks for are counted and not loaded.
func (s Source) Evidence(ctx context.Context, plan testplans.Plan, channel string, limit int, tally *Tally) iter.Seq2[checks.Item, error] {
	filter := proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{channel}}}}
	return func(yield func(checks.Item, error) bool) {
		before := int64(0)
		for tally.Exchanges < limit {
			got, err := s.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Before: before, Limit: min(page, limit-tally.Exchanges), SkipTotal: true})
			if err != nil {
				yield(checks.Item{}, fmt.Errorf("exchanges of channel %s: %w", channel, err))
				return
			}
			if len(got.Exchanges) == 0 {
				return
			}
			judged, err := s.judged(ctx, got.Exchanges)
			if err != nil {
				yield(checks.Item{}, err)
				return
			}
			for _, brief := range got.Exchanges {
				tally.add(brief)
				_, done := judged[brief.ID]
				if !done {
					tally.Waiting++
				}
				wanted, report := asked(plan, brief)
				if !wanted {
					continue
				}
				item, err := s.item(ctx, brief.ID, report && done)
				if !yield(item, err) || err != nil {
					return
				}
			}
			tally.Older = got.Older
			if before = got.Exchanges[len(got.Exchanges)-1].Number; !got.Older {
				return
			}
		}
	}
}

func (t *Tally) add(e *proxy.Exchange) {
	if t.Exchanges++; e.Number > t.Newest {
		t.Newest, t.Last = e.Number, e.Timing.Start
	}
}

func (s Source) judged(ctx context.Context, list []*proxy.Exchange) (map[string]validators.Summary, error) {
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	sums, err := s.Reports.Summaries(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("summaries: %w", err)
	}
	return sums, nil
}

func (s Source) item(ctx context.Context, id string, report bool) (checks.Item, error) {
	whole, err := s.Exchanges.Exchange(ctx, id)
	if err != nil {
		return checks.Item{}, fmt.Errorf("exchange %s: %w", id, err)
	}
	item := checks.Item{Exchange: whole, Bodies: s.Bodies}
	if !report {
		return item, nil
	}
	if item.Report, err = s.Reports.Report(ctx, id); err != nil && !errors.Is(err, proxy.ErrNotFound) {
		return checks.Item{}, fmt.Errorf("report of exchange %s: %w", id, err)
	}
	return item, nil
}

// asked reports whether a step may select e, and whether one with a check of findings may: reports are large. The judge decides;
// this only keeps what cannot matter from being loaded.
func asked(plan testplans.Plan, e *proxy.Exchange) (wanted, report bool) {
	one := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if !one(s.Select.Kind, string(e.Interaction.Kind)) || !one(s.Select.Operation, e.Interaction.Operation) || !one(s.Select.Method, e.Request.Method) {
			continue
		}
		wanted = true
		report = report || slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Findings != nil })
	}
	return wanted, report
}
