package reference_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// group puts a list with a status and no members and gives its path.
func (s *server) group(id, status string) string {
	s.t.Helper()
	body := fmt.Sprintf(`{"resourceType":"Group","id":%q,"meta":{"profile":["http://hl7.org/fhir/us/davinci-atr/StructureDefinition/atr-group"]},
		"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">list</div>"},
		"extension":[{"url":"http://hl7.org/fhir/us/davinci-atr/StructureDefinition/ext-attributionListStatus","valueCode":%q}],
		"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1992701833"}],
		"type":"person","actual":true,"managingEntity":{"reference":"Organization/pdex-Payor-Organization"},"quantity":0}`, id, status)
	if r := s.do(http.MethodPut, "/Group/"+id, body); r.status >= 300 {
		s.t.Fatalf("PUT Group: %d %s", r.status, r.raw)
	}
	return "/Group/" + id
}

// call runs an operation with parameters name=type=value.
func (s *server) call(path string, params ...string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, path, parameters(params...), "Content-Type", "application/fhir+json")
}

// parameters writes a Parameters body of "name", "valueX", JSON in turns.
func parameters(params ...string) string {
	var list []string
	for i := 0; i < len(params); i += 3 {
		list = append(list, fmt.Sprintf(`{"name":%q,%q:%s}`, params[i], params[i+1], params[i+2]))
	}
	if list == nil {
		return `{"resourceType":"Parameters"}`
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(list, ",") + `]}`
}

func ref(s string) string { return `{"reference":"` + s + `"}` }

func ident(system, value string) string {
	return `{"system":"` + system + `","value":"` + value + `"}`
}

// members are "patient changeType inactive" of a list.
func (s *server) members(path string) []string {
	s.t.Helper()
	var g struct {
		Member []struct {
			Extension []struct{ URL, ValueCode string }
			Entity    struct{ Reference string }
			Inactive  bool
		}
	}
	if err := json.Unmarshal([]byte(s.get(path).raw), &g); err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, m := range g.Member {
		change := ""
		for _, e := range m.Extension {
			if strings.HasSuffix(e.URL, "ext-changeType") {
				change = e.ValueCode
			}
		}
		out = append(out, fmt.Sprintf("%s %s %v", strings.TrimPrefix(m.Entity.Reference, "Patient/"), change, m.Inactive))
	}
	return out
}

// TestAttributionLifecycle goes through a list's life: ATR-12, ATR-13, ATR-20 to ATR-24, ATR-30, ATR-32.
func TestAttributionLifecycle(t *testing.T) {
	s, j := start(t, 2), newJudge(t)
	path := s.group("life", "draft")
	provider := s.get("/Practitioner?_count=1").ids("match")[0]
	var npi string
	for _, i := range s.get("/" + provider).json["identifier"].([]any) {
		if m := i.(map[string]any); m["system"] == "http://hl7.org/fhir/sid/us-npi" {
			npi = m["value"].(string)
		}
	}
	step := func(op string, want int, code string, params ...string) reply {
		t.Helper()
		r := s.call(path+"/$"+op, params...)
		if r.status != want || code != "" && issueCode(r) != code {
			t.Errorf("$%s %v: %d %s, want %d %s", op, params, r.status, r.raw, want, code)
		}
		if r.raw != "" {
			j.check(path+"/$"+op, r.raw)
		}
		return r
	}
	version := func() any { return s.get(path).json["meta"].(map[string]any)["versionId"] }
	want := func(members ...string) {
		t.Helper()
		r := s.get(path)
		j.check(path, r.raw)
		if got := s.members(path); !slices.Equal(got, members) {
			t.Errorf("members %v, want %v", got, members)
		}
		active := 0
		for _, m := range members {
			if strings.HasSuffix(m, "false") {
				active++
			}
		}
		if r.json["quantity"] != float64(active) {
			t.Errorf("quantity %v, want %d", r.json["quantity"], active)
		}
	}
	byRef := []string{"patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider)}
	memberID := ident("http://github.com/inferno-framework/target-payer/identifiers/member", "99999")
	step("member-add", 200, "informational", byRef...)
	want("999 new false")
	v := version()
	step("member-add", 200, "informational", "memberId", "valueIdentifier", memberID, "providerNpi", "valueIdentifier", ident("http://hl7.org/fhir/sid/us-npi", npi))
	if version() != v {
		t.Error("ATR-32: adding again made a version")
	}
	step("member-add", 200, "informational", append(slices.Clone(byRef), "attributionPeriod", "valuePeriod", `{"start":"2026-01-01","end":"2026-12-31"}`)...)
	want("999 changed false")
	step("member-add", 200, "informational", "patientReference", "valueReference", ref(s.url+"/Patient/pt-70002"), "providerReference", "valueReference", ref(provider))
	want("999 changed false", "pt-70002 new false")

	st := step("attribution-status", 200, "", "patientReference", "valueReference", ref("Patient/pt-70002"))
	if got := strings.Join(st.ids(""), " "); !strings.HasPrefix(got, "Patient/pt-70002 Coverage/") || !strings.Contains(got, provider) || !strings.HasSuffix(got, "Group/life") || strings.Contains(st.raw, "Patient/999") {
		t.Errorf("status %s", got)
	}
	step("member-remove", 200, "informational", "memberId", "valueIdentifier", memberID)
	want("999 dropped true", "pt-70002 new false") // ATR-21
	step("attribution-status", 404, "not-found", "memberId", "valueIdentifier", memberID)
	step("member-add", 200, "informational", byRef...)
	want("999 new false", "pt-70002 new false")
	step("member-remove", 200, "informational", "patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider))
	step("confirm-attribution-list", 201, "")
	want("pt-70002 new false") // ATR-22
	step("confirm-attribution-list", 201, "")
	step("member-add", 422, "business-rule", byRef...)
	step("member-remove", 422, "business-rule", "patientReference", "valueReference", ref("Patient/pt-70002"))
	if r := s.do(http.MethodPost, path+"/$confirm-attribution-list", ""); r.status != 201 || r.raw != "" {
		t.Errorf("empty body: %d %s", r.status, r.raw)
	}
	j.report()
}

// TestAttributionOpen: ATR-23: what is removed from an open list is gone at once.
func TestAttributionOpen(t *testing.T) {
	s := start(t, 0)
	path := s.group("open", "open")
	provider := s.get("/Practitioner?_count=1").ids("match")[0]
	s.call(path+"/$member-add", "patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider))
	cov := s.get(path).json["member"].([]any)[0].(map[string]any)["extension"].([]any)[1].(map[string]any)["valueReference"].(map[string]any)["reference"].(string)
	if r := s.call(path+"/$member-remove", "patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider), "coverageReference", "valueReference", ref("Coverage/other")); r.status != 404 {
		t.Errorf("other coverage: %d", r.status)
	}
	if r := s.call(path+"/$member-remove", "patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider), "coverageReference", "valueReference", ref(cov)); r.status != 200 {
		t.Errorf("remove: %d %s", r.status, r.raw)
	}
	if got := s.members(path); got != nil {
		t.Errorf("members %v", got)
	}
	if r := s.call(path + "/$confirm-attribution-list"); r.status != 201 {
		t.Errorf("confirm: %d", r.status)
	}
	if r := s.call(path+"/$member-add", "patientReference", "valueReference", ref("Patient/999"), "providerReference", "valueReference", ref(provider)); r.status != 200 {
		t.Errorf("an open list stays open: %d", r.status)
	}
}

// TestAttributionRefuses: ATR-03, ATR-31.
func TestAttributionRefuses(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	path := s.group("no", "open")
	provider := s.get("/Practitioner?_count=1").ids("match")[0]
	patient := []string{"patientReference", "valueReference", ref("Patient/999")}
	for _, tt := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"unknown group", "/Group/none/$member-add", parameters(append(patient, "providerReference", "valueReference", ref(provider))...), 404, "not-found"},
		{"unknown patient", path + "/$member-add", parameters("patientReference", "valueReference", ref("Patient/none"), "providerReference", "valueReference", ref(provider)), 404, "not-found"},
		{"unknown number", path + "/$member-add", parameters("memberId", "valueIdentifier", ident("urn:x", "none"), "providerNpi", "valueIdentifier", ident("", "1")), 404, "not-found"},
		{"unknown provider", path + "/$member-add", parameters(append(patient, "providerReference", "valueReference", ref("Practitioner/none"))...), 404, "not-found"},
		{"unknown NPI", path + "/$member-add", parameters("memberId", "valueIdentifier", ident("", "99999"), "providerNpi", "valueIdentifier", ident("http://hl7.org/fhir/sid/us-npi", "none")), 404, "not-found"},
		{"opted out", path + "/$member-add", parameters("patientReference", "valueReference", ref("Patient/pt-70001"), "providerReference", "valueReference", ref(provider)), 422, "business-rule"},
		{"half a combination", path + "/$member-add", parameters(patient...), 422, "business-rule"},
		{"mixed combination", path + "/$member-add", parameters(append(patient, "providerNpi", "valueIdentifier", ident("", "1"))...), 422, "business-rule"},
		{"nothing", path + "/$member-add", parameters(), 422, "required"},
		{"twice", path + "/$member-add", parameters(append(patient, patient...)...), 422, "structure"},
		{"wrong value", path + "/$member-add", parameters("patientReference", "valueString", `"Patient/999"`), 422, "value"},
		{"wrong type", path + "/$member-add", parameters("patientReference", "valueReference", ref("Group/999")), 422, "value"},
		{"no JSON", path + "/$member-add", "{", 400, "structure"},
		{"no Parameters", path + "/$member-remove", `{"resourceType":"Patient"}`, 400, "structure"},
		{"not listed", path + "/$member-remove", parameters(patient...), 404, "not-found"},
		{"coverage without provider", path + "/$member-remove", parameters(append(patient, "coverageReference", "valueReference", ref("Coverage/x"))...), 422, "business-rule"},
		{"status of nobody", path + "/$attribution-status", parameters(patient...), 404, "not-found"},
		{"status of two", path + "/$attribution-status", parameters(append(patient, "memberId", "valueIdentifier", ident("", "cmu-193606"))...), 422, "business-rule"},
		{"confirm of none", "/Group/none/$confirm-attribution-list", parameters(), 404, "not-found"},
	} {
		r := s.do(http.MethodPost, tt.path, tt.body, "Content-Type", "application/fhir+json")
		if r.status != tt.status || issueCode(r) != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, r.status, r.raw, tt.status, tt.code)
		}
		j.check(tt.name, r.raw)
	}
	if r := s.get(path + "/$member-add"); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", r.status)
	}
	if r := s.do(http.MethodPost, path+"/$member-add", "x", "Content-Type", "application/xml"); r.status != 415 {
		t.Errorf("XML: %d", r.status)
	}
	j.report()
}

