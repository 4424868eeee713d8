package web

import (
	"testing"

	"fhirwire/proxy"
)

func TestForwardProxyInstructions(t *testing.T) {
	ch := &proxy.Channel{ID: "c1", Name: "acme~payer", ServerURL: "https://payer.example/fhir"}
	if v := forwardView(Forward{}, ch); len(v.Copies) > 0 {
		t.Errorf("without a forward proxy: %+v", v)
	}
	at := Forward{URL: "http://127.0.0.1:8082", RootHref: "/ca/root.pem"}
	v := forwardView(at, ch)
	if v.Copies[0].Text != "http://acme~payer@127.0.0.1:8082" || v.Copies[1].Text != "curl --proxy http://acme~payer@127.0.0.1:8082 --cacert fhirwire-root.pem https://payer.example/fhir/metadata" || v.RootHref == "" {
		t.Errorf("by name: %+v", v)
	}
	at.Token = func(user string) string { return "t-" + user }
	ch.ServerURL = "http://127.0.0.1:8083/fhir"
	v = forwardView(at, ch)
	if v.Copies[0].Text != "http://acme~payer:t-acme~payer@127.0.0.1:8082" || v.RootHref != "" {
		t.Errorf("with a token: %+v", v)
	}
}
