package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

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

// Live says when something was stored. The channel closes when ctx ends and when the reader is too slow.
type Live interface {
	Subscribe(ctx context.Context, buffer int) <-chan live.Notice
}

// Options tune New. The zero value works.
type Options struct {
	// Limit bounds the exchanges of a channel that are judged, newest first; 0 means 100,000.
	Limit int
	// Context is what reports of a channel are computed with, which decides about steps for other versions of a guide; nil means the
	// channel's own guides, offline.
	Context func(*proxy.Channel) (validators.Context, error)
}

func contextOf(c *proxy.Channel) (validators.Context, error) {
	return validators.Context{Guides: c.Options.Guides, Rules: validators.RulesVersion, Terminology: "offline"}, nil
}

// Service judges plans on demand. It is safe for concurrent use.
type Service struct {
	plans    []testplans.Plan
	byID     map[string]int
	source   Source
	registry Registry
	table    checks.Table
	opt      Options
	flights  singleflight.Group

	mu    sync.Mutex // guards both below
	cache map[key]entry
	// flying has, for what is being computed, the lowest number of an exchange that was judged meanwhile.
	flying map[key]int64
}

// timeout bounds one judging.
const timeout = 5 * time.Minute

type key struct{ digest, channel, context string }

type entry struct {
	newest    int64
	judgement testplans.Judgement
}

// New returns a service for vetted plans, which it shows by track and title. Plans with one id are an error.
func New(plans []testplans.Plan, source Source, registry Registry, table checks.Table, o Options) (*Service, error) {
	if o.Limit <= 0 {
		o.Limit = 100_000
	}
	if o.Context == nil {
		o.Context = contextOf
	}
	s := &Service{plans: slices.Clone(plans), byID: map[string]int{}, source: source, registry: registry, table: table, opt: o, cache: map[key]entry{}, flying: map[key]int64{}}
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

// Run forgets answers whose evidence changed afterwards: an exchange that was judged late, or again. It returns when ctx ends.
func (s *Service) Run(ctx context.Context, hub Live) {
	for ctx.Err() == nil {
		s.forget(0) // what happened before was not heard
		for n := range hub.Subscribe(ctx, 1024) {
			if n.Kind == live.KindReport || n.Kind == live.KindSystem {
				s.forget(n.Number)
			}
		}
		if closed(ctx, hub) {
			return
		}
	}
}

// closed reports whether the hub ended rather than dropped us for being slow.
func closed(ctx context.Context, hub Live) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case _, open := <-hub.Subscribe(ctx, 1):
		return !open
	default:
		return false
	}
}

// forget drops the answers that an exchange's number may have been part of, all for 0.
func (s *Service) forget(number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, low := range s.flying {
		s.flying[k] = min(low, number)
	}
	for k, e := range s.cache {
		if e.newest >= number {
			delete(s.cache, k)
		}
	}
}

// Plans are the plans known, by track and title.
func (s *Service) Plans(context.Context) ([]testplans.Plan, error) { return slices.Clone(s.plans), nil }

// Judge judges a plan over a channel's exchanges. The error wraps proxy.ErrNotFound for a plan or channel that is not known.
func (s *Service) Judge(ctx context.Context, plan, channel string) (testplans.Judgement, error) {
	i, ok := s.byID[plan]
	if !ok {
		return testplans.Judgement{}, fmt.Errorf("plan %s: %w", plan, proxy.ErrNotFound)
	}
	run, err := s.run(ctx, plan, channel)
	if err != nil {
		return testplans.Judgement{}, err
	}
	newest, err := s.newest(ctx, channel)
	if err != nil {
		return testplans.Judgement{}, err
	}
	k := key{s.plans[i].Digest, channel, fmt.Sprintf("%s %v", run.Kind, run.Context)}
	s.mu.Lock()
	have, ok := s.cache[k]
	s.mu.Unlock()
	if ok && have.newest == newest {
		return have.judgement, nil
	}
	// Whoever asks meanwhile shares the work; it goes on when the first of them hangs up.
	got, err, _ := s.flights.Do(fmt.Sprintf("%q", k), func() (any, error) { return s.judge(context.WithoutCancel(ctx), k, s.plans[i], run) })
	if err != nil {
		return testplans.Judgement{}, err
	}
	return got.(testplans.Judgement), nil
}

func (s *Service) judge(ctx context.Context, k key, plan testplans.Plan, run testplans.Run) (testplans.Judgement, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.mu.Lock()
	s.flying[k] = math.MaxInt64
	s.mu.Unlock()
	var tally Tally
	results, err := judge.Judge(ctx, plan, run, s.source.Evidence(ctx, plan, run.Channel, s.opt.Limit, &tally), s.table)
	s.mu.Lock()
	defer s.mu.Unlock()
	low := s.flying[k]
	delete(s.flying, k)
	if err != nil {
		return testplans.Judgement{}, fmt.Errorf("judging plan %s over channel %s: %w", plan.ID, run.Channel, err)
	}
	j := testplans.Judgement{
		Plan: plan.ID, Channel: run.Channel, Kind: run.Kind, State: testplans.StateOf(results, tally.Waiting), Results: results,
		Exchanges: tally.Exchanges, Waiting: tally.Waiting, Older: tally.Older, Last: tally.Last,
	}
	if tally.Newest < low {
		s.cache[k] = entry{tally.Newest, j}
	}
	return j, nil
}

// run describes a judging of a registered channel.
func (s *Service) run(ctx context.Context, plan, channel string) (testplans.Run, error) {
	channels, err := s.registry.Channels(ctx)
	if err != nil {
		return testplans.Run{}, fmt.Errorf("channels: %w", err)
	}
	i := slices.IndexFunc(channels, func(c *proxy.Channel) bool { return c.Name == channel })
	if i < 0 {
		return testplans.Run{}, fmt.Errorf("channel %s: %w", channel, proxy.ErrNotFound)
	}
	systems, err := s.registry.Systems(ctx)
	if err != nil {
		return testplans.Run{}, fmt.Errorf("systems: %w", err)
	}
	run := testplans.Run{Plan: plan, Channel: channel, Kind: testplans.Observed}
	if run.Context, err = s.opt.Context(channels[i]); err != nil {
		return testplans.Run{}, fmt.Errorf("guides of channel %s: %w", channel, err)
	}
	for _, sys := range systems {
		if sys.Simulated && (sys.ID == channels[i].ClientID || sys.ID == channels[i].ServerID) {
			run.Kind = testplans.Simulated
		}
	}
	return run, nil
}

func (s *Service) newest(ctx context.Context, channel string) (int64, error) {
	filter := proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{channel}}}}
	got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Limit: 1, SkipTotal: true})
	if err != nil {
		return 0, fmt.Errorf("newest exchange of channel %s: %w", channel, err)
	}
	if len(got.Exchanges) == 0 {
		return 0, nil
	}
	return got.Exchanges[0].Number, nil
}
