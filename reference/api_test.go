package reference_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestSearchSemantics(t *testing.T) {
	s := start(t, 0)
	put := func(path, body string) {
		t.Helper()
		if r := s.do(http.MethodPut, path, body); r.status != 201 {
			t.Fatalf("PUT %s: %d %s", path, r.status, r.raw)
		}
	}
	put("/Patient/t1", `{"resourceType":"Patient","id":"t1","identifier":[{"system":"urn:x","value":"a|b"},{"value":"nosys"}],"name":[{"family":"Ñandú","given":["Ana María"]}],"gender":"female","birthDate":"1980-05"}`)
	put("/Patient/t2", `{"resourceType":"Patient","id":"t2","name":[{"family":"Nandoo"}],"gender":"male","birthDate":"1980-05-17"}`)
	put("/Organization/o1", `{"resourceType":"Organization","id":"o1","name":"Zebra, Inc"}`)
	obs := func(id, subject, when, code, value string) {
		put("/Observation/"+id, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","category":[{"coding":[{"system":"http://c","code":"zz-cat"}]}],"code":{"coding":[{"system":"http://s1","code":%q},{"system":"http://s2","code":%q}]},"subject":{"reference":%q},%s,%s}`,
			id, code, code, subject, when, value))
	}
	obs("ob1", "Patient/t1", `"effectiveDateTime":"2020-03-01T10:00:00Z"`, "k1", `"valueQuantity":{"value":5.4,"system":"http://unitsofmeasure.org","code":"mg"}`)
	obs("ob2", "Patient/t1", `"effectivePeriod":{"start":"2020-02-01","end":"2020-04-01"}`, "k1", `"valueQuantity":{"value":7,"unit":"mg"}`)
	obs("ob3", "Patient/t2", `"effectiveDateTime":"2021"`, "k2", `"valueString":"x"`)
	obs("ob4", "Group/g1", `"effectiveDateTime":"2021-06-01"`, "k2", `"valueString":"x"`)
	mine := func(r reply) string {
		var out []string
		for _, id := range r.ids("match") {
			_, id, _ = strings.Cut(id, "/")
			if len(id) <= 3 {
				out = append(out, id)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, tt := range []struct{ query, want string }{
		// token
		{"Patient?identifier=urn:x%7Ca%5C%7Cb", "t1"},
		{"Patient?identifier=%7Cnosys", "t1"},
		{"Patient?identifier=urn:x%7C", "t1"},
		{"Patient?identifier=urn:y%7Cnosys", ""},
		{"Patient?name=nan&gender=http://hl7.org/fhir/administrative-gender%7Cmale", "t2"},
		{"Patient?name=nan&gender:not=male", "t1"},
		{"Patient?name=nan&gender=male,female", "t1 t2"},
		{"Observation?code=k1", "ob1 ob2"},
		{"Observation?code=http://s2%7Ck1", "ob1 ob2"},
		{"Observation?category=zz-cat&code=k2&patient=t2", "ob3"},
		{"Observation?category=zz-cat&code:missing=false&value-quantity:missing=true", "ob3 ob4"},
		// string
		{"Patient?family=nandu", "t1"},
		{"Patient?family:exact=Nandoo", "t2"},
		{"Patient?family:exact=nandoo", ""},
		{"Patient?family:contains=AND", "t1 t2"},
		{"Patient?given=ana%20mar", "t1"},
		{"Organization?name=Zebra%5C,%20inc", "o1"},
		{"Organization?name=Zebra,nothing", "o1"},
		// reference
		{"Observation?patient=Patient/t1", "ob1 ob2"},
		{"Observation?patient=" + s.url + "/Patient/t1", "ob1 ob2"},
		{"Observation?patient=t1,t2", "ob1 ob2 ob3"},
		{"Observation?subject=Group/g1", "ob4"},
		{"Observation?subject:Group=g1", "ob4"},
		{"Observation?subject:Patient=t2", "ob3"},
		{"Observation?patient=Practitioner/t1", ""},
		{"Observation?patient.family=nandoo", "ob3"},
		{"Observation?subject:Patient.birthdate=1980-05&code=k1", "ob1 ob2"},
		{"Observation?patient:missing=true&category=zz-cat", "ob4"},
		// date, the R4 table: ob1 an instant, ob2 two months, ob3 a year, ob4 a day
		{"Observation?category=zz-cat&date=2020-03", "ob1"},
		{"Observation?category=zz-cat&date=2020", "ob1 ob2"},
		{"Observation?category=zz-cat&date=2020-03-01T10:00:00Z", "ob1"},
		{"Observation?category=zz-cat&date=2020-03-01T11:00:00%2B01:00", "ob1"},
		{"Observation?category=zz-cat&date=2020-03-01T11:00:00+01:00", "ob1"},
		{"Observation?category=zz-cat&date=ne2020", "ob3 ob4"},
		{"Observation?category=zz-cat&date=gt2020-03-15", "ob2 ob3 ob4"},
		{"Observation?category=zz-cat&date=lt2020-03-01", "ob2"},
		{"Observation?category=zz-cat&date=ge2020-03-01&date=lt2021", "ob1 ob2"},
		{"Observation?category=zz-cat&date=ge2020-03-01&date=le2020-12-31", "ob1 ob2"},
		{"Observation?category=zz-cat&date=le2020-02-15", "ob2"},
		{"Observation?category=zz-cat&date=sa2020-12-31", "ob3 ob4"},
		{"Observation?category=zz-cat&date=eb2020-04-01", "ob1"},
		{"Observation?category=zz-cat&date=ap2021-06", "ob3 ob4"},
		{"Patient?birthdate=1980-05", "t1 t2"},
		{"Patient?birthdate=1980-05-17", "t2"},
		// quantity
		{"Observation?category=zz-cat&value-quantity=5.4", "ob1"},
		{"Observation?category=zz-cat&value-quantity=5", "ob1"},
		{"Observation?category=zz-cat&value-quantity=5.0", ""},
		{"Observation?category=zz-cat&value-quantity=7", "ob2"},
		{"Observation?category=zz-cat&value-quantity=ge5.4%7Chttp://unitsofmeasure.org%7Cmg", "ob1"},
		{"Observation?category=zz-cat&value-quantity=gt6", "ob2"},
		{"Observation?category=zz-cat&value-quantity=ap7.5%7C%7Cmg", "ob2"},
		// the resource itself
		{"Observation?_id=ob1,ob4", "ob1 ob4"},
		{"Observation?category=zz-cat&_lastUpdated=gt2100", ""},
		{"Observation?category=zz-cat&_lastUpdated=gt2020", "ob1 ob2 ob3 ob4"},
		{"Patient?_id=t1&gender=", "t1"},
	} {
		r := s.get("/" + tt.query)
		if got := mine(r); r.status != 200 || got != tt.want {
			t.Errorf("%s: status %d, found %q, want %q", tt.query, r.status, got, tt.want)
		}
		typ, q, _ := strings.Cut(tt.query, "?")
		post := s.do(http.MethodPost, "/"+typ+"/_search", q, "Content-Type", "application/x-www-form-urlencoded")
		if got := mine(post); post.status != 200 || got != tt.want {
			t.Errorf("POST %s: status %d, found %q, want %q", tt.query, post.status, got, tt.want)
		}
	}
	sorted := func(query string) string { return strings.Join(s.get("/"+query).ids("match"), " ") }
	for _, tt := range []struct{ query, want string }{
		{"Observation?category=zz-cat&_sort=date", "Observation/ob2 Observation/ob1 Observation/ob3 Observation/ob4"},
		{"Observation?category=zz-cat&_sort=-_id", "Observation/ob4 Observation/ob3 Observation/ob2 Observation/ob1"},
		{"Observation?category=zz-cat&_sort=-code,_id", "Observation/ob3 Observation/ob4 Observation/ob1 Observation/ob2"},
	} {
		if got := sorted(tt.query); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.query, got, tt.want)
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	s := start(t, 0)
	for _, tt := range []struct {
		path   string
		prefer string
		status int
		code   string
	}{
		{"/Patient?birthdate=17.5.1980", "", 400, "invalid"},
		{"/Patient?birthdate=1980-02-30", "", 400, "invalid"},
		{"/Observation?patient=a%20b", "", 400, "invalid"},
		{"/Observation?value-quantity=many", "", 400, "invalid"},
		{"/Observation?patient=999&_count=x", "", 400, "invalid"},
		{"/Patient?gender:exact=male", "", 400, "not-supported"},
		{"/Patient?name:missing=maybe", "", 400, "invalid"},
		{"/Patient?_summary=some", "", 400, "invalid"},
		{"/Patient?_total=some", "", 400, "invalid"},
		{"/Patient?gender=male,,female", "", 400, "invalid"},
		{"/Patient?_cursor=%21", "", 400, "invalid"},
		{"/Patient?nonsense=1", "handling=strict", 400, "not-supported"},
		{"/Patient?_sort=nonsense", "respond-async, Handling = strict", 400, "not-supported"},
		{"/Patient?_include=Patient:nonsense", "handling=strict", 400, "not-supported"},
		{"/Nonsense?a=b", "", 404, "not-supported"},
		{"/Patient?_filter=name%20eq%20a", "", 400, "not-supported"},
		{"/Patient?_text=a", "", 400, "not-supported"},
		{"/Patient?_content=a", "", 400, "not-supported"},
		{"/Patient?_list=$current-allergies", "", 400, "not-supported"},
		{"/Patient?_query=a", "", 400, "not-supported"},
		{"/Condition?code:text=a", "", 400, "not-supported"},
		{"/Condition?code:in=http://a", "", 400, "not-supported"},
		{"/Condition?code:not-in=http://a", "", 400, "not-supported"},
		{"/Condition?code:above=a", "", 400, "not-supported"},
		{"/Patient?name=%zz", "", 400, "invalid"},
	} {
		r := s.get(tt.path, "Prefer", tt.prefer)
		if got := issueCode(r); r.status != tt.status || got != tt.code {
			t.Errorf("%s: %d %s, want %d %s: %s", tt.path, r.status, got, tt.status, tt.code, r.raw)
		}
	}
	r := s.get("/Patient?nonsense=1&_sort=nonsense&name=Von")
	if r.status != 200 || r.link("self") != s.url+"/Patient?name=Von" {
		t.Errorf("lenient search: %d, self %s", r.status, r.link("self"))
	}
}

func issueCode(r reply) string {
	issues, _ := r.json["issue"].([]any)
	if r.json["resourceType"] != "OperationOutcome" || len(issues) == 0 {
		return "no OperationOutcome"
	}
	return issues[0].(map[string]any)["code"].(string)
}

func TestPagesNeitherRepeatNorSkip(t *testing.T) {
	s := start(t, 3)
	for _, path := range []string{"/Observation?_count=37", "/Observation?patient=999&_count=7", "/Observation?category=laboratory&_count=50&_sort=-date", "/Patient?gender=female,male&_count=2"} {
		whole := s.get(strings.Split(path, "_count")[0] + "_count=1000" + func() string {
			if i := strings.Index(path, "&_sort"); i >= 0 {
				return path[i:]
			}
			return ""
		}())
		var got []string
		total := -1.0
		next := path
		for page := 0; next != ""; page++ {
			r := s.get(next)
			if r.status != 200 {
				t.Fatalf("%s: %d %s", next, r.status, r.raw)
			}
			if n, ok := r.json["total"].(float64); ok {
				if total >= 0 && n != total {
					t.Errorf("%s: total changed from %v to %v", path, total, n)
				}
				total = n
			}
			if page == 0 { // a newcomer does not come into a search that runs
				s.do(http.MethodPost, "/Observation", `{"resourceType":"Observation","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"text":"new"},"subject":{"reference":"Patient/999"}}`)
			}
			got = append(got, r.ids("match")...)
			next = r.link("next")
			if page > 500 {
				t.Fatal("no end")
			}
		}
		want := whole.ids("match")
		if whole.link("next") != "" {
			want = append(want, func() (rest []string) {
				for next := whole.link("next"); next != ""; {
					r := s.get(next)
					rest, next = append(rest, r.ids("match")...), r.link("next")
				}
				return rest
			}()...)
			want = want[:min(len(want), len(got))]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d by pages, %d at once", path, len(got), len(want))
		}
	}
}

func TestIncludes(t *testing.T) {
	s := start(t, 1)
	r := s.get("/ExplanationOfBenefit?patient=999&_count=1&_include=ExplanationOfBenefit:patient&_include=ExplanationOfBenefit:coverage&_revinclude=Provenance:target")
	inc := r.ids("include")
	if len(r.ids("match")) != 1 || !slices.Contains(inc, "Patient/999") || !slices.ContainsFunc(inc, func(s string) bool { return strings.HasPrefix(s, "Coverage/") }) {
		t.Errorf("includes %v", inc)
	}
	if !slices.ContainsFunc(inc, func(s string) bool { return strings.HasPrefix(s, "Provenance/") }) {
		t.Errorf("no Provenance in %v", inc)
	}
	seen := map[string]bool{}
	for _, id := range r.ids("") {
		if seen[id] {
			t.Errorf("%s comes twice", id)
		}
		seen[id] = true
	}
}

func TestEverythingHasEachResourceOnce(t *testing.T) {
	s := start(t, 2)
	seen := map[string]int{}
	var patients, pages int
	for next := "/Patient/999/$everything?_count=25"; next != ""; pages++ {
		r := s.get(next)
		if r.status != 200 {
			t.Fatalf("%s: %d %s", next, r.status, r.raw)
		}
		for _, id := range r.ids("") {
			seen[id]++
			if strings.HasPrefix(id, "Patient/") {
				patients++
			}
		}
		next = r.link("next")
	}
	if pages < 3 || patients != 1 {
		t.Errorf("%d pages, %d patients", pages, patients)
	}
	types := map[string]bool{}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s comes %d times", id, n)
		}
		typ, _, _ := strings.Cut(id, "/")
		types[typ] = true
	}
	for _, typ := range []string{"Observation", "Practitioner", "Organization", "Provenance", "Coverage", "Encounter"} {
		if !types[typ] {
			t.Errorf("no %s", typ)
		}
	}
	only := s.get("/Patient/999/$everything?_type=Condition,Goal")
	for _, id := range only.ids("") {
		if !strings.HasPrefix(id, "Condition/") && !strings.HasPrefix(id, "Goal/") {
			t.Errorf("_type lets %s through", id)
		}
	}
	if r := s.get("/Patient/nobody/$everything"); r.status != 404 || issueCode(r) != "not-found" {
		t.Errorf("unknown patient: %d", r.status)
	}
	if r := s.do(http.MethodDelete, "/Patient/999/$everything", ""); r.status != 405 {
		t.Errorf("DELETE: %d", r.status)
	}
}

