package reference_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/smartauth"
)

const (
	allMembers = "/Group/group-all-members"
	pdexType   = "hl7.fhir.us.davinci-pdex#provider-"
)

func (s *server) dataExport(group string, params ...string) reply {
	s.t.Helper()
	return s.do(http.MethodPost, group+"/$davinci-data-export", parameters(params...), "Content-Type", "application/fhir+json", "Accept", "application/fhir+json", "Prefer", "respond-async")
}

// texts reads the lines of a list: raw JSON by Type/id.
func (s *server) texts(manifest reply, list string) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, url := range manifest.files(list) {
		for line := range strings.Lines(s.get(url).raw) {
			var res struct{ ResourceType, ID string }
			if err := json.Unmarshal([]byte(line), &res); err != nil {
				s.t.Fatal(err)
			}
			key := res.ResourceType + "/" + res.ID
			if out[key] != "" {
				s.t.Errorf("%s comes twice", key) // BULK-FI-23
			}
			out[key] = line
		}
	}
	return out
}

// amounts finds what DATA-06 does not allow in a claim.
func amounts(v any, path string) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			at := path + "." + k
			switch {
			case at == ".total", k == "unitPrice", k == "net", at == ".payment.amount", strings.HasSuffix(at, "adjudication.amount"), strings.HasSuffix(at, "financial"):
				out = append(out, at)
			}
			out = append(out, amounts(c, at)...)
		}
	case []any:
		for _, c := range v {
			out = append(out, amounts(c, path)...)
		}
	}
	return out
}

// TestDataExport: P2P-BLK-15, DDE-03, DDE-08, DDE-10, DDE-13, DDE-17, ATR-03, ATR-07, BULK-KO-20, DATA-03, DATA-06, DATA-07, DATA-09, DATA-11.
func TestDataExport(t *testing.T) {
	s, j := start(t, 8), newJudge(t)
	kick := s.dataExport(allMembers, "exportType", "valueCanonical", `"`+pdexType+`download"`)
	if kick.status != 202 || !strings.HasPrefix(kick.header.Get("Content-Location"), "http") {
		t.Fatalf("kick-off %d %s", kick.status, kick.raw)
	}
	m := s.wait(kick.header.Get("Content-Location"))
	if m.json["request"] != s.url+allMembers+"/$davinci-data-export" {
		t.Errorf("request %v", m.json["request"])
	}
	all := s.texts(m, "output")
	claims, authorizations, sent := 0, 0, map[string]bool{}
	for key, line := range all {
		j.check(key, line)
		typ, _, _ := strings.Cut(key, "/")
		if typ != "Group" && (strings.Contains(line, `"Patient/pt-70001"`) || key == "Patient/pt-70001") {
			t.Errorf("%s is of the member who opted out", key)
		}
		var res map[string]any
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatal(err)
		}
		switch {
		case typ == "ExplanationOfBenefit" && res["use"] == "claim":
			claims++
			if got := amounts(res, ""); got != nil {
				t.Errorf("%s has amounts: %v", key, got)
			}
			if !strings.Contains(line, `-Basis"`) {
				t.Errorf("%s does not claim a Basis profile", key)
			}
		case typ == "ExplanationOfBenefit":
			authorizations++
			if !strings.Contains(line, `"amount"`) {
				t.Errorf("%s: DATA-07: an authorization keeps its amounts", key)
			}
			end := res["preAuthRefPeriod"].([]any)[0].(map[string]any)["end"].(string)
			if end < time.Now().AddDate(-1, 0, -1).Format(time.DateOnly) {
				t.Errorf("%s ended on %s", key, end)
			}
		case strings.HasPrefix(key, "Provenance/tx-"):
			for _, target := range res["target"].([]any) {
				ref := target.(map[string]any)["reference"].(string)
				if all[ref] == "" {
					t.Errorf("%s: target %s was not exported", key, ref)
				}
				sent[ref] = true
			}
		}
	}
	for key := range all {
		if typ, _, _ := strings.Cut(key, "/"); !sent[key] && !slices.Contains([]string{"Provenance", "Group", "Organization", "Practitioner", "PractitionerRole", "Location", "Medication"}, typ) {
			t.Errorf("%s is in no Provenance of the transmission", key)
		}
	}
	if claims == 0 || authorizations == 0 || all["Group/group-all-members"] == "" || all["Patient/999"] == "" {
		t.Errorf("%d claims, %d authorizations, %d resources", claims, authorizations, len(all))
	}
	if strings.Contains(all["Group/group-all-members"], "pt-70001") {
		t.Error("ATR-03: the list has a member who opted out")
	}
	j.report()
}

