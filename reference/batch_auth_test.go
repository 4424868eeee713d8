package reference_test

import (
	"strings"
	"testing"

	"fhirwire/reference/smartauth"
)

// A batch needs what its entries need, each as if it had come alone.
func TestScopesOfBatches(t *testing.T) {
	g := startGuarded(t, smartauth.Required)
	id, secret := g.enrol()
	coverage, all := g.token(id, secret, "system/Coverage.rs", ""), g.token(id, secret, "system/*.rs", "")
	const fhir = "application/fhir+json"
	for _, tt := range []struct {
		entries, token string
		status         int
	}{
		{`{"request":{"method":"GET","url":"Coverage?patient=999"}},{"request":{"method":"GET","url":"/Coverage/pdex-Coverage"}}`, coverage, 200},
		{`{"request":{"method":"GET","url":"Coverage?patient=999"}},{"request":{"method":"GET","url":"Patient/999"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Coverage?_revinclude=Provenance:target"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Coverage?_has:Provenance:target:recorded=gt2000,;"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"?_type=Coverage,Patient"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Patient/999"}},{"request":{"method":"GET","url":"Patient/999/$everything"}}`, all, 200},
		{`{"request":{"method":"DELETE","url":"Patient/999"}}`, all, 403},
		{`{"request":{"method":"PUT","url":"Patient/999"},"resource":{"resourceType":"Patient","id":"999"}}`, all, 403},
		{`{"request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}}`, all, 403},
		{`{"request":{"method":"POST","url":""},"resource":{"resourceType":"Patient"}}`, all, 403},
		{`{"request":{"method":"GET","url":"Coverage/1","url":"Patient/999"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Patient/999"},"Request":{"method":"GET","url":"Coverage/1"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Coverage/../Patient/999"}}`, coverage, 403},
		{`{"request":{"method":"GET","url":"Coverage/1"}}`, "", 401},
		{``, coverage, 403},
	} {
		for _, kind := range []string{"batch", "transaction"} {
			if tt.status == 200 && kind == "transaction" && strings.Contains(tt.entries, "$") {
				continue // operations do not run in a transaction
			}
			body := `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + tt.entries + `]}`
			status, _, answer := g.send("POST", "/fhir", tt.token, fhir, body)
			if status != tt.status || status == 200 && strings.Contains(answer, `"status":"4`) {
				t.Errorf("%s %s: %d, want %d: %.300s", kind, tt.entries, status, tt.status, answer)
			}
		}
	}
	// A semicolon separates nothing: what stands behind it is judged too.
	for _, path := range []string{"/fhir/Coverage?_has:Provenance:target:recorded=gt2000,;", "/fhir/Coverage?_revinclude=Provenance:target&a;b=1"} {
		if got := g.get(path, coverage); got != 403 {
			t.Errorf("%s: %d", path, got)
		}
	}
}
