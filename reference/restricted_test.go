package reference_test

import (
	"strings"
	"testing"

	"fhirwire/reference/smartauth"
)

// TestFormulariesOfGroups: a formulary may be kept for the members of a group. FORM-ACC-05 to 08 are about the member's view;
// FORM-ACC-04: who shows no token says nothing about a person and has the open data.
func TestFormulariesOfGroups(t *testing.T) {
	g := startGuarded(t, smartauth.Optional)
	id, secret := g.enrol()
	op := g.token(id, secret, smartauth.MemberMatch, "")
	if status, _, body := g.send("POST", "/fhir/Patient/$member-match", op, "application/fhir+json", matchOfOdalys); status != 200 {
		t.Fatalf("match: %d %s", status, body)
	}
	member := g.token(id, secret, "patient/*.rs", "pt-90417")
	_, _, coverage := g.send("GET", "/fhir/Coverage", member, "", "")
	_, group, ok := strings.Cut(coverage, `"code":"group"`)
	if !ok {
		t.Fatalf("the member is in no group: %.500s", coverage)
	}
	_, group, _ = strings.Cut(group, `"value":"`)
	group, _, _ = strings.Cut(group, `"`)
	plan := func(id, tag string) {
		t.Helper()
		body := `{"resourceType":"InsurancePlan","id":"` + id + `","meta":{"profile":["http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-Formulary"]` + tag + `},
			"identifier":[{"system":"urn:f","value":"` + id + `"}],"status":"active","type":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"DRUGPOL"}]}],
			"name":"Kept ` + id + `","period":{"start":"2026-01-01","end":"2026-12-31"}}`
		if status, _, answer := g.send("PUT", "/fhir/InsurancePlan/"+id, "", "application/fhir+json", body); status != 201 {
			t.Fatalf("%s: %d %s", id, status, answer)
		}
	}
	tag := func(code string) string {
		return `,"tag":[{"system":"urn:fhirwire:member-group","code":"` + code + `"}]`
	}
	plan("kept-mine", tag(group))
	plan("kept-other", tag("G-other"))
	plan("kept-none", "")
	item := `{"resourceType":"Basic","id":"kept-item","code":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-InsuranceItemTypeCS","code":"formulary-item"}]},
		"extension":[{"url":"http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-FormularyReference-extension","valueReference":{"reference":"InsurancePlan/kept-mine"}}]}`
	if status, _, answer := g.send("PUT", "/fhir/Basic/kept-item", "", "application/fhir+json", item); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	for _, tt := range []struct {
		path, token string
		status      int
		want        string
	}{
		{"/fhir/InsurancePlan/kept-mine", member, 200, "kept-mine"},
		{"/fhir/InsurancePlan/kept-none", member, 200, "kept-none"},
		{"/fhir/InsurancePlan/kept-other", member, 400, "not available"}, // FORM-ACC-05
		{"/fhir/InsurancePlan/kept-other/_history", member, 400, "not available"},
		{"/fhir/InsurancePlan/kept-other/_history/1", member, 400, "not available"},
		{"/fhir/InsurancePlan/kept-other", "", 200, "kept-other"},
		{"/fhir/InsurancePlan?identifier=kept-other", member, 200, `"total":0`}, // FORM-ACC-06
		{"/fhir/InsurancePlan?name=kept&_total=accurate", member, 200, `"total":2`},
		{"/fhir/InsurancePlan?name=kept&_summary=count", member, 200, `"total":2`},
		{"/fhir/InsurancePlan?name=kept&_total=accurate", "", 200, `"total":3`},
		{"/fhir/Basic/kept-item", member, 200, "kept-item"}, // FORM-ACC-08
		{"/fhir/Basic?formulary=InsurancePlan/kept-mine", member, 200, "kept-item"},
	} {
		status, _, body := g.send("GET", tt.path, tt.token, "", "")
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s with token %t: %d, want %d %q: %.300s", tt.path, tt.token != "", status, tt.status, tt.want, body)
		}
	}
}
