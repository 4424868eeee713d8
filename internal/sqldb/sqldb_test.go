package sqldb_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
)

func open(t *testing.T, path string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(path), sqldb.Options{})
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

func TestMigrateAppliesEachFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space.db")
	files := fstest.MapFS{"sqlite/0001_a.sql": {Data: []byte("CREATE TABLE a (x TEXT);\nINSERT INTO a VALUES ('one; two');\n")}}
	db := open(t, path)
	for range 2 {
		if err := db.Migrate(t.Context(), "test", files); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	if err := db.Read.Raw("SELECT x FROM a").Scan(&got).Error; err != nil || len(got) != 1 || got[0] != "one; two" {
		t.Fatalf("rows %q, error %v", got, err)
	}
	var mode string
	if err := db.Read.Raw("PRAGMA journal_mode").Scan(&mode).Error; err != nil || mode != "wal" {
		t.Fatalf("journal mode %q, error %v", mode, err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	bad := fstest.MapFS{"sqlite/0001_a.sql": {Data: []byte("CREATE TABLE a (x TEXT);\nNOT SQL;\n")}}
	if err := db.Migrate(t.Context(), "bad", bad); err == nil || !strings.Contains(err.Error(), "0001_a.sql") {
		t.Fatalf("error %v", err)
	}
	if err := db.Read.Exec("SELECT * FROM a").Error; err == nil {
		t.Fatal("a failed migration left its table behind")
	}
	gap := fstest.MapFS{"sqlite/0002_b.sql": {Data: []byte("SELECT 1;\n")}}
	if err := db.Migrate(t.Context(), "gap", gap); err == nil || !strings.Contains(err.Error(), "want number 0001") {
		t.Fatalf("error %v", err)
	}
	one := fstest.MapFS{"sqlite/0001_a.sql": {Data: []byte("CREATE TABLE n (x TEXT);\n")}}
	if err := db.Migrate(t.Context(), "newer", one); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "newer", fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Fatalf("error %v", err)
	}
}

func TestWritersQueueInsteadOfFailing(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	if err := db.Write.Exec("CREATE TABLE a (x INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			if err := db.Write.Exec("INSERT INTO a VALUES (?)", i).Error; err != nil {
				t.Error(err)
			}
			var n int
			if err := db.Read.Raw("SELECT count(*) FROM a").Scan(&n).Error; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefusesAnUnknownScheme(t *testing.T) {
	_, err := sqldb.Open(t.Context(), "mysql://u:secret@h/x", sqldb.Options{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("error %v", err)
	}
}

// TestLogHasNoValues: what is stored is people's data, so a statement that fails is logged without its values and in short.
func TestLogHasNoValues(t *testing.T) {
	var said bytes.Buffer
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db")), sqldb.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	files := fstest.MapFS{"sqlite/0001_a.sql": {Data: []byte("CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT);\n")}}
	if err := db.Migrate(t.Context(), "test", files); err != nil {
		t.Fatal(err)
	}
	type person struct{ ID, Name, Unknown string }
	many := make([]person, 200)
	for i := range many {
		many[i].Name = "Marked"
	}
	if err := db.Write.Table("people").Create(many).Error; err == nil {
		t.Fatal("a column that is not there was written")
	}
	line := said.String()
	if !strings.Contains(line, "INSERT INTO `people`") || strings.Contains(line, "Marked") || len(line) > 1000 {
		t.Errorf("logged %d bytes: %.1500s", len(line), line)
	}
	said.Reset()
	for range 2 {
		err = db.Write.Table("people").Create(map[string]any{"id": "p1", "name": "Marked"}).Error
	}
	if !errors.Is(err, gorm.ErrDuplicatedKey) || said.Len() > 0 {
		t.Errorf("error %v, logged %s", err, said.String())
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "x.db"))
	if err := db.Write.Exec("CREATE TABLE a (x TEXT)").Error; err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, error %v", f.Name(), info.Mode(), err)
		}
	}
}
