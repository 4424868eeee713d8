package reference_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// family stores two members with what refers to them, for searches from one resource to another.
func family(t *testing.T) *server {
	t.Helper()
	s := start(t, 0)
	for path, body := range map[string]string{
		"/Patient/f1":       `{"resourceType":"Patient","id":"f1","name":[{"family":"Famous","given":["A"]}],"generalPractitioner":[{"reference":"Practitioner/fp"}],"managingOrganization":{"reference":"Organization/fo2"}}`,
		"/Patient/f2":       `{"resourceType":"Patient","id":"f2","name":[{"family":"Famous","given":["B"]}]}`,
		"/Practitioner/fp":  `{"resourceType":"Practitioner","id":"fp","name":[{"family":"Doc"}]}`,
		"/Organization/fo1": `{"resourceType":"Organization","id":"fo1","name":"Top","active":true}`,
		"/Organization/fo2": `{"resourceType":"Organization","id":"fo2","name":"Part","active":true,"partOf":{"reference":"Organization/fo1"}}`,
		"/Encounter/fe":     `{"resourceType":"Encounter","id":"fe","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/f1"}}`,
		"/Observation/fob":  `{"resourceType":"Observation","id":"fob","status":"final","code":{"coding":[{"system":"urn:s","code":"k"}]},"subject":{"reference":"Patient/f1"},"encounter":{"reference":"Encounter/fe"},"performer":[{"reference":"Practitioner/fp"}],"effectiveDateTime":"2020-03-01"}`,
		"/Provenance/fpr":   `{"resourceType":"Provenance","id":"fpr","target":[{"reference":"Observation/fob"}],"recorded":"2020-03-02T00:00:00Z","agent":[{"who":{"reference":"Organization/fo2"}}]}`,
		"/Group/fg": `{"resourceType":"Group","id":"fg","type":"person","actual":true,"characteristic":[
			{"code":{"coding":[{"system":"urn:c","code":"lang"}]},"valueCodeableConcept":{"coding":[{"system":"urn:l","code":"de"}]},"exclude":false},
			{"code":{"coding":[{"system":"urn:c","code":"by"}]},"valueReference":{"identifier":{"system":"urn:npi","value":"123"}},"exclude":false},
			{"code":{"coding":[{"system":"urn:c","code":"insured"}]},"valueBoolean":true,"exclude":false}],"member":[{"entity":{"reference":"Patient/f2"}}]}`,
	} {
		if r := s.do(http.MethodPut, path, body); r.status != 201 {
			t.Fatalf("PUT %s: %d %s", path, r.status, r.raw)
		}
	}
	return s
}

