package reference_test

import (
	"net/http"
	"strings"
	"testing"
)

// The tests in this file are of what clients that others wrote do: HAPI's generic client, fhir-kit-client and fhirclient.js.

func TestCompartmentSearch(t *testing.T) { // HAPI: withIdAndCompartment; fhir-kit-client: compartmentSearch
	s := family(t)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/Patient/f1/Observation", "", 200, "Observation/fob"},
		{"GET", "/Patient/f1/Observation?code=k", "", 200, "Observation/fob"},
		{"GET", "/Patient/f1/Observation?code=other", "", 200, ""},
		{"GET", "/Patient/f2/Observation", "", 200, ""},
		{"GET", "/Patient/f1/Encounter?_revinclude=Observation:encounter", "", 200, "Encounter/fe"},
		{"GET", "/Patient/f1/Observation?patient=f2", "", 200, ""},
		{"POST", "/Patient/f1/Observation/_search", "code=k", 200, "Observation/fob"},
		{"GET", "/Patient/f1/Provenance", "", 200, ""},
		{"GET", "/Patient/f1/Organization", "", 404, ""},
		{"GET", "/Patient/f1/Nothing", "", 404, ""},
		{"GET", "/Practitioner/fp/Observation", "", 404, ""},
		{"POST", "/Patient/f1/Observation/other", "", 404, ""},
		{"GET", "/Patient/a%20b/Observation", "", 400, ""},
	} {
		r := s.do(tt.method, tt.path, tt.body, form...)
		if r.status != tt.status || sortedIDs(r, "match") != tt.want || r.status != 200 && issueCode(r) == "no OperationOutcome" {
			t.Errorf("%s %s: %d %q, want %d %q: %.200s", tt.method, tt.path, r.status, sortedIDs(r, "match"), tt.status, tt.want, r.raw)
		}
	}
}

func TestSearchByGetWithSearch(t *testing.T) { // HAPI: SearchStyleEnum.GET_WITH_SEARCH
	s := family(t)
	if r := s.get("/Patient/_search?name=famous"); r.status != 200 || sortedIDs(r, "match") != "Patient/f1 Patient/f2" {
		t.Errorf("%d %s", r.status, r.raw)
	}
}

func TestConditionsAsURLs(t *testing.T) { // HAPI sends If-None-Exist as the whole URL of the search
	s := start(t, 0)
	body := `{"resourceType":"Patient","identifier":[{"system":"urn:u","value":"1"}],"name":[{"family":"U"}]}`
	for i, cond := range []string{s.url + "/Patient?identifier=urn:u%7C1", "Patient?identifier=urn:u%7C1", "?identifier=urn:u%7C1", "identifier=urn:u%7C1"} {
		want := http.StatusOK
		if i == 0 {
			want = http.StatusCreated
		}
		if r := s.do(http.MethodPost, "/Patient", body, "If-None-Exist", cond); r.status != want {
			t.Errorf("%s: %d %s", cond, r.status, r.raw)
		}
	}
}

func TestTransactionWithoutURLs(t *testing.T) { // HAPI: transaction().withResources leaves request.url out
	s := start(t, 0)
	for _, kind := range []string{"transaction", "batch"} {
		r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"resource":{"resourceType":"Organization","name":"W","active":true},"request":{"method":"POST"}},
			{"resource":{"resourceType":"Organization","id":"wo","name":"W","active":true},"request":{"method":"PUT","url":"Organization/wo"}}]}`)
		if r.status != 200 || !strings.HasPrefix(statuses(r), "201 20") {
			t.Errorf("%s: %d %s", kind, r.status, r.raw)
		}
	}
	if r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"HEAD","url":"Patient/999"}},{"request":{"method":"POST"}}]}`); statuses(r) != "200 400" {
		t.Errorf("%s", r.raw)
	}
}

