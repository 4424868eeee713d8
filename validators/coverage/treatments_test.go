package coverage

import (
	"slices"
	"strings"
	"testing"

	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// TestTreatments: every id in the table is one of its profile, so that a slip does not go unseen.
func TestTreatments(t *testing.T) {
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set("hl7.fhir.us.core#3.1.1", "hl7.fhir.us.core#6.1.0")
	if err != nil {
		t.Fatal(err)
	}
	for canonical, tr := range treatments {
		p, ok := set.Profile(canonical)
		if !ok {
			t.Error(set.Missing(canonical))
			continue
		}
		var ids []string
		collect(p.Root, &ids)
		for _, id := range slices.Concat(tr.drop, tr.anyType) {
			if !slices.Contains(ids, id) {
				t.Errorf("%s has no element %s", canonical, id)
			}
		}
		if got := newPlan(set, set.Terms(), p).anyOf; len(got) != len(tr.anyOf) {
			t.Errorf("%s: alternatives %v give groups %v", canonical, tr.anyOf, got)
		}
	}
}

func collect(el *profile.Element, ids *[]string) {
	_, id, _ := strings.Cut(el.ID, ".")
	*ids = append(*ids, id)
	for _, c := range slices.Concat(el.Children, el.Slices) {
		collect(c, ids)
	}
}