// TestDataExportParameters: P2P-BLK-34, DDE-11, CF-01, CF-03 to CF-05, DDE-01, DDE-03 to DDE-07, BULK-KO-02, BULK-KO-07, BULK-KO-21.
func TestDataExportParameters(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no Prefer", "POST", allMembers, parameters(), nil, 400, "required"},
		{"GET", "GET", allMembers, "", []string{"Prefer", "respond-async"}, 202, ""},
		{"GET with patient", "GET", allMembers + "?patient=Patient/999", "", []string{"Prefer", "respond-async"}, 400, "not-supported"},
		{"unknown Group", "POST", "/Group/none", parameters(), []string{"Prefer", "respond-async"}, 404, "not-found"},
		{"exportType", "POST", allMembers, parameters("exportType", "valueCanonical", `"x"`), []string{"Prefer", "respond-async, handling=lenient"}, 400, "not-supported"},
		{"delta without _since", "POST", allMembers, parameters("exportType", "valueCanonical", `"`+pdexType+`delta"`), []string{"Prefer", "respond-async"}, 400, "required"},
		{"_type of a list", "POST", allMembers, parameters("exportType", "valueCanonical", `"hl7.fhir.us.davinci-atr"`, "_type", "valueString", `"Group,Patient"`), []string{"Prefer", "respond-async"}, 400, "required"},
		{"the same, lenient", "POST", allMembers, parameters("exportType", "valueCanonical", `"hl7.fhir.us.davinci-atr"`, "_type", "valueString", `"Group,Patient"`), []string{"Prefer", "respond-async; x=1, handling = lenient"}, 202, ""},
		{"resourceTypes", "GET", allMembers + "?resourceTypes=Patient,Coverage&exportType=hl7.fhir.us.davinci-atr", "", []string{"Prefer", "respond-async"}, 202, ""},
		{"XML body", "POST", allMembers, "<x/>", []string{"Prefer", "respond-async", "Content-Type", "application/xml"}, 415, "not-supported"},
		{"no JSON", "POST", allMembers, "{", []string{"Prefer", "respond-async", "Content-Type", "application/json"}, 400, "structure"},
		{"Accept", "POST", allMembers, parameters(), []string{"Prefer", "respond-async", "Accept", "text/csv"}, 406, "not-supported"},
		{"_since in the future", "POST", allMembers, parameters("_since", "valueInstant", `"2100-01-01T00:00:00Z"`), []string{"Prefer", "respond-async"}, 400, "value"},
		{"the same, lenient", "POST", allMembers, parameters("_since", "valueInstant", `"2100-01-01T00:00:00Z"`), []string{"Prefer", "respond-async", "Prefer", "handling=lenient"}, 202, ""},
		{"_until before _since", "POST", allMembers, parameters("_since", "valueInstant", `"2020-01-02T00:00:00Z"`, "_until", "valueInstant", `"2020-01-01T00:00:00Z"`), []string{"Prefer", "respond-async"}, 400, "value"},
		{"_type", "POST", allMembers, parameters("_type", "valueString", `"Patient,Nothing"`), []string{"Prefer", "respond-async"}, 400, "not-supported"},
		{"_typeFilter", "POST", allMembers, parameters("_typeFilter", "valueString", `"Observation?_sort=date"`), []string{"Prefer", "respond-async"}, 400, "not-supported"},
		{"unknown parameter", "POST", allMembers, parameters("organizeOutputBy", "valueString", `"Patient"`), []string{"Prefer", "respond-async"}, 400, "not-supported"},
		{"_outputFormat", "POST", allMembers, parameters("_outputFormat", "valueString", `"text/csv"`), []string{"Prefer", "respond-async"}, 400, "not-supported"},
	} {
		path, query, _ := strings.Cut(tt.path, "?")
		if query != "" {
			query = "?" + query
		}
		r := s.do(tt.method, path+"/$davinci-data-export"+query, tt.body, tt.header...)
		if r.status != tt.status || tt.code != "" && issueCode(r) != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, r.status, r.raw, tt.status, tt.code)
		}
		j.check(tt.name, r.raw)
		if r.status == 202 && s.wait(r.header.Get("Content-Location")).status != 200 {
			t.Errorf("%s: no manifest", tt.name)
		}
	}
	if r := s.do(http.MethodPut, allMembers+"/$davinci-data-export", "{}"); r.status != 405 {
		t.Errorf("PUT: %d", r.status)
	}
	patient := func(id string) []string { return []string{"patient", "valueReference", ref("Patient/" + id)} }
	export := func(params ...string) (output map[string]string, notes []string) {
		t.Helper()
		kick := s.dataExport(allMembers, params...)
		if kick.status != 202 {
			t.Fatalf("%v: %d %s", params, kick.status, kick.raw)
		}
		m := s.wait(kick.header.Get("Content-Location"))
		for _, line := range s.texts(m, "error") {
			j.check("error file", line)
			notes = append(notes, line)
		}
		return s.texts(m, "output"), notes
	}
	got, notes := export(slices.Concat(patient("999"), patient("nobody"), patient("pt-70001"), []string{"patient", "valueReference", ref("Group/x")}, []string{"_type", "valueString", `"Patient,Observation"`})...)
	for key, line := range got {
		if key != "Patient/999" && !strings.Contains(line, `"Patient/999"`) {
			t.Errorf("subset: %s", key)
		}
	}
	if len(notes) != 3 || got["Patient/999"] == "" { // CF-05: one for each who is ignored, none says why
		t.Errorf("subset: %d resources, notes %v", len(got), notes)
	}
	if got, notes := export(patient("nobody")...); len(got) != 0 || len(notes) != 1 { // DDE-04
		t.Errorf("nobody left: %d resources, notes %v", len(got), notes)
	}
	got, _ = export("exportType", "valueCanonical", `"hl7.fhir.us.davinci-atr"`)
	types := map[string]bool{}
	for key := range got {
		typ, _, _ := strings.Cut(key, "/")
		types[typ] = true
	}
	for _, typ := range []string{"Group", "Patient", "Coverage", "Practitioner", "Organization"} {
		if !types[typ] {
			t.Errorf("DDE-02: no %s", typ)
		}
	}
	if types["Observation"] || types["Provenance"] || types["Encounter"] {
		t.Errorf("types of a list: %v", types)
	}
	path := s.group("sketch", "draft")
	kick := s.dataExport(path)
	m := s.wait(kick.header.Get("Content-Location"))
	if notes := s.texts(m, "error"); len(notes) != 1 || !strings.Contains(fmt.Sprint(notes), "draft") { // ATR-26
		t.Errorf("draft: %v", notes)
	}
	j.report()
}

