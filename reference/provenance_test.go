package reference_test

import (
	"net/http"
	"strings"
	"testing"
)

// ATR-33: the Provenance sent along with a write is kept, about the version's resource; a faulty one keeps both out.
func TestProvenanceOfAWrite(t *testing.T) {
	s := start(t, 0)
	const sent = `{"resourceType":"Provenance","recorded":"2026-01-02T03:04:05Z","agent":[{"who":{"reference":"Organization/org-1"}}]}`
	const group = `{"resourceType":"Group","id":"prov","type":"person","actual":true}`
	if r := s.do(http.MethodPut, "/Group/prov", group, "X-Provenance", sent); r.status != 201 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	if r := s.get("/Provenance?target=Group/prov"); !strings.Contains(r.raw, `"total":1`) || !strings.Contains(r.raw, "2026-01-02T03:04:05Z") {
		t.Errorf("%s", r.raw)
	}
	for name, header := range map[string]string{
		"no JSON": "me", "another type": group, "with a target": strings.Replace(sent, `"recorded"`, `"target":[{"reference":"Group/x"}],"recorded"`, 1),
	} {
		if r := s.do(http.MethodPut, "/Group/prov2", strings.Replace(group, "prov", "prov2", 1), "X-Provenance", header); r.status != 400 || issueCode(r) != "invalid" {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
	if r := s.do(http.MethodPut, "/Group/prov2", strings.Replace(group, "prov", "prov2", 1), "X-Provenance", strings.Replace(sent, `"recorded":"2026-01-02T03:04:05Z",`, "", 1)); r.status != 422 {
		t.Errorf("not valid: %d %s", r.status, r.raw)
	}
	if r := s.get("/Group/prov2"); r.status != 404 {
		t.Errorf("stored without its Provenance: %d", r.status)
	}
}
