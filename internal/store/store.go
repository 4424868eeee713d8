package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
	"fhirwire/proxy"
)

//go:embed migrations
var migrations embed.FS

// Blobs keeps large bodies under keys that start with their digest. Open's error wraps proxy.ErrNoBody for an absent key.
type Blobs interface {
	Put(ctx context.Context, key string, size int64, r io.Reader) error
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Options tune Open. The zero value works.
type Options struct {
	// Clock dates what people register and resolves "since:10m"; nil leaves creation times alone and knows no ages.
	Clock func() time.Time
	// NewID makes ids of systems and channels saved without one; nil makes UUIDv7.
	NewID func() string
}

// Store is the evidence database. It is safe for concurrent use.
type Store struct {
	db    *sqldb.DB
	blobs Blobs
	opt   Options

	queue queue
	zip   zipper

	mu sync.Mutex // guards all below
	// channels caches what the proxy asks for on every request. generation counts changes: a read that began before one
	// does not enter the cache.
	channels   map[string]*proxy.Channel
	generation int
	bulkURLs   map[string]proxy.Kind
	// storedChains are digests of certificate chains that are stored, readChains chains that were read.
	storedChains map[string]bool
	readChains   map[string][]proxy.Certificate
}

// Open brings the database's schema up to date and returns a store on it. The caller closes db after the last use.
func Open(ctx context.Context, db *sqldb.DB, blobs Blobs, o Options) (*Store, error) {
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	sub, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "evidence", sub); err != nil {
		return nil, err
	}
	return &Store{
		db: db, blobs: blobs, opt: o, queue: newQueue(),
		channels: make(map[string]*proxy.Channel), bulkURLs: make(map[string]proxy.Kind),
		storedChains: make(map[string]bool), readChains: make(map[string][]proxy.Certificate),
	}, nil
}

func (s *Store) read(ctx context.Context) *gorm.DB  { return s.db.Read.WithContext(ctx) }
func (s *Store) write(ctx context.Context) *gorm.DB { return s.db.Write.WithContext(ctx) }

// Counts are the totals beside the navigation.
type Counts struct {
	Exchanges int
	// Failing counts exchanges whose newest report has an error.
	Failing int
	// Unjudged counts exchanges that wait for a report.
	Unjudged int
	Systems  int
	Channels int
}

// Counts reads the totals.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	err := s.read(ctx).Raw(`SELECT
		(SELECT count(*) FROM exchanges) AS exchanges,
		(SELECT count(*) FROM judged WHERE verdict = 'fail') AS failing,
		(SELECT count(*) FROM systems) AS systems,
		(SELECT count(*) FROM channels) AS channels`).Scan(&c).Error
	if err != nil {
		return Counts{}, fmt.Errorf("count exchanges: %w", err)
	}
	c.Unjudged, err = s.CountUnjudged(ctx)
	return c, err
}

// absent turns gorm's sentinel into ours.
func absent(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return proxy.ErrNotFound
	}
	return err
}
