package reference_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"fhirwire/reference/smartauth"
)

func entryMethods(r reply) []string {
	var out []string
	entries, _ := r.json["entry"].([]any)
	for _, e := range entries {
		m := e.(map[string]any)
		req := m["request"].(map[string]any)
		url := m["fullUrl"].(string)
		out = append(out, fmt.Sprint(req["method"], " ", url[strings.LastIndexByte(url, '/')+1:]))
	}
	return out
}

// R4 http 3.1.0.17: the history of a type and of all, newest first, deletions included.
func TestHistoryOfManyResources(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	put := func(id, name string) {
		t.Helper()
		if r := s.do(http.MethodPut, "/Organization/"+id, `{"resourceType":"Organization","id":"`+id+`","active":true,"name":"`+name+`"}`); r.status > 201 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
	}
	put("x", "One")
	put("y", "Two")
	put("x", "Three")
	if r := s.do(http.MethodDelete, "/Organization/y", ""); r.status != 204 {
		t.Fatal(r.status)
	}
	// What changed in the same millisecond is in no particular order; each resource's versions are.
	ours := func(all []string, id string) string {
		var out []string
		for _, e := range all {
			if method, of, _ := strings.Cut(e, " "); of == id {
				out = append(out, method)
			}
		}
		return strings.Join(out, " ")
	}
	right := func(all []string) bool {
		return ours(all, "x") == "PUT POST" && ours(all, "y") == "DELETE POST"
	}
	all := func(path string) (out []string, pages int, total any) {
		t.Helper()
		for next := path; next != ""; pages++ {
			r := s.get(next)
			if r.status != 200 || r.json["type"] != "history" {
				t.Fatalf("%s: %d %s", next, r.status, r.raw)
			}
			j.check(next, r.raw)
			if pages == 1 {
				put("z", "Newer") // comes before what is paged
			}
			out, total = append(out, entryMethods(r)...), r.json["total"]
			next = r.link("next")
		}
		return out, pages, total
	}
	got, pages, total := all("/Organization/_history?_count=100")
	if !right(got) || pages != 1 || total != float64(len(got)) {
		t.Errorf("type: %v in %d pages, total %v", got, pages, total)
	}
	before := len(got)
	if got, pages, _ = all("/Organization/_history?_count=1"); !right(got) || slices.Contains(got, "POST z") || len(got) != before || pages != before {
		t.Errorf("pages of one: %v in %d pages, want %d", got, pages, before)
	}
	if got, _, _ = all("/_history?_count=1000"); len(got) <= before || !right(got) || ours(got, "z") != "POST" {
		t.Errorf("all types: %d, x %s, y %s, z %s", len(got), ours(got, "x"), ours(got, "y"), ours(got, "z"))
	}
	third := s.get("/Organization/x").json["meta"].(map[string]any)["lastUpdated"].(string)
	for _, path := range []string{"/Organization/_history", "/_history"} {
		if r := s.get(path + "?_since=" + third); ours(entryMethods(r), "x") != "" || ours(entryMethods(r), "z") == "" {
			t.Errorf("%s _since: %v", path, entryMethods(r))
		}
		if r := s.get(path + "?_count=0"); r.json["entry"] != nil || r.link("next") != "" || r.json["total"] == 0.0 {
			t.Errorf("%s _count=0: %s", path, r.raw)
		}
		for _, q := range []string{"_count=x", "_count=-1", "_since=yesterday", "_cursor=x", "_cursor=e30"} {
			if r := s.get(path + "?" + q); r.status != 400 || issueCode(r) != "invalid" {
				t.Errorf("%s?%s: %d %s", path, q, r.status, r.raw)
			}
		}
	}
	if r := s.get("/Nonsense/_history"); r.status != 404 {
		t.Errorf("unknown type: %d", r.status)
	}
	j.report()
}

