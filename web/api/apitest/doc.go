// Package apitest is a store in memory for tests of the dashboard and its API.
//
// Use NewStore, add what a test needs, and hand Store.Deps to the code under test. It answers queries by walking a slice
// and keeps filters to the few keys that tests use; it is no model of the real store's speed or SQL.
package apitest
