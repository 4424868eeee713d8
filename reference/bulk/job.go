package bulk

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/attribution"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Sentinels of jobs.
var (
	ErrNotFound = errors.New("no such export")
	ErrExpired  = errors.New("export has expired")
)

// State is where a job is.
type State string

// The states.
const (
	Queued    State = "queued"
	Running   State = "running"
	Complete  State = "complete"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Expired   State = "expired"
)

// Options tune New. Clock and NewID are required.
type Options struct {
	// Dir holds a folder per job.
	Dir    string
	Clock  func() time.Time
	NewID  func() string // unguessable: a job's URL is its only protection
	Logger *slog.Logger
	// Workers is how many units run at once; 0 means 2.
	Workers int
	// Keep is how long files stay after completion; 0 means 24 hours.
	Keep time.Duration
	// MaxOpen is how many jobs may be unfinished; 0 means 100.
	MaxOpen int
	// LinesPerFile cuts files; 0 means 10,000.
	LinesPerFile int
	// MaxPerClient is how many unfinished jobs one client may have; 0 means 10. Clients who are not known share MaxOpen only.
	MaxPerClient int
	// Required gives the root elements that _elements cannot leave out.
	Required resources.Required
	// OptedOut tells who refused sharing, at the moment it is asked; nil: nobody. Exports of Groups leave them out.
	OptedOut func(ctx context.Context) (map[string]bool, error)
	// Terms tells what holds for the members of a Group that came from a match; nil: there are none.
	Terms func(ctx context.Context, group string) (map[string]attribution.Term, bool, error)
	// Transmitter is the reference to the payer in Provenance of what is sent.
	Transmitter string
	// Tasks are what KickoffTask can start, by name.
	Tasks map[string]Task
}

// Manager owns the jobs. It is safe for concurrent use.
type Manager struct {
	db    *sqldb.DB
	store *resources.Store
	reg   *search.Registry
	o     Options
	wake  chan struct{}

	mu      sync.Mutex
	turn    []string                      // jobs waiting for a worker, guarded by mu
	running map[string]context.CancelFunc // guarded by mu
	// referred is what running jobs remember between units, guarded by mu.
	referred map[string]*referred
}

const maxAttempts = 3

type jobRow struct {
	ID         string
	State      State
	Created    int64
	Request    string
	Attempts   int
	Taken      int64 // transactionTime in Unix milliseconds, 0 before the job starts to read
	UnitsDone  int
	UnitsTotal int
	Resources  int64
	Expires    int64
	Error      string
	Client     string
}

type fileRow struct {
	Job   string
	Unit  int
	Name  string
	List  string
	Type  string
	Lines int64
	Bytes int64
}

// New brings the schema up to date. Jobs that a former process left go on when Run starts.
func New(ctx context.Context, db *sqldb.DB, store *resources.Store, reg *search.Registry, o Options) (*Manager, error) {
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.Keep == 0 {
		o.Keep = 24 * time.Hour
	}
	if o.MaxPerClient == 0 {
		o.MaxPerClient = 10
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = 100
	}
	if o.LinesPerFile == 0 {
		o.LinesPerFile = 10_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Required == nil {
		o.Required = func(string, []string) []string { return nil }
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "reference-bulk", files); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of exports: %w", err)
	}
	return &Manager{db: db, store: store, reg: reg, o: o, wake: make(chan struct{}, 1), running: map[string]context.CancelFunc{}, referred: map[string]*referred{}}, nil
}

// Kickoff accepts an export and returns the job's id; the job is stored when it returns (OPS-01). A refusal is a
// *KickoffError.
func (m *Manager) Kickoff(ctx context.Context, k Kickoff) (string, error) {
	o, err := m.refine(k)
	if err != nil {
		return "", err
	}
	subject := map[Level]string{Group: "Group", Formulary: "InsurancePlan"}[k.Level]
	if subject != "" && (k.GroupID != "" || k.Level == Group) {
		found, err := m.store.Get(ctx, subject, k.GroupID)
		if err != nil {
			if errors.Is(err, resources.ErrNotFound) || errors.Is(err, resources.ErrDeleted) {
				return "", refusef(http.StatusNotFound, "not-found", "%s/%s is not known.", subject, k.GroupID)
			}
			return "", err
		}
		if k.Level == Group {
			noteList(o, found.Body)
		}
	}
	if err := m.checkPatients(ctx, k, o); err != nil {
		return "", err
	}
	id := m.o.NewID()
	if err := m.insert(ctx, id, o); err != nil {
		return "", err
	}
	m.enqueue(id)
	return id, nil
}

