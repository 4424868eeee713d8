package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/validators/guides"
)

// seeds are databases of the reference payer with its members, one for each era. To fill one takes longer than most plays.
type seeds struct {
	lib *guides.Library
	dir string

	mu sync.Mutex
	of map[string]func() (string, error)
}

func newSeeds(t testing.TB, lib *guides.Library) *seeds {
	t.Helper()
	return &seeds{lib: lib, dir: t.TempDir(), of: map[string]func() (string, error){}}
}

// put copies the database of an era to a path.
func (s *seeds) put(ctx context.Context, era, path string) error {
	s.mu.Lock()
	fill := s.of[era]
	if fill == nil {
		fill = sync.OnceValues(func() (string, error) { return s.fill(context.WithoutCancel(ctx), era) })
		s.of[era] = fill
	}
	s.mu.Unlock()
	filled, err := fill()
	if err != nil {
		return err
	}
	src, err := os.Open(filled)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}

// fill makes the database of an era. VACUUM INTO writes all of it to one file, without a log beside it.
func (s *seeds) fill(ctx context.Context, era string) (path string, err error) {
	set, err := s.lib.Set(eras[era]...)
	if err != nil {
		return "", err
	}
	own := filepath.Join(s.dir, era)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return "", err
	}
	quiet := slog.New(slog.DiscardHandler)
	db, err := sqldb.Open(ctx, sqldb.SQLiteDSN(filepath.Join(own, "filled.db")), sqldb.Options{Logger: quiet})
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	payer, err := reference.New(ctx, db, set, reference.Options{DataDir: own, Logger: quiet, Clock: time.Now, Guides: eras[era]})
	if err != nil {
		return "", err
	}
	if err := seedMembers(ctx, payer, time.Now()); err != nil {
		return "", err
	}
	path = filepath.Join(own, "seed.db")
	return path, db.Write.WithContext(ctx).Exec("VACUUM INTO ?", path).Error
}
