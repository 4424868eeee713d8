// Package sqldb opens a relational database, SQLite or Postgres, behind gorm and brings its schema up to date.
//
// Use Open with a DSN ("sqlite:///path/file.db" or "postgres://…"), then Migrate with the numbered SQL files of the
// owning package. It knows no table: row structs and queries belong to the packages that own them.
package sqldb
