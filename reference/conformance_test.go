package reference_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/collection"
	"fhirwire/reference/synth"
)

// clinical are the types that a payer searches by member, and one is to hold data of the fixed member.
var clinical = []string{
	"AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "Coverage", "Device", "DiagnosticReport", "DocumentReference", "Encounter",
	"ExplanationOfBenefit", "Goal", "Immunization", "MedicationDispense", "MedicationRequest", "Observation", "Procedure",
}

type statement struct {
	FHIRVersion  string
	Format       []string
	Instantiates []string
	Rest         []struct {
		Operation []struct{ Name, Definition string }
		Resource  []struct {
			Type             string
			SupportedProfile []string
			Interaction      []struct{ Code string }
			SearchParam      []struct{ Name, Type string }
			Operation        []struct{ Name, Definition string }
		}
	}
}

// The statement is readable, says what US Core and PDex ask for, and what it says is there: P2P-CAP-01, P2P-CAP-02, P2P-CAP-06,
// P2P-DAT-11, P2P-MM-02, P2P-MM-06, ATR-34, USC-CAP-01 to USC-CAP-04, USC-INT-01, FORM-GEN-02, FORM-GEN-04.
func TestStatementIsTrue(t *testing.T) {
	s := start(t, 0)
	r := s.get("/metadata", "Accept", "application/fhir+json")
	var c statement
	if err := json.Unmarshal([]byte(r.raw), &c); err != nil || r.status != 200 {
		t.Fatal(r.status, err)
	}
	if !strings.HasPrefix(r.header.Get("Content-Type"), "application/fhir+json") || c.FHIRVersion != "4.0.1" || !slices.Contains(c.Format, "json") {
		t.Errorf("%s, FHIR %s, formats %v", r.header.Get("Content-Type"), c.FHIRVersion, c.Format)
	}
	if !slices.Contains(c.Instantiates, "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server") {
		t.Errorf("instantiates %v", c.Instantiates)
	}
	uscore := 0
	for _, res := range c.Rest[0].Resource {
		for _, p := range res.SupportedProfile {
			if strings.Contains(p, "/us/core/") {
				uscore++
			}
		}
		codes := map[string]bool{}
		for _, i := range res.Interaction {
			codes[i.Code] = true
		}
		if !codes["read"] || !codes["search-type"] {
			t.Errorf("%s: interactions %v", res.Type, codes)
		}
		for _, p := range res.SearchParam {
			value := map[string]string{"date": "2020", "quantity": "1", "number": "1", "uri": "urn:x", "composite": "a$b"}[p.Type]
			if value == "" {
				value = "x"
			}
			// strict: a parameter that is announced and unknown would be refused
			if got := s.get("/"+res.Type+"?"+p.Name+"="+value+"&_count=1", "Prefer", "handling=strict"); got.status != 200 {
				t.Errorf("%s?%s: %d %.200s", res.Type, p.Name, got.status, got.raw)
			}
		}
		if res.Type != "Patient" {
			continue
		}
		for name, definition := range map[string]string{
			"member-match": "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match",
			"everything":   "http://hl7.org/fhir/OperationDefinition/Patient-everything",
			"export":       "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
		} {
			n := 0
			for _, o := range res.Operation {
				if o.Name == name && o.Definition == definition {
					n++
				}
			}
			if n != 1 {
				t.Errorf("operation %s is announced %d times", name, n)
			}
		}
	}
	if uscore < 20 {
		t.Errorf("%d US Core profiles", uscore)
	}
}

