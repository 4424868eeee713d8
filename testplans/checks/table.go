package checks

import (
	"context"
	"sync/atomic"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/validators/fhirpath"
)

// Item is one recorded exchange as evidence.
type Item struct {
	Exchange *proxy.Exchange
	// Report is nil while the exchange was not inspected.
	Report *validators.Report
	// Bodies opens the bodies of Exchange.
	Bodies proxy.Bodies
	// Known keeps what is found out about Exchange for all plans that are judged over it; nil keeps nothing.
	Known *Known
}

// Known is what was found out about an exchange: the keys of the URLs that it asked for. The zero Known is ready to use.
type Known struct{ asked atomic.Pointer[[2]string] }

// Outcome is what a check says about what it was asked.
type Outcome struct {
	Verdict testplans.Verdict
	// Message says why, for all but a plain pass.
	Message string
	// Items are the exchanges that decided, where that is not the attempt asked about.
	Items []Item
}

// Case is what a check may look at.
type Case struct {
	Desk  *Desk
	Check *testplans.Check
	// Attempt is the exchange asked about; of a check over the whole step it is empty.
	Attempt Item
	// Attempts are all of the step, in order of time, for checks over the whole step: an answer about one attempt is remembered while
	// others come and go.
	Attempts []Item
	// Steps are the attempts of the steps before, by step id; Verdicts how those steps went. A check looks only at steps and variables
	// that it names, and only at its own attempt's report (see NeedsReport): when those change it is asked again.
	Steps    map[string][]Item
	Verdicts map[string]testplans.Verdict
	// Attestation is the person's word on this check, nil while there is none.
	Attestation *testplans.Attestation
}

// Kind is one kind of check.
type Kind struct {
	Name string
	// Step says that it is asked once about all attempts; otherwise about one at a time.
	Step bool
	// Of reports whether a check is of the kind.
	Of func(*testplans.Check) bool
	// Eval answers; the error is for what we failed at.
	Eval func(context.Context, *Case) (Outcome, error)
}

// Table is the kinds of check with the types that FHIRPath knows. The zero Table knows no kind: use NewTable.
type Table struct {
	Model fhirpath.Model
	Kinds []Kind
}

// NewTable is every kind of check over the types of model, which may be nil.
func NewTable(model fhirpath.Model) Table {
	return Table{Model: model, Kinds: []Kind{
		{"status", false, func(c *testplans.Check) bool { return c.Status != nil }, status},
		{"header", false, func(c *testplans.Check) bool { return c.Header != nil }, header},
		{"parameter", false, func(c *testplans.Check) bool { return c.Parameter != nil }, parameter},
		{"fhirpath", false, func(c *testplans.Check) bool { return c.FHIRPath != nil }, expression},
		{"pointer", false, func(c *testplans.Check) bool { return c.Pointer != nil }, pointer},
		{"findings", false, func(c *testplans.Check) bool { return c.Findings != nil }, findings},
		{"follows", false, func(c *testplans.Check) bool { return c.Follows != nil }, follows},
		{"file", false, func(c *testplans.Check) bool { return c.File != nil }, file},
		{"count", true, func(c *testplans.Check) bool { return c.Count != nil }, count},
		{"fetched", true, func(c *testplans.Check) bool { return c.Fetched != nil }, fetched},
		{"retryAfter", true, func(c *testplans.Check) bool { return c.RetryAfter != nil }, retryAfter},
		{"control", true, func(c *testplans.Check) bool { return c.Control != nil }, control},
		{"attestation", true, func(c *testplans.Check) bool { return c.Attestation != nil }, attestation},
		{"connection", false, func(c *testplans.Check) bool { return c.Connection != nil }, connection},
		{"jwt", false, func(c *testplans.Check) bool { return c.JWT != nil }, jwt},
		{"once", true, func(c *testplans.Check) bool { return c.Once != nil }, once},
		{"covers", true, func(c *testplans.Check) bool { return c.Covers != nil }, covers},
		{"agrees", true, func(c *testplans.Check) bool { return c.Agrees != nil }, agrees},
		{"snapshot", false, func(c *testplans.Check) bool { return c.Snapshot != nil }, snapshot},
		{"tokens", false, func(c *testplans.Check) bool { return c.Tokens != nil }, useOfToken},
		{"stable", true, func(c *testplans.Check) bool { return c.Stable != nil }, stable},
	}}
}

// NeedsReport reports whether a check looks at the attempt's report.
func NeedsReport(c *testplans.Check) bool { return c.Findings != nil }

// Find is the kind of a check, and how many kinds claim it: a plan that was vetted has exactly one.
func (t Table) Find(c *testplans.Check) (kind Kind, n int) {
	for _, k := range t.Kinds {
		if k.Of(c) {
			kind, n = k, n+1
		}
	}
	return kind, n
}

var passed = Outcome{Verdict: testplans.Pass}

func failed(message string) Outcome { return Outcome{Verdict: testplans.Fail, Message: message} }
func noted(message string) Outcome  { return Outcome{Verdict: testplans.PassNotes, Message: message} }

func notShown(message string) Outcome { return Outcome{Verdict: testplans.NotShown, Message: message} }

func notChecked(message string) Outcome {
	return Outcome{Verdict: testplans.NotChecked, Message: message}
}
