package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
)

// RunStore keeps runs. Absent ones are proxy.ErrNotFound, a second standing one of a plan and channel is proxy.ErrConflict.
type RunStore interface {
	SaveRun(ctx context.Context, run *testplans.Run) error
	Run(ctx context.Context, id string) (testplans.Run, error)
	StandingRun(ctx context.Context, plan, channel string) (testplans.Run, error)
	Runs(ctx context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error)
	SetWindow(ctx context.Context, run *testplans.Run) error
}

// ResultStore keeps results: those that are not what the newest of their part is are appended.
type ResultStore interface {
	AppendResults(ctx context.Context, run string, at time.Time, results []testplans.Result) (appended int, err error)
	Results(ctx context.Context, run string) ([]testplans.Recorded, error)
	History(ctx context.Context, run, step, check string) ([]testplans.Recorded, error)
}

// WordStore keeps what people said.
type WordStore interface {
	Attest(ctx context.Context, run string, a testplans.Attestation) error
	Attestations(ctx context.Context, run string) ([]testplans.Attestation, error)
	SaveReview(ctx context.Context, r *testplans.Reviewed) error
	Reviews(ctx context.Context, runs ...string) (map[string][]testplans.Reviewed, error)
}

// Store keeps runs with their results and what people said of them.
type Store interface {
	RunStore
	ResultStore
	WordStore
}

// saveEvery is how often results are stored that changed in their evidence alone; a changed verdict is stored at once.
const saveEvery = 5 * time.Second

// conclude judges a run over what was read, stores what changed, and tells of it.
func (s *Service) conclude(ctx context.Context, c *channel, r *running) error {
	before := verdicts(&r.judgement)
	if err := s.compute(ctx, c, r); err != nil {
		return err
	}
	defer s.keepLast(c, r)
	j := &r.judgement
	digest := j.Digest()
	if digest == r.digest && !r.unsaved || j.State == testplans.NotTried && r.run.ID == "" {
		r.digest = digest
		return nil
	}
	news := !slices.Equal(before, verdicts(j))
	changed := digest != r.digest
	r.digest, r.unsaved = digest, true
	if err := s.ensure(ctx, r); err != nil {
		return err
	}
	now := s.opt.Clock()
	if news || now.Sub(r.savedAt) >= saveEvery {
		if err := s.save(ctx, r, now); err != nil {
			return err
		}
	}
	if changed {
		s.opt.Publisher.Publish(live.Notice{Kind: live.KindVerdict, ID: r.run.ID})
	}
	return nil
}

func verdicts(j *testplans.Judgement) []string {
	out := make([]string, len(j.Results))
	for i := range j.Results {
		out[i] = string(j.Results[i].Verdict)
	}
	return out
}

func (s *Service) save(ctx context.Context, r *running, now time.Time) error {
	if _, err := s.store.AppendResults(ctx, r.run.ID, now, r.judgement.Results); err != nil {
		return err
	}
	r.unsaved, r.savedAt = false, now
	return nil
}

// ensure stores a run that is always on once there is something to say of it.
func (s *Service) ensure(ctx context.Context, r *running) error {
	if r.run.ID != "" {
		return nil
	}
	run := r.run
	run.Created = s.opt.Clock()
	err := s.store.SaveRun(ctx, &run)
	if errors.Is(err, proxy.ErrConflict) { // another process was first
		run, err = s.store.StandingRun(ctx, run.Plan, run.Channel)
	}
	if err != nil {
		return err
	}
	r.run.ID, r.run.Created, r.judgement.Run = run.ID, run.Created, run.ID
	s.noteStored(&run)
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindRun, ID: run.ID})
	return nil
}

// Standing is the run of a plan over a channel that is always on, stored if it was not: something is to be said of it.
func (s *Service) Standing(ctx context.Context, plan, name string) (testplans.Run, error) {
	p, err := s.plan(plan)
	if err != nil {
		return testplans.Run{}, err
	}
	run := testplans.Run{Plan: plan, Channel: name, Standing: true}
	c, release, err := s.hold(ctx, name)
	if errors.Is(err, errLater) { // whoever has the channel finds it stored
		r := &running{plan: p, run: run}
		if _, r.run.Kind, r.run.Context, err = s.describe(ctx, name); err == nil {
			r.run.PlanDigest, err = p.Digest, s.ensure(ctx, r)
		}
		return r.run, err
	}
	if err != nil {
		return testplans.Run{}, err
	}
	defer release()
	r, err := s.runOf(ctx, c, p, run)
	if err != nil {
		return testplans.Run{}, err
	}
	if err := s.ensure(ctx, r); err != nil {
		return testplans.Run{}, err
	}
	return r.run, nil
}

