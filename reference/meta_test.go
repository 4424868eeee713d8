package reference_test

import (
	"net/http"
	"slices"
	"testing"
)

// R4 search 3.1.1.4: the parameters of every type that ask about meta.
func TestSearchByMeta(t *testing.T) {
	s := start(t, 0)
	const profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"
	for id, meta := range map[string]string{
		"m1": `"profile":["` + profile + `|3.1.1"],"source":"http://a.example/feeds/one","tag":[{"system":"urn:t","code":"x"}]`,
		"m2": `"profile":["` + profile + `"],"source":"http://a.example/feeds","security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]`,
	} {
		r := s.do(http.MethodPut, "/Organization/"+id, `{"resourceType":"Organization","id":"`+id+`","meta":{`+meta+`},"active":true,"name":"Meta"}`)
		if r.status != 201 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
	}
	for query, want := range map[string][]string{
		"_profile=" + profile:                                   {"m1", "m2"},
		"_profile=" + profile + "%7C3.1.1":                      {"m1"},
		"_profile=" + profile + "%7C6.1.0":                      nil,
		"_profile=http://hl7.org/fhir/StructureDefinition/none": nil,
		"_source=http://a.example/feeds":                        {"m2"},
		"_source:below=http://a.example/feeds":                  {"m1", "m2"},
		"_source:above=http://a.example/feeds/one":              {"m1", "m2"},
		"_source:above=http://a.example/feeds":                  {"m2"},
		"_source:above=http://a.example/feeds-two":              nil,
		"_source:missing=false":                                 {"m1", "m2"},
		"_tag=urn:t%7Cx":                                        {"m1"},
		"_tag:not=x":                                            {"m2"},
		"_security=R":                                           {"m2"},
	} {
		r := s.get("/Organization?name:exact=Meta&_sort=_id&"+query, "Prefer", "handling=strict")
		var got []string
		for _, id := range r.ids("match") {
			got = append(got, id[len("Organization/"):])
		}
		if r.status != 200 || !slices.Equal(got, want) {
			t.Errorf("%s: %d %v, want %v", query, r.status, got, want)
		}
	}
}
