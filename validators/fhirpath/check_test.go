package fhirpath_test

import (
	"testing"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

func TestCompileFor(t *testing.T) {
	m := fhirpathtest.Small()
	patient, _ := m.Type("Patient")
	observation, _ := m.Type("Observation")
	for _, tt := range []struct {
		src, want string
		contexts  []*fhirpath.Type
	}{
		{"Patient.name.given.first().length() > 3", "", []*fhirpath.Type{patient}},
		{"name.given1", `col 6: HumanName has no element "given1"`, []*fhirpath.Type{patient}},
		{"Observation.code", `col 1: the context is Patient, not Observation`, []*fhirpath.Type{patient}},
		{"Observation.code", "", []*fhirpath.Type{patient, observation}},
		{"DomainResource.contained.name", "", []*fhirpath.Type{patient}},
		{"valueQuantity.unit", `col 1: Observation has no element "valueQuantity"`, []*fhirpath.Type{observation}},
		{"(value as Period).unit", `col 19: Period has no element "unit"`, []*fhirpath.Type{observation}},
		{"value.ofType(Quantity).unit", "", []*fhirpath.Type{observation}},
		{"value.ofType(Quantum)", `col 14: there is no type Quantum`, []*fhirpath.Type{observation}},
		{"name.startsWith('x')", `col 6: startsWith() on HumanName has no meaning`, []*fhirpath.Type{patient}},
		{"birthDate + 7", `col 11: date + Integer has no meaning`, []*fhirpath.Type{patient}},
		{"birthDate + 7 days", "", []*fhirpath.Type{patient}},
		{"iif(name, 1, 2)", `col 5: the criterion of iif() is HumanName, not Boolean`, []*fhirpath.Type{patient}},
		{"name.where(famly = 'x')", `col 12: HumanName has no element "famly"`, []*fhirpath.Type{patient}},
		{"subject.resolve().anything", "", []*fhirpath.Type{observation}},
		{"anything.goes", "", nil},
	} {
		_, err := fhirpath.CompileFor(tt.src, m, tt.contexts...)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.src, got, tt.want)
		}
	}
}
