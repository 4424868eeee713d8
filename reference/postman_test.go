package reference_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// request is one of a Postman collection, as it is sent.
type request struct {
	name, method, url, body string
	header                  []string // names and values in turns
}

// postmanRequests reads the requests of a Postman collection. Base URLs are replaced by base, the last first, and ids by those given,
// in URLs only: methods, headers and bodies stay as they are. changes lists what was replaced.
func postmanRequests(t *testing.T, file, base string, hosts []string, ids map[string]string) (out []request, changes []string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		t.Skipf("no collection: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type item struct {
		Name    string
		Item    []json.RawMessage
		Request *struct {
			Method string
			URL    json.RawMessage
			Header []struct {
				Key, Value string
				Disabled   bool
			}
			Body *struct {
				Raw     string
				Options struct{ Raw struct{ Language string } }
			}
		}
	}
	var doc item
	if err := json.Unmarshal(src, &doc); err != nil {
		t.Fatal(err)
	}
	note := func(what string) {
		if !slices.Contains(changes, what) {
			changes = append(changes, what)
		}
	}
	var walk func(raw []json.RawMessage)
	walk = func(raw []json.RawMessage) {
		for _, r := range raw {
			var i item
			if err := json.Unmarshal(r, &i); err != nil {
				t.Fatal(err)
			}
			walk(i.Item)
			if i.Request == nil {
				continue
			}
			q := request{name: i.Name, method: i.Request.Method}
			if err := json.Unmarshal(i.Request.URL, &q.url); err != nil {
				var parts struct{ Raw string }
				if err := json.Unmarshal(i.Request.URL, &parts); err != nil {
					t.Fatal(err)
				}
				q.url = parts.Raw
			}
			for _, h := range hosts {
				if rest, ok := strings.CutPrefix(q.url, h); ok {
					q.url = base + rest
					note(h + " -> " + base)
					break
				}
			}
			for from, to := range ids {
				if strings.Contains(q.url, from) && from != to {
					q.url = strings.ReplaceAll(q.url, from, to)
					note(from + " -> " + to)
				}
			}
			for _, h := range i.Request.Header {
				if h.Key != "" && !h.Disabled {
					q.header = append(q.header, h.Key, h.Value)
				}
			}
			if b := i.Request.Body; b != nil {
				q.body = b.Raw
				if b.Options.Raw.Language == "json" && !slices.Contains(q.header, "Content-Type") { // what Postman does then
					q.header = append(q.header, "Content-Type", "application/json")
				}
			}
			out = append(out, q)
		}
	}
	walk(doc.Item)
	return out, changes
}