// insert stores a job, unless there are too many of the client or of all (BULK-KO-22, OPS-11).
func (m *Manager) insert(ctx context.Context, id string, o *order) error {
	request, err := encodeOrder(o)
	if err != nil {
		return err
	}
	err = m.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var open struct{ Total, Own int }
		sql := "SELECT count(*) AS total, COALESCE(SUM(CASE WHEN client = ? THEN 1 ELSE 0 END), 0) AS own FROM ref_export WHERE state IN ('queued', 'running')"
		if err := tx.Raw(sql, o.Client).Scan(&open).Error; err != nil {
			return err
		}
		if open.Total >= m.o.MaxOpen || o.Client != "" && open.Own >= m.o.MaxPerClient {
			return &KickoffError{Status: http.StatusTooManyRequests, Code: "throttled", Message: "Too many exports are running.", RetryAfter: 10 * time.Second}
		}
		return tx.Exec(`INSERT INTO ref_export (id, state, created, request, attempts, taken, units_done, units_total, resources, expires, error, client)
			VALUES (?, 'queued', ?, ?, 0, 0, 0, ?, 0, 0, '', ?)`, id, m.o.Clock().UnixMilli(), request, m.units(o), o.Client).Error
	})
	if _, refused := errors.AsType[*KickoffError](err); err != nil && !refused {
		err = fmt.Errorf("store export: %w", err)
	}
	return err
}

// checkPatients: unknown patients and, at group level, patients who are no members are refused, or noted and left out when
// lenient. What is left may be empty, and then so is the export (DDE-04).
func (m *Manager) checkPatients(ctx context.Context, k Kickoff, o *order) error {
	if !o.Subset {
		return nil
	}
	known := map[string]bool{}
	if k.Level == Group {
		members, err := m.members(ctx, k.GroupID)
		if err != nil {
			return err
		}
		for _, id := range members {
			known[id] = true
		}
	} else {
		rs, err := m.store.Fetch(ctx, "Patient", o.Patients)
		if err != nil {
			return err
		}
		for _, r := range rs {
			known[r.ID] = true
		}
	}
	var left []string
	for _, id := range o.Patients {
		switch {
		case known[id]:
			left = append(left, id)
		case k.DataExport: // CF-05; the error file names it (see unavailable)
			left = append(left, id)
		case k.Lenient:
			o.Notes = append(o.Notes, notAvailable(id))
		default:
			return refusef(http.StatusBadRequest, "not-found", "Patient/%s is not available here.", id)
		}
	}
	o.Patients = left
	return nil
}

func (m *Manager) enqueue(id string) {
	m.mu.Lock()
	m.turn = append(m.turn, id)
	m.mu.Unlock()
	m.poke()
}

func (m *Manager) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Manager) next() (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.turn) == 0 {
		return "", false
	}
	id := m.turn[0]
	m.turn = m.turn[1:]
	return id, true
}

// Run works on jobs until ctx ends. It takes up what a former process left unfinished.
func (m *Manager) Run(ctx context.Context) error {
	var left []string
	if err := m.db.Read.WithContext(ctx).Raw("SELECT id FROM ref_export WHERE state IN ('queued', 'running') ORDER BY created, id").Scan(&left).Error; err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("open exports: %w", err)
	}
	m.mu.Lock()
	for _, id := range left {
		if !slices.Contains(m.turn, id) {
			m.turn = append(m.turn, id)
		}
	}
	m.mu.Unlock()
	m.poke()
	var wg sync.WaitGroup
	for range m.o.Workers {
		wg.Go(func() { m.work(ctx) })
	}
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return nil
		case <-sweep.C:
			if err := m.expire(ctx); err != nil && ctx.Err() == nil {
				m.o.Logger.ErrorContext(ctx, "expired exports not removed", "error", err)
			}
		}
	}
}

