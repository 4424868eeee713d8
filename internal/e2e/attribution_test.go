//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// attributionSetUp is what the requests of the member-attribution collection name by their author's ids and numbers.
var attributionSetUp = map[string]string{
	"Patient/d3457d45-9085-4572-a78d-ed69c35d0d13": `"identifier":[{"system":"http://hospital.smarthealthit.org","value":"786778"}],"name":[{"family":"A","given":["B"]}],"gender":"male","birthDate":"1980-01-01"`,
	"Patient/cms-2209":                           `"identifier":[{"system":"https://bluebutton.cms.gov/resources/variables/bene_id","value":"19990000002209"}],"name":[{"family":"C","given":["D"]}],"gender":"male","birthDate":"1980-01-01"`,
	"Practitioner/prov-66666":                    `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"66666"}],"name":[{"family":"E"}]`,
	"Practitioner/prov-33333":                    `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"33333"}],"name":[{"family":"F"}]`,
	"Group/a5b6880b-1cb7-46a1-a738-c9e6a1eaaddd": `"type":"person","actual":true,"managingEntity":{"reference":"Organization/pdex-Payor-Organization"}`,
	"Group/a80cec68-7518-429f-9f68-4ada6992700e": `"type":"person","actual":true,"managingEntity":{"reference":"Organization/pdex-Payor-Organization"},"member":[
		{"extension":[{"url":"http://hl7.org/fhir/us/davinci-atr/StructureDefinition/ext-attributedProvider","valueReference":{"reference":"Practitioner/prov-33333"}}],"entity":{"reference":"Patient/cms-2209"}},
		{"entity":{"reference":"Patient/999"}}]`,
}

// TestMemberAttributionCollection runs the collection with newman through the proxy. Its requests name another server and that
// server's ids, which are replaced as it is loaded; methods, headers and bodies stay as they are.
func TestMemberAttributionCollection(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(shared(t), "postman", "member-attribution.postman_collection.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "--demo")
	for path, rest := range attributionSetUp {
		typ, id, _ := strings.Cut(path, "/")
		body := `{"resourceType":"` + typ + `","id":"` + id + `",` + rest + `}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.reference+"/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/fhir+json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("PUT %s: %d", path, res.StatusCode)
		}
	}
	base := p.proxy + "/demo-client~reference/fhir"
	late := []string{"Polling Location", "Download ndjson url"} // their URLs come from answers
	changes := []string{"http://ecr.drajer.com/mal/fhir", base, "/_history/8", "/_history/1"}
	first := newman(t, part(t, src, func(name string) bool { return !slices.Contains(late, name) }, changes...))
	status := ""
	for _, e := range first.Run.Executions {
		want := map[string]int{
			"Create group": 201, "Create Patient": 201, "Create Practitioner": 201, "Create Coverage": 201, "Confirm-Attrobution-List": 201, "Group Export": 202,
		}[e.Item.Name]
		if want == 0 {
			want = http.StatusOK
		}
		if e.Response == nil || e.Response.Code != want {
			t.Errorf("%s: %+v, want %d", e.Item.Name, e.Response, want)
			continue
		}
		for _, h := range e.Response.Header {
			if e.Item.Name == "Group Export" && strings.EqualFold(h.Key, "Content-Location") {
				status = h.Value
			}
		}
	}
	if len(first.Run.Executions) != 13 || !strings.HasPrefix(status, base) {
		t.Fatalf("%d requests, Content-Location %q", len(first.Run.Executions), status)
	}
	file := firstFile(t, status)
	changes = []string{"http://ecr.drajer.com/mal/bulkdata/download/23/Patient.ndjson", file, "http://ecr.drajer.com/mal/bulkdata/23", status}
	second := newman(t, part(t, src, func(name string) bool { return slices.Contains(late, name) }, changes...))
	for _, e := range second.Run.Executions {
		if e.Response == nil || e.Response.Code != http.StatusOK {
			t.Errorf("%s: %+v", e.Item.Name, e.Response)
		}
	}
	if len(second.Run.Executions) != 2 {
		t.Errorf("%d requests after the export", len(second.Run.Executions))
	}
	for _, e := range p.exchanges(t, url.QueryEscape("channel:demo-client~reference"), 15) {
		if strings.Contains(e.URL, "/Group") && (e.Interaction.Kind == "other" || e.Interaction.Kind == "") {
			t.Errorf("%s %s is not classified", e.Method, e.URL)
		}
	}
}

// part writes the requests that keep picks, with texts in their URLs replaced, and logs what was. It gives the file's name.
func part(t *testing.T, src []byte, keep func(name string) bool, changes ...string) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(src, &doc); err != nil {
		t.Fatal(err)
	}
	var items []any
	for _, i := range doc["item"].([]any) {
		item := i.(map[string]any)
		if name, _ := item["name"].(string); !keep(name) {
			continue
		}
		request := item["request"].(map[string]any)
		raw, ok := request["url"].(string)
		if !ok {
			raw, _ = request["url"].(map[string]any)["raw"].(string)
		}
		next := strings.NewReplacer(changes...).Replace(raw)
		t.Logf("changed %s -> %s", raw, next)
		request["url"] = next
		items = append(items, item)
	}
	doc["item"] = items
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "collection.json")
	if err := os.WriteFile(name, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// firstFile waits for an export and gives the URL of its first file.
func firstFile(t *testing.T, status string) string {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		res, err := http.Get(status) //nolint:noctx // a test's
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Output []struct{ URL string } }
		err = json.NewDecoder(res.Body).Decode(&m)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			if err != nil || len(m.Output) == 0 {
				t.Fatalf("manifest: %v, %+v", err, m)
			}
			return m.Output[0].URL
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the export does not end")
	return ""
}
