package scenarios

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// errLater is for a channel that is being judged beside: nobody waits for that.
var errLater = errors.New("it is being judged")

// channel is what is known about a channel, nothing at first.
func (s *Service) channel(name string) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[name]
	if c == nil {
		c = &channel{name: name, turn: make(chan struct{}, 1), runs: map[string]*running{}, last: map[string]standing{}, handed: make(chan struct{})}
		c.drop()
		s.channels[name] = c
	}
	s.asked++
	c.used = s.asked
	return c
}

// isHanded reports whether a channel is handed over to be judged beside.
func (s *Service) isHanded(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.queue, name)
}

// await takes a channel's turn; errLater when it is judged beside.
func (s *Service) await(ctx context.Context, c *channel) error {
	s.mu.Lock()
	handed := c.handed
	s.mu.Unlock()
	select {
	case <-handed:
		return errLater
	default:
	}
	select {
	case c.turn <- struct{}{}:
		s.hear(c)
		return nil
	case <-handed:
		return errLater
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryTurn takes a channel's turn if nobody has it.
func (s *Service) tryTurn(c *channel) bool {
	select {
	case c.turn <- struct{}{}:
		s.hear(c)
		return true
	default:
		return false
	}
}

func (s *Service) release(c *channel) {
	s.hear(c)
	s.trim(c)
	<-c.turn
}

// tell changes a channel, now or when somebody has its turn next; nobody judges it before. What was told first happens first.
func (s *Service) tell(c *channel, change func(*channel)) {
	s.mu.Lock()
	c.told = append(c.told, change)
	s.mu.Unlock()
	if s.tryTurn(c) {
		<-c.turn
	}
}

// hear does what was told. The caller has the channel's turn.
func (s *Service) hear(c *channel) {
	s.mu.Lock()
	told := c.told
	c.told = nil
	s.mu.Unlock()
	for _, change := range told {
		change(c)
	}
}

// isFollowed reports whether Run is running.
func (s *Service) isFollowed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.following
}

// stands is how a run that is always on stood before its channel's evidence was dropped, ok while nothing came since.
func (s *Service) stands(ctx context.Context, c *channel, r *running) (j testplans.Judgement, ok bool, err error) {
	if c.seen || !r.run.Standing || r.judgement.Results == nil || r.upTo == 0 || r.judgement.Waiting > 0 || !s.isFollowed() {
		return j, false, nil
	}
	j, err = s.stood(ctx, r.judgement, r.upTo)
	return j, err == nil && j.State != testplans.Evaluating, err
}

// takesLong reports whether so much of a channel is to be read that whoever asks does not wait for it.
func (s *Service) takesLong(ctx context.Context, c *channel) (bool, error) {
	if !s.isFollowed() {
		return false, nil // nobody would judge it beside
	}
	if c.seen {
		added := false
		for _, r := range c.runs {
			added = added || r.judging == nil
		}
		return added && c.count > s.opt.AtOnce, nil
	}
	got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(c.name), Limit: 1})
	if err != nil {
		return false, fmt.Errorf("exchanges of channel %s: %w", c.name, err)
	}
	return got.Total > s.opt.AtOnce, nil
}

// hand has a channel judged beside, unless a run's last judgement is of all that it has, and says how the run stands until then.
func (s *Service) hand(ctx context.Context, c *channel, p *testplans.Plan, run testplans.Run) (testplans.Judgement, error) {
	j, err := s.before(ctx, p, run)
	if err == nil && j.State != testplans.Evaluating {
		return j, nil
	}
	s.handOver(c)
	return j, err
}

// startBeside has all channels judged beside where they have so much together that whoever asks about many of them would wait; it reports
// whether that is so.
func (s *Service) startBeside(ctx context.Context, names iter.Seq[string]) bool {
	got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Limit: 1})
	if err != nil || got.Total <= s.opt.AtOnce {
		return false // each is judged when its turn comes, or somebody asks
	}
	for _, name := range slices.Sorted(names) {
		s.handOver(s.channel(name))
	}
	return true
}

