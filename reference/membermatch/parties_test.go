package membermatch_test

import (
	"strings"
	"testing"

	"fhirwire/reference/membermatch"
)

// P2P-MM-150, 163: the consent's source refers to this plan, by identifier, reference or name.
func TestSourceOfConsent(t *testing.T) {
	m := matcher(cedar(), func(o *membermatch.Options) {
		o.Plan = append(o.Plan, "Organization/cedar")
		o.Alias = func(s string) bool { return s == "cedarmesa" || s == "Organization/cedarmesa" }
		o.MaxGuesses = -1
	})
	for source, want := range map[string]int{
		`{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000008429"}}`:                                  200,
		`{"identifier":{"value":"cedarmesa"}}`:                                                                             200,
		`{"identifier":{"value":"1000000000"}}`:                                                                            422,
		`{"reference":"Organization/cedar"}`:                                                                               200,
		`{"reference":"https://directory.example/fhir/Organization/cedar"}`:                                                200,
		`{"reference":"https://directory.example/fhir/Organization/cedarmesa/_history/2"}`:                                 200,
		`{"reference":"Organization/other"}`:                                                                               422,
		`{"reference":"Organization/cedar-2"}`:                                                                             422,
		`{"display":"CEDAR MESA Mutual"}`:                                                                                  200,
		`{"display":"Cedar Mesa"}`:                                                                                         422,
		`{"display":"Cedar Mesa Mutual","identifier":{"value":"1000000000"}}`:                                              422,
		`{"display":"Cedar Mesa Mutual","reference":"Organization/other"}`:                                                 422,
		`{"reference":"Organization/other","identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000008429"}}`: 200,
		`{}`: 422,
	} {
		a := good()
		a.consent = strings.Replace(a.consent, `{"identifier":{"value":"1000008429"}}`, source, 1)
		r, err := m.Match(t.Context(), a.body())
		if err != nil || r.Status != want {
			t.Errorf("%s: %d %v, want %d: %s", source, r.Status, err, want, r.Body)
		}
	}
}
