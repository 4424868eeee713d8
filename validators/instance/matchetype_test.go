package instance_test

import (
	"slices"
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

func TestMatch(t *testing.T) {
	const (
		complete = `"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype","valueCode":"complete"}]`
		partial  = `"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype","valueCode":"partial"}]`
		maybe    = `"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype-optional","valueBoolean":true}]`
		maybeID  = `"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype-optional","valueString":"id, active"}]`
		sorted   = `"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype-sort","extension":[
			{"url":"element","valueString":"name"},{"url":"expression","valueString":"text"}]}]`
	)
	v := rulesValidator(t, instance.Options{})
	for _, c := range []struct {
		name, pattern, actual string
		want                  []string
	}{
		{"same", complete + `,"birthDate":"2000-01-01"`, `"birthDate":"2000-01-01"`, nil},
		{"other value", complete + `,"birthDate":"2000-01-01"`, `"birthDate":"2000-01-02"`, []string{"Patient.birthDate"}},
		{"placeholder", complete + `,"birthDate":"$date$"`, `"birthDate":"2000-01-02"`, nil},
		{"placeholder not met", complete + `,"birthDate":"$date$"`, `"birthDate":"2000-01"`, []string{"Patient.birthDate"}},
		{"choice", `"gender":"$choice:male|female$"`, `"gender":"female"`, nil},
		{"choice not met", `"gender":"$choice:male|female$"`, `"gender":"other"`, []string{"Patient.gender"}},
		{"missing", complete + `,"active":true`, `"resourceType":"Patient"`, []string{"Patient"}},
		{"more", complete, `"active":true`, []string{"Patient"}},
		{"more in a partial pattern", partial, `"active":true,"name":[{"text":"a"}]`, nil},
		{"optional member absent", maybeID + `,"id":"1","active":true`, `"id":"1"`, nil},
		{"optional member differs", maybeID + `,"id":"1","active":true`, `"active":false`, []string{"Patient.active"}},
		{"item missing", complete + `,"name":[{"text":"a"},{"text":"b"}]`, `"name":[{"text":"a"}]`, []string{"Patient.name"}},
		{"item too many", complete + `,"name":[{"text":"a"}]`, `"name":[{"text":"a"},{"text":"b"}]`, []string{"Patient.name"}},
		{"optional item", complete + `,"name":[{"text":"a",` + maybe + `},{"text":"b"}]`, `"name":[{"text":"b"}]`, nil},
		{"items between", partial + `,"name":[{"text":"a"},{"text":"b"}]`, `"name":[{"text":"0"},{"text":"a"},{"text":"1"},{"text":"b"}]`, nil},
		{"order", complete + `,"name":[{"text":"a"},{"text":"b"}]`, `"name":[{"text":"b"},{"text":"a"}]`, []string{"Patient.name", "Patient.name"}},
		{"sorted", sorted + `,"name":[{"text":"a"},{"text":"b"}]`, `"name":[{"text":"b"},{"text":"a"}]`, nil},
		{"kind", `"name":[{"text":"a"}]`, `"name":{"text":"a"}`, []string{"Patient.name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fhirjson.Parse([]byte(`{"resourceType":"Patient",` + c.pattern + `}`)).Root()
			a := fhirjson.Parse([]byte(`{"resourceType":"Patient",` + c.actual + `}`)).Root()
			issues, err := v.Match(t.Context(), p, a)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range issues {
				got = append(got, issues[i].Expression)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q: %+v", got, c.want, issues)
			}
		})
	}
	bad := `{"resourceType":"Patient","name":[{"text":"a"},{"text":"b"}],"extension":[{"url":"http://hl7.org/fhir/tools/StructureDefinition/matchetype-sort",
		"extension":[{"url":"element","valueString":"name"},{"url":"expression","valueString":"tex("}]}]}`
	p := fhirjson.Parse([]byte(bad)).Root()
	if _, err := v.Match(t.Context(), p, p); err == nil {
		t.Error("an expression that does not compile gave no error")
	}
	if _, err := v.Match(t.Context(), nil, p); err == nil {
		t.Error("no pattern gave no error")
	}
}
