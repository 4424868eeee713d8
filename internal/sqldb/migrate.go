package sqldb

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// Migrate applies the numbered SQL files of fsys/<dialect> ("0001_name.sql") that the database has not seen, in order,
// each in a transaction of its own. Statements in a file end with ";" at the end of a line. owner keeps the numbering of
// packages that share a database apart. A database newer than the files is refused: forward only.
func (db *DB) Migrate(ctx context.Context, owner string, fsys fs.FS) error {
	w := db.Write.WithContext(ctx)
	err := w.Exec(`CREATE TABLE IF NOT EXISTS schema_version (owner TEXT PRIMARY KEY, version INTEGER NOT NULL)`).Error
	if err != nil {
		return fmt.Errorf("schema of %s: %w", owner, err)
	}
	files, err := fs.Glob(fsys, path.Join(string(db.Dialect), "*.sql"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	var have int
	if err := w.Raw(`SELECT COALESCE(MAX(version),0) FROM schema_version WHERE owner = ?`, owner).Scan(&have).Error; err != nil {
		return fmt.Errorf("schema of %s: %w", owner, err)
	}
	last := 0
	for _, f := range files {
		number, _, _ := strings.Cut(path.Base(f), "_")
		v, err := strconv.Atoi(number)
		if err != nil || v != last+1 {
			return fmt.Errorf("schema of %s: migration %s: want number %04d", owner, f, last+1)
		}
		last = v
		if v <= have {
			continue
		}
		src, err := fs.ReadFile(fsys, f)
		if err != nil {
			return err
		}
		if err := w.Transaction(func(tx *gorm.DB) error { return apply(tx, owner, v, string(src)) }); err != nil {
			return fmt.Errorf("schema of %s: migration %s: %w", owner, f, err)
		}
	}
	if have > last {
		return fmt.Errorf("schema of %s: the database is at version %d, this program knows up to %d", owner, have, last)
	}
	return nil
}

func apply(tx *gorm.DB, owner string, version int, src string) error {
	for stmt := range strings.SplitSeq(src, ";\n") {
		if strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(stmt), ";")) == "" {
			continue
		}
		if err := tx.Exec(stmt).Error; err != nil {
			return err
		}
	}
	return tx.Exec(`INSERT INTO schema_version (owner, version) VALUES (?, ?)
		ON CONFLICT (owner) DO UPDATE SET version = excluded.version`, owner, version).Error
}
