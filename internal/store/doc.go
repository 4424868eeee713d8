// Package store is the evidence database: systems, channels, exchanges with their bodies, and reports on them, in SQLite or
// Postgres, with large bodies in blobs.
//
// Use Open with a sqldb.DB and a place for blobs. Exchanges are put once and never change; reports are appended and the
// newest counts. It holds no judgement of its own and publishes nothing: internal/pipeline gives the order of work.
//
// A list is read from narrow columns, so exchanges in a Page have neither headers nor edits; Exchange reads one in full.
package store