// Searches by member: P2P-DAT-04, P2P-DAT-16, P2P-DAT-17, USC-SRCH-01, USC-SRCH-06, FORM-SP-38.
func TestSearchByMember(t *testing.T) {
	s := start(t, 0)
	for _, typ := range clinical {
		byID := s.get("/" + typ + "?patient=999&_count=1000")
		ids := byID.ids("")
		if byID.status != 200 || byID.json["type"] != "searchset" || byID.link("self") == "" || len(ids) == 0 {
			t.Errorf("%s: %d, %d resources", typ, byID.status, len(ids))
		}
		for i, id := range ids {
			if !strings.HasPrefix(id, typ+"/") {
				t.Errorf("%s: %s was not asked for", typ, id)
			}
			res := byID.json["entry"].([]any)[i].(map[string]any)["resource"].(map[string]any)
			if text := string(mustJSON(t, res)); !strings.Contains(text, `"Patient/999"`) {
				t.Errorf("%s is not about the member", id)
			}
		}
		if other := s.get("/" + typ + "?patient=Patient/999&_count=1000").ids(""); !slices.Equal(other, ids) {
			t.Errorf("%s: patient=Patient/999 finds %d, patient=999 %d", typ, len(other), len(ids))
		}
		if posted := s.do("POST", "/"+typ+"/_search", "patient=999&_count=1000", "Content-Type", "application/x-www-form-urlencoded").ids(""); !slices.Equal(posted, ids) {
			t.Errorf("%s: by POST %d, by GET %d", typ, len(posted), len(ids))
		}
	}
}

// USC-SRCH-02 to USC-SRCH-05, USC-SRCH-07, USC-SRCH-09.
func TestSearchCombinations(t *testing.T) {
	s := start(t, 0)
	const requests = "/MedicationRequest?patient=999&_count=1000"
	all := s.get(requests).ids("match")
	intents := map[string][]string{}
	for _, intent := range []string{"order", "plan"} {
		intents[intent] = s.get(requests + "&intent=" + intent).ids("match")
	}
	if len(intents["order"]) == 0 || len(intents["plan"]) == 0 || len(intents["order"])+len(intents["plan"]) != len(all) {
		t.Errorf("%d orders and %d plans of %d", len(intents["order"]), len(intents["plan"]), len(all))
	}
	if both := s.get(requests + "&intent=order,plan").ids("match"); !slices.Equal(both, all) { // USC-SRCH-02
		t.Errorf("order,plan finds %d of %d", len(both), len(all))
	}
	if none := s.get(requests + "&intent=order&intent=plan"); none.status != 200 || none.json["total"] != 0.0 { // USC-SRCH-03, USC-SRCH-09
		t.Errorf("order and plan: %d %v", none.status, none.json["total"])
	}
	statuses := 0
	for _, status := range []string{"active", "completed", "stopped", "on-hold", "cancelled", "entered-in-error", "draft", "unknown"} { // USC-SRCH-07
		statuses += len(s.get(requests + "&status=" + status).ids("match"))
	}
	if statuses != len(all) {
		t.Errorf("%d by status, %d in all: a search hides some", statuses, len(all))
	}
	if got := s.get(requests + "&_include=MedicationRequest:medication").ids("include"); len(got) == 0 || !strings.HasPrefix(got[0], "Medication/") { // USC-SRCH-05
		t.Errorf("medications included: %v", got)
	}
	first := strings.TrimPrefix(all[0], "MedicationRequest/")
	for _, path := range []string{requests + "&_revinclude=Provenance:target", "/MedicationRequest?_id=" + first + "&_revinclude=Provenance:target"} { // USC-SRCH-04
		if got := s.get(path).ids("include"); len(got) == 0 || !strings.HasPrefix(got[0], "Provenance/") {
			t.Errorf("%s: included %v", path, got)
		}
	}
}

