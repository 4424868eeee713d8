package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/validators"
)

// Registry knows channels and their systems.
type Registry interface {
	Systems(ctx context.Context) ([]*proxy.System, error)
	Channels(ctx context.Context) ([]*proxy.Channel, error)
}

// Publisher tells who listens; it never waits.
type Publisher interface {
	Publish(n live.Notice)
}

// Options tune New. The zero value works.
type Options struct {
	// Limit bounds the exchanges of a channel that are judged, newest first; 0 means 100,000.
	Limit int
	// Keep bounds the exchanges that all channels together keep in memory, so that one more is judged at once; 0 means 120,000, which is some
	// 2 KB each and for each plan a quarter of that. A channel with more is read anew for each judging, which then has its pauses.
	Keep int
	// Context is what reports of a channel are computed with, which decides about steps for other versions of a guide; nil means the
	// channel's own guides, offline.
	Context func(*proxy.Channel) (validators.Context, error)
	// Publisher is told of runs and of results that changed; nil tells nobody.
	Publisher Publisher
	// Clock dates results; nil leaves them undated, and closes no window.
	Clock  func() time.Time
	Logger *slog.Logger
}

func contextOf(c *proxy.Channel) (validators.Context, error) {
	return validators.Context{Guides: c.Options.Guides, Rules: validators.RulesVersion, Terminology: "offline"}, nil
}

// Service judges plans over channels as their traffic is recorded, and keeps runs. It is safe for concurrent use.
type Service struct {
	plans    []testplans.Plan
	byID     map[string]int
	source   Source
	registry Registry
	store    Store
	table    checks.Table
	opt      Options

	mu       sync.Mutex // guards all below
	channels map[string]*channel
	asked    int64 // counts what was asked, to tell what was used last
	kept     map[string]int
}

// timeout bounds one judging.
const timeout = 5 * time.Minute

