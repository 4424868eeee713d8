package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"fhirwire/testplans"
	"fhirwire/validators"
)

type reportRow struct {
	ID     int64 `gorm:"primaryKey;autoIncrement"`
	Number int64
	Rules  int
	AtUS   int64
	Report []byte // gzip'd JSON
}

func (reportRow) TableName() string { return "reports" }

// judgedRow is the newest report of an exchange, in the columns that lists and filters need.
type judgedRow struct {
	Number      int64 `gorm:"primaryKey;autoIncrement:false"`
	ReportID    int64
	Rules       int
	Verdict     string
	Errors      int
	Warnings    int
	Information int
	NotChecked  int
	Side        string
	Headline    string
	Unjudged    string
	ToolError   string
}

func (judgedRow) TableName() string { return "judged" }

type findingRow struct {
	Number        int64
	Rule          string
	ConstraintKey string
	Profile       string
	Severity      string
	Side          string
	Unchecked     bool
	Occurrences   int
}

func (findingRow) TableName() string { return "findings" }

// profileRow gives a canonical a number, since every report names a few of the same ones.
type profileRow struct {
	ID  int64 `gorm:"primaryKey;autoIncrement"`
	URL string
}

func (profileRow) TableName() string { return "profiles" }

type judgedProfileRow struct {
	Number    int64
	ProfileID int64
}

func (judgedProfileRow) TableName() string { return "judged_profiles" }

// SaveReport appends the report on the exchange that Subject names; the newest one counts, earlier ones stay. The error
// wraps proxy.ErrNotFound when there is no such exchange.
func (s *Store) SaveReport(ctx context.Context, r validators.Report) error {
	packed, err := s.zip.pack(r)
	if err != nil {
		return fmt.Errorf("report on exchange %s: %w", r.Subject, err)
	}
	err = s.write(ctx).Transaction(func(tx *gorm.DB) error {
		var e exchangeRow
		if err := tx.Select("number").Where("id = ?", r.Subject).Take(&e).Error; err != nil {
			return absent(err)
		}
		row := reportRow{Number: e.Number, Rules: r.Context.Rules, AtUS: micros(r.At), Report: packed}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		judged := judgedOf(e.Number, row.ID, &r)
		errs := []error{
			tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "number"}}, UpdateAll: true}).Create(&judged).Error,
			tx.Where("number = ?", e.Number).Delete(&findingRow{}).Error,
			tx.Where("number = ?", e.Number).Delete(&judgedProfileRow{}).Error,
			tx.Where("number = ?", e.Number).Delete(&pendingRow{}).Error,
		}
		if rows := findingsOf(e.Number, &r); len(rows) > 0 {
			errs = append(errs, tx.CreateInBatches(&rows, 500).Error)
		}
		return errors.Join(append(errs, saveProfiles(tx, e.Number, profilesOf(&r)))...)
	})
	if err != nil {
		return fmt.Errorf("report on exchange %s: %w", r.Subject, err)
	}
	return nil
}

func judgedOf(number, report int64, r *validators.Report) judgedRow {
	clean := func(v string) string { v, _ = text(v); return v }
	sum := r.Summary
	return judgedRow{
		Number: number, ReportID: report, Rules: r.Context.Rules, Verdict: string(testplans.OfReport(sum)),
		Errors: sum.Errors, Warnings: sum.Warnings, Information: sum.Information, NotChecked: sum.NotChecked,
		Side: string(sum.Side), Headline: clean(sum.Headline), Unjudged: clean(sum.Unjudged), ToolError: clean(sum.ToolError),
	}
}

// findingsOf counts equal findings, so that a hundred thousand issues of one rule are one row.
func findingsOf(number int64, r *validators.Report) []findingRow {
	at := make(map[findingRow]int)
	var rows []findingRow
	for i := range r.Issues {
		is := &r.Issues[i]
		key := findingRow{
			Number: number, Rule: is.MessageID, Severity: string(is.Severity), Side: string(is.Side), Unchecked: is.NotChecked,
		}
		// Keys and canonicals come from profiles and may hold anything.
		key.ConstraintKey, _ = text(is.Constraint)
		key.Profile, _ = text(is.Profile)
		// The primary key collates rules without case.
		lookup := key
		lookup.Rule, lookup.ConstraintKey = strings.ToLower(key.Rule), strings.ToLower(key.ConstraintKey)
		j, ok := at[lookup]
		if !ok {
			j = len(rows)
			at[lookup] = j
			rows = append(rows, key)
		}
		rows[j].Occurrences++
	}
	return rows
}

// profilesOf are the canonicals the report is about, each once.
func profilesOf(r *validators.Report) []string {
	var urls []string
	add := func(url string) {
		if url, _ = text(url); url != "" {
			urls = append(urls, url)
		}
	}
	for i := range r.Resources {
		for _, p := range r.Resources[i].Profiles {
			add(p.URL)
		}
	}
	for i := range r.Issues {
		add(r.Issues[i].Profile)
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

func saveProfiles(tx *gorm.DB, number int64, urls []string) error {
	for chunk := range slices.Chunk(urls, 500) {
		known, err := profileIDs(tx, chunk)
		if err != nil {
			return err
		}
		if len(known) < len(chunk) {
			rows := make([]profileRow, len(chunk))
			for i, url := range chunk {
				rows[i].URL = url
			}
			// Another process may be adding the same ones.
			if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error; err != nil {
				return err
			}
			if known, err = profileIDs(tx, chunk); err != nil {
				return err
			}
		}
		rows := make([]judgedProfileRow, len(known))
		for i, id := range known {
			rows[i] = judgedProfileRow{number, id}
		}
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
	}
	return nil
}

func profileIDs(tx *gorm.DB, urls []string) (ids []int64, err error) {
	err = tx.Model(&profileRow{}).Where("url IN ?", urls).Pluck("id", &ids).Error
	return ids, err
}

// Report reads the newest report on an exchange; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) Report(ctx context.Context, exchangeID string) (*validators.Report, error) {
	var row reportRow
	err := s.read(ctx).Joins("JOIN judged ON judged.report_id = reports.id").
		Joins("JOIN exchanges ON exchanges.number = judged.number").
		Where("exchanges.id = ?", exchangeID).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("report on exchange %s: %w", exchangeID, absent(err))
	}
	return s.zip.unpack(exchangeID, row.Report)
}