// prefer has a channel judged beside before others that wait: it has something new.
func (s *Service) prefer(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.queue, name); at > 1 { // the first is at work
		s.queue = slices.Insert(slices.Delete(s.queue, at, at+1), 1, name)
	}
}

// handOver has a channel judged beside.
func (s *Service) handOver(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.queue, c.name) || !s.following {
		return
	}
	close(c.handed)
	c.stored = nil
	s.queue = append(s.queue, c.name)
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// takeBack ends that.
func (s *Service) takeBack(c *channel, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(name string) bool { return name == c.name })
	c.handed, c.fault, c.stored = make(chan struct{}), err, nil
}

// follows says whether Run is running.
func (s *Service) follows(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.following = now
}

// callOff takes back what is still to be judged beside.
func (s *Service) callOff() {
	for c := s.next(); c != nil; c = s.next() {
		s.takeBack(c, nil)
	}
}

// beside judges the channels that take long, one after another, until ctx ends.
func (s *Service) beside(ctx context.Context) {
	for ctx.Err() == nil {
		if c := s.next(); c != nil {
			if err := s.judgeBeside(ctx, c); err != nil && ctx.Err() == nil {
				s.opt.Logger.ErrorContext(ctx, "judging failed", "channel", c.name, "error", err)
			}
			continue
		}
		select {
		case <-s.queued:
		case <-ctx.Done():
		}
	}
}

// next is the first of the queue, nil when that is empty.
func (s *Service) next() *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	return s.channels[s.queue[0]]
}

func (s *Service) judgeBeside(ctx context.Context, c *channel) (err error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.hear(c)
	defer func() {
		s.takeBack(c, err)
		s.release(c)
	}()
	ch, kind, with, err := s.describe(ctx, c.name)
	if err != nil {
		return err
	}
	if err := s.equip(ctx, c, ch, kind, with); err != nil {
		return err
	}
	return s.judgeAll(ctx, c)
}

// keepLast notes how a run stands, for those who ask while it is judged again.
func (s *Service) keepLast(c *channel, r *running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.last[r.key] = standing{r.judgement, r.upTo, r.run.Since, r.run.Until}
}

// before is how a run stood last: evaluating when there is more to judge. One that was never judged since this process began is as it was
// stored; what was never judged at all is not-checked.
func (s *Service) before(ctx context.Context, p *testplans.Plan, run testplans.Run) (testplans.Judgement, error) {
	c := s.channel(run.Channel)
	s.mu.Lock()
	last, known := c.last[keyOf(&run)]
	fault := c.fault
	s.mu.Unlock()
	switch {
	case fault != nil:
		return testplans.Judgement{}, fmt.Errorf("judging channel %s: %w", run.Channel, fault)
	case known && last.since.Equal(run.Since) && last.until.Equal(run.Until) && judgedBy(last.judgement.Results, p):
		return s.stood(ctx, last.judgement, last.upTo)
	}
	return s.storedLast(ctx, c, p, run)
}

// stood is a judgement up to an exchange, evaluating when that is not the newest.
func (s *Service) stood(ctx context.Context, j testplans.Judgement, upTo int64) (testplans.Judgement, error) {
	if upTo == 0 {
		j.State = testplans.Evaluating
		return j, nil
	}
	got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: ofChannel(j.Channel), Limit: 1, SkipTotal: true})
	if err != nil {
		return testplans.Judgement{}, fmt.Errorf("newest exchange of channel %s: %w", j.Channel, err)
	}
	if len(got.Exchanges) > 0 && got.Exchanges[0].Number != upTo {
		j.State = testplans.Evaluating
	}
	return j, nil
}

// storedRuns are the runs of a channel that were stored as always on, by plan, and what it is judged with, while it is judged beside.
type storedRuns struct {
	kind testplans.EvidenceKind
	runs map[string]testplans.Run
}

