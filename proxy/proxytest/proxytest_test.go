package proxytest_test

import (
	"io"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

func TestFromTxtar(t *testing.T) {
	list, bodies, err := proxytest.FromTxtar([]byte(`A search and a failure.
-- 1.request --
GET /fhir/Patient?name=x
Accept: application/fhir+json
-- 1.response --
HTTP/1.1 200 OK
Content-Type: application/fhir+json

{"resourceType":"Bundle"}
-- 2.request --
POST /fhir/Patient
Content-Type: application/fhir+json

{}
-- 2.failure --
upstream-down server connection refused
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Status() != 200 || list[0].Request.Target != "http://payer.example/fhir/Patient?name=x" {
		t.Fatalf("got %+v", list)
	}
	r, err := bodies.OpenBody(t.Context(), list[0].Response.Body.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != `{"resourceType":"Bundle"}` {
		t.Errorf("body %q, %v", text, err)
	}
	if f := list[1].Failure; f == nil || f.Reason != proxy.ReasonUpstreamDown || f.Detail != "connection refused" || list[1].Response != nil {
		t.Errorf("failure %+v", f)
	}
	for _, bad := range []string{"-- x.request --\n", "-- 1.response --\nHTTP/1.1 200\n", "-- 1.request --\nGET\n", "-- 1.request --\nGET /\n-- 1.response --\n999\n", "-- 1.request --\nGET /\nnocolon\n"} {
		if _, _, err := proxytest.FromTxtar([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
