package proxy

import "errors"

// ErrNotFound says that nothing is stored under the id or name asked for.
var ErrNotFound = errors.New("not found")

// ErrConflict says that a change clashes with what is stored; the wrapping error says with what.
var ErrConflict = errors.New("conflicts with what is stored")

// Query asks for one page of exchanges, newest first.
type Query struct {
	Filter Filter
	// Before keeps exchanges with a Number below it; 0 means no bound. It is the cursor to older pages.
	Before int64
	// After keeps exchanges with a Number above it; 0 means no bound. It is the cursor to newer pages: with After alone the
	// page holds the exchanges next to it, not the newest ones.
	After int64
	// Limit bounds the page; 0 means 100, the most is 1000.
	Limit int
	// SkipTotal leaves Page.Total 0: counting looks at every exchange, a page only at some.
	SkipTotal bool
}

// Page is the answer to a Query.
type Page struct {
	// Exchanges are newest first.
	Exchanges []*Exchange
	// Total counts all exchanges that match the filter, whatever the cursors.
	Total int
	// Older and Newer say whether matching exchanges exist below and above the page.
	Older, Newer bool
}
