package validators_test

import (
	"testing"

	"fhirwire/validators"
)

func TestSummarize(t *testing.T) {
	s := validators.Summarize([]validators.Issue{
		{Severity: validators.SeverityInformation, Message: "unknown", NotChecked: true},
		{Severity: validators.SeverityWarning, Message: "w", Side: validators.SideClient},
		{Severity: validators.SeverityError, Message: "e1", Side: validators.SideServer},
		{Severity: validators.SeverityError, Message: "e2"},
		{Severity: validators.SeverityInformation, Message: "i"},
	})
	want := validators.Summary{Errors: 2, Warnings: 1, Information: 1, NotChecked: 1, Side: validators.SideServer, Headline: "e1"}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	s = validators.Summarize([]validators.Issue{
		{Severity: validators.SeverityError, Side: validators.SideServer},
		{Severity: validators.SeverityFatal, Message: "worst", Side: validators.SideClient},
	})
	if s.Side != validators.SideBoth || s.Headline != "worst" {
		t.Errorf("%+v: want both sides and the fatal one as headline", s)
	}
	if s := validators.Summarize([]validators.Issue{{Severity: validators.SeverityInformation, Message: "i"}}); s.Headline != "" {
		t.Errorf("information made the headline %q", s.Headline)
	}
}
