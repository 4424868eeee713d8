package web

import (
	"strings"
	"testing"

	"fhirwire/web/api/apitest"
)

// The built-in payer's switches for edge cases are found from the system it is registered as, and from no other.
func TestSystemsLeadToTheEdgeCases(t *testing.T) {
	store := apitest.NewStore()
	addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", true)
	s := newServer(t, store, Options{ReferenceURL: "http://127.0.0.1:8083/fhir"})
	const link = `href="http://127.0.0.1:8083/admin/edges"`
	if page := get(t, s, "/systems").Body.String(); strings.Contains(page, "/admin/edges") {
		t.Error("a system that is not the built-in payer has its switches")
	}
	if w := do(t, s, "POST", "/systems", "name=Reference+payer&slug=built-in&roles=server&base_url=http://127.0.0.1:8083/fhir", nil); w.Code != 303 {
		t.Fatalf("registered: %d %.300s", w.Code, w.Body)
	}
	if page := get(t, s, "/systems").Body.String(); strings.Count(page, link) != 1 {
		t.Errorf("the switches are linked %d times", strings.Count(page, link))
	}
}