// storedOf looks them up, once for all plans.
func (s *Service) storedOf(ctx context.Context, c *channel) (*storedRuns, error) {
	s.mu.Lock()
	had := c.stored
	s.mu.Unlock()
	if had != nil {
		return had, nil
	}
	_, kind, _, err := s.describe(ctx, c.name)
	if err != nil {
		return nil, err
	}
	found := &storedRuns{kind, map[string]testplans.Run{}}
	for q := (testplans.RunQuery{Channel: c.name, Limit: 100}); ; {
		runs, more, err := s.store.Runs(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			if run.Standing {
				found.runs[run.Plan] = run
			}
		}
		if !more || len(runs) == 0 {
			break
		}
		q.Before = runs[len(runs)-1].ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.stored = found
	return found, nil
}

// storedLast is how a run was stored last.
func (s *Service) storedLast(ctx context.Context, c *channel, p *testplans.Plan, run testplans.Run) (testplans.Judgement, error) {
	of, err := s.storedOf(ctx, c)
	if err != nil {
		return testplans.Judgement{}, err
	}
	kind := of.kind
	if known, ok := of.runs[p.ID]; ok && run.Standing && run.ID == "" {
		run = known
	}
	had, results := testplans.Judgement{}, []testplans.Result(nil)
	if run.ID != "" {
		if had, err = s.stored(ctx, run); err != nil {
			return testplans.Judgement{}, err
		}
	}
	if results = s.known().untold(p); len(had.Results) > 0 || results == nil {
		results = lastOf(p, had.Results)
	}
	j := testplans.Judgement{Plan: p.ID, Channel: run.Channel, Run: run.ID, Kind: kind, State: testplans.Evaluating, Results: results, Last: had.Last}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, judged := c.last[keyOf(&run)]; !judged || !judgedBy(have.judgement.Results, p) {
		c.last[keyOf(&run)] = standing{j, 0, run.Since, run.Until}
	}
	return j, nil
}

// lastOf puts results in a plan's order, not-checked where there is none. Those by another text of the plan are none of this one's.
func lastOf(p *testplans.Plan, had []testplans.Result) []testplans.Result {
	var out []testplans.Result
	waits := "what was recorded is being judged"
	if !judgedBy(had, p) {
		had, waits = nil, "the plan changed, and what was recorded is being judged anew"
	}
	add := func(none testplans.Result) {
		at := slices.IndexFunc(had, func(r testplans.Result) bool { return r.Step == none.Step && r.Check == none.Check })
		if at >= 0 {
			out = append(out, had[at])
			return
		}
		none.Plan, none.PlanDigest, none.Verdict, none.Message = p.ID, p.Digest, testplans.NotChecked, waits
		out = append(out, none)
	}
	add(testplans.Result{Claim: p.Title})
	for i := range p.Steps {
		st := &p.Steps[i]
		add(testplans.Result{Step: st.ID, Claim: st.Claim, Optional: st.Optional, Requirements: st.Requirements})
		for k := range st.Checks {
			check := &st.Checks[k]
			add(testplans.Result{
				Step: st.ID, Check: check.ID, Claim: check.Claim, Optional: st.Optional, Strength: st.StrengthOf(check), Requirements: st.RequirementsOf(check),
			})
		}
	}
	return out
}

// outdate notes that how a run stood is not how it stands: more was said or found of the same exchanges.
func (s *Service) outdate(c *channel, r *running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, known := c.last[r.key]; known {
		last.upTo = 0
		c.last[r.key] = last
	}
}

// noteStored has a run that was stored just now found by those who look up how it stood.
func (s *Service) noteStored(run *testplans.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[run.Channel]
	if c == nil {
		return
	}
	c.stored = nil
	if last, known := c.last[keyOf(run)]; known {
		last.judgement.Run = run.ID
		c.last[keyOf(run)] = last
	}
}
