package fhirpath_test

import (
	"slices"
	"testing"

	"fhirwire/validators/fhirpath"
)

func TestFunctionNames(t *testing.T) {
	names := fhirpath.FunctionNames()
	for _, want := range []string{"exists", "ofType", "where"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if !slices.IsSorted(names) || len(names) < 60 {
		t.Errorf("%d names: %v", len(names), names)
	}
}