// Start stores a run with a window, a name or both: Plan, Channel, Name, Since, Until and CreatedBy are read. The error wraps
// proxy.ErrNotFound for a plan or channel that is not known and proxy.ErrInvalid for a window that ends before it begins.
func (s *Service) Start(ctx context.Context, in testplans.Run) (testplans.Run, error) {
	p, err := s.plan(in.Plan)
	if err != nil {
		return testplans.Run{}, &proxy.FieldError{Field: "plan", Text: "no plan has this id"}
	}
	_, kind, with, err := s.describe(ctx, in.Channel)
	if errors.Is(err, proxy.ErrNotFound) {
		return testplans.Run{}, &proxy.FieldError{Field: "channel", Text: "no channel has this name"}
	}
	if err != nil {
		return testplans.Run{}, err
	}
	run := testplans.Run{
		Plan: p.ID, PlanDigest: p.Digest, Channel: in.Channel, Name: strings.TrimSpace(in.Name), Since: in.Since, Until: in.Until, CreatedBy: strings.TrimSpace(in.CreatedBy),
		Kind: kind, Context: with, Created: s.opt.Clock(),
	}
	if run.Since.IsZero() {
		run.Since = run.Created // from now on
	}
	if err := vetWindow(run.Since, run.Until); err != nil {
		return testplans.Run{}, err
	}
	if err := s.store.SaveRun(ctx, &run); err != nil {
		return testplans.Run{}, err
	}
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindRun, ID: run.ID})
	return run, nil
}

func vetWindow(since, until time.Time) error {
	if !until.IsZero() && until.Before(since) {
		return &proxy.FieldError{Field: "until", Text: "the window ends before it begins"}
	}
	return nil
}

// RunByID reads a run with its attestations; the error wraps proxy.ErrNotFound when there is none.
func (s *Service) RunByID(ctx context.Context, id string) (testplans.Run, error) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return testplans.Run{}, err
	}
	run.Attestations, err = s.store.Attestations(ctx, id)
	return run, err
}

// Runs reads a page of runs, newest first; more says that there are older ones.
func (s *Service) Runs(ctx context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error) {
	return s.store.Runs(ctx, q)
}

// Stop closes a run's window now, and calls off a run that nothing was evidence of yet: its window is empty then, and its state cancelled.
// The error wraps proxy.ErrConflict for a run that is always on.
func (s *Service) Stop(ctx context.Context, id string) (testplans.Run, error) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return testplans.Run{}, err
	}
	now := s.opt.Clock()
	if !run.Until.IsZero() && !now.Before(run.Until) {
		return s.RunByID(ctx, id) // it is closed
	}
	until := run.Since
	if now.After(run.Since) && !run.Standing {
		j, err := s.JudgeRun(ctx, id)
		if err != nil {
			return testplans.Run{}, err
		}
		if j.State != testplans.NotTried {
			until = now
		}
	}
	return s.SetWindow(ctx, id, run.Since, until)
}

// SetWindow moves a run's window: its results are computed anew, and those before stay. A zero until leaves it open.
func (s *Service) SetWindow(ctx context.Context, id string, since, until time.Time) (testplans.Run, error) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return testplans.Run{}, err
	}
	if run.Standing {
		return testplans.Run{}, fmt.Errorf("run %s is always on and has no window: %w", id, proxy.ErrConflict)
	}
	if err := vetWindow(since, until); err != nil {
		return testplans.Run{}, err
	}
	run.Since, run.Until = since, until
	if err := s.store.SetWindow(ctx, &run); err != nil {
		return testplans.Run{}, err
	}
	s.leave(run.Channel, id)
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindRun, ID: id})
	return s.RunByID(ctx, id)
}

// leave forgets what is kept of a run, so that it is read anew.
func (s *Service) leave(name, id string) {
	s.tell(s.channel(name), func(c *channel) { delete(c.runs, id) })
}

