package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

type runRow struct {
	ID         string `gorm:"primaryKey"`
	Plan       string
	PlanDigest string
	Channel    string
	Name       string
	Standing   bool
	SinceUS    int64
	UntilUS    int64
	Kind       string
	Context    string // JSON
	CreatedBy  string
	CreatedUS  int64
}

func (runRow) TableName() string { return "runs" }

func (r *runRow) word() (testplans.Run, error) {
	run := testplans.Run{
		ID: r.ID, Plan: r.Plan, PlanDigest: r.PlanDigest, Channel: r.Channel, Name: r.Name, Standing: r.Standing,
		Since: fromMicros(r.SinceUS), Until: fromMicros(r.UntilUS), Kind: testplans.EvidenceKind(r.Kind), CreatedBy: r.CreatedBy, Created: fromMicros(r.CreatedUS),
	}
	if err := json.Unmarshal([]byte(r.Context), &run.Context); err != nil {
		return testplans.Run{}, fmt.Errorf("run %s: stored context: %w", r.ID, err)
	}
	return run, nil
}

// SaveRun stores a new run. An empty ID and a zero Created are filled in. The error wraps proxy.ErrConflict for a second standing run
// of a plan and channel.
func (s *Store) SaveRun(ctx context.Context, run *testplans.Run) error {
	if run.ID == "" {
		run.ID = s.opt.NewID()
	}
	if run.Created.IsZero() {
		run.Created = s.opt.Clock()
	}
	about, err := json.Marshal(run.Context)
	if err != nil {
		return fmt.Errorf("run %s: context: %w", run.ID, err)
	}
	row := runRow{
		ID: run.ID, Plan: run.Plan, PlanDigest: run.PlanDigest, Channel: run.Channel, Name: plainText(run.Name), Standing: run.Standing,
		SinceUS: micros(run.Since), UntilUS: micros(run.Until), Kind: string(run.Kind), Context: string(about), CreatedBy: plainText(run.CreatedBy), CreatedUS: micros(run.Created),
	}
	err = s.write(ctx).Create(&row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return fmt.Errorf("run of plan %s over channel %s: there is one: %w", run.Plan, run.Channel, proxy.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("save run %s: %w", run.ID, err)
	}
	return nil
}

// plainText is s as a text column takes it.
func plainText(s string) string {
	s, _ = text(s)
	return s
}

// Run reads a run without its attestations; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) Run(ctx context.Context, id string) (testplans.Run, error) {
	return s.oneRun(ctx, "run "+id, "id = ?", id)
}

// StandingRun reads the run of a plan and channel that is always on; the error wraps proxy.ErrNotFound when none is stored yet.
func (s *Store) StandingRun(ctx context.Context, plan, channel string) (testplans.Run, error) {
	return s.oneRun(ctx, "run of plan "+plan+" over channel "+channel, "plan = ? AND channel = ? AND standing", plan, channel)
}

func (s *Store) oneRun(ctx context.Context, what, where string, args ...any) (testplans.Run, error) {
	var row runRow
	if err := s.read(ctx).Where(where, args...).Take(&row).Error; err != nil {
		return testplans.Run{}, fmt.Errorf("%s: %w", what, absent(err))
	}
	return row.word()
}

// Runs reads a page of runs without their attestations, newest first; more says that there are older ones.
func (s *Store) Runs(ctx context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	query := s.read(ctx).Order("id DESC").Limit(limit + 1)
	for _, c := range []struct{ where, value string }{{"plan = ?", q.Plan}, {"channel = ?", q.Channel}, {"id < ?", q.Before}} {
		if c.value != "" {
			query = query.Where(c.where, c.value)
		}
	}
	var rows []runRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, false, fmt.Errorf("runs: %w", err)
	}
	for i := range rows[:min(len(rows), limit)] {
		run, err := rows[i].word()
		if err != nil {
			return nil, false, err
		}
		runs = append(runs, run)
	}
	return runs, len(rows) > limit, nil
}