// Search, $everything and export give the same of a member: P2P-DAT-01, P2P-DAT-03, P2P-DAT-08, P2P-DAT-18. Everything has a
// Provenance that names the plan as transmitter: P2P-PRV-01, P2P-PRV-02, P2P-PRV-05, BULK-KO-14.
func TestThreeMethodsGiveTheSame(t *testing.T) {
	s := start(t, 0)
	everything := map[string]map[string]any{}
	for path := "/Patient/999/$everything?_count=100"; path != ""; {
		r := s.get(path)
		if r.status != 200 {
			t.Fatal(r.status, r.raw)
		}
		for _, e := range r.json["entry"].([]any) {
			res := e.(map[string]any)["resource"].(map[string]any)
			everything[res["resourceType"].(string)+"/"+res["id"].(string)] = res
		}
		path = r.link("next")
	}
	searched := 0
	for _, typ := range clinical {
		for _, id := range s.get("/" + typ + "?patient=999&_count=1000").ids("match") {
			if searched++; everything[id] == nil {
				t.Errorf("%s is found by search and not in $everything", id)
			}
		}
	}
	exported := map[string]bool{}
	body := `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/999"}}]}`
	kick := s.do("POST", "/Patient/$export", body, "Content-Type", "application/fhir+json", "Prefer", "respond-async")
	if kick.status != 202 {
		t.Fatal(kick.status, kick.raw)
	}
	for _, file := range s.wait(kick.header.Get("Content-Location")).files("output") {
		for line := range strings.Lines(s.get(file).raw) {
			r := number(t, []byte(line))
			exported[r["resourceType"].(string)+"/"+r["id"].(string)] = true
		}
	}
	patients, targets := 0, map[string]bool{}
	for id, res := range everything {
		typ, _, _ := strings.Cut(id, "/")
		switch typ {
		case "Patient":
			patients++
		case "Provenance":
			agents := string(mustJSON(t, res["agent"]))
			if !strings.Contains(agents, `"transmitter"`) || !strings.Contains(agents, `"Organization/`+synth.PayerID+`"`) {
				t.Errorf("%s names no transmitter: %s", id, agents)
			}
			for _, target := range res["target"].([]any) {
				targets[target.(map[string]any)["reference"].(string)] = true
			}
		}
		if (slices.Contains(clinical, typ) || typ == "Provenance") && !exported[id] {
			t.Errorf("%s is in $everything and not exported", id)
		}
	}
	for id := range exported {
		if strings.HasPrefix(id, "Binary/") { // BULK-KO-12
			t.Errorf("%s is exported beside its DocumentReference", id)
		}
	}
	for id := range everything {
		if typ, _, _ := strings.Cut(id, "/"); slices.Contains(clinical, typ) && typ != "Coverage" && !targets[id] {
			t.Errorf("%s has no Provenance", id)
		}
	}
	if patients != 1 || searched < 50 {
		t.Errorf("%d patients, %d resources searched", patients, searched)
	}
}

// P2P-MM-01, P2P-MM-03: the match is an operation on the type, by POST; it returns one identifier (P2P-MM-20).
func TestMatchIsAPost(t *testing.T) {
	s := start(t, 0)
	for path, want := range map[string]int{"/Patient/$member-match": 405, "/Patient/999/$member-match": 404, "/$member-match": 404} {
		if r := s.get(path); r.status != want || r.json["resourceType"] != "OperationOutcome" {
			t.Errorf("GET %s: %d, want %d", path, r.status, want)
		}
	}
	c, err := collection.For(collection.PayerToPayer, s.url)
	if err != nil {
		t.Fatal(err)
	}
	body := c.Requests[slices.IndexFunc(c.Requests, func(r collection.Request) bool { return r.Name == "One member matches" })].Body
	r := s.do("POST", "/Patient/$member-match", body, "Content-Type", "application/fhir+json")
	if list, _ := r.json["parameter"].([]any); r.status != 200 || len(list) != 1 || !strings.Contains(r.raw, `"cmu-90417"`) {
		t.Errorf("%d %s", r.status, r.raw)
	}
}

// P2P-DAT-13, ATR-47: 400, 404 and 410 with their outcomes; 401 and 403 are the guard's.
func TestErrorClasses(t *testing.T) {
	s := start(t, 0)
	if r := s.do("PUT", "/Organization/gone", `{"resourceType":"Organization","id":"gone","name":"Gone"}`, "Content-Type", "application/fhir+json"); r.status != 201 {
		t.Fatal(r.status, r.raw)
	}
	s.do("DELETE", "/Organization/gone", "")
	for path, want := range map[string]int{
		"/Patient?birthdate=yesterday": 400,
		"/Patient/nobody":              404,
		"/Unheard/1":                   404,
		"/Organization/gone":           410,
	} {
		if r := s.get(path); r.status != want || r.json["resourceType"] != "OperationOutcome" || len(r.json["issue"].([]any)) == 0 {
			t.Errorf("%s: %d %.200s", path, r.status, r.raw)
		}
	}
}

