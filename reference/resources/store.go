package resources

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Sentinels of the store.
var (
	ErrNotFound = errors.New("no such resource")
	// ErrDeleted means the resource existed: HTTP 410.
	ErrDeleted = errors.New("resource was deleted")
	// ErrConflict means an If-Match version is not the current one: HTTP 412.
	ErrConflict = errors.New("version is not the current one")
)

// Resource is one version of a resource.
type Resource struct {
	Type, ID string
	Version  int64
	Updated  time.Time
	Deleted  bool
	// Body is one line of JSON, nil for a deleted version. It is the caller's.
	Body []byte

	rid int64
}

// Indexer says what a resource contributes to the index; *search.Registry is the one.
type Indexer interface {
	Index(ctx context.Context, root *fhirjson.Node, into *search.Entries) error
	Fingerprint() string
}

// Options tune New. Clock is required; the rest may be zero.
type Options struct {
	Clock  func() time.Time
	Logger *slog.Logger
}

// Store is the resources in a database. It is safe for concurrent use; one process writes.
type Store struct {
	db    *sqldb.DB
	index Indexer
	clock func() time.Time
	log   *slog.Logger
	pack  packer

	write sync.Mutex   // held from the choice of lastUpdated to the commit, so that times follow commit order
	used  int64        // the highest row id given out, guarded by write
	floor time.Time    // no later change is as old as this, guarded by write
	last  atomic.Int64 // the highest row id committed
}

// New brings the schema up to date and opens the store. When the index was written by other parameters it is rebuilt.
func New(ctx context.Context, db *sqldb.DB, index Indexer, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "reference", files); err != nil {
		return nil, err
	}
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, index: index, clock: o.Clock, log: o.Logger, pack: p}
	var last int64
	if err := db.Read.WithContext(ctx).Raw("SELECT COALESCE(MAX(rid), 0) FROM ref_resource").Scan(&last).Error; err != nil {
		return nil, fmt.Errorf("open resources: %w", err)
	}
	s.used = last
	s.last.Store(last)
	return s, s.reindexIfStale(ctx)
}

const columns = "r.rid, r.type, r.id, r.version, r.updated, r.deleted, r.body"

type scanner interface{ Scan(...any) error }

func (s *Store) scan(row scanner) (Resource, error) {
	var (
		r       Resource
		updated int64
		deleted int64
		body    []byte
	)
	if err := row.Scan(&r.rid, &r.Type, &r.ID, &r.Version, &updated, &deleted, &body); err != nil {
		return r, err
	}
	r.Updated, r.Deleted = time.UnixMilli(updated).UTC(), deleted != 0
	if r.Deleted {
		return r, nil
	}
	var err error
	if r.Body, err = s.pack.unpack(body); err != nil {
		return r, fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
	}
	return r, nil
}

func (s *Store) query(ctx context.Context, db *gorm.DB, sql string, args ...any) ([]Resource, error) {
	rows, err := db.WithContext(ctx).Raw(sql, args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err below tells what Close would
	var out []Resource
	for rows.Next() {
		r, err := s.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Get is the current version. A deleted resource is ErrDeleted together with its tombstone.
func (s *Store) Get(ctx context.Context, typ, id string) (Resource, error) {
	return s.current(ctx, s.db.Read, typ, id)
}

func (s *Store) current(ctx context.Context, db *gorm.DB, typ, id string) (Resource, error) {
	rs, err := s.query(ctx, db, "SELECT "+columns+" FROM ref_resource r WHERE r.type = ? AND r.id = ?", typ, id)
	switch {
	case err != nil:
		return Resource{}, fmt.Errorf("%s/%s: %w", typ, id, err)
	case len(rs) == 0:
		return Resource{}, ErrNotFound
	case rs[0].Deleted:
		return rs[0], ErrDeleted
	}
	return rs[0], nil
}

// Version is one version, ErrDeleted when that version is the deletion.
func (s *Store) Version(ctx context.Context, typ, id string, version int64) (Resource, error) {
	r, err := s.Get(ctx, typ, id)
	if err != nil && !errors.Is(err, ErrDeleted) || r.Version == version {
		return r, err
	}
	old, err := s.query(ctx, s.db.Read, versionSQL+" AND v.version = ?", r.rid, version)
	switch {
	case err != nil:
		return Resource{}, fmt.Errorf("%s/%s version %d: %w", typ, id, version, err)
	case len(old) == 0:
		return Resource{}, ErrNotFound
	case old[0].Deleted:
		return old[0], ErrDeleted
	}
	return old[0], nil
}

const versionSQL = `SELECT v.rid, r.type, r.id, v.version, v.updated, v.deleted, v.body
	FROM ref_version v JOIN ref_resource r ON r.rid = v.rid WHERE v.rid = ?`

// History is all versions, newest first, deletions included.
func (s *Store) History(ctx context.Context, typ, id string) ([]Resource, error) {
	r, err := s.Get(ctx, typ, id)
	if err != nil && !errors.Is(err, ErrDeleted) {
		return nil, err
	}
	old, err := s.query(ctx, s.db.Read, versionSQL+" ORDER BY v.version DESC", r.rid)
	if err != nil {
		return nil, fmt.Errorf("%s/%s history: %w", typ, id, err)
	}
	return append([]Resource{r}, old...), nil
}

// Fetch gives the current resources of these ids that exist, in no particular order.
func (s *Store) Fetch(ctx context.Context, typ string, ids []string) ([]Resource, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.query(ctx, s.db.Read, "SELECT "+columns+" FROM ref_resource r WHERE r.type = ? AND r.deleted = 0 AND r.id IN ?", typ, ids)
}

// Counts is the number of current resources per type.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	var rows []struct {
		Type string
		N    int64
	}
	err := s.db.Read.WithContext(ctx).Raw("SELECT type, count(*) AS n FROM ref_resource WHERE deleted = 0 GROUP BY type").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count resources: %w", err)
	}
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.Type] = r.N
	}
	return out, nil
}

// Settled is an instant up to which every change is committed: nothing that is stored later is as old.
func (s *Store) Settled() time.Time {
	s.write.Lock()
	defer s.write.Unlock()
	s.floor = s.clock().UTC().Truncate(time.Millisecond)
	return s.floor
}
