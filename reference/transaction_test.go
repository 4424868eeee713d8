package reference_test

import (
	"net/http"
	"strings"
	"testing"
)

// statuses are those of the entries of a response Bundle.
func statuses(r reply) string {
	var out []string
	entries, _ := r.json["entry"].([]any)
	for _, e := range entries {
		out = append(out, e.(map[string]any)["response"].(map[string]any)["status"].(string)[:3])
	}
	return strings.Join(out, " ")
}

func TestTransaction(t *testing.T) {
	s := start(t, 0)
	s.do("PUT", "/Organization/old", `{"resourceType":"Organization","id":"old","name":"Old"}`)
	r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Organization?name=Clinic%20of%20the%20transaction"}},
		{"fullUrl":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000001","request":{"method":"POST","url":"Practitioner"},
			"resource":{"resourceType":"Practitioner","name":[{"family":"Entry"}],"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000000004"}]}},
		{"request":{"method":"PUT","url":"PractitionerRole/tx-role"},
			"resource":{"resourceType":"PractitionerRole","id":"tx-role","practitioner":{"reference":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000001"},
				"organization":{"reference":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000002"},"location":[{"reference":"Location?identifier=urn:test:tx|none"}]}},
		{"request":{"method":"DELETE","url":"Organization/old"}}]}`)
	if r.status != 412 || !strings.Contains(r.raw, "Nothing was changed. Entry 2") || !strings.Contains(r.raw, `"Bundle.entry[2]"`) {
		t.Fatalf("a conditional reference without a match: %d %s", r.status, r.raw)
	}
	if got := s.get("/Organization/old").status; got != 200 {
		t.Fatalf("an entry of a refused transaction was carried out: %d", got)
	}
	if got := s.get("/Practitioner?identifier=1000000004"); !strings.Contains(got.raw, `"total":0`) {
		t.Fatalf("an entry of a refused transaction was carried out: %s", got.raw)
	}

	body := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Organization?name=Clinic%20of%20the%20transaction"}},
		{"fullUrl":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000001","request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=1000000004"},
			"resource":{"resourceType":"Practitioner","name":[{"family":"Entry"}],"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000000004"}]}},
		{"fullUrl":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000002","request":{"method":"PUT","url":"Organization?identifier=urn:test:tx|1"},
			"resource":{"resourceType":"Organization","name":"Clinic of the transaction","identifier":[{"system":"urn:test:tx","value":"1"}]}},
		{"request":{"method":"PUT","url":"PractitionerRole/tx-role"},
			"resource":{"resourceType":"PractitionerRole","id":"tx-role","practitioner":{"reference":"urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000001"},
				"organization":{"reference":"Organization?identifier=urn:test:tx|1"}}},
		{"request":{"method":"DELETE","url":"Organization/old"}},
		{"request":{"method":"DELETE","url":"Organization?identifier=urn:test:tx|nothing"}}]}`
	if r := s.do(http.MethodPost, "", body); r.status != 412 { // the organization is made by the same transaction: no match yet
		t.Fatalf("%d %s", r.status, r.raw)
	}
	body = strings.Replace(body, "Organization?identifier=urn:test:tx|1\"}}", "urn:uuid:7a0a1b1e-0001-4c3f-9e0b-000000000002\"}}", 1)
	r = s.do(http.MethodPost, "", body)
	if r.status != 200 || r.json["type"] != "transaction-response" || statuses(r) != "200 201 201 201 204 204" {
		t.Fatalf("%d %s: %s", r.status, statuses(r), r.raw)
	}
	newJudgeFor(t, "transaction", r.raw)
	if !strings.Contains(r.raw, "Clinic of the transaction") {
		t.Errorf("reads come after the writes: %s", r.raw)
	}
	role := s.get("/PractitionerRole?_id=tx-role&_include=PractitionerRole:practitioner&_include=PractitionerRole:organization")
	if strings.Contains(role.raw, "urn:uuid") || !strings.Contains(role.raw, `"family":"Entry"`) || !strings.Contains(role.raw, "Clinic of the transaction") {
		t.Errorf("references between entries: %s", role.raw)
	}
	if got := s.get("/Organization/old").status; got != 410 {
		t.Errorf("deleted: %d", got)
	}
	// Again: what is there is found, what is the same is a new version.
	r = s.do(http.MethodPost, "", body)
	if statuses(r) != "200 200 200 200 204 204" {
		t.Errorf("again: %s %s", statuses(r), r.raw)
	}
	if got := s.get("/Practitioner?identifier=1000000004"); !strings.Contains(got.raw, `"total":1`) {
		t.Errorf("ifNoneExist: %s", got.raw)
	}
}

func TestTransactionRefuses(t *testing.T) {
	s := start(t, 0)
	const org = `{"resourceType":"Organization","id":"a","name":"A"}`
	for name, tt := range map[string]struct {
		entries string
		status  int
		code    string
	}{
		"twice":         {`{"request":{"method":"PUT","url":"Organization/a"},"resource":` + org + `},{"request":{"method":"DELETE","url":"Organization/a"}}`, 400, "invariant"},
		"invalid":       {`{"request":{"method":"PUT","url":"Organization/a"},"resource":{"resourceType":"Organization","id":"a","active":"yes"}}`, 422, ""},
		"type":          {`{"request":{"method":"PUT","url":"Patient/a"},"resource":` + org + `}`, 400, "structure"},
		"no resource":   {`{"request":{"method":"POST","url":"Organization"}}`, 400, "required"},
		"operation":     {`{"request":{"method":"POST","url":"Patient/$member-match"},"resource":` + org + `}`, 400, "not-supported"},
		"patch":         {`{"request":{"method":"PATCH","url":"Organization/a"},"resource":` + org + `}`, 400, "not-supported"},
		"unknown type":  {`{"request":{"method":"DELETE","url":"Unheard/a"}}`, 404, "not-supported"},
		"version":       {`{"request":{"method":"PUT","url":"Organization/a","ifMatch":"W/\"7\""},"resource":` + org + `}`, 412, "conflict"},
		"no criteria":   {`{"request":{"method":"DELETE","url":"Organization?"}}`, 400, "invalid"},
		"several match": {`{"request":{"method":"DELETE","url":"Patient?gender=male,female"}}`, 412, "multiple-matches"},
		"id":            {`{"request":{"method":"PUT","url":"Organization/a b"},"resource":` + org + `}`, 400, "value"},
	} {
		good := `{"request":{"method":"PUT","url":"Organization/good"},"resource":{"resourceType":"Organization","id":"good","name":"Good"}}`
		r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"transaction","entry":[`+good+`,`+tt.entries+`]}`)
		if r.status != tt.status || tt.code != "" && issueCode(r) != tt.code {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
		if got := s.get("/Organization/good").status; got != 404 {
			t.Fatalf("%s: the good entry was carried out: %d", name, got)
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	s := start(t, 0)
	const org = `{"resourceType":"Organization","name":"Once","identifier":[{"system":"urn:test:cond","value":"1"}]}`
	for i, want := range []int{201, 200} {
		if r := s.do(http.MethodPut, "/Organization?identifier=urn:test:cond|1", org); r.status != want {
			t.Fatalf("update %d: %d %s", i, r.status, r.raw)
		}
	}
	if r := s.get("/Organization?identifier=urn:test:cond|1"); !strings.Contains(r.raw, `"total":1`) || !strings.Contains(r.raw, `"versionId":"2"`) {
		t.Errorf("%s", r.raw)
	}
	if r := s.do(http.MethodPut, "/Organization?identifier=urn:test:cond|1", strings.Replace(org, `"name"`, `"id":"other","name"`, 1)); r.status != 400 {
		t.Errorf("another id: %d", r.status)
	}
	if r := s.do(http.MethodDelete, "/Patient?gender=male,female", ""); r.status != 412 {
		t.Errorf("several: %d", r.status)
	}
	if r := s.do(http.MethodDelete, "/Organization", ""); r.status != 400 {
		t.Errorf("no criteria: %d", r.status)
	}
	for range 2 {
		if r := s.do(http.MethodDelete, "/Organization?identifier=urn:test:cond|1", ""); r.status != 204 {
			t.Errorf("delete: %d %s", r.status, r.raw)
		}
	}
	if r := s.get("/Organization?identifier=urn:test:cond|1"); !strings.Contains(r.raw, `"total":0`) {
		t.Errorf("%s", r.raw)
	}
}

// TestWritesAreValidated: what would not be valid when served is not stored, unless the client asks for it.
func TestWritesAreValidated(t *testing.T) {
	s := start(t, 0)
	const bad = `{"resourceType":"Organization","id":"bad","active":"yes"}`
	r := s.do(http.MethodPut, "/Organization/bad", bad)
	if r.status != 422 || !strings.Contains(r.raw, `"Organization.active"`) || !strings.Contains(r.raw, "org-1") {
		t.Errorf("%d %s", r.status, r.raw)
	}
	if got := s.get("/Organization/bad").status; got != 404 {
		t.Errorf("stored all the same: %d", got)
	}
	r = s.do(http.MethodPut, "/Organization/bad", bad, "Prefer", "handling=lenient")
	if r.status != 201 || r.header.Get("Warning") == "" {
		t.Errorf("lenient: %d %v", r.status, r.header)
	}
}