// The steps of an export, from kick-off to deletion: P2P-DAT-151 to P2P-DAT-154, FORM-BLK-50 to FORM-BLK-53, FORM-BLK-56 to
// FORM-BLK-58, BULK-KO-01, BULK-MF-01 to BULK-MF-04, BULK-DEL-01, BULK-DEL-02, BULK-DEL-04, BULK-FI-01, BULK-FI-04 to
// BULK-FI-07, BULK-INC-08, BULK-KO-16, BULK-ST-10.
func TestExportProtocol(t *testing.T) {
	s := start(t, 1)
	before := time.Now().Add(-time.Second)
	change := func(method, path, body string, want int) {
		t.Helper()
		if r := s.do(method, path, body, "Content-Type", "application/fhir+json"); r.status != want {
			t.Fatalf("%s %s: %d %s", method, path, r.status, r.raw)
		}
	}
	goal := func(text string) string {
		return `{"resourceType":"Goal","id":"g1","lifecycleStatus":"active","description":{"text":"` + text + `"},"subject":{"reference":"Patient/999"}}`
	}
	change("PUT", "/Goal/g1", goal("first"), 201)
	change("PUT", "/Goal/g1", goal("second"), 200)
	change("PUT", "/Goal/g2", strings.Replace(goal("deleted"), "g1", "g2", 1), 201)
	change("DELETE", "/Goal/g2", "", 204)
	since := url.QueryEscape(before.UTC().Format(time.RFC3339))

	for _, accept := range []string{"application/fhir+json", "*/*", "application/json", ""} { // BULK-KO-01
		header := []string{"Prefer", "respond-async"}
		if accept != "" {
			header = append(header, "Accept", accept)
		}
		kick := s.get("/Patient/$export?_type=Goal&_outputFormat=application%2Ffhir%2Bndjson", header...)
		if status := kick.header.Get("Content-Location"); kick.status != 202 || !strings.HasPrefix(status, "http") {
			t.Errorf("Accept %q: %d, status at %q", accept, kick.status, status)
		}
	}
	kickoff := "/Patient/$export?_type=Goal,Nothing&_since=" + since
	kick := s.get(kickoff, "Prefer", "respond-async, handling=lenient")
	status := kick.header.Get("Content-Location")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		r := s.get(status, "Accept", "application/json")
		if r.status == 200 {
			break
		}
		if r.status != 202 || len(r.header.Get("X-Progress")) > 100 || r.header.Get("Retry-After") == "" { // FORM-BLK-50
			t.Fatalf("poll: %d %v", r.status, r.header)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r := s.get(status, "Accept", "application/json")
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") || r.header.Get("Expires") == "" { // FORM-BLK-51
		t.Fatalf("%d %v %s", r.status, r.header, r.raw)
	}
	for _, key := range []string{"transactionTime", "request", "requiresAccessToken", "output", "error"} { // BULK-MF-01
		if _, ok := r.json[key]; !ok {
			t.Errorf("manifest without %s", key)
		}
	}
	at, err := time.Parse(time.RFC3339, r.json["transactionTime"].(string))
	if err != nil || at.Before(before) || r.json["request"] != s.url+kickoff || r.json["requiresAccessToken"] != false {
		t.Errorf("%v %v", err, r.raw)
	}
	if notes := r.files("error"); len(notes) != 1 || !strings.Contains(s.get(notes[0]).raw, "Nothing") { // FORM-BLK-53
		t.Errorf("error files %v", notes)
	}
	for list, has := range map[string]string{"output": `"second"`, "deleted": `"url":"Goal/g2"`} {
		files := r.files(list)
		if len(files) != 1 || !strings.HasPrefix(files[0], s.url) { // BULK-MF-02
			t.Fatalf("%s: %v", list, files)
		}
		file := s.get(files[0], "Accept", "application/fhir+ndjson") // BULK-FI-04: without a token
		if file.status != 200 || file.header.Get("Content-Type") != "application/fhir+ndjson" || !strings.Contains(file.raw, has) {
			t.Errorf("%s: %d %s %s", files[0], file.status, file.header.Get("Content-Type"), file.raw)
		}
		if list == "output" && (strings.Count(file.raw, "\n") != 1 || strings.Contains(file.raw, "first") || strings.Contains(file.raw, "g2")) { // BULK-KO-16, BULK-MF-04
			t.Errorf("more than the newest version: %s", file.raw)
		}
		if list == "deleted" {
			line := number(t, []byte(file.raw)) // BULK-INC-08
			if line["type"] != "transaction" || !strings.Contains(file.raw, `"method":"DELETE"`) {
				t.Errorf("deleted: %s", file.raw)
			}
		}
	}
	big := s.wait(s.get("/Patient/$export?_type=ExplanationOfBenefit").header.Get("Content-Location")).files("output")[0]
	zipped := s.get(big, "Accept-Encoding", "gzip")
	if zipped.header.Get("Content-Encoding") != "gzip" || len(zipped.raw) >= len(s.get(big, "Accept-Encoding", "identity").raw) { // BULK-FI-06
		t.Errorf("gzip: %v", zipped.header)
	}
	if r := s.get(big + "-none"); r.status != 404 { // BULK-FI-07
		t.Errorf("a file that is none: %d", r.status)
	}
	if r := s.do(http.MethodDelete, status, ""); r.status != 202 { // BULK-DEL-01
		t.Errorf("DELETE: %d", r.status)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} { // BULK-DEL-02, BULK-DEL-04
		if r := s.do(method, status, ""); r.status != 404 || r.json["resourceType"] != "OperationOutcome" {
			t.Errorf("%s after DELETE: %d %s", method, r.status, r.raw)
		}
	}
}

