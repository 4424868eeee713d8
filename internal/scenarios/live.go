package scenarios

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
)

// Live says when something was stored. The channel closes when ctx ends and when the reader is too slow.
type Live interface {
	Subscribe(ctx context.Context, buffer int) <-chan live.Notice
}

// gather is how long notices are gathered before the channels that they are about are judged.
const gather = 100 * time.Millisecond

// news are the channels to judge, and what was heard of their exchanges.
type news struct {
	exchanges map[string]bool // ids; true for a report
	channels  map[string]bool
}

func newNews() news { return news{map[string]bool{}, map[string]bool{}} }

// Run judges every channel that has traffic, first what is stored, then as it is recorded and inspected. It returns when ctx ends.
func (s *Service) Run(ctx context.Context, hub Live) {
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	s.follows(true)
	defer func() {
		s.follows(false)
		stop()
		beside.Wait()
		s.callOff()
	}()
	beside.Go(func() { s.beside(ctx) })
	for ctx.Err() == nil {
		notices := hub.Subscribe(ctx, 4096)
		s.forget() // what happened before was not heard
		n := newNews()
		s.all(ctx, &n)
		if s.startBeside(ctx, maps.Keys(n.channels)) {
			clear(n.channels)
		}
		s.follow(ctx, notices, n)
		if closed(ctx, hub) {
			return
		}
	}
}

// follow judges what notices tell of until they end.
func (s *Service) follow(ctx context.Context, notices <-chan live.Notice, n news) {
	pause := time.NewTimer(gather)
	defer pause.Stop()
	waiting := true
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		select {
		case notice, open := <-notices:
			if !open {
				return
			}
			switch notice.Kind {
			case live.KindExchange, live.KindReport:
				n.exchanges[notice.ID] = n.exchanges[notice.ID] || notice.Kind == live.KindReport
			case live.KindSystem, live.KindPlans:
				s.all(ctx, &n)
			case live.KindRun:
				s.ofRun(ctx, notice.ID, &n)
			default:
				continue
			}
			if !waiting {
				waiting = true
				pause.Reset(gather)
			}
		case <-pause.C:
			waiting = s.work(ctx, &n)
			if waiting {
				pause.Reset(10 * gather)
			}
		case <-save.C:
			s.flush(ctx)
		}
	}
}

// work judges the channels that there is news of, and reports whether some are left for later.
func (s *Service) work(ctx context.Context, n *news) (left bool) {
	for id, report := range n.exchanges {
		ex, err := s.source.Exchanges.Exchange(ctx, id)
		if err != nil {
			continue // deleted, or the store fails: what is read next tells
		}
		n.channels[ex.Channel] = true
		s.prefer(ex.Channel)
		if report {
			s.inspectedAgain(ex.Channel, id)
		}
	}
	clear(n.exchanges)
	for name := range n.channels {
		later, err := s.bring(ctx, name)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil && !errors.Is(err, proxy.ErrNotFound): // an exchange of no registered channel is of no run
			s.opt.Logger.ErrorContext(ctx, "judging failed", "channel", name, "error", err)
		case later:
			left = true
			continue
		}
		delete(n.channels, name)
	}
	return left
}

// inspectedAgain notes that an exchange has a new report.
func (s *Service) inspectedAgain(name, id string) {
	s.tell(s.channel(name), func(c *channel) {
		for _, r := range c.runs {
			r.upTo = 0
			s.outdate(c, r)
		}
		if c.seen {
			c.again[id] = true
		}
	})
}

// bring judges all runs of a channel over what is stored; later says that it has to wait.
func (s *Service) bring(ctx context.Context, name string) (later bool, err error) {
	c, release, err := s.hold(ctx, name)
	if err != nil {
		return errors.Is(err, errLater), ignoring(err, errLater)
	}
	defer release()
	if c.tooSoon(s.opt.Clock()) {
		return true, nil
	}
	if long, err := s.takesLong(ctx, c); err != nil || long {
		if long {
			s.handOver(c)
		}
		return false, err
	}
	return false, s.judgeAll(ctx, c)
}

func ignoring(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// judgeAll judges all runs of a channel that is the caller's.
func (s *Service) judgeAll(ctx context.Context, c *channel) error {
	if err := s.enterOpen(ctx, c); err != nil {
		return err
	}
	if err := s.catchUp(ctx, c); err != nil {
		return err
	}
	var errs []error
	for _, r := range c.runs {
		errs = append(errs, s.conclude(ctx, c, r))
	}
	return errors.Join(errs...)
}

// enterOpen adds the runs of a channel whose window is open, and those that were asked for stay.
func (s *Service) enterOpen(ctx context.Context, c *channel) error {
	if c.opened {
		return nil
	}
	runs, _, err := s.store.Runs(ctx, testplans.RunQuery{Channel: c.name, Limit: 1000})
	if err != nil {
		return err
	}
	now := s.opt.Clock()
	for _, run := range runs {
		p, err := s.plan(run.Plan)
		if err != nil || run.Standing || c.runs[run.ID] != nil || !run.Until.IsZero() && !now.Before(run.Until) {
			continue // of a plan that another build has, or nothing to follow
		}
		if err := s.enter(ctx, c, run.ID, p, run); err != nil {
			return err
		}
	}
	c.opened = true
	return nil
}

// ofRun adds the channel of a run.
func (s *Service) ofRun(ctx context.Context, id string, n *news) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return // the channel is judged with its next exchange
	}
	s.tell(s.channel(run.Channel), func(c *channel) { c.opened = false })
	n.channels[run.Channel] = true
}

// all adds all channels.
func (s *Service) all(ctx context.Context, n *news) {
	channels, err := s.registry.Channels(ctx)
	if err != nil {
		s.opt.Logger.ErrorContext(ctx, "judging waits for traffic", "error", err)
		return
	}
	for _, c := range channels {
		n.channels[c.Name] = true
	}
}

// flush stores results that changed in their evidence alone.
func (s *Service) flush(ctx context.Context) {
	for _, c := range s.listed() {
		if !s.tryTurn(c) {
			continue // another time
		}
		for _, r := range c.runs {
			if !r.unsaved || r.run.ID == "" {
				continue
			}
			if err := s.save(ctx, r, s.opt.Clock()); err != nil && ctx.Err() == nil {
				s.opt.Logger.ErrorContext(ctx, "results were not stored", "run_id", r.run.ID, "error", err)
			}
		}
		<-c.turn
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
