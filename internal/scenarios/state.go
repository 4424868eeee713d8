package scenarios

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/judge"
	"fhirwire/validators"
)

// channel is what is known about the runs over one channel. Its judgings take the exchanges as they come; when memory is short they
// are dropped, and what they said stays until they are made again.
type channel struct {
	name string

	turn   chan struct{} // holds one while somebody has the turn: to judge, or to change what is below
	seen   bool          // the judgings have what was stored up to newest
	newest int64
	count  int
	older  bool
	// waiting has no report yet: when each began, by id.
	waiting map[string]time.Time
	// again are exchanges that were inspected again.
	again map[string]bool
	runs  map[string]*running // by planKey or the run's id
	kept  int                 // exchanges in memory
	have  Shared              // by those in memory
	// opened says that the runs with an open window are among them.
	opened bool
	kind   testplans.EvidenceKind
	with   validators.Context
	// computed is when all was read the last time and cost how long that took, for one that is too large to keep.
	large    bool
	computed time.Time
	cost     time.Duration

	// The service's mutex guards these.
	used   int64 // when it was asked for
	told   []func(*channel)
	last   map[string]standing // by key
	handed chan struct{}       // closed from when it is handed over to be judged beside until that is done
	fault  error               // why that failed
	stored *storedRuns         // looked up meanwhile
}

// standing is how a run stood when it was judged last, and up to which exchange.
type standing struct {
	judgement    testplans.Judgement
	upTo         int64
	since, until time.Time
}

// running is a run that is judged along.
type running struct {
	key     string
	plan    *testplans.Plan
	run     testplans.Run
	judging *judge.Judging // nil while it is dropped
	count   int            // exchanges in its window
	last    time.Time

	judgement testplans.Judgement // the last one; without results while there is none
	upTo      int64               // the newest exchange that it is of; 0 when that has another report since
	digest    string
	savedAt   time.Time
	unsaved   bool
}

// planKey is the key of the run that is always on.
func planKey(plan string) string { return "plan " + plan }

func keyOf(run *testplans.Run) string {
	if run.Standing {
		return planKey(run.Plan)
	}
	return run.ID
}

func (r *running) window(at time.Time) bool {
	return !at.Before(r.run.Since) && (r.run.Until.IsZero() || at.Before(r.run.Until))
}

