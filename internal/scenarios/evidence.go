package scenarios

import (
	"context"
	"fmt"
	"iter"

	"fhirwire/proxy"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

// Exchanges reads what was recorded: pages in short form, and exchanges whole, in no order and without those that are gone.
type Exchanges interface {
	ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error)
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
}

// Reports reads what was found; exchanges that were not inspected are missing from the maps.
type Reports interface {
	// FindingsByID gives reports whose Resources may be left out.
	FindingsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error)
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
}

func ofChannel(name string) proxy.Filter {
	return proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{name}}}}
}

// newest reads pages of a channel's exchanges, newest first, at most limit; older is set to whether there are more.
func (s Source) newest(ctx context.Context, channel string, limit int, older *bool) iter.Seq2[[]brief, error] {
	return func(yield func([]brief, error) bool) {
		for before, n := int64(0), 0; n < limit; {
			got, err := s.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(channel), Before: before, Limit: min(page, limit-n), SkipTotal: true})
			*older = got.Older
			if !s.give(ctx, channel, got, err, yield) || !got.Older {
				return
			}
			n += len(got.Exchanges)
			before = got.Exchanges[len(got.Exchanges)-1].Number
		}
	}
}

// after reads pages of a channel's exchanges above a number.
func (s Source) after(ctx context.Context, channel string, number int64) iter.Seq2[[]brief, error] {
	return func(yield func([]brief, error) bool) {
		for {
			got, err := s.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(channel), After: number, Limit: page, SkipTotal: true})
			if !s.give(ctx, channel, got, err, yield) || !got.Newer {
				return
			}
			number = got.Exchanges[0].Number
		}
	}
}

// give yields a page; false when there is nothing more to read.
func (s Source) give(ctx context.Context, channel string, got proxy.Page, err error, yield func([]brief, error) bool) bool {
	if err != nil {
		yield(nil, fmt.Errorf("exchanges of channel %s: %w", channel, err))
		return false
	}
	if len(got.Exchanges) == 0 {
		return false
	}
	ids := make([]string, len(got.Exchanges))
	for i, e := range got.Exchanges {
		ids[i] = e.ID
	}
	sums, err := s.Reports.Summaries(ctx, ids)
	if err != nil {
		yield(nil, fmt.Errorf("summaries: %w", err))
		return false
	}
	list := make([]brief, len(got.Exchanges))
	for i, e := range got.Exchanges {
		_, done := sums[e.ID]
		list[i] = brief{e, done}
	}
	return yield(list, nil)
}

// items reads exchanges whole, with the reports of those that one is asked of.
func (s Source) items(ctx context.Context, ids, reports []string) (map[string]checks.Item, error) {
	list, err := s.Exchanges.ExchangesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := map[string]*validators.Report{}
	if len(reports) > 0 {
		if found, err = s.Reports.FindingsByID(ctx, reports); err != nil {
			return nil, err
		}
	}
	out := make(map[string]checks.Item, len(list))
	for _, e := range list {
		out[e.ID] = checks.Item{Exchange: e, Report: found[e.ID], Bodies: s.Bodies, Known: new(checks.Known)}
	}
	return out, nil
}