func TestVersions(t *testing.T) {
	s := start(t, 0)
	const body = `{"resourceType":"Patient","name":[{"family":"First"}],"meta":{"tag":[{"code":"keep"}],"versionId":"77"}}`
	r := s.do(http.MethodPost, "/Patient", body, "Content-Type", "application/fhir+json")
	location := r.header.Get("Location")
	if r.status != 201 || !strings.HasPrefix(location, s.url+"/Patient/") || !strings.HasSuffix(location, "/_history/1") {
		t.Fatalf("create: %d Location %q", r.status, location)
	}
	id := r.json["id"].(string)
	path := "/Patient/" + id
	v2 := strings.Replace(body, "First", "Second", 1)
	if r := s.do(http.MethodPut, path, v2); r.status != 400 {
		t.Errorf("update without an id in the body: %d", r.status)
	}
	v2 = strings.Replace(v2, `"Patient",`, `"Patient","id":"`+id+`",`, 1)
	if r := s.do(http.MethodPut, path, v2, "If-Match", `W/"9"`); r.status != 412 || issueCode(r) != "conflict" {
		t.Errorf("update of another version: %d", r.status)
	}
	if r := s.do(http.MethodPut, path, v2, "If-Match", `W/"1"`); r.status != 200 || r.header.Get("ETag") != `W/"2"` {
		t.Errorf("update: %d %s", r.status, r.raw)
	}
	if got := s.get("/Patient?family=first").ids("match"); len(got) != 0 {
		t.Errorf("the old name still finds %v", got)
	}
	if got := s.get("/Patient?family=second&_tag=keep").ids("match"); len(got) != 1 {
		t.Errorf("the new name finds %v", got)
	}
	read := s.get(path)
	meta := read.json["meta"].(map[string]any)
	if meta["versionId"] != "2" || read.header.Get("Last-Modified") == "" {
		t.Errorf("meta %v", meta)
	}
	if r := s.get(path, "If-None-Match", read.header.Get("ETag")); r.status != 304 || r.raw != "" {
		t.Errorf("conditional read: %d", r.status)
	}
	if r := s.get(path + "/_history/1"); r.status != 200 || !strings.Contains(r.raw, "First") {
		t.Errorf("vread: %d", r.status)
	}
	if r := s.get(path + "/_history/9"); r.status != 404 {
		t.Errorf("vread of nothing: %d", r.status)
	}
	if r := s.do(http.MethodDelete, path, ""); r.status != 204 {
		t.Errorf("delete: %d", r.status)
	}
	if r := s.get(path); r.status != 410 || issueCode(r) != "deleted" {
		t.Errorf("read of deleted: %d", r.status)
	}
	if r := s.get("/Patient?family=second"); len(r.ids("match")) != 0 {
		t.Error("a deleted resource is found")
	}
	if r := s.get(path + "/_history"); len(r.json["entry"].([]any)) != 3 {
		t.Errorf("history %s", r.raw)
	}
	if r := s.do(http.MethodPut, path, v2); r.status != 201 {
		t.Errorf("create anew: %d", r.status)
	}
	if r := s.do(http.MethodPost, "/Patient", body, "If-None-Exist", "family=second"); r.status != 200 {
		t.Errorf("conditional create: %d %s", r.status, r.raw)
	}
	if r := s.do(http.MethodPost, "/Patient", body, "Prefer", "return=minimal"); r.status != 201 || r.raw != "" {
		t.Errorf("return=minimal: %d %q", r.status, r.raw)
	}
}

