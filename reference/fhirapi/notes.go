package fhirapi

import "fhirwire/reference/search"

// notes tells what a search was done otherwise than asked: an entry that is no match.
func (b *bundle) notes(q search.Query) {
	var issues []issue
	for _, i := range q.Ignored {
		issues = append(issues, issue{Severity: "warning", Code: "not-supported", Diagnostics: "Parameter " + i.Name + " was ignored: " + i.Reason + "."})
	}
	for _, t := range q.Notes {
		issues = append(issues, issue{Severity: "information", Code: "informational", Diagnostics: t})
	}
	if len(issues) == 0 {
		return
	}
	b.open()
	b.entries = append(b.entries, `{"resource":`...)
	b.entries = append(b.entries, outcome(issues...)...)
	b.entries = append(b.entries, `,"search":{"mode":"outcome"}}`...)
}