// TestDataExportDelta: DDE-06, BULK-INC-01, BULK-INC-05, BULK-INC-07, BULK-INC-09, ATR-07.
func TestDataExportDelta(t *testing.T) {
	s := start(t, 0)
	first := s.wait(s.dataExport(allMembers, "_type", "valueString", `"Patient,Condition"`).header.Get("Content-Location"))
	since := first.json["transactionTime"].(string)
	var gone string
	for key, line := range s.texts(first, "output") {
		if strings.HasPrefix(key, "Condition/") && strings.Contains(line, `"Patient/999"`) {
			gone = key
		}
	}
	time.Sleep(5 * time.Millisecond)
	s.do(http.MethodPut, "/Condition/new1", `{"resourceType":"Condition","id":"new1","subject":{"reference":"Patient/999"}}`)
	s.do(http.MethodPut, "/Condition/new2", `{"resourceType":"Condition","id":"new2","subject":{"reference":"Patient/pt-90417"}}`)
	s.do(http.MethodPut, "/Consent/out", `{"resourceType":"Consent","id":"out","status":"active","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"text":"opt-out"},"patient":{"reference":"Patient/pt-90417"},"provision":{"type":"deny"}}`)
	s.do(http.MethodDelete, "/"+gone, "")
	delta := func() (out, deleted []string) {
		t.Helper()
		kick := s.dataExport(allMembers, "exportType", "valueCanonical", `"`+pdexType+`delta"`, "_since", "valueInstant", `"`+since+`"`, "_type", "valueString", `"Patient,Condition"`)
		m := s.wait(kick.header.Get("Content-Location"))
		for key := range s.texts(m, "output") {
			out = append(out, key)
		}
		for _, f := range m.files("deleted") {
			deleted = append(deleted, s.get(f).raw)
		}
		slices.Sort(out)
		return out, deleted
	}
	out, deleted := delta()
	if !slices.Equal(out, []string{"Condition/new1"}) || len(deleted) != 1 || !strings.Contains(deleted[0], gone) || strings.Count(deleted[0], "\n") != 1 {
		t.Errorf("increment %v, deleted %v", out, deleted)
	}
	s.do(http.MethodDelete, "/Consent/out", "") // ATR-05: an opt-out can be revoked
	if out, _ = delta(); !slices.Equal(out, []string{"Condition/new1", "Condition/new2"}) {
		t.Errorf("after the opt-out was revoked: %v", out)
	}
}

