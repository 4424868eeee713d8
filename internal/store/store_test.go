package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/internal/store/storetest"
)

func clock() time.Time { return storetest.Epoch.Add(time.Hour) }

// open opens a store on the database at dsn with blobs in dir.
func open(t testing.TB, dsn, dir string) (*store.Store, *sqldb.DB) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := blobs.OpenDir(filepath.Join(dir, "blobs"), blobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), db, files, store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

func openSQLite(t testing.TB) *store.Store {
	dir := t.TempDir()
	s, db := open(t, sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), dir)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// place is a database that is closed at the end of the test.
func place(t *testing.T, dsn string) storetest.Place {
	dir := t.TempDir()
	if dsn == "" {
		dsn = sqldb.SQLiteDSN(filepath.Join(dir, "x.db"))
	}
	var db *sqldb.DB
	closeDB := func(t *testing.T) {
		if db == nil {
			return
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		db = nil
	}
	t.Cleanup(func() { closeDB(t) })
	return storetest.Place{
		Close: closeDB,
		Open: func(t *testing.T) storetest.Store {
			var s *store.Store
			s, db = open(t, dsn, dir)
			return s
		},
	}
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place { return place(t, "") })
}