func TestHTTP(t *testing.T) {
	s := start(t, 0)
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"xml", "GET", "/Patient/999", "", []string{"Accept", "application/fhir+xml"}, 406, "not-supported"},
		{"_format", "GET", "/Patient/999?_format=xml", "", nil, 406, "not-supported"},
		{"_format json", "GET", "/Patient/999?_format=application/fhir%2Bjson", "", []string{"Accept", "text/html"}, 200, ""},
		{"browser", "GET", "/Patient/999", "", []string{"Accept", "text/html,application/xml;q=0.9,*/*;q=0.8"}, 200, ""},
		{"xml body", "POST", "/Patient", "<Patient/>", []string{"Content-Type", "application/fhir+xml"}, 415, "not-supported"},
		{"not JSON", "POST", "/Patient", "{", nil, 400, "structure"},
		{"wrong type", "POST", "/Patient", `{"resourceType":"Group"}`, nil, 400, "structure"},
		{"PUT on the statement", "PUT", "/metadata", "{}", nil, 405, "not-supported"},
		{"not wanted", "GET", "/Patient/999", "", []string{"Accept", "application/fhir+json;q=0, application/fhir+xml"}, 406, "not-supported"},
		{"second choice", "GET", "/Patient/999", "", []string{"Accept", "application/fhir+xml, application/fhir+json;q=0.1"}, 200, ""},
		{"POST on an instance", "POST", "/Patient/999", "{}", nil, 405, "not-supported"},
		{"unknown operation", "GET", "/Patient/$nothing", "", nil, 404, "not-supported"},
		{"wrong verb for an operation", "GET", "/Patient/$member-match", "", nil, 405, "not-supported"},
		{"trailing slash", "GET", "/Patient/999/", "", nil, 404, ""},
		{"another well-known path", "GET", "/.well-known/udap", "", nil, 404, "not-supported"},
		{"path is escaped", "GET", "/Patient/%2e%2e%2f999", "", nil, 404, "not-found"},
		{"form", "POST", "/Patient/_search", "{}", []string{"Content-Type", "application/json"}, 415, "not-supported"},
		{"document", "POST", "", `{"resourceType":"Bundle","type":"document"}`, nil, 400, "value"},
	} {
		r := s.do(tt.method, tt.path, tt.body, tt.header...)
		if r.status != tt.status || tt.code != "" && issueCode(r) != tt.code {
			t.Errorf("%s: %d %s, want %d %s: %.200s", tt.name, r.status, issueCode(r), tt.status, tt.code, r.raw)
		}
		if r.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", tt.name)
		}
	}
	if r := s.do(http.MethodHead, "/Patient/999", ""); r.status != 200 || r.raw != "" || r.header.Get("ETag") == "" {
		t.Errorf("HEAD: %d", r.status)
	}
	if r := s.do(http.MethodOptions, "/Patient/999", "", "Origin", "http://x", "Access-Control-Request-Method", "PUT"); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS: %d %v", r.status, r.header)
	}
	if r := s.get("/Patient?_count=20", "Accept-Encoding", "gzip"); r.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("no gzip: %v", r.header)
	}
}