// TestJobsAreTheirClients: AUTH-13, P2P-BLK-17, BULK-KO-22, BULK-KO-23, BULK-ST-03, BULK-FI-08, DDE-15, OPS-11, OPS-59.
func TestJobsAreTheirClients(t *testing.T) {
	s := start(t, 2)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get("X-Client"); name != "" {
			r = r.WithContext(smartauth.WithGrant(r.Context(), &smartauth.Grant{Client: name}))
		}
		s.ref.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(hs.Close)
	s.url = hs.URL + "/fhir"
	kick := s.get(allMembers+"/$export?_type=Patient", "X-Client", "a", "Prefer", "respond-async")
	poll := kick.header.Get("Content-Location")
	var m reply
	for m = s.get(poll, "X-Client", "a"); m.status == 202; m = s.get(poll, "X-Client", "a") {
		time.Sleep(5 * time.Millisecond)
	}
	if m.status != 200 || m.json["requiresAccessToken"] != true {
		t.Fatalf("%d %s", m.status, m.raw)
	}
	file := m.files("output")[0]
	for _, url := range []string{poll, file} {
		if r := s.get(url, "X-Client", "b"); r.status != 404 || issueCode(r) != "not-found" {
			t.Errorf("other client: %d", r.status)
		}
		if r := s.get(url); r.status != 401 || r.header.Get("WWW-Authenticate") == "" || issueCode(r) != "login" {
			t.Errorf("no token: %d", r.status)
		}
		if r := s.get(url, "X-Client", "a"); r.status != 200 {
			t.Errorf("own: %d", r.status)
		}
	}
	if r := s.do(http.MethodDelete, poll, "", "X-Client", "b"); r.status != 404 {
		t.Errorf("DELETE by another: %d", r.status)
	}
	if r := s.do(http.MethodDelete, poll, "", "X-Client", "a"); r.status != 202 {
		t.Errorf("DELETE: %d", r.status)
	}
}
