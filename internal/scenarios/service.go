package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	// ChannelByName wraps proxy.ErrNotFound when there is none of the name.
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
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
	// AtOnce bounds the exchanges that whoever asks waits for while Run is running; 0 means 1,000. A channel with more to read is judged beside,
	// and the answer until then is how it stood last, evaluating.
	AtOnce int
	// Context is what reports of a channel are computed with, which decides about steps for other versions of a guide; nil means the
	// channel's own guides, offline.
	Context func(*proxy.Channel) (validators.Context, error)
	// Publisher is told of runs and of results that changed; nil tells nobody.
	Publisher Publisher
	// Former is the text of a plan that judged before, by its id and digest; nil knows none.
	Former func(id, digest string) (testplans.Plan, bool)
	// Clock dates results; nil leaves them undated, and closes no window.
	Clock  func() time.Time
	Logger *slog.Logger
}

func contextOf(c *proxy.Channel) (validators.Context, error) {
	return validators.Context{Guides: c.Options.Guides, Rules: validators.RulesVersion, Terminology: "offline"}, nil
}

// Service judges plans over channels as their traffic is recorded, and keeps runs. It is safe for concurrent use.
type Service struct {
	source   Source
	registry Registry
	store    Store
	table    checks.Table
	opt      Options

	queued chan struct{} // holds one when queue has something

	mu        sync.Mutex // guards all below
	plans     *planSet
	channels  map[string]*channel
	asked     int64 // counts what was asked, to tell what was used last
	kept      map[string]int
	following bool     // Run is running
	queue     []string // channels to be judged beside
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
	if o.AtOnce <= 0 {
		o.AtOnce = 1000
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
	set, err := newPlanSet(plans)
	if err != nil {
		return nil, err
	}
	s := &Service{
		plans: set, source: source, registry: registry, store: store, table: table, opt: o,
		channels: map[string]*channel{}, kept: map[string]int{}, queued: make(chan struct{}, 1),
	}
	return s, nil
}

type nobody struct{}

func (nobody) Publish(live.Notice) {}

// Judge is how a plan stands over all of a channel's exchanges; one that is not known any more is as it was stored last. The error wraps
// proxy.ErrNotFound for a plan or channel that was never known.
func (s *Service) Judge(ctx context.Context, plan, name string) (testplans.Judgement, error) {
	p, err := s.plan(plan)
	if err != nil {
		return s.stoodLast(ctx, plan, name)
	}
	return s.judge(ctx, p, testplans.Run{Plan: plan, Channel: name, Standing: true})
}

// judge brings a run up to date, or says how it stood last while that takes long.
func (s *Service) judge(ctx context.Context, p *testplans.Plan, run testplans.Run) (testplans.Judgement, error) {
	// Whoever asks meanwhile waits for the same work; it goes on when the first of them hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	c, release, err := s.hold(ctx, run.Channel)
	if errors.Is(err, errLater) {
		return s.before(ctx, p, run)
	}
	if err != nil {
		return testplans.Judgement{}, err
	}
	defer release()
	r, err := s.runOf(ctx, c, p, run)
	if err != nil {
		return testplans.Judgement{}, err
	}
	if c.tooSoon(s.opt.Clock()) && r.judgement.Results != nil {
		return s.stood(ctx, r.judgement, r.upTo)
	}
	if j, ok, err := s.stands(ctx, c, r); ok || err != nil {
		return j, err
	}
	if long, err := s.takesLong(ctx, c); err != nil {
		return testplans.Judgement{}, err
	} else if long {
		return s.hand(ctx, c, p, run)
	}
	if err := s.catchUp(ctx, c); err != nil {
		return testplans.Judgement{}, err
	}
	err = s.conclude(ctx, c, r)
	return r.judgement, err
}

// runOf is a run as the channel has it, which enters it if it has not.
func (s *Service) runOf(ctx context.Context, c *channel, p *testplans.Plan, run testplans.Run) (*running, error) {
	key := keyOf(&run)
	if c.runs[key] == nil {
		if now, err := s.plan(p.ID); err == nil {
			p = now // it may have changed while others had the turn
		}
		enter := s.standing(ctx, c, p)
		if !run.Standing {
			enter = s.enter(ctx, c, key, p, run)
		}
		if enter != nil {
			return nil, enter
		}
	}
	return c.runs[key], nil
}

// hold is a channel with what it is judged with, whose turn is the caller's until release. It wraps errLater for one that is judged beside.
func (s *Service) hold(ctx context.Context, name string) (c *channel, release func(), err error) {
	if s.isHanded(name) {
		return nil, nil, errLater
	}
	ch, kind, with, err := s.describe(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	c = s.channel(name)
	if err := s.await(ctx, c); err != nil {
		return nil, nil, fmt.Errorf("channel %s: %w", name, err)
	}
	if err := s.equip(ctx, c, ch, kind, with); err != nil {
		s.release(c)
		return nil, nil, err
	}
	return c, func() { s.release(c) }, nil
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
	plans := s.known().list
	for i := range plans {
		if p := &plans[i]; testplans.PlaysTrack(ch.Options.Track, p.Track, plans) {
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
	c.runs[key] = &running{key: key, plan: p, run: run}
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

// trim keeps the exchanges in memory within their bound: those of channels go that were not asked for the longest time, and the channel's
// own when it has too many alone. The caller has the channel's turn.
func (s *Service) trim(c *channel) {
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
		select {
		case oldest.turn <- struct{}{}:
			oldest.drop()
			<-oldest.turn
		default: // one that is at work will be trimmed by itself
		}
	}
}

// forget drops what is kept, so that all is read again.
func (s *Service) forget() {
	for _, c := range s.listed() {
		s.tell(c, func(c *channel) {
			c.drop()
			c.runs, c.opened = map[string]*running{}, false
		})
	}
}

// listed are the channels that were asked for.
func (s *Service) listed() []*channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.channels))
}
