package scenarios

import (
	"strings"
	"testing"
	"unsafe"

	"fhirwire/validators"
)

func TestReportsShareTheirTexts(t *testing.T) {
	of := func(message string) *validators.Report {
		issues := make([]validators.Issue, 0, 64)
		issues = append(issues, validators.Issue{
			Severity: validators.SeverityWarning, MessageID: strings.Clone("some-rule"), Message: strings.Clone(message), Expression: "Patient.name", Side: validators.SideServer,
		})
		return &validators.Report{Subject: "x", Issues: issues, Resources: make([]validators.ResourceResult, 5), Summary: validators.Summary{Warnings: 1}}
	}
	s := NewShared()
	first, in := s.report(of("one thing")), of("one thing")
	second := s.report(in)
	if len(second.Issues) != 1 || second.Issues[0] != in.Issues[0] || second.Summary.Warnings != 1 || second.Subject != "x" {
		t.Errorf("findings changed: %+v", second)
	}
	if unsafe.StringData(first.Issues[0].Message) != unsafe.StringData(second.Issues[0].Message) {
		t.Error("the same message is kept twice")
	}
	if cap(second.Issues) > 8 {
		t.Errorf("room for %d issues is kept with one", cap(second.Issues))
	}
	if len(in.Resources) != 5 {
		t.Error("the report that was read changed")
	}
	if s.report(nil) != nil {
		t.Error("no report became one")
	}
}
