package inspect_test

import (
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators/inspect"
)

func TestATunnelIsNotCheckedAndSaysWhy(t *testing.T) {
	ex := &proxy.Exchange{
		ID: "x", Mode: proxy.ModeTunnel, Interaction: proxy.Interaction{Kind: proxy.KindTunnel},
		Request:   proxy.Request{Method: "CONNECT", URL: "https://payer.example"},
		ClientLeg: &proxy.Leg{Tunnel: &proxy.Tunnel{ServerName: "payer.example", Sent: 1, Received: 2}},
	}
	rep, err := inspect.New(library, memory{}, inspect.Options{}).Inspect(t.Context(), ex)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Issues) != 1 || rep.Issues[0].MessageID != "tunnel-encrypted" || !rep.Issues[0].NotChecked || rep.Summary.Unjudged != rep.Issues[0].Message {
		t.Errorf("report %+v %+v", rep.Summary, rep.Issues)
	}
	if v := testplans.OfReport(rep.Summary); v != testplans.NotChecked {
		t.Errorf("verdict %s", v)
	}

	// One that was refused says that instead.
	ex.Failure = &proxy.Failure{Reason: proxy.ReasonRefused, Side: "client", Detail: "another name"}
	if rep, err = inspect.New(library, memory{}, inspect.Options{}).Inspect(t.Context(), ex); err != nil || len(rep.Issues) != 1 || rep.Issues[0].MessageID != "http-failure" {
		t.Errorf("refused: %+v %v", rep.Issues, err)
	}
}