func sharedFolder() string {
	if dir := os.Getenv("FHIRWIRE_SHARED"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared")
}

// TestMemberAttributionCollection sends the requests of the public member-attribution collection. The members and providers that
// its bodies name are put there first; what it calls by another server's ids is called by ours. ATR-30, ATR-34, ATR-40, CF-03, CF-06.
func TestMemberAttributionCollection(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	for path, body := range map[string]string{
		"Patient/d3457d45-9085-4572-a78d-ed69c35d0d13": `"identifier":[{"system":"http://hospital.smarthealthit.org","value":"786778"}],"name":[{"family":"A","given":["B"]}],"gender":"male","birthDate":"1980-01-01"`,
		"Patient/cms-2209":            `"identifier":[{"system":"https://bluebutton.cms.gov/resources/variables/bene_id","value":"19990000002209"}],"name":[{"family":"C","given":["D"]}],"gender":"male","birthDate":"1980-01-01"`,
		"Practitioner/prov-66666":     `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"66666"}],"name":[{"family":"E"}]`,
		"Practitioner/prov-33333":     `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"33333"}],"name":[{"family":"F"}]`,
		"Coverage/cov-d3457d45":       `"status":"active","subscriberId":"1","beneficiary":{"reference":"Patient/d3457d45-9085-4572-a78d-ed69c35d0d13"},"relationship":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/subscriber-relationship","code":"self"}]},"payor":[{"reference":"Organization/pdex-Payor-Organization"}]`,
		"Group/with-member-to-remove": `"type":"person","actual":true,"quantity":2,"managingEntity":{"reference":"Organization/pdex-Payor-Organization"},"member":[{"extension":[{"url":"http://hl7.org/fhir/us/davinci-atr/StructureDefinition/ext-attributedProvider","valueReference":{"reference":"Practitioner/prov-33333"}}],"entity":{"reference":"Patient/cms-2209"}},{"entity":{"reference":"Patient/999"}}]`,
	} {
		typ, id, _ := strings.Cut(path, "/")
		if r := s.do(http.MethodPut, "/"+path, fmt.Sprintf(`{"resourceType":%q,"id":%q,%s}`, typ, id, body)); r.status != 201 {
			t.Fatalf("PUT %s: %d %s", path, r.status, r.raw)
		}
	}
	const created, removed = "a5b6880b-1cb7-46a1-a738-c9e6a1eaaddd", "a80cec68-7518-429f-9f68-4ada6992700e"
	ids := map[string]string{removed: "with-member-to-remove", "_history/8": "_history/1"}
	var made []string // Location of what was created
	poll, file := "", ""
	requests, changes := postmanRequests(t, filepath.Join(sharedFolder(), "postman", "member-attribution.postman_collection.json"), s.url,
		[]string{"http://ecr.drajer.com/mal/fhir", "http://ecr.drajer.com/mal"}, ids)
	for _, c := range changes {
		t.Log("changed", c)
	}
	if len(requests) < 15 {
		t.Fatalf("%d requests: is this the collection?", len(requests))
	}
	type want struct {
		status int
		typ    string
		check  func(r reply) bool
	}
	expected := map[string]want{
		"Create group":                 {201, "Group", func(r reply) bool { made = append(made, r.json["id"].(string)); return true }},
		"Read Group By Id":             {200, "Group", func(r reply) bool { return r.json["name"] == "DrajerTest" }},
		"Discover Group By Identifier": {200, "Bundle", func(r reply) bool { return slices.Equal(r.ids("match"), []string{"Group/" + made[0]}) }},
		"Group member add with memberId+providerNpi": {200, "OperationOutcome", func(reply) bool {
			return slices.Equal(s.members("/Group/"+made[0]), []string{"d3457d45-9085-4572-a78d-ed69c35d0d13 new false"})
		}},
		"Group member remove": {200, "OperationOutcome", func(reply) bool {
			return slices.Equal(s.members("/Group/with-member-to-remove"), []string{"cms-2209 dropped true", "999  false"})
		}},
		"Group read by version id": {200, "Group", func(r reply) bool { return r.json["meta"].(map[string]any)["versionId"] == "1" }},
		"Group Export":             {202, "OperationOutcome", func(r reply) bool { poll = r.header.Get("Content-Location"); return s.wait(poll).status == 200 }},
		"Polling Location":         {200, "", func(r reply) bool { file = strings.Join(r.files("output")[:1], ""); return file != "" }},
		"Download ndjson url":      {200, "", func(r reply) bool { return r.header.Get("Content-Type") == "application/fhir+ndjson" && r.raw != "" }},
		"Create Patient":           {201, "Patient", nil},
		"Create Practitioner":      {201, "Practitioner", nil},
		"Create Coverage":          {201, "Coverage", nil},
		"Confirm-Attrobution-List": {201, "", func(reply) bool { return strings.Contains(s.get("/Group/"+made[0]).raw, `"final"`) }},
		"Attribution-Status": {200, "Bundle", func(r reply) bool {
			return slices.Equal(r.ids(""), []string{"Patient/d3457d45-9085-4572-a78d-ed69c35d0d13", "Coverage/cov-d3457d45", "Practitioner/prov-66666", "Group/" + made[0]})
		}},
		"CapabilityStatement-Producer": {200, "CapabilityStatement", func(r reply) bool { return strings.Contains(r.raw, "confirm-attribution-list") }},
	}
	for _, q := range requests {
		w, ok := expected[q.name]
		if !ok {
			t.Errorf("%s: nothing is expected of it", q.name)
			continue
		}
		delete(expected, q.name)
		if strings.Contains(q.url, created) {
			q.url = strings.ReplaceAll(q.url, created, made[0])
		}
		switch path := strings.TrimPrefix(q.url, s.url); {
		case strings.HasPrefix(path, "/bulkdata/download/"):
			t.Logf("changed %s -> %s", path, file)
			q.url = file
		case strings.HasPrefix(path, "/bulkdata/"):
			t.Logf("changed %s -> %s", path, poll)
			q.url = poll
		}
		if u, err := url.Parse(q.url); err != nil || u.Host == "" {
			t.Fatalf("%s: %q: %v", q.name, q.url, err)
		}
		r := s.do(q.method, q.url, q.body, q.header...)
		if typ, _ := r.json["resourceType"].(string); r.status != w.status || typ != w.typ {
			t.Errorf("%s: %d %s, want %d %s: %.300s", q.name, r.status, typ, w.status, w.typ, r.raw)
			continue
		}
		if w.check != nil && !w.check(r) {
			t.Errorf("%s: the answer is not what it should be: %.500s", q.name, r.raw)
		}
		if w.typ == "OperationOutcome" || w.typ == "Bundle" && q.method == http.MethodGet {
			j.check(q.name, r.raw)
		}
	}
	for name := range expected {
		t.Errorf("the collection has no %q", name)
	}
	j.seen = only(j.seen, "OperationOutcome")
	j.report()
}

// only keeps the findings on a type: what the collection stores is as its author wrote it.
func only(seen map[string]string, typ string) map[string]string {
	out := map[string]string{}
	for kind, where := range seen {
		if strings.Contains(kind, " "+typ) {
			out[kind] = where
		}
	}
	return out
}