func TestPatch(t *testing.T) {
	s := start(t, 0)
	const doc = `{"resourceType":"Observation","id":"pa","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/999"},"valueQuantity":{"value":1.500,"unit":"a/b"},"note":[{"text":"one"},{"text":"two"}]}`
	s.do(http.MethodPut, "/Observation/pa", doc)
	patch := func(path, ops string, header ...string) reply {
		return s.do(http.MethodPatch, path, ops, append([]string{"Content-Type", "application/json-patch+json"}, header...)...)
	}
	if r := patch("/Observation/pa", `[{"op":"test","path":"/status","value":"final"},{"op":"replace","path":"/status","value":"amended"},{"op":"add","path":"/note/-","value":{"text":"three"}},{"op":"remove","path":"/note/0"}]`,
		"If-Match", `W/"1"`); r.status != 200 || r.header.Get("ETag") != `W/"2"` || !strings.Contains(r.raw, `"note":[{"text":"two"},{"text":"three"}]`) || !strings.Contains(r.raw, `"status":"amended"`) || !strings.Contains(r.raw, `"value":1.500`) {
		t.Errorf("%d %v %s", r.status, r.header, r.raw)
	}
	for _, tt := range []struct {
		name, path, ops string
		header          []string
		status          int
		code            string
	}{
		{"stale", "/Observation/pa", `[{"op":"replace","path":"/status","value":"final"}]`, []string{"If-Match", `W/"1"`}, 412, "conflict"},
		{"test fails", "/Observation/pa", `[{"op":"test","path":"/status","value":"final"}]`, nil, 422, "processing"},
		{"no such place", "/Observation/pa", `[{"op":"replace","path":"/nothing/1","value":1}]`, nil, 422, "processing"},
		{"index out of range", "/Observation/pa", `[{"op":"remove","path":"/note/-1"}]`, nil, 422, "processing"},
		{"result is not valid", "/Observation/pa", `[{"op":"remove","path":"/status"}]`, nil, 422, ""},
		{"another id", "/Observation/pa", `[{"op":"replace","path":"/id","value":"pb"}]`, nil, 422, "invariant"},
		{"another type", "/Observation/pa", `[{"op":"replace","path":"/resourceType","value":"Patient"}]`, nil, 422, "invariant"},
		{"everything", "/Observation/pa", `[{"op":"replace","path":"","value":{}}]`, nil, 422, "not-supported"},
		{"no path", "/Observation/pa", `[{"op":"remove"}]`, nil, 400, "structure"},
		{"no pointer", "/Observation/pa", `[{"op":"remove","path":"status"}]`, nil, 400, "structure"},
		{"no such operation", "/Observation/pa", `[{"op":"drop","path":"/status"}]`, nil, 400, "structure"},
		{"nothing", "/Observation/pa", `[]`, nil, 400, "structure"},
		{"not JSON", "/Observation/pa", `{`, nil, 400, "structure"},
		{"not there", "/Observation/none", `[{"op":"remove","path":"/note"}]`, nil, 404, "not-found"},
		{"no match", "/Observation?_id=none", `[{"op":"remove","path":"/note"}]`, nil, 404, "not-found"},
		{"no condition", "/Observation", `[{"op":"remove","path":"/note"}]`, nil, 400, "invalid"},
		{"many matches", "/Patient?gender=male,female", `[{"op":"remove","path":"/name"}]`, nil, 412, "multiple-matches"},
	} {
		if r := patch(tt.path, tt.ops, tt.header...); r.status != tt.status || tt.code != "" && issueCode(r) != tt.code {
			t.Errorf("%s: %d %s, want %d %s: %.300s", tt.name, r.status, issueCode(r), tt.status, tt.code, r.raw)
		}
	}
	if r := s.do(http.MethodPatch, "/Observation/pa", `{"resourceType":"Parameters"}`, "Content-Type", "application/fhir+json"); r.status != 415 || r.header.Get("Accept-Patch") != "application/json-patch+json" {
		t.Errorf("FHIRPath Patch: %d %v", r.status, r.header)
	}
	if r := patch("/Observation?_id=pa", `[{"op":"remove","path":"/note"}]`); r.status != 200 || strings.Contains(r.raw, "note") {
		t.Errorf("conditional: %d %s", r.status, r.raw)
	}
	const binary = `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9zdGF0dXMiLCJ2YWx1ZSI6ImNvcnJlY3RlZCJ9XQ=="}`
	for _, kind := range []string{"transaction", "batch"} {
		r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"resource":`+binary+`,"request":{"method":"PATCH","url":"Observation/pa"}}]}`)
		if r.status != 200 || statuses(r) != "200" || !strings.Contains(s.get("/Observation/pa").raw, `"status":"corrected"`) {
			t.Errorf("%s: %d %s", kind, r.status, r.raw)
		}
	}
	if r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Parameters"},"request":{"method":"PATCH","url":"Observation/pa"}}]}`); r.status != 400 {
		t.Errorf("a patch that is no Binary: %d %s", r.status, r.raw)
	}
}

