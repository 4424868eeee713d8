package synth_test

import (
	"strings"
	"testing"

	"fhirwire/reference/synth"
)

// USC-MD-02, USC-MD-07: the ways in which US Core says that data are missing are each there, for the same member.
func TestMissingData(t *testing.T) {
	want := map[string]bool{
		`us-core-observation-lab"]|"dataAbsentReason":{`: false,
		`us-core-pulse-oximetry"]|"dataAbsentReason":{`:  false,
		`us-core-procedure"]|"_performedDateTime":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason"`: false,
		`us-core-implantable-device"|"carrierAIDC":"`: false,
	}
	for r := range synth.New(synth.Options{LargeObservations: 1}).All() {
		for k := range want {
			profile, part, _ := strings.Cut(k, "|")
			if body := string(r.JSON); strings.Contains(body, profile) && strings.Contains(body, part) && strings.HasPrefix(r.ID, "usc-") {
				want[k] = true
			}
		}
	}
	for k, found := range want {
		if !found {
			t.Errorf("nothing has %s", k)
		}
	}
}
