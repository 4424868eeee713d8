package testplans_test

import (
	"testing"

	"fhirwire/testplans"
)

func TestInRange(t *testing.T) {
	for _, tt := range []struct {
		version, span string
		want, fault   bool
	}{
		{"2.0.0", ">=2.0.0 <2.1.0", true, false},
		{"2.1.0", ">=2.0.0 <2.1.0", false, false},
		{"2.1.0-ballot", ">=2.1.0", true, false},
		{"3.1.1", "3.1.1", true, false},
		{"3.1.1", "=3.1.0", false, false},
		{"3.1.1", ">3.1", true, false},
		{"3.1.1", "<=3", false, false},
		{"3.1.1", "", false, true},
		{"3.1.1", "~3.1", false, true},
		{"3.1.1", "=>3.1", false, true},
		{"current", ">1", false, true},
		{"1.2.3.4", ">1", false, true},
	} {
		got, err := testplans.InRange(tt.version, tt.span)
		if got != tt.want || (err != nil) != tt.fault {
			t.Errorf("%s in %q: %v, %v", tt.version, tt.span, got, err)
		}
	}
}

func TestApplies(t *testing.T) {
	ranges := map[string]string{"pdex": ">=2.0.0 <2.1.0"}
	for _, tt := range []struct {
		guides []string
		want   bool
	}{
		{nil, true},
		{[]string{"core#3.1.1"}, true},
		{[]string{"pdex#2.0.0"}, true},
		{[]string{"pdex#2.1.0"}, false},
		{[]string{"pdex#2.1.0", "pdex#2.0.0"}, true},
	} {
		if got := testplans.Applies(ranges, tt.guides); got != tt.want {
			t.Errorf("%v: %v", tt.guides, got)
		}
	}
}