func (m *Manager) work(ctx context.Context) {
	for {
		id, ok := m.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-m.wake:
				continue
			}
		}
		m.poke() // another worker may take the next
		if ctx.Err() != nil {
			return
		}
		again, err := m.step(ctx, id)
		if err != nil && ctx.Err() == nil {
			level := slog.LevelError
			if m.calledOff(ctx, id) {
				level = slog.LevelDebug
			}
			m.o.Logger.Log(ctx, level, "export unit failed", "job", id, "error", err)
			again = m.failed(ctx, id)
		}
		if again {
			m.enqueue(id)
		}
	}
}

// calledOff reports whether a job was cancelled while a unit of it was at work: what failed then is nobody's concern.
func (m *Manager) calledOff(ctx context.Context, id string) bool {
	var state string
	err := m.db.Read.WithContext(ctx).Raw("SELECT state FROM ref_export WHERE id = ?", id).Scan(&state).Error
	return err == nil && state != "running"
}

// failed counts an attempt and reports whether there is another.
func (m *Manager) failed(ctx context.Context, id string) bool {
	w := m.db.Write.WithContext(ctx)
	err := w.Exec("UPDATE ref_export SET attempts = attempts + 1 WHERE id = ?", id).Error
	if err == nil {
		err = w.Exec("UPDATE ref_export SET state = 'failed', error = ? WHERE id = ? AND attempts >= ? AND state = 'running'",
			fmt.Sprintf("The export stopped after %d attempts.", maxAttempts), id, maxAttempts).Error
	}
	if err != nil {
		m.o.Logger.ErrorContext(ctx, "export state not stored", "job", id, "error", err)
		return false
	}
	row, err := m.job(ctx, id)
	if err == nil && row.State == Failed {
		if err := m.remove(ctx, id); err != nil {
			m.o.Logger.ErrorContext(ctx, "files of a failed export not removed", "job", id, "error", err)
		}
	}
	return err == nil && row.State == Running
}

func (m *Manager) job(ctx context.Context, id string) (jobRow, error) {
	var rows []jobRow
	err := m.db.Read.WithContext(ctx).Raw("SELECT * FROM ref_export WHERE id = ?", id).Scan(&rows).Error
	if err != nil {
		return jobRow{}, fmt.Errorf("export %s: %w", id, err)
	}
	if len(rows) == 0 {
		return jobRow{}, ErrNotFound
	}
	return rows[0], nil
}

// Status is what a poll sees.
type Status struct {
	State State
	// Progress is a short text for X-Progress.
	Progress string
	// Message says why a job failed.
	Message string
	// Manifest is set when complete, Expires with it.
	Manifest *Manifest
	Expires  time.Time
}

// Manifest is the answer to a finished export, BULK-MF-01: all members are always there but deleted.
type Manifest struct {
	TransactionTime     string `json:"transactionTime"`
	Request             string `json:"request"`
	RequiresAccessToken bool   `json:"requiresAccessToken"`
	Output              []File `json:"output"`
	Deleted             []File `json:"deleted,omitempty"`
	Error               []File `json:"error"`
}

// File is an entry of a manifest.
type File struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int64  `json:"count"`
}

// Status tells about a job. ErrNotFound: unknown, cancelled or expired.
func (m *Manager) Status(ctx context.Context, id string) (Status, error) {
	row, err := m.job(ctx, id)
	if err != nil {
		return Status{}, err
	}
	s := Status{State: row.State, Message: row.Error}
	switch row.State {
	case Failed:
	case Cancelled, Expired:
		return s, ErrNotFound
	case Queued:
		s.Progress = "queued"
	case Running:
		s.Progress = fmt.Sprintf("%d of %d parts, %d resources", row.UnitsDone, row.UnitsTotal, row.Resources)
	case Complete:
		s.Expires = time.UnixMilli(row.Expires).UTC()
		if m.o.Clock().After(s.Expires) {
			return s, ErrNotFound
		}
		s.Manifest, err = m.manifest(ctx, row)
	}
	return s, err
}

