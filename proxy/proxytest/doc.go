// Package proxytest helps tests that deal in exchanges: Sink keeps what a recorder puts, Exchange builds one, FromTxtar reads a list of
// them from an archive. It is for tests only.
package proxytest
