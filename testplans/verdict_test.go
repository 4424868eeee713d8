package testplans_test

import (
	"testing"

	"fhirwire/testplans"
	"fhirwire/validators"
)

func TestRollUp(t *testing.T) {
	must := func(vs ...testplans.Verdict) []testplans.Part {
		var parts []testplans.Part
		for _, v := range vs {
			parts = append(parts, testplans.Part{Verdict: v})
		}
		return parts
	}
	may := func(v testplans.Verdict) testplans.Part { return testplans.Part{Verdict: v, Optional: true} }
	for _, tt := range []struct {
		name  string
		parts []testplans.Part
		want  testplans.Verdict
	}{
		{"nothing", nil, testplans.NotShown},
		{"all pass", must(testplans.Pass, testplans.Pass), testplans.Pass},
		{"notes outweigh pass", must(testplans.Pass, testplans.PassNotes), testplans.PassNotes},
		{"not shown outweighs notes", must(testplans.PassNotes, testplans.NotShown), testplans.NotShown},
		{"not checked outweighs not shown", must(testplans.NotShown, testplans.NotChecked), testplans.NotChecked},
		{"fail outweighs not checked", must(testplans.NotChecked, testplans.Fail), testplans.Fail},
		{"our error outweighs all", must(testplans.Fail, testplans.ToolError), testplans.ToolError},
		{"not applicable does not count", must(testplans.NotApplicable, testplans.Pass), testplans.Pass},
		{"only not applicable", must(testplans.NotApplicable), testplans.NotApplicable},
		{"an optional failure makes notes", append(must(testplans.Pass), may(testplans.Fail)), testplans.PassNotes},
		{"an optional pass makes none", append(must(testplans.Pass), may(testplans.Pass)), testplans.Pass},
		{"an optional failure never lowers", append(must(testplans.NotShown), may(testplans.Fail)), testplans.NotShown},
		{"optional parts alone", []testplans.Part{may(testplans.Fail)}, testplans.NotApplicable},
	} {
		if got := testplans.RollUp(tt.parts); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOfReport(t *testing.T) {
	for _, tt := range []struct {
		s    validators.Summary
		want testplans.Verdict
	}{
		{validators.Summary{}, testplans.Pass},
		{validators.Summary{Warnings: 1}, testplans.PassNotes},
		{validators.Summary{NotChecked: 1}, testplans.PassNotes},
		{validators.Summary{Unjudged: "encrypted"}, testplans.NotChecked},
		{validators.Summary{Errors: 1, Unjudged: "cut off"}, testplans.Fail},
		{validators.Summary{Errors: 1, ToolError: "disk full"}, testplans.ToolError},
	} {
		if got := testplans.OfReport(tt.s); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.s, got, tt.want)
		}
	}
}
