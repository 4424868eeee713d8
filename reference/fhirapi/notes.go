package fhirapi

// notes adds what the client should know of the search to its results.
func (b *bundle) notes(texts []string) {
	if len(texts) == 0 {
		return
	}
	issues := make([]issue, len(texts))
	for i, t := range texts {
		issues[i] = issue{Severity: "information", Code: "informational", Diagnostics: t}
	}
	b.open()
	b.entries = append(b.entries, `{"resource":`...)
	b.entries = append(b.entries, outcome(issues...)...)
	b.entries = append(b.entries, `,"search":{"mode":"outcome"}}`...)
}