func TestHistoryPages(t *testing.T) {
	s := start(t, 0)
	for _, name := range []string{"A", "B", "C", "D", "E"} {
		s.do(http.MethodPut, "/Organization/h", `{"resourceType":"Organization","id":"h","active":true,"name":"`+name+`"}`)
	}
	versions, pages := "", 0
	for next := "/Organization/h/_history?_count=2"; next != ""; pages++ {
		r := s.get(next)
		if r.status != 200 || r.json["total"] != 5.0 {
			t.Fatalf("%s: %d %s", next, r.status, r.raw)
		}
		for _, e := range r.json["entry"].([]any) {
			versions += e.(map[string]any)["resource"].(map[string]any)["meta"].(map[string]any)["versionId"].(string)
		}
		next = r.link("next")
	}
	if versions != "54321" || pages != 3 {
		t.Errorf("versions %s in %d pages", versions, pages)
	}
	third := s.get("/Organization/h/_history/3").json["meta"].(map[string]any)["lastUpdated"].(string)
	if r := s.get("/Organization/h/_history?_since=" + third); r.json["total"] != 2.0 || !strings.Contains(r.raw, `"method":"PUT"`) || strings.Contains(r.raw, `"method":"POST"`) {
		t.Errorf("_since: %s", r.raw)
	}
	if r := s.get("/Organization/h/_history?_count=0"); r.json["total"] != 5.0 || r.json["entry"] != nil || r.link("next") != "" {
		t.Errorf("_count=0: %s", r.raw)
	}
	for _, q := range []string{"_count=x", "_count=-1", "_since=yesterday", "_cursor=x"} {
		if r := s.get("/Organization/h/_history?" + q); r.status != 400 || issueCode(r) != "invalid" {
			t.Errorf("%s: %d %s", q, r.status, r.raw)
		}
	}
	if r := s.do(http.MethodDelete, "/Organization/h", ""); r.status != 204 {
		t.Fatal(r.status)
	}
	if r := s.get("/Organization/h/_history?_count=1"); r.json["total"] != 6.0 || !strings.Contains(r.raw, `"method":"DELETE"`) {
		t.Errorf("deleted: %s", r.raw)
	}
}

func TestPretty(t *testing.T) {
	s := start(t, 0)
	if r := s.get("/Patient/999?_pretty=true"); r.status != 200 || !strings.Contains(r.raw, "\n  \"id\": \"999\"") {
		t.Errorf("%d %.100s", r.status, r.raw)
	}
}

// An app in a browser has to be let in with every header that FHIR clients send.
func TestCrossOrigin(t *testing.T) {
	s := start(t, 0)
	r := s.do(http.MethodOptions, "/Patient/999", "", "Origin", "http://app.example", "Access-Control-Request-Method", "PATCH")
	for header, want := range map[string]string{"Access-Control-Allow-Methods": "PATCH", "Access-Control-Allow-Headers": "If-Modified-Since", "Access-Control-Expose-Headers": "Content-Location"} {
		if r.status != 204 || !strings.Contains(r.header.Get(header), want) {
			t.Errorf("%d %s: %s", r.status, header, r.header.Get(header))
		}
	}
}
