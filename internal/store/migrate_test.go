package store

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"fhirwire/internal/sqldb"
	"fhirwire/proxy"
)

func openDB(t *testing.T) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db")), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestRowsMatchTheSchema compares the row structs with the tables that the migrations make, column by column.
func TestRowsMatchTheSchema(t *testing.T) {
	db := openDB(t)
	if _, err := Open(t.Context(), db, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	rows := []schema.Tabler{
		systemRow{},
		channelRow{},
		exchangeRow{},
		detailRow{},
		bodyRow{},
		pendingRow{},
		bulkURLRow{},
		reportRow{},
		judgedRow{},
		findingRow{},
		profileRow{},
		judgedProfileRow{},
		runRow{},
		resultRow{},
		attestationRow{},
		reviewRow{},
		chainRow{},
	}
	for _, r := range rows {
		var columns []string
		if err := db.Read.Raw("SELECT name FROM pragma_table_info(?)", r.TableName()).Scan(&columns).Error; err != nil {
			t.Fatal(err)
		}
		stmt := db.Read.Model(r).Statement
		if err := stmt.Parse(r); err != nil {
			t.Fatal(err)
		}
		fields := slices.Clone(stmt.Schema.DBNames)
		slices.Sort(columns)
		slices.Sort(fields)
		if !slices.Equal(columns, fields) {
			t.Errorf("table %s has columns\n%v\nits row struct has\n%v", r.TableName(), columns, fields)
		}
	}
	var tables []string
	err := db.Read.Raw(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_version'`).Scan(&tables).Error
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != len(rows) {
		t.Errorf("tables %v, row structs %d", tables, len(rows))
	}
}

// TestDialectsHaveTheSameMigrations keeps the folders in step: the same files, tables, columns and indices.
func TestDialectsHaveTheSameMigrations(t *testing.T) {
	names := func(dialect string) (files, made []string) {
		entries, err := os.ReadDir(filepath.Join("migrations", dialect))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			files = append(files, e.Name())
			src, err := os.ReadFile(filepath.Join("migrations", dialect, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(src)) {
				words := strings.Fields(line)
				switch {
				case len(words) > 2 && (words[0] == "CREATE" || words[0] == "ALTER"):
					made = append(made, strings.Join(words[:3], " "))
				case len(words) > 1 && strings.HasPrefix(line, "    "):
					made = append(made, words[0])
				}
			}
		}
		return files, made
	}
	sf, sm := names("sqlite")
	pf, pm := names("postgres")
	if !slices.Equal(sf, pf) || !slices.Equal(sm, pm) {
		t.Errorf("sqlite has %v %v\npostgres has %v %v", sf, sm, pf, pm)
	}
}

// TestOldDatabasesAreUpgraded opens what each earlier version wrote: testdata/vN.sql holds rows as version N stored them.
func TestOldDatabasesAreUpgraded(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "v*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("fixtures %v, error %v", files, err)
	}
	for _, file := range files {
		version, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "v"), ".sql"))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			db := openDB(t)
			upTo(t, db, version)
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for stmt := range strings.SplitSeq(string(src), ";\n") {
				if strings.TrimSpace(stmt) == "" {
					continue
				}
				if err := db.Write.Exec(stmt).Error; err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(t.Context(), db, nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkFixture(t, s)
			if version >= 3 {
				checkRuns(t, s)
			}
		})
	}
}

// upTo applies the migrations up to a version, as the program of that version did.
func upTo(t *testing.T, db *sqldb.DB, version int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sqlite"), 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join("migrations", "sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		if n, err := strconv.Atoi(number); err != nil || n > version {
			continue
		}
		src, err := os.ReadFile(filepath.Join("migrations", "sqlite", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sqlite", e.Name()), src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Migrate(t.Context(), "evidence", os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
}

// checkFixture expects what every fixture holds: one system pair, one channel, one exchange with a body, one that waits.
func checkFixture(t *testing.T, s *Store) {
	t.Helper()
	ch, err := s.ChannelByName(t.Context(), "acme-ehr~diamond-payer")
	if err != nil || ch.ServerURL != "http://payer.example/fhir" || ch.Options.Track != "Payer to payer" {
		t.Errorf("channel %+v, %v", ch, err)
	}
	e, err := s.Exchange(t.Context(), "01900000-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	if e.Number != 1 || e.Status() != 200 || e.Response.Header.Get("Content-Type") != "application/fhir+json" || e.Timing.Duration() == 0 {
		t.Errorf("exchange %+v", e)
	}
	rc, err := s.OpenBody(t.Context(), e.Response.Body.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	ids, err := s.Unjudged(t.Context(), 1, 10)
	if err != nil || !slices.Equal(ids, []string{"01900000-0000-7000-8000-000000000002"}) {
		t.Errorf("unjudged %v, %v", ids, err)
	}
	page, err := s.Exchanges(t.Context(), proxy.Query{})
	if err != nil || page.Total != 2 {
		t.Errorf("page %+v, %v", page, err)
	}
	r, err := s.Report(t.Context(), e.ID)
	if err != nil || r.Summary.Errors != 1 || len(r.Issues) != 1 || r.Issues[0].MessageID != "cardinality-min" {
		t.Errorf("report %+v, %v", r, err)
	}
}

// checkRuns expects what fixtures hold since runs are kept: one with a result that changed, a word and a decision.
func checkRuns(t *testing.T, s *Store) {
	t.Helper()
	run, err := s.StandingRun(t.Context(), "match", "acme-ehr~diamond-payer")
	if err != nil || run.Context.Rules != 1 || run.Created.IsZero() {
		t.Fatalf("run %+v, %v", run, err)
	}
	history, err := s.History(t.Context(), run.ID, "", "")
	if err != nil || len(history) != 2 || history[0].Result.Verdict != "pass" || history[0].Result.Evidence[0].Number != 1 || history[1].Result.Side != "server" {
		t.Errorf("history %+v, %v", history, err)
	}
	words, err := s.Attestations(t.Context(), run.ID)
	if err != nil || len(words) != 1 || words[0].By != "Ada" {
		t.Errorf("attestations %+v, %v", words, err)
	}
	reviews, err := s.Reviews(t.Context(), run.ID)
	if err != nil || len(reviews[run.ID]) != 1 || reviews[run.ID][0].State != "verified" || reviews[run.ID][0].Digest != "dd" {
		t.Errorf("reviews %+v, %v", reviews, err)
	}
}
