// Package live tells subscribers that something changed: notices of a kind and an id, never the content.
//
// Publishers call Hub.Publish, which never waits; browsers' handlers call Hub.Subscribe and read what changed from the
// store. A subscriber that falls behind loses its subscription (its channel closes) and catches up by reading the store
// from the last number it saw, so nothing is lost by dropping a notice. The hub keeps no history.
package live