func (m *Manager) manifest(ctx context.Context, row jobRow) (*Manifest, error) {
	var o order
	if err := json.Unmarshal([]byte(row.Request), &o); err != nil {
		return nil, fmt.Errorf("export %s: %w", row.ID, err)
	}
	var files []fileRow
	if err := m.db.Read.WithContext(ctx).Raw("SELECT * FROM ref_export_file WHERE job = ? ORDER BY unit, name", row.ID).Scan(&files).Error; err != nil {
		return nil, fmt.Errorf("export %s: %w", row.ID, err)
	}
	out := &Manifest{
		TransactionTime: time.UnixMilli(row.Taken).UTC().Format(resources.InstantFormat),
		Request:         o.URL, Output: []File{}, Error: []File{},
		RequiresAccessToken: o.Client != "", // BULK-MF: who needed a token to ask needs one to fetch
	}
	for _, f := range files {
		entry := File{f.Type, o.Base + "/bulk/" + row.ID + "/files/" + f.Name, f.Lines}
		switch f.List {
		case listDeleted:
			out.Deleted = append(out.Deleted, entry)
		case listError:
			out.Error = append(out.Error, entry)
		default:
			out.Output = append(out.Output, entry)
		}
	}
	return out, nil
}

// Cancel ends a job and removes its files; a complete one too (BULK-DEL-03). ErrNotFound: there is no such job any more.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	res := m.db.Write.WithContext(ctx).Exec("UPDATE ref_export SET state = 'cancelled' WHERE id = ? AND state IN ('queued', 'running', 'complete', 'failed')", id)
	if res.Error != nil {
		return fmt.Errorf("cancel export %s: %w", id, res.Error)
	}
	if res.RowsAffected == 0 {
		return ErrNotFound
	}
	m.mu.Lock()
	stop := m.running[id]
	m.mu.Unlock()
	if stop != nil {
		stop()
	}
	err := m.remove(ctx, id)
	if file := (*fs.PathError)(nil); stop != nil && errors.As(err, &file) {
		return nil // the unit at work writes there still, and removes it when it notices: see step
	}
	return err
}

func (m *Manager) remove(ctx context.Context, id string) error {
	m.mu.Lock()
	delete(m.referred, id)
	m.mu.Unlock()
	err := m.db.Write.WithContext(ctx).Exec("DELETE FROM ref_export_file WHERE job = ?", id).Error
	return errors.Join(err, os.RemoveAll(filepath.Join(m.o.Dir, id)))
}

// expire removes what is past its time.
func (m *Manager) expire(ctx context.Context) error {
	var ids []string
	now := m.o.Clock().UnixMilli()
	if err := m.db.Read.WithContext(ctx).Raw("SELECT id FROM ref_export WHERE state = 'complete' AND expires < ?", now).Scan(&ids).Error; err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := m.db.Write.WithContext(ctx).Exec("UPDATE ref_export SET state = 'expired' WHERE id = ? AND state = 'complete'", id).Error; err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.remove(ctx, id))
	}
	return errors.Join(errs...)
}

// Open opens a file of a complete job. The caller closes it. Errors: ErrNotFound, ErrExpired.
func (m *Manager) Open(ctx context.Context, id, name string) (*os.File, error) {
	row, err := m.job(ctx, id)
	if err != nil {
		return nil, err
	}
	if row.State == Expired || row.State == Complete && m.o.Clock().UnixMilli() > row.Expires {
		return nil, ErrExpired
	}
	if row.State != Complete {
		return nil, ErrNotFound
	}
	var known int
	if err := m.db.Read.WithContext(ctx).Raw("SELECT count(*) FROM ref_export_file WHERE job = ? AND name = ?", id, name).Scan(&known).Error; err != nil {
		return nil, fmt.Errorf("export %s: %w", id, err)
	}
	if known == 0 {
		return nil, ErrNotFound
	}
	f, err := os.Open(filepath.Join(m.o.Dir, id, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	return f, err
}