// Reports reads every report on an exchange, newest first; none is nil.
func (s *Store) Reports(ctx context.Context, exchangeID string) ([]*validators.Report, error) {
	var rows []reportRow
	err := s.read(ctx).Joins("JOIN exchanges ON exchanges.number = reports.number").
		Where("exchanges.id = ?", exchangeID).Order("reports.id DESC").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reports on exchange %s: %w", exchangeID, err)
	}
	var out []*validators.Report
	for _, row := range rows {
		r, err := s.zip.unpack(exchangeID, row.Report)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// ReportsByID reads the newest reports by exchange id; exchanges without one are missing from the map.
func (s *Store) ReportsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error) {
	return s.reportsByID(ctx, ids, s.zip.unpack)
}

// FindingsByID is ReportsByID without what the reports say of single resources, which is most of a report on a large body.
func (s *Store) FindingsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error) {
	return s.reportsByID(ctx, ids, s.zip.unpackFindings)
}

func (s *Store) reportsByID(ctx context.Context, ids []string, unpack func(string, []byte) (*validators.Report, error)) (map[string]*validators.Report, error) {
	out := make(map[string]*validators.Report, len(ids))
	for chunk := range slices.Chunk(ids, 500) {
		var rows []struct {
			ID     string
			Report []byte
		}
		err := s.read(ctx).Table("reports").Select("exchanges.id, reports.report").Joins("JOIN judged ON judged.report_id = reports.id").
			Joins("JOIN exchanges ON exchanges.number = judged.number").Where("exchanges.id IN ?", chunk).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("reports: %w", err)
		}
		reports := make([]*validators.Report, len(rows))
		var unpacking errgroup.Group
		unpacking.SetLimit(runtime.GOMAXPROCS(0))
		for i, row := range rows {
			unpacking.Go(func() (err error) {
				reports[i], err = unpack(row.ID, row.Report)
				return err
			})
		}
		if err := unpacking.Wait(); err != nil {
			return nil, err
		}
		for i, row := range rows {
			out[row.ID] = reports[i]
		}
	}
	return out, nil
}

// Summaries reads the newest reports' summaries by exchange id; exchanges without a report are missing from the map.
func (s *Store) Summaries(ctx context.Context, ids []string) (map[string]validators.Summary, error) {
	out := make(map[string]validators.Summary, len(ids))
	for chunk := range slices.Chunk(ids, 500) {
		var rows []struct {
			ID  string
			Row judgedRow `gorm:"embedded"`
		}
		err := s.read(ctx).Table("judged").Select("exchanges.id, judged.*").
			Joins("JOIN exchanges ON exchanges.number = judged.number").Where("exchanges.id IN ?", chunk).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("summaries: %w", err)
		}
		for i := range rows {
			r := &rows[i].Row
			out[rows[i].ID] = validators.Summary{
				Errors: r.Errors, Warnings: r.Warnings, Information: r.Information, NotChecked: r.NotChecked,
				Side: validators.Side(r.Side), Headline: r.Headline, Unjudged: r.Unjudged, ToolError: r.ToolError,
			}
		}
	}
	return out, nil
}

// unjudgedSQL selects exchanges without a report at a rules version: those never judged wait in pending, so that the
// question costs nothing when there are none.
const unjudgedSQL = `SELECT number FROM pending UNION SELECT number FROM judged WHERE rules < ?`

// Unjudged lists the ids of exchanges without a report at this rules version or a later one, oldest first.
func (s *Store) Unjudged(ctx context.Context, rules, limit int) ([]string, error) {
	var ids []string
	err := s.read(ctx).Raw(`SELECT e.id FROM exchanges e JOIN (`+unjudgedSQL+` ORDER BY 1 LIMIT ?) u ON u.number = e.number
		ORDER BY e.number`, rules, limit).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("exchanges without a report: %w", err)
	}
	return ids, nil
}

// Judged reports whether an exchange has a report at this rules version or a later one.
func (s *Store) Judged(ctx context.Context, id string, rules int) (bool, error) {
	var n int
	err := s.read(ctx).Raw(`SELECT count(*) FROM judged j JOIN exchanges e ON e.number = j.number WHERE e.id = ? AND j.rules >= ?`,
		id, rules).Scan(&n).Error
	if err != nil {
		return false, fmt.Errorf("exchange %s: %w", id, err)
	}
	return n > 0, nil
}

// CountUnjudged counts the exchanges without a report at the rules version of this build.
func (s *Store) CountUnjudged(ctx context.Context) (int, error) {
	var n int
	err := s.read(ctx).Raw(`SELECT count(*) FROM (`+unjudgedSQL+`) u`, validators.RulesVersion).Scan(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count exchanges without a report: %w", err)
	}
	return n, nil
}