func sortedIDs(r reply, mode string) string {
	ids := r.ids(mode)
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func TestReverseChains(t *testing.T) {
	s := family(t)
	for query, want := range map[string]string{
		"Patient?name=famous&_has:Observation:patient:code=urn:s%7Ck":                          "Patient/f1",
		"Patient?name=famous&_has:Observation:subject:date=gt2020-02&_id=f1":                   "Patient/f1",
		"Patient?name=famous&_has:Observation:patient:code=other":                              "",
		"Patient?name=famous&_has:Observation:patient:code:not=other":                          "Patient/f1",
		"Patient?name=famous&_has:Group:member:characteristic=lang":                            "Patient/f2",
		"Patient?_has:Observation:patient:_has:Provenance:target:recorded=2020-03-02":          "Patient/f1",
		"Patient?_has:Observation:patient:performer:Practitioner.name=doc":                     "Patient/f1",
		"Practitioner?_has:Observation:performer:code=k":                                       "Practitioner/fp",
		"Practitioner?_has:Patient:general-practitioner:name=famous":                           "Practitioner/fp",
		"Encounter?_has:Observation:encounter:code=k":                                          "Encounter/fe",
		"Group?characteristic-value=lang$de":                                                   "Group/fg",
		"Group?characteristic-value=urn:c%7Clang$urn:l%7Cde":                                   "Group/fg",
		"Group?characteristic-value=lang$fr":                                                   "",
		"Group?characteristic-value=by$de":                                                     "",
		"Group?characteristic-value=urn:c%7Cby$urn:npi%7C123":                                  "Group/fg", // ATR-44
		"Group?characteristic-value=insured$true&_id=fg":                                       "Group/fg",
		"Group?characteristic-value=other$x,insured$true&characteristic-value=lang$urn:l%7Cde": "Group/fg",
	} {
		if r := s.get("/"+query, "Prefer", "handling=strict"); r.status != 200 || sortedIDs(r, "match") != want {
			t.Errorf("%s: %d, found %q, want %q %.200s", query, r.status, sortedIDs(r, "match"), want, r.raw)
		}
	}
	for query, code := range map[string]string{
		"Patient?_has:Observation:patient:code":                         "not-supported", // no value
		"Patient?_has:Observation=x":                                    "invalid",
		"Patient?_has:Nothing:patient:code=x":                           "not-supported",
		"Patient?_has:Observation:code:code=x":                          "not-supported",
		"Patient?_has:Observation:encounter:code=x":                     "not-supported", // leads to no Patient
		"Patient?_has:Observation:patient:date=x":                       "invalid",
		"Patient?_has:Observation:patient:code:in=x":                    "not-supported",
		"Group?characteristic-value=lang":                               "invalid",
		"Group?characteristic-value=lang$":                              "invalid",
		"Patient?" + strings.Repeat("_has:Patient:link:", 6) + "name=x": "too-costly",
	} {
		if r := s.get("/"+query, "Prefer", "handling=strict"); r.status != 400 || issueCode(r) != code {
			t.Errorf("%s: %d %s, want 400 %s", query, r.status, issueCode(r), code)
		}
	}
}

func TestIncludesThatIterate(t *testing.T) {
	s := family(t)
	for query, want := range map[string]string{
		"Encounter?_id=fe&_include=Encounter:patient&_include:iterate=Patient:general-practitioner":                              "Patient/f1 Practitioner/fp",
		"Encounter?_id=fe&_include=Encounter:patient&_include:recurse=Patient:organization&_include:iterate=Organization:partof": "Organization/fo1 Organization/fo2 Patient/f1",
		"Encounter?_id=fe&_revinclude=Observation:encounter&_revinclude:iterate=Provenance:target":                               "Observation/fob Provenance/fpr",
		"Encounter?_id=fe&_revinclude=Observation:encounter&_include:iterate=Observation:performer":                              "Observation/fob Practitioner/fp",
		"Organization?_id=fo2&_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof":                      "Organization/fo1",
		"Encounter?_id=fe&_include=Encounter:patient&_revinclude=Provenance:target":                                              "Patient/f1",
		"Encounter?_id=fe&_include:iterate=Patient:general-practitioner":                                                         "",
	} {
		if r := s.get("/"+query, "Prefer", "handling=strict"); r.status != 200 || sortedIDs(r, "include") != want {
			t.Errorf("%s: %d, came along %q, want %q", query, r.status, sortedIDs(r, "include"), want)
		}
	}
	if r := s.get("/Encounter?_id=fe&_include:sometimes=Encounter:patient"); r.status != 400 || issueCode(r) != "not-supported" {
		t.Errorf("an unknown modifier: %d %s", r.status, r.raw)
	}
}

// What was ignored is told twice: by the self link, which leaves it out, and by an entry that is no match.
func TestIgnoredParametersAreTold(t *testing.T) {
	s := family(t)
	r := s.get("/Patient?name=famous&_absurd=x&nonsense=1")
	if r.status != 200 || r.json["total"] != 2.0 || len(r.ids("match")) != 2 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	if once := s.get("/Patient?name=famous&_sort=nothing&_include=Patient:nothing"); strings.Count(once.raw, "was ignored") != 2 {
		t.Errorf("each is told once: %s", once.raw)
	}
	for _, name := range []string{"_absurd", "nonsense"} {
		if !strings.Contains(r.raw, "Parameter "+name+" was ignored") || strings.Contains(r.link("self"), name) {
			t.Errorf("%s: self %s in %s", name, r.link("self"), r.raw)
		}
	}
	newJudgeFor(t, "ignored", r.raw)
}
