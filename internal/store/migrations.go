package store

import "io/fs"

// migrationFiles are the numbered SQL files, one folder per dialect.
func migrationFiles() (fs.FS, error) { return fs.Sub(migrations, "migrations") }