// SetWindow changes the window of a run that has one: its results are computed anew, and those before stay. The error wraps
// proxy.ErrNotFound when there is no such run, which a standing one is not.
func (s *Store) SetWindow(ctx context.Context, run *testplans.Run) error {
	res := s.write(ctx).Model(&runRow{}).Where("id = ? AND NOT standing", run.ID).
		Updates(map[string]any{"since_us": micros(run.Since), "until_us": micros(run.Until)})
	if res.Error != nil {
		return fmt.Errorf("window of run %s: %w", run.ID, res.Error)
	}
	if res.RowsAffected == 0 {
		return fmt.Errorf("window of run %s: %w", run.ID, proxy.ErrNotFound)
	}
	return nil
}

type attestationRow struct {
	ID      int64 `gorm:"primaryKey;autoIncrement"`
	RunID   string
	Step    string
	CheckID string
	Verdict string
	ByName  string
	Note    string
	AtUS    int64
}

func (attestationRow) TableName() string { return "attestations" }

// Attest appends a person's word to a run. A zero At is filled in.
func (s *Store) Attest(ctx context.Context, run string, a testplans.Attestation) error {
	if a.At.IsZero() {
		a.At = s.opt.Clock()
	}
	row := attestationRow{
		RunID: run, Step: a.Step, CheckID: a.Check, Verdict: string(a.Verdict), ByName: plainText(a.By), Note: plainText(a.Note), AtUS: micros(a.At),
	}
	if err := s.write(ctx).Create(&row).Error; err != nil {
		return fmt.Errorf("attestation of run %s: %w", run, missingRun(err))
	}
	return nil
}

// missingRun says that what refers to a run has none.
func missingRun(err error) error {
	if errors.Is(err, gorm.ErrForeignKeyViolated) {
		return proxy.ErrNotFound
	}
	return err
}

// Attestations reads what people said in a run, oldest first.
func (s *Store) Attestations(ctx context.Context, run string) ([]testplans.Attestation, error) {
	var rows []attestationRow
	if err := s.read(ctx).Where("run_id = ?", run).Order("id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("attestations of run %s: %w", run, err)
	}
	out := make([]testplans.Attestation, len(rows))
	for i, r := range rows {
		out[i] = testplans.Attestation{Step: r.Step, Check: r.CheckID, Verdict: testplans.Verdict(r.Verdict), By: r.ByName, At: fromMicros(r.AtUS), Note: r.Note}
	}
	return out, nil
}

type reviewRow struct {
	ID      string `gorm:"primaryKey"`
	RunID   string
	State   string
	ByName  string
	Role    string
	AtUS    int64
	Comment string
	Digest  string
}

func (reviewRow) TableName() string { return "reviews" }

// SaveReview appends a decision. An empty ID and a zero At are filled in; the error wraps proxy.ErrNotFound for a run that is not stored.
func (s *Store) SaveReview(ctx context.Context, r *testplans.Reviewed) error {
	if r.ID == "" {
		r.ID = s.opt.NewID()
	}
	if r.At.IsZero() {
		r.At = s.opt.Clock()
	}
	row := reviewRow{
		ID: r.ID, RunID: r.Run, State: string(r.State), ByName: plainText(r.By), Role: plainText(r.Role), AtUS: micros(r.At), Comment: plainText(r.Comment), Digest: plainText(r.Digest),
	}
	if err := s.write(ctx).Create(&row).Error; err != nil {
		return fmt.Errorf("review of run %s: %w", r.Run, missingRun(err))
	}
	return nil
}

// Reviews reads the decisions on runs, oldest first, by run; a run without any is missing.
func (s *Store) Reviews(ctx context.Context, runs ...string) (map[string][]testplans.Reviewed, error) {
	out := make(map[string][]testplans.Reviewed, len(runs))
	for chunk := range slices.Chunk(runs, 500) {
		var rows []reviewRow
		if err := s.read(ctx).Where("run_id IN ?", chunk).Order("at_us, id").Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("reviews: %w", err)
		}
		for _, r := range rows {
			out[r.RunID] = append(out[r.RunID], testplans.Reviewed{
				ID: r.ID, Run: r.RunID, State: testplans.Review(r.State), By: r.ByName, Role: r.Role, At: fromMicros(r.AtUS), Comment: r.Comment, Digest: r.Digest,
			})
		}
	}
	return out, nil
}