// JudgeRun is how a run stands. One whose plan or channel is not known any more is as it was stored last.
func (s *Service) JudgeRun(ctx context.Context, id string) (testplans.Judgement, error) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return testplans.Judgement{}, err
	}
	p, err := s.plan(run.Plan)
	if err != nil {
		return s.stored(ctx, run)
	}
	if run.Standing {
		j, err := s.Judge(ctx, run.Plan, run.Channel)
		if errors.Is(err, proxy.ErrNotFound) {
			return s.stored(ctx, run)
		}
		return j, err
	}
	j, err := s.judge(ctx, p, run)
	if errors.Is(err, proxy.ErrNotFound) {
		return s.stored(ctx, run)
	}
	return j, err
}

func (s *Service) stored(ctx context.Context, run testplans.Run) (testplans.Judgement, error) {
	list, err := s.store.Results(ctx, run.ID)
	if err != nil {
		return testplans.Judgement{}, err
	}
	j := testplans.Judgement{Plan: run.Plan, Channel: run.Channel, Run: run.ID, Kind: run.Kind, State: testplans.Done}
	by := lastText(list)
	for _, r := range list {
		if r.Result.PlanDigest != by {
			continue // of a step that the plan had before
		}
		j.Results = append(j.Results, r.Result)
		if r.At.After(j.Last) {
			j.Last = r.At
		}
	}
	slices.SortStableFunc(j.Results, func(a, b testplans.Result) int { return cmp.Compare(depth(a), depth(b)) })
	return j, nil
}

// depth puts the whole first.
func depth(r testplans.Result) int {
	if r.Step == "" {
		return 0
	}
	return 1
}

// Attest appends a person's word to a run and judges it with it. The error wraps proxy.ErrInvalid for a word that the plan does not ask for.
func (s *Service) Attest(ctx context.Context, id string, a testplans.Attestation) (testplans.Judgement, error) {
	run, err := s.store.Run(ctx, id)
	if err != nil {
		return testplans.Judgement{}, err
	}
	p, err := s.plan(run.Plan)
	if err != nil {
		return testplans.Judgement{}, err
	}
	if field, fault := a.Valid(p); fault != "" {
		return testplans.Judgement{}, &proxy.FieldError{Field: field, Text: fault}
	}
	a.By, a.Note, a.At = strings.TrimSpace(a.By), strings.TrimSpace(a.Note), s.opt.Clock()
	if err := s.store.Attest(ctx, id, a); err != nil {
		return testplans.Judgement{}, err
	}
	list, err := s.store.Attestations(ctx, id)
	if err != nil {
		return testplans.Judgement{}, err
	}
	s.tell(s.channel(run.Channel), func(c *channel) {
		for _, r := range c.runs {
			if r.run.ID != id {
				continue
			}
			if r.run.Attestations = list; r.judging != nil {
				r.judging.Attest(list)
			}
			r.upTo, c.computed = 0, time.Time{}
			s.outdate(c, r)
		}
	})
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindRun, ID: id})
	return s.JudgeRun(ctx, id)
}

// Review appends a person's decision on a run; without a digest it is on how the run stands now. The error wraps proxy.ErrInvalid for one
// that lacks something.
func (s *Service) Review(ctx context.Context, r *testplans.Reviewed) error {
	if field, fault := r.Valid(); fault != "" {
		return &proxy.FieldError{Field: field, Text: fault}
	}
	r.By, r.Role, r.Comment = strings.TrimSpace(r.By), strings.TrimSpace(r.Role), strings.TrimSpace(r.Comment)
	j, err := s.JudgeRun(ctx, r.Run)
	if err != nil {
		return err
	}
	if r.Digest == "" {
		r.Digest = j.Digest()
	}
	r.At = s.opt.Clock()
	if err := s.store.SaveReview(ctx, r); err != nil {
		return err
	}
	s.opt.Publisher.Publish(live.Notice{Kind: live.KindRun, ID: r.Run})
	return nil
}

// Reviews reads the decisions on runs, oldest first, by run.
func (s *Service) Reviews(ctx context.Context, runs ...string) (map[string][]testplans.Reviewed, error) {
	return s.store.Reviews(ctx, runs...)
}

// History reads the results of one part of a run, newest first.
func (s *Service) History(ctx context.Context, run, step, check string) ([]testplans.Recorded, error) {
	return s.store.History(ctx, run, step, check)
}
