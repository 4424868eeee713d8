package reference_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/smartauth"
)

// TestRegularConsentShowsNothingSensitive asks with a token from a consent without sensitive data (P2P-MM-165, C-11) for everything
// in every way, and finds what the same member's "sensitive" consent shows, less what is labelled.
func TestRegularConsentShowsNothingSensitive(t *testing.T) {
	g := startGuarded(t, smartauth.Required)
	grant := func(policy string) string {
		id, secret := g.enrol()
		op := g.token(id, secret, smartauth.MemberMatch, "")
		status, _, body := g.send("POST", "/fhir/Patient/$member-match", op, "application/fhir+json", strings.Replace(matchOfOdalys, "#sensitive", policy, 1))
		if status != 200 {
			t.Fatalf("match: %d %s", status, body)
		}
		return g.token(id, secret, "patient/*.rs", "pt-90417")
	}
	full, general := grant("#sensitive"), grant("#regular")

	_, _, body := g.send("GET", "/fhir/Condition?_count=200", full, "", "")
	labelled := idsOf(t, body, `"code":"R"`)
	all := idsOf(t, body, "")
	if len(labelled) == 0 || len(labelled) == len(all) {
		t.Fatalf("the sample member has %d sensitive of %d conditions", len(labelled), len(all))
	}
	_, _, body = g.send("GET", "/fhir/Condition?_count=200&_total=accurate", general, "", "")
	if got := idsOf(t, body, ""); len(got) != len(all)-len(labelled) {
		t.Errorf("search shows %d, want %d", len(got), len(all)-len(labelled))
	}
	var bundle struct{ Total int }
	if err := json.Unmarshal([]byte(body), &bundle); err != nil || bundle.Total != len(all)-len(labelled) {
		t.Errorf("the total %d tells of what is hidden (%v)", bundle.Total, err)
	}
	for _, id := range labelled {
		for _, path := range []string{"/fhir/Condition/" + id, "/fhir/Condition/" + id + "/_history", "/fhir/Condition/" + id + "/_history/1"} {
			if got := g.get(path, full); got != 200 {
				t.Errorf("%s with the whole consent: %d", path, got)
			}
			if got := g.get(path, general); got != 404 {
				t.Errorf("%s with the general consent: %d, want 404 as for what is not there", path, got)
			}
		}
	}
	none := func(where, text string) {
		t.Helper()
		for _, id := range labelled {
			if strings.Contains(text, `"id":"`+id+`"`) || where != "includes" && strings.Contains(text, "Condition/"+id+`"`) && strings.Contains(text, "Provenance") && strings.Contains(text, `"target":[{"reference":"Condition/`+id) {
				t.Errorf("%s shows Condition/%s", where, id)
			}
		}
		if strings.Contains(text, `"code":"R"`) {
			t.Errorf("%s shows something labelled", where)
		}
	}
	for next := g.url + "/fhir/Patient/pt-90417/$everything?_count=500"; next != ""; {
		_, _, body = g.send("GET", next, general, "", "")
		none("everything", body)
		next = nextOf(t, body)
	}
	_, _, body = g.send("GET", "/fhir/Encounter?_count=200&_include=Encounter:diagnosis&_revinclude=Provenance:target", general, "", "")
	none("includes", body)

	_, h, _ := g.send("GET", "/fhir/Patient/$export", general, "", "")
	job := h.Get("Content-Location")
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var status int
		if status, _, body = g.send("GET", job, general, "", ""); status != 202 || time.Now().After(deadline) {
			break
		}
	}
	var manifest struct{ Output []struct{ Type, URL string } }
	if err := json.Unmarshal([]byte(body), &manifest); err != nil || len(manifest.Output) == 0 {
		t.Fatalf("manifest: %v %s", err, body)
	}
	for _, f := range manifest.Output {
		_, _, lines := g.send("GET", f.URL, general, "", "")
		none("export of "+f.Type, lines)
	}
}

// idsOf lists the ids of a Bundle's matches whose text has a part.
func idsOf(t *testing.T, bundle, part string) []string {
	t.Helper()
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal([]byte(bundle), &b); err != nil {
		t.Fatalf("%v: %.300s", err, bundle)
	}
	var out []string
	for _, e := range b.Entry {
		var r struct{ ID string }
		if err := json.Unmarshal(e.Resource, &r); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(e.Resource), part) {
			out = append(out, r.ID)
		}
	}
	return out
}

func nextOf(t *testing.T, bundle string) string {
	t.Helper()
	var b struct {
		Link []struct{ Relation, URL string }
	}
	if err := json.Unmarshal([]byte(bundle), &b); err != nil {
		t.Fatalf("%v: %.300s", err, bundle)
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}