// TestGroupDiscovery: ATR-40, ATR-41, ATR-42, ATR-48, ATR-49.
func TestGroupDiscovery(t *testing.T) {
	s, j := start(t, 2), newJudge(t)
	s.do(http.MethodPut, "/Group/disc", `{"resourceType":"Group","id":"disc","type":"person","actual":true,"quantity":1,"code":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMemberAttributionCS","code":"pdexprovidergroup"}]},
		"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"7"},{"system":"urn:contract","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"TAX"}]},"value":"c1"}],
		"characteristic":[{"code":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMemberAttributionCS","code":"pdexprovidergroup"}]},"valueReference":{"reference":"Organization/org1","identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"7"}},"exclude":false}],
		"member":[{"entity":{"reference":"Patient/999"}}]}`)
	const cs = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMemberAttributionCS%7Cpdexprovidergroup"
	for query, want := range map[string]int{
		"identifier=http://hl7.org/fhir/sid/us-npi%7C7": 1, "identifier=7": 1, "identifier=7&identifier=c1": 1, "identifier=none": 0,
		"characteristic=" + cs: 1, "code=pdexprovidergroup": 1, "code=pdexprovidergroup,x&code=" + cs: 1, "code=match": 0,
		"characteristic-value-reference=Organization/org1":                                      1,
		"characteristic-value-reference:identifier=http://hl7.org/fhir/sid/us-npi%7C7":          1,
		"identifier=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv2-0203%7CNPI%7C159357":     0,
		"identifier=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv2-0203%7CTAX%7Cc1":         1,
		"identifier:of-type=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv2-0203%7CTAX%7Cc1": 1,
		"identifier:of-type=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv2-0203%7CNPI%7Cc1": 0,
	} {
		r := s.get("/Group?" + query)
		j.check(query, r.raw)
		if r.status != 200 || len(r.ids("match")) != want {
			t.Errorf("%s: %d, %v, want %d", query, r.status, r.ids("match"), want)
		}
	}
	for _, path := range []string{allMembers, allMembers + "/_history/1", "/Group?_id=group-all-members"} {
		if r := s.get(path); strings.Contains(r.raw, "Patient/pt-70001") || !strings.Contains(r.raw, "Patient/pt-70002") {
			t.Errorf("ATR-03: %s shows a member who opted out", path)
		}
	}
	r := s.get("/Group?identifier=7&_summary=true")
	if strings.Contains(r.raw, `"member"`) || !strings.Contains(r.raw, "SUBSETTED") || !strings.Contains(r.raw, `"quantity":1`) {
		t.Errorf("ATR-49: %s", r.raw)
	}
	j.report()
}
