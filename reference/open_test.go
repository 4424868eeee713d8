package reference_test

import (
	"strings"
	"testing"

	"fhirwire/reference/smartauth"
)

// FORM-ACC-08 and the queries of the formulary guide: what is public needs no token, and leads to nothing that is not public.
func TestFormularyWithoutToken(t *testing.T) {
	g := startGuarded(t, smartauth.Required)
	id, secret := g.enrol()
	little := g.token(id, secret, "system/Coverage.rs", "")
	for _, token := range []string{"", little} {
		for path, want := range map[string]string{
			"/fhir/InsurancePlan?_include=InsurancePlan:formulary-coverage":                                           `"InsurancePlan"`,
			"/fhir/InsurancePlan?_include=InsurancePlan:coverage-area&_include:iterate=Location:partof":               `"Location"`,
			"/fhir/Basic?formulary=InsurancePlan/form-cedar-standard&_include=Basic:subject&_include=Basic:formulary": `"MedicationKnowledge"`,
			"/fhir/Basic?formulary=form-cedar-standard&subject.code=209459":                                           `"item-STD-209459"`,
			"/fhir/Basic?subject:MedicationKnowledge.code=209459":                                                     `"item-STD-209459"`,
			"/fhir/MedicationKnowledge?_has:Basic:subject:formulary=form-cedar-standard&code=209459":                  `"drug-209459"`,
			"/fhir/MedicationKnowledge?code=209459&_revinclude=Basic:subject":                                         `"item-STD-209459"`,
		} {
			if status, _, body := g.send("GET", path, token, "", ""); status != 200 || !strings.Contains(body, want) {
				t.Errorf("%q %s: %d, want %s in %.300s", token, path, status, want, body)
			}
		}
		// The owner of a plan is an Organization, which is not public here: it does not come along.
		status, _, body := g.send("GET", "/fhir/InsurancePlan?_include=*&_include:iterate=*", token, "", "")
		if status != 200 || strings.Contains(body, `"resourceType":"Organization"`) || !strings.Contains(body, `"mode":"include"`) {
			t.Errorf("%q _include=*: %d %.300s", token, status, body)
		}
	}
	for path, want := range map[string]int{
		"/fhir/Basic?subject:Patient.name=x":                               401,
		"/fhir/InsurancePlan?_has:Coverage:payor:beneficiary=999":          401,
		"/fhir/InsurancePlan?administered-by.name=Cedar":                   401,
		"/fhir/InsurancePlan?_revinclude=Coverage:payor":                   401,
		"/fhir/InsurancePlan?_include=InsurancePlan:owned-by:Organization": 401,
		"/fhir?_type=InsurancePlan":                                        401,
		"/fhir/InsurancePlan/_history":                                     401,
	} {
		status, header, body := g.send("GET", path, "", "", "")
		if status != want || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") || !strings.Contains(body, "OperationOutcome") {
			t.Errorf("%s: %d %q %.200s", path, status, header.Get("WWW-Authenticate"), body)
		}
	}
}