// FORM-DM-02, FORM-DM-04: each item's tier and benefit types have their costs in the plan, and only there.
func TestCostsJoin(t *testing.T) {
	s := start(t, 0)
	costs := map[string]bool{}
	plan := s.get("/InsurancePlan/" + synth.PlanID).json
	first := func(v any) string {
		return v.(map[string]any)["coding"].([]any)[0].(map[string]any)["code"].(string)
	}
	for _, c := range plan["plan"].([]any)[0].(map[string]any)["specificCost"].([]any) {
		cost := c.(map[string]any)
		for _, b := range cost["benefit"].([]any) {
			benefit := b.(map[string]any)
			if len(benefit["cost"].([]any)) > 0 {
				costs[first(cost["category"])+" "+first(benefit["type"])] = true
			}
		}
	}
	for _, id := range synth.FormularyIDs() {
		if s.get("/InsurancePlan/" + id).json["plan"] != nil {
			t.Errorf("formulary %s has costs", id)
		}
	}
	entries := s.get(query("/Basic?" + items + "&_count=1000")).json["entry"].([]any)
	for _, e := range entries {
		item := e.(map[string]any)["resource"].(map[string]any)
		var tier string
		var benefits []string
		for _, x := range item["extension"].([]any) {
			switch ext := x.(map[string]any); ext["url"] {
			case usdf + "DrugTierID-extension":
				tier = first(ext["valueCodeableConcept"])
			case usdf + "PharmacyBenefitType-extension":
				benefits = append(benefits, first(ext["valueCodeableConcept"]))
			}
		}
		for _, b := range benefits {
			if !costs[b+" "+tier] {
				t.Errorf("%s: no cost for %s %s among %v", item["id"], b, tier, slices.Sorted(maps.Keys(costs)))
			}
		}
	}
	if len(entries) != 45 {
		t.Errorf("%d items", len(entries))
	}
}
