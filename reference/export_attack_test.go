package reference_test

import (
	"net/http"
	"strings"
	"testing"
)

// Kick-offs that no client in its senses sends are refused, each with its reason, and no job comes of them.
func TestKickoffsThatMakeNoSense(t *testing.T) {
	s := start(t, 0)
	filters := func(n int) string { return strings.Repeat("&_typeFilter=Observation%3Fcode%3Dx", n) }
	for _, tt := range []struct{ path, body, code string }{
		{"/$export", `{"resourceType":"Parameters","parameter":"_type"}`, "structure"},
		{"/$export", `{"resourceType":"Parameters","parameter":{"name":"_type","valueString":"Patient"}}`, "structure"},
		{"/$export", `{"resourceType":"Parameters","parameter":[{"valueString":"Patient"}]}`, "required"},
		{"/$export", `{"resourceType":"Parameters","parameter":[{"name":"_type"}]}`, "structure"},
		{"/$export", `{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient","valueCode":"Group"}]}`, "structure"},
		{"/$export", `{"resourceType":"Parameters","parameter":[null]}`, "required"},
		{"/$export", `{"resourceType":"Patient"}`, "structure"},
		{"/$export", `[]`, "structure"},
		{"/$export?_type=Observation" + filters(101), "", "too-costly"},
		{"/Patient/$export?_typeFilter=Provenance%3Frecorded%3Dgt2020", "", "not-supported"},
		{"/Patient/$export?_typeFilter=Organization%3Fname%3Dx", "", "not-supported"},
		{"/$export?_typeFilter=Patient%3F_has%3AGroup%3Amember%3Acode%3Dx", "", "not-supported"},
	} {
		method := http.MethodGet
		if tt.body != "" {
			method = http.MethodPost
		}
		r := s.do(method, tt.path, tt.body, "Content-Type", "application/fhir+json", "Prefer", "respond-async")
		if r.status != 400 || issueCode(r) != tt.code || r.header.Get("Content-Location") != "" {
			t.Errorf("%.60s %s: %d %s, want %s: %.300s", tt.path, tt.body, r.status, issueCode(r), tt.code, r.raw)
		}
	}
	if r := s.get("/$export?_type=Observation"+filters(100), "Prefer", "respond-async"); r.status != 202 {
		t.Errorf("100 queries: %d %s", r.status, r.raw)
	}
}

// A file is served by its name in its job and by nothing else.
func TestExportFilesAttacked(t *testing.T) {
	s := start(t, 0)
	m := s.export("/$export?_type=Patient")
	url := m.json["output"].([]any)[0].(map[string]any)["url"].(string)
	file := url[strings.Index(url, "/bulk/"):]
	folder := file[:strings.LastIndexByte(file, '/')]
	status := strings.TrimSuffix(folder, "/files") + "/status"
	for _, name := range []string{"..%2f..%2fref.db", "%2e%2e", ".", "..%5c", "%00", "Patient-1.ndjson%00", "Patient-1.ndjson%2f..", "x.ndjson", "Patient-1.ndjson.gz"} {
		if r := s.get(folder + "/" + name); r.status != 404 || issueCode(r) == "no OperationOutcome" {
			t.Errorf("%q: %d %.100s", name, r.status, r.raw)
		}
	}
	for value, want := range map[string]int{"bytes=0-9": 206, "bytes=-5": 206, "bytes=99999999-": 416, "bytes=5-2": 416, "lines=1-2": 416} {
		r := s.get(file, "Range", value)
		if r.status != want || want == 416 && (issueCode(r) != "value" || !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+json")) {
			t.Errorf("Range %s: %d %s %.200s", value, r.status, r.header.Get("Content-Type"), r.raw)
		}
	}
	for _, path := range []string{status, file} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
			if r := s.do(method, path, "{}"); r.status != 405 || r.header.Get("Allow") == "" {
				t.Errorf("%s %s: %d, Allow %q", method, path, r.status, r.header.Get("Allow"))
			}
		}
	}
}

// includeAssociatedData brings the Provenance of what is exported and no other; the latest is the last recorded for each.
func TestExportWithItsProvenance(t *testing.T) {
	s := start(t, 0)
	put := func(path, body string) {
		t.Helper()
		if r := s.do(http.MethodPut, path, body); r.status != 201 {
			t.Fatalf("%s: %d %s", path, r.status, r.raw)
		}
	}
	put("/Patient/ap", `{"resourceType":"Patient","id":"ap","name":[{"family":"Assoc"}]}`)
	put("/Encounter/ae", `{"resourceType":"Encounter","id":"ae","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/ap"}}`)
	provenance := func(id, target, recorded string) {
		put("/Provenance/"+id, `{"resourceType":"Provenance","id":"`+id+`","target":[{"reference":"`+target+`"}],"recorded":"`+recorded+`","agent":[{"who":{"display":"x"}}]}`)
	}
	provenance("ap-old", "Patient/ap", "2020-01-01T00:00:00Z")
	provenance("ap-new", "Patient/ap", "2021-01-01T00:00:00+05:00")
	provenance("ae-one", "Encounter/ae", "2019-01-01T00:00:00Z")
	for query, want := range map[string]string{
		"/Patient/$export?_type=Patient&includeAssociatedData=LatestProvenanceResources":                                                   "ap-new",
		"/Patient/$export?includeAssociatedData=LatestProvenanceResources&_type=Patient,Encounter":                                         "ae-one ap-new",
		"/Patient/$export?_type=Patient&includeAssociatedData=RelevantProvenanceResources":                                                 "ap-new ap-old",
		"/Patient/$export?_type=Patient&includeAssociatedData=LatestProvenanceResources&includeAssociatedData=RelevantProvenanceResources": "ap-new ap-old",
		"/$export?_type=Provenance,Encounter&includeAssociatedData=LatestProvenanceResources":                                              "ae-one",

		"/$export?_type=Provenance,Encounter": "ae-one ap-new ap-old",
	} {
		var got []string
		for _, id := range s.lines(s.export(query), "output")["Provenance"] {
			if strings.HasPrefix(id, "ap-") || strings.HasPrefix(id, "ae-") {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