// R4 http 3.1.0.9.2: a search of several types.
func TestSearchOfManyTypes(t *testing.T) {
	s, j := start(t, 2), newJudge(t)
	get := func(path string) reply {
		t.Helper()
		r := s.get(path)
		if r.status != 200 {
			t.Fatalf("%s: %d %.300s", path, r.status, r.raw)
		}
		j.check(path, r.raw)
		return r
	}
	types := []string{"Coverage", "Condition", "Patient"}
	var want []string
	for _, typ := range types {
		want = append(want, get("/"+typ+"?_count=500").ids("match")...)
	}
	path := "?_type=" + strings.Join(types, ",")
	whole := get(path + "&_count=1000")
	if got := whole.ids("match"); !slices.Equal(got, want) || whole.json["total"] != float64(len(want)) {
		t.Errorf("%v, want %v, total %v", got, want, whole.json["total"])
	}
	var got []string
	for next := path + "&_count=3"; next != ""; {
		r := get(next)
		got = append(got, r.ids("match")...)
		if len(r.ids("match")) > 3 {
			t.Errorf("%s: %d on a page", next, len(r.ids("match")))
		}
		next = r.link("next")
	}
	if !slices.Equal(got, want) {
		t.Errorf("by pages: %v, want %v", got, want)
	}
	if r := get(path + "&_summary=count"); r.json["total"] != float64(len(want)) || r.json["entry"] != nil {
		t.Errorf("count: %s", r.raw)
	}
	if r := get("/?_type=Coverage,Condition&patient=999&_total=accurate&_count=1"); r.json["total"] != float64(len(get("/Coverage?patient=999").ids("match"))+len(get("/Condition?patient=999").ids("match"))) {
		t.Errorf("total: %v", r.json["total"])
	}
	posted := s.do(http.MethodPost, "/_search", "_type=Coverage,Condition&patient=999&_count=1000", "Content-Type", "application/x-www-form-urlencoded")
	if by := get("?_type=Coverage,Condition&patient=999&_count=1000"); posted.status != 200 || len(by.ids("match")) == 0 || !slices.Equal(posted.ids("match"), by.ids("match")) {
		t.Errorf("POST: %d %v", posted.status, posted.ids("match"))
	}
	if r := get("?_id=999"); !slices.Equal(r.ids("match"), []string{"Patient/999"}) {
		t.Errorf("no _type: %v", r.ids("match"))
	}
	r := get("?_type=Coverage,Condition&patient=999&_include=Coverage:payor&_revinclude=Provenance:target&_elements=id")
	if inc := r.ids("include"); !slices.ContainsFunc(inc, func(s string) bool { return strings.HasPrefix(s, "Organization/") }) || !slices.ContainsFunc(inc, func(s string) bool { return strings.HasPrefix(s, "Provenance/") }) {
		t.Errorf("includes: %v", inc)
	}
	if r := get("?_type=Coverage,Condition&patient=999&nonsense=1"); !strings.Contains(r.raw, "Parameter nonsense was ignored") || strings.Contains(r.link("self"), "nonsense") {
		t.Errorf("lenient: %s", r.link("self"))
	}
	for _, tt := range []struct{ path, prefer string }{
		{"", ""},
		{"?_type=Nonsense", ""},
		{"?_type=Coverage,Patient&patient=999", ""},
		{"?_type=Coverage,Condition&_sort=_id", ""},
		{"?_type=Coverage,Condition&nonsense=1", "handling=strict"},
		{"?_type=Coverage&_cursor=x", ""},
		{"?_type=Coverage&_cursor=eyJwIjo3fQ", ""}, // phase 7
	} {
		if r := s.get(tt.path, "Prefer", tt.prefer); r.status != 400 || r.json["resourceType"] != "OperationOutcome" {
			t.Errorf("%q: %d %.200s", tt.path, r.status, r.raw)
		}
	}
	batch := s.do(http.MethodPost, "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"?_type=Coverage&patient=999"}}]}`, "Content-Type", "application/fhir+json")
	if batch.status != 200 || !strings.Contains(batch.raw, `"status":"200 OK"`) {
		t.Errorf("batch: %d %.300s", batch.status, batch.raw)
	}
	j.report()
}

func TestScopesOverManyTypes(t *testing.T) {
	g := startGuarded(t, smartauth.Required)
	id, secret := g.enrol()
	one := g.token(id, secret, "system/Coverage.rs", "")
	all := g.token(id, secret, "system/*.rs", "")
	for _, tt := range []struct {
		path, token string
		status      int
	}{
		{"/fhir?_type=Coverage", "", 401},
		{"/fhir/_history", "", 401},
		{"/fhir/Coverage/_history", "", 401},
		{"/fhir?_type=Coverage", one, 200},
		{"/fhir/Coverage/_history", one, 200},
		{"/fhir?_type=Coverage,Condition", one, 403},
		{"/fhir?_type=Coverage&_revinclude=Provenance:target", one, 403},
		{"/fhir?_id=999", one, 403},
		{"/fhir/_history", one, 403},
		{"/fhir/Condition/_history", one, 403},
		{"/fhir?_type=Coverage,Condition", all, 200},
		{"/fhir?_id=999", all, 200},
		{"/fhir/_history", all, 200},
	} {
		if got := g.get(tt.path, tt.token); got != tt.status {
			t.Errorf("%s: %d, want %d", tt.path, got, tt.status)
		}
	}
}
