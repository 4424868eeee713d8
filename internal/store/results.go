package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"fhirwire/testplans"
)

type resultRow struct {
	ID      int64 `gorm:"primaryKey;autoIncrement"`
	RunID   string
	Step    string
	CheckID string
	Verdict string
	Digest  string
	AtUS    int64
	Result  string // JSON
}

func (resultRow) TableName() string { return "results" }

func (r *resultRow) word() (testplans.Recorded, error) {
	out := testplans.Recorded{At: fromMicros(r.AtUS)}
	if err := json.Unmarshal([]byte(r.Result), &out.Result); err != nil {
		return testplans.Recorded{}, fmt.Errorf("run %s: stored result of %s/%s: %w", r.RunID, r.Step, r.CheckID, err)
	}
	out.Result.Run = r.RunID
	return out, nil
}

// latestSQL is the newest result of each part of a run.
const latestSQL = `SELECT max(id) FROM results WHERE run_id = ? GROUP BY step, check_id`

// AppendResults appends those results of a run that are not what the newest of their part is, and says how many they were. Nothing is
// changed or erased.
func (s *Store) AppendResults(ctx context.Context, run string, at time.Time, results []testplans.Result) (appended int, err error) {
	type part struct{ step, check string }
	err = s.write(ctx).Transaction(func(tx *gorm.DB) error {
		var have []resultRow
		if err := tx.Select("step", "check_id", "digest").Where("id IN ("+latestSQL+")", run).Find(&have).Error; err != nil {
			return err
		}
		digests := make(map[part]string, len(have))
		for _, r := range have {
			digests[part{r.Step, r.CheckID}] = r.Digest
		}
		var rows []resultRow
		for i := range results {
			r := &results[i]
			if digests[part{r.Step, r.Check}] == r.Digest {
				continue
			}
			doc, err := json.Marshal(r)
			if err != nil {
				return err
			}
			rows = append(rows, resultRow{
				RunID: run, Step: r.Step, CheckID: r.Check, Verdict: string(r.Verdict), Digest: r.Digest, AtUS: micros(at), Result: string(doc),
			})
		}
		if appended = len(rows); appended == 0 {
			return nil
		}
		return tx.CreateInBatches(&rows, 200).Error
	})
	if err != nil {
		return 0, fmt.Errorf("results of run %s: %w", run, missingRun(err))
	}
	return appended, nil
}

// Results reads the newest result of each part of a run, those that changed last at the end.
func (s *Store) Results(ctx context.Context, run string) ([]testplans.Recorded, error) {
	return s.results(run, s.read(ctx).Where("id IN ("+latestSQL+")", run).Order("id"))
}

// History reads all results of one part of a run, newest first: a check, a step (check is empty) or the whole (step too).
func (s *Store) History(ctx context.Context, run, step, check string) ([]testplans.Recorded, error) {
	return s.results(run, s.read(ctx).Where("run_id = ? AND step = ? AND check_id = ?", run, step, check).Order("id DESC").Limit(maxLimit))
}

func (s *Store) results(run string, query *gorm.DB) ([]testplans.Recorded, error) {
	var rows []resultRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("results of run %s: %w", run, err)
	}
	out := make([]testplans.Recorded, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].word(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
