package scenarios

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"fhirwire/proxy"
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

const page = 500

// brief is an exchange in short form and whether it was inspected.
type brief struct {
	*proxy.Exchange

	inspected bool
	// older says that there are exchanges before it.
	older bool
}

func ofChannel(name string) proxy.Filter {
	return proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{name}}}}
}

// newest reads a channel's exchanges, newest first, at most limit.
func (s Source) newest(ctx context.Context, channel string, limit int) iter.Seq2[brief, error] {
	return func(yield func(brief, error) bool) {
		for before, n := int64(0), 0; n < limit; {
			got, err := s.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(channel), Before: before, Limit: min(page, limit-n), SkipTotal: true})
			if !s.each(ctx, channel, got, err, yield) || !got.Older {
				return
			}
			n += len(got.Exchanges)
			before = got.Exchanges[len(got.Exchanges)-1].Number
		}
	}
}

// after reads a channel's exchanges above a number.
func (s Source) after(ctx context.Context, channel string, number int64) iter.Seq2[brief, error] {
	return func(yield func(brief, error) bool) {
		for {
			got, err := s.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(channel), After: number, Limit: page, SkipTotal: true})
			if !s.each(ctx, channel, got, err, yield) || !got.Newer {
				return
			}
			number = got.Exchanges[0].Number
		}
	}
}

// each yields a page; false when there is nothing more to read.
func (s Source) each(ctx context.Context, channel string, got proxy.Page, err error, yield func(brief, error) bool) bool {
	if err != nil {
		yield(brief{}, fmt.Errorf("exchanges of channel %s: %w", channel, err))
		return false
	}
	ids := make([]string, len(got.Exchanges))
	for i, e := range got.Exchanges {
		ids[i] = e.ID
	}
	sums, err := s.Reports.Summaries(ctx, ids)
	if err != nil {
		yield(brief{}, fmt.Errorf("summaries: %w", err))
		return false
	}
	for i, e := range got.Exchanges {
		_, done := sums[e.ID]
		if !yield(brief{e, done, got.Older || i+1 < len(got.Exchanges)}, nil) {
			return false
		}
	}
	return len(got.Exchanges) > 0
}

// item reads an exchange whole, with its report where one is asked for.
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
