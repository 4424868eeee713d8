package instance_test

import (
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

// FuzzProfile: any definition is refused or compiled, and what it says of a resource is a report.
func FuzzProfile(f *testing.F) {
	for _, src := range slicingProfiles {
		f.Add([]byte(src))
	}
	f.Add([]byte(profileOf("all", "Patient", `{"id":"Patient.name","path":"Patient.name","min":1,"max":"2","constraint":[{"key":"x","severity":"error","human":"h",
		"expression":"family.exists() or %resource.id = 'a'"}],"mustSupport":true,"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/name-use"}},
		{"id":"Patient.name.given","path":"Patient.name.given","maxLength":3,"patternString":"a"},
		{"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}],"fixedBoolean":true},
		{"id":"Patient.contact","path":"Patient.contact","contentReference":"#Patient.link"}`)))
	lib, err := library()
	if err != nil {
		f.Fatal(err)
	}
	subjects := []string{goodPatient, patient, observation, searchset}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := ig.ReadFile("f.json", src)
		if err != nil || r == nil {
			return
		}
		with, err := lib.With(&ig.Package{Name: "test.fuzz", Version: "1", Resources: []*ig.Resource{r}})
		if err != nil {
			return
		}
		set, err := with.Set("hl7.fhir.r4.core#4.0.1", "test.fuzz#1")
		if err != nil {
			t.Fatal(err)
		}
		v := instance.New(set, set.Terms(), instance.Options{Now: now})
		for _, s := range set.Structures() {
			if s.Package != "test.fuzz#1" {
				continue
			}
			for _, subject := range subjects {
				if _, err := v.ValidateDocument(t.Context(), fhirjson.Parse([]byte(subject)), s.URL); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