// New returns a service for vetted plans, which it shows by track and title. Plans with one id are an error.
func New(plans []testplans.Plan, source Source, registry Registry, store Store, table checks.Table, o Options) (*Service, error) {
	if o.Limit <= 0 {
		o.Limit = 100_000
	}
	if o.Keep <= 0 {
		o.Keep = 120_000
	}
	if o.Context == nil {
		o.Context = contextOf
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Publisher == nil {
		o.Publisher = nobody{}
	}
	s := &Service{
		plans: slices.Clone(plans), byID: map[string]int{}, source: source, registry: registry, store: store, table: table, opt: o,
		channels: map[string]*channel{}, kept: map[string]int{},
	}
	slices.SortFunc(s.plans, func(a, b testplans.Plan) int {
		return cmp.Or(strings.Compare(a.Track, b.Track), strings.Compare(a.Title, b.Title), strings.Compare(a.ID, b.ID))
	})
	for i := range s.plans {
		if _, twice := s.byID[s.plans[i].ID]; twice {
			return nil, fmt.Errorf("plan %s: two plans have this id", s.plans[i].ID)
		}
		s.byID[s.plans[i].ID] = i
	}
	return s, nil
}

type nobody struct{}

func (nobody) Publish(live.Notice) {}

// Plans are the plans known, by track and title.
func (s *Service) Plans(context.Context) ([]testplans.Plan, error) { return slices.Clone(s.plans), nil }

func (s *Service) plan(id string) (*testplans.Plan, error) {
	i, ok := s.byID[id]
	if !ok {
		return nil, fmt.Errorf("plan %s: %w", id, proxy.ErrNotFound)
	}
	return &s.plans[i], nil
}

// Judge is how a plan stands over all of a channel's exchanges. The error wraps proxy.ErrNotFound for a plan or channel that is not known.
func (s *Service) Judge(ctx context.Context, plan, name string) (testplans.Judgement, error) {
	p, err := s.plan(plan)
	if err != nil {
		return testplans.Judgement{}, err
	}
	return s.judge(ctx, name, planKey(plan), func(c *channel) error { return s.standing(ctx, c, p) })
}

// judge brings a run up to date. need makes sure that the channel has it.
func (s *Service) judge(ctx context.Context, name, key string, need func(*channel) error) (testplans.Judgement, error) {
	// Whoever asks meanwhile waits for the same work; it goes on when the first of them hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	c, release, err := s.hold(ctx, name)
	if err != nil {
		return testplans.Judgement{}, err
	}
	defer release()
	if err := need(c); err != nil {
		return testplans.Judgement{}, err
	}
	r := c.runs[key]
	if c.tooSoon(s.opt.Clock()) && r.judgement.Results != nil {
		j := r.judgement
		if behind, err := s.behind(ctx, c); err != nil || !behind {
			return j, err
		}
		j.State = testplans.Evaluating // the last results stay beside it
		return j, nil
	}
	if err := s.catchUp(ctx, c); err != nil {
		return testplans.Judgement{}, err
	}
	err = s.conclude(ctx, c, r)
	return r.judgement, err
}

// hold is a channel with what it is judged with, locked until release.
func (s *Service) hold(ctx context.Context, name string) (c *channel, release func(), err error) {
	ch, kind, with, err := s.describe(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	if c = s.channels[name]; c == nil {
		c = &channel{name: name, runs: map[string]*running{}}
		s.channels[name] = c
	}
	s.asked++
	c.used = s.asked
	s.mu.Unlock()
	c.mu.Lock()
	release = func() {
		s.trim(c)
		c.mu.Unlock()
	}
	if err := s.equip(ctx, c, ch, kind, with); err != nil {
		release()
		return nil, nil, err
	}
	return c, release, nil
}

// equip gives a channel the runs that are always on for it. Where what they are judged with changed, all are judged anew.
func (s *Service) equip(ctx context.Context, c *channel, ch *proxy.Channel, kind testplans.EvidenceKind, with validators.Context) error {
	for _, r := range c.runs {
		if r.run.Kind != kind || !slices.Equal(r.run.Context.Guides, with.Guides) || r.run.Context.Rules != with.Rules || r.run.Context.Terminology != with.Terminology {
			c.drop()
			c.runs, c.opened, c.large = map[string]*running{}, false, false
			break
		}
	}
	c.kind, c.with = kind, with
	for i := range s.plans {
		if p := &s.plans[i]; testplans.PlaysTrack(ch.Options.Track, p.Track, s.plans) {
			if err := s.standing(ctx, c, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// standing makes sure that a channel has the run of a plan that is always on.
func (s *Service) standing(ctx context.Context, c *channel, p *testplans.Plan) error {
	key := planKey(p.ID)
	if c.runs[key] != nil {
		return nil
	}
	run, err := s.store.StandingRun(ctx, p.ID, c.name)
	if errors.Is(err, proxy.ErrNotFound) {
		run, err = testplans.Run{Plan: p.ID, Channel: c.name, Standing: true}, nil
	}
	if err != nil {
		return err
	}
	return s.enter(ctx, c, key, p, run)
}

// enter adds a run to a channel; its evidence is read with what comes next.
func (s *Service) enter(ctx context.Context, c *channel, key string, p *testplans.Plan, run testplans.Run) error {
	run.PlanDigest, run.Kind, run.Context = p.Digest, c.kind, c.with
	if run.ID != "" {
		var err error
		if run.Attestations, err = s.store.Attestations(ctx, run.ID); err != nil {
			return err
		}
	}
	c.runs[key] = &running{plan: p, run: run}
	return nil
}

// catchUp brings all runs of a channel to what is stored, those too that were added since.
func (s *Service) catchUp(ctx context.Context, c *channel) error {
	if err := s.read(ctx, c); err != nil {
		return err
	}
	var added []*running
	for _, r := range c.runs {
		if r.judging == nil {
			r.judging, r.count, r.last = judge.New(*r.plan, r.run, s.table), 0, time.Time{}
			added = append(added, r)
		}
	}
	if len(added) == 0 {
		return nil
	}
	older := false
	for list, err := range s.source.newest(ctx, c.name, s.opt.Limit, &older) {
		if err == nil {
			list = slices.DeleteFunc(list, func(b brief) bool { return b.Number > c.newest }) // they come with the others'
			err = s.take(ctx, c, list, added)
		}
		if err != nil {
			c.drop()
			return err
		}
	}
	return nil
}

// tooSoon reports whether a channel that is too large to be kept was read so lately that others come first.
func (c *channel) tooSoon(now time.Time) bool {
	return c.large && now.Sub(c.computed) < 10*c.cost
}

// behind reports whether there are exchanges that were not judged.
func (s *Service) behind(ctx context.Context, c *channel) (bool, error) {
	got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(c.name), Limit: 1, SkipTotal: true})
	if err != nil {
		return false, fmt.Errorf("newest exchange of channel %s: %w", c.name, err)
	}
	return len(got.Exchanges) > 0 && got.Exchanges[0].Number != c.judged, nil
}

// trim keeps the exchanges in memory within their bound: those of channels go that were not asked for the longest time, and the channel's
// own when it has too many alone. The caller holds c.mu.
func (s *Service) trim(c *channel) {
	c.judged = max(c.judged, c.newest)
	if c.large = c.kept > s.opt.Keep; c.large {
		c.drop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[c.name] = c.kept
	for {
		total, oldest := 0, (*channel)(nil)
		for name, n := range s.kept {
			total += n
			if o := s.channels[name]; n > 0 && o != c && (oldest == nil || o.used < oldest.used) {
				oldest = o
			}
		}
		if total <= s.opt.Keep || oldest == nil {
			return
		}
		s.kept[oldest.name] = 0
		if oldest.mu.TryLock() { // one that is at work will be trimmed by itself
			oldest.drop()
			oldest.mu.Unlock()
		}
	}
}

// forget drops what is kept, so that all is read again.
func (s *Service) forget() {
	s.mu.Lock()
	channels := make([]*channel, 0, len(s.channels))
	for _, c := range s.channels {
		channels = append(channels, c)
	}
	s.mu.Unlock()
	for _, c := range channels {
		c.mu.Lock()
		c.drop()
		c.runs, c.opened = map[string]*running{}, false
		c.mu.Unlock()
	}
}
