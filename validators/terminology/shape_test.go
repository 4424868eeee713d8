package terminology_test

import (
	"testing"

	"fhirwire/validators/terminology"
)

func TestShape(t *testing.T) {
	const (
		snomed = "http://snomed.info/sct"
		loinc  = "http://loinc.org"
		ndc    = "http://hl7.org/fhir/sid/ndc"
		cvx    = "http://hl7.org/fhir/sid/cvx"
		rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
	)
	for system, codes := range map[string]struct{ good, bad []string }{
		snomed: {
			[]string{"73211009", "404684003", "138875005", "900000000000207008", "10828004", "404684003:363698007=39057004"},
			[]string{"73211008", "7321100", "12345", "A73211009", "073211009", "37436014" /* a description */, "", "73211090"},
		},
		loinc:                    {[]string{"85354-9", "8867-4", "72166-2", "LA6112-2", "LP7787-7", "1-8"}, []string{"85354-8", "85354", "8535-49", "abc-1", "-9", ""}},
		ndc:                      {[]string{"0777-3105-02", "50580-449-05", "00777310502", "0777-3105"}, []string{"0777-3105-021", "A777-3105-02", "1-2-3", "123"}},
		cvx:                      {[]string{"1", "08", "207"}, []string{"1234", "x", ""}},
		rxnorm:                   {[]string{"1049221", "198440"}, []string{"RX1", "123456789", ""}},
		"http://example.com/any": {[]string{"", "anything"}, nil},
	} {
		for _, c := range codes.good {
			if fault := terminology.Shape(system, c); fault != "" {
				t.Errorf("%s %q: %s", system, c, fault)
			}
		}
		for _, c := range codes.bad {
			if terminology.Shape(system, c) == "" {
				t.Errorf("%s %q has no fault", system, c)
			}
		}
	}
}