func TestBatch(t *testing.T) {
	s := start(t, 0)
	r := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"batch","entry":[
		{"request":{"method":"GET","url":"Patient/999"}},
		{"request":{"method":"GET","url":"Patient?identifier=99999"}},
		{"request":{"method":"POST","url":"Organization"},"resource":{"resourceType":"Organization","name":"New"}},
		{"request":{"method":"GET","url":"Patient/none"}},
		{"request":{"method":"BREW","url":"Patient"}}]}`)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	var got []string
	for _, e := range r.json["entry"].([]any) {
		got = append(got, e.(map[string]any)["response"].(map[string]any)["status"].(string)[:3])
	}
	if strings.Join(got, " ") != "200 200 201 404 400" {
		t.Errorf("statuses %v: %s", got, r.raw)
	}
	newJudgeFor(t, "batch", r.raw)
}

func newJudgeFor(t *testing.T, where, body string) {
	t.Helper()
	j := newJudge(t)
	j.check(where, body)
	j.report()
}

func TestCapabilityStatementSaysWhatIsThere(t *testing.T) {
	s := start(t, 0)
	var cs struct {
		Rest []struct {
			Resource []struct {
				Type        string
				SearchParam []struct{ Name, Type, Definition string }
				Operation   []struct{ Name, Definition string }
			}
		}
	}
	if err := json.Unmarshal([]byte(s.get("/metadata").raw), &cs); err != nil {
		t.Fatal(err)
	}
	for _, res := range cs.Rest[0].Resource {
		for _, p := range res.SearchParam {
			value := map[string]string{"date": "2020", "quantity": "1", "number": "1", "composite": "a$b"}[p.Type]
			if value == "" {
				value = "abc"
			}
			if r := s.get("/"+res.Type+"?"+p.Name+"="+value, "Prefer", "handling=strict"); r.status != 200 || p.Definition == "" {
				t.Errorf("%s.%s: %d, definition %q: %.200s", res.Type, p.Name, r.status, p.Definition, r.raw)
			}
		}
	}
}
