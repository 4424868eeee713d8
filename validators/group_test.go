package validators_test

import (
	"testing"

	"fhirwire/validators"
)

func TestGroupKey(t *testing.T) {
	r := validators.Report{Resources: []validators.ResourceResult{
		{ResourceType: "Bundle"}, {ResourceType: "Patient", Expression: "Bundle.entry[3].resource"},
	}}
	alone := validators.Issue{MessageID: "cardinality-min", Profile: "http://example.com/p|1.0", Expression: "Patient.name[1].given[0]", Resource: -1}
	nested := alone
	nested.Expression, nested.Resource, nested.Profile = "Bundle.entry[3].resource.name[0].given[7]", 1, "http://example.com/p|2.0"
	if a, b := r.GroupKey(&alone), r.GroupKey(&nested); a != b || a != alone.GroupKey() {
		t.Errorf("%q and %q are one cause", a, b)
	}
	for name, change := range map[string]func(*validators.Issue){
		"rule":       func(i *validators.Issue) { i.MessageID = "cardinality-max" },
		"profile":    func(i *validators.Issue) { i.Profile = "http://example.com/q" },
		"path":       func(i *validators.Issue) { i.Expression = "Patient.name[1].family" },
		"slice":      func(i *validators.Issue) { i.Slice = "official" },
		"constraint": func(i *validators.Issue) { i.Constraint = "us-core-8" },
	} {
		other := alone
		change(&other)
		if other.GroupKey() == alone.GroupKey() {
			t.Errorf("another %s is another cause", name)
		}
	}
	for path, want := range map[string]string{"a[0].b[12]": "a.b", "a[x].b": "a[x].b", "a[": "a[", "": ""} {
		i := validators.Issue{Expression: path}
		if got := i.GroupKey(); got != "  "+want+" " {
			t.Errorf("%q: %q", path, got)
		}
	}
}