// take adds a page of exchanges to the judgings of runs, each read once, and counts them.
func (s *Service) take(ctx context.Context, c *channel, list []brief, runs []*running) error {
	for chunk := range slices.Chunk(list, 100) { // so many reports are in memory together
		if err := s.takeSome(ctx, c, chunk, runs); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) takeSome(ctx context.Context, c *channel, list []brief, runs []*running) error {
	want := map[string][]*running{}
	var ids, reports []string
	for _, b := range list {
		start, findings := b.Timing.Start, false
		for _, r := range runs {
			if !r.window(start) {
				continue
			}
			if r.count++; start.After(r.last) {
				r.last = start
			}
			if wanted, report := judge.Selects(r.plan, b.Exchange); wanted {
				want[b.ID] = append(want[b.ID], r)
				findings = findings || report
			}
		}
		if want[b.ID] == nil {
			continue
		}
		ids = append(ids, b.ID)
		if findings && b.inspected {
			reports = append(reports, b.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	items, err := s.source.items(ctx, ids, reports)
	if err != nil {
		return err
	}
	if c.have.texts == nil {
		c.have = NewShared()
	}
	for id, it := range items {
		c.kept++
		it.Exchange, it.Report = c.have.Exchange(it.Exchange), c.have.report(it.Report)
		for _, r := range want[id] {
			r.judging.Add(it)
		}
	}
	return nil
}

// read brings the judgings up to what is stored.
func (s *Service) read(ctx context.Context, c *channel) error {
	if c.seen && c.count > s.opt.Limit+max(s.opt.Limit/10, page) {
		c.drop() // the oldest are over the limit
	}
	if !c.seen {
		return s.readAll(ctx, c)
	}
	if err := s.readFresh(ctx, c); err != nil {
		c.drop()
		return err
	}
	for list, err := range s.source.after(ctx, c.name, c.newest) {
		if err == nil {
			err = s.take(ctx, c, list, c.all())
		}
		if err != nil {
			c.drop() // a part of them would be missed
			return err
		}
		c.tally(list)
	}
	return nil
}

func (c *channel) all() []*running {
	out := make([]*running, 0, len(c.runs))
	for _, r := range c.runs {
		if r.judging != nil {
			out = append(out, r)
		}
	}
	return out
}

func (c *channel) tally(list []brief) {
	c.count += len(list)
	for _, b := range list {
		c.newest = max(c.newest, b.Number)
		if !b.inspected {
			c.waiting[b.ID] = b.Timing.Start
		}
	}
}

func (s *Service) readAll(ctx context.Context, c *channel) error {
	begun := s.opt.Clock()
	c.drop()
	for _, r := range c.runs {
		r.judging, r.count, r.last = judge.New(*r.plan, r.run, s.table), 0, time.Time{}
	}
	older := false
	for list, err := range s.source.newest(ctx, c.name, s.opt.Limit, &older) {
		if err == nil {
			err = s.take(ctx, c, list, c.all())
		}
		if err != nil {
			c.drop()
			return err
		}
		c.tally(list)
	}
	c.older = older
	c.seen, c.computed = true, s.opt.Clock()
	c.cost = c.computed.Sub(begun)
	return nil
}

// drop forgets the evidence; the last judgements stay.
func (c *channel) drop() {
	for _, r := range c.runs {
		r.judging = nil
	}
	c.seen, c.newest, c.count, c.kept, c.older, c.have = false, 0, 0, 0, false, Shared{}
	c.waiting, c.again = map[string]time.Time{}, map[string]bool{}
}

// readFresh reads the reports that came meanwhile.
func (s *Service) readFresh(ctx context.Context, c *channel) error {
	var ids []string
	for id := range c.waiting {
		ids = append(ids, id)
	}
	for chunk := range slices.Chunk(ids, page) {
		sums, err := s.source.Reports.Summaries(ctx, chunk)
		if err != nil {
			return fmt.Errorf("summaries: %w", err)
		}
		for id := range sums {
			delete(c.waiting, id)
			c.again[id] = true
		}
	}
	if err := s.inspected(ctx, c, slices.Collect(maps.Keys(c.again))); err != nil {
		return err
	}
	clear(c.again)
	return nil
}

// inspected adds the reports of exchanges that have one now.
func (s *Service) inspected(ctx context.Context, c *channel, ids []string) error {
	ids = slices.DeleteFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(c.all(), func(r *running) bool { return r.judging.Has(id) })
	})
	if len(ids) == 0 {
		return nil
	}
	items, err := s.source.items(ctx, ids, ids)
	if err != nil {
		return err
	}
	for id, it := range items {
		it.Report = c.have.report(it.Report)
		for _, r := range c.all() {
			if _, report := judge.Selects(r.plan, it.Exchange); report && r.judging.Has(id) {
				r.judging.Add(it)
			}
		}
	}
	return nil
}

// compute judges a run over what was read.
func (s *Service) compute(ctx context.Context, c *channel, r *running) error {
	results, err := r.judging.Results(ctx)
	if err != nil {
		return fmt.Errorf("judging plan %s over channel %s: %w", r.plan.ID, c.name, err)
	}
	waiting := 0
	for _, at := range c.waiting {
		if r.window(at) {
			waiting++
		}
	}
	r.judgement = testplans.Judgement{
		Plan: r.plan.ID, Channel: c.name, Run: r.run.ID, Kind: r.run.Kind, State: testplans.StateOfRun(&r.run, results, waiting, s.opt.Clock()), Results: results,
		Exchanges: r.count, Waiting: waiting, Older: c.older, Last: r.last,
	}
	r.upTo = c.newest
	return nil
}

// describe says what a channel's runs are judged with.
func (s *Service) describe(ctx context.Context, name string) (ch *proxy.Channel, kind testplans.EvidenceKind, with validators.Context, err error) {
	if ch, err = s.registry.ChannelByName(ctx, name); err != nil {
		return nil, "", with, err
	}
	systems, err := s.registry.Systems(ctx)
	if err != nil {
		return nil, "", with, fmt.Errorf("systems: %w", err)
	}
	if with, err = s.opt.Context(ch); err != nil {
		return nil, "", with, fmt.Errorf("guides of channel %s: %w", name, err)
	}
	kind = testplans.Observed
	for _, sys := range systems {
		if sys.Simulated && (sys.ID == ch.ClientID || sys.ID == ch.ServerID) {
			kind = testplans.Simulated
		}
	}
	return ch, kind, with, nil
}
