package answer_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
)

// TestFailed: each reason has an answer, which tells the client nothing of the cause.
func TestFailed(t *testing.T) {
	for reason, want := range map[proxy.Reason]struct {
		status int
		code   string
		text   string
	}{
		proxy.ReasonUpstreamTimeout: {504, "timeout", "The server did not answer in time."},
		proxy.ReasonUpstreamDown:    {502, "transient", "The server could not be reached."},
		proxy.ReasonUpstreamTLS:     {502, "transient", "The TLS connection to the server failed."},
		proxy.ReasonUpstreamReset:   {502, "transient", "The server closed the connection before it answered."},
		proxy.ReasonUpstreamInvalid: {502, "transient", "The server's answer is not HTTP that can be passed on."},
		proxy.ReasonRefused:         {502, "forbidden", "The proxy does not connect to this server's address."},
		proxy.ReasonClientGone:      {502, "transient", "The request broke off."},
		proxy.ReasonClientTLS:       {502, "transient", "The request broke off."},
		proxy.ReasonNoChannel:       {502, "transient", "The request broke off."},
		proxy.ReasonProxy:           {502, "exception", "The proxy failed."},
		"to come":                   {502, "exception", "The proxy failed."},
	} {
		ref := answer.Failed(proxy.Failure{Reason: reason, Side: "server", Detail: "10.0.0.1 said x509"})
		var got struct {
			ResourceType string
			Issue        []struct{ Severity, Code, Diagnostics string }
		}
		if err := json.Unmarshal(ref.Outcome("42"), &got); err != nil {
			t.Fatal(err)
		}
		if ref.Status != want.status || got.ResourceType != "OperationOutcome" || len(got.Issue) != 1 || got.Issue[0].Severity != "error" ||
			got.Issue[0].Code != want.code || got.Issue[0].Diagnostics != want.text+" (proxy exchange 42)" || ref.Failure.Reason != reason {
			t.Errorf("%s: %d %+v", reason, ref.Status, got)
		}
	}
}

func TestSeal(t *testing.T) {
	for name, ref := range map[string]*answer.Refusal{
		"refused/client: It is not so":     answer.Refused("client", http.StatusForbidden, "forbidden", "It is not so."),
		"proxy-error/proxy: disk full":     answer.Faulty("The proxy failed.", errors.New("disk full")),
		"client-tls/client: it is unknown": answer.Certificate("it is unknown"),
		"refused/client: The request has 3 header lines, more than the 2 the proxy passes": answer.HeaderLines(http.Header{"A": {"1", "2"}, "B": {"3"}}, 2),
	} {
		sink := &proxytest.Sink{}
		rec := record.New(sink, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: t.TempDir()})
		r, p := rec.Begin(httptest.NewRequest(http.MethodPost, "/fhir/Patient", strings.NewReader("body")), record.Arrival{})
		ref.Seal(r, p)
		e := sink.Wait(t, 1)[0]
		if got := string(e.Failure.Reason) + "/" + e.Failure.Side + ": " + e.Failure.Detail; got != name {
			t.Errorf("recorded %q, want %q", got, name)
		}
		if got := string(sink.Body(e.Request.Body)); got != "body" {
			t.Errorf("%s: the request's body is recorded as %q", name, got)
		}
		if err := rec.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if ref := answer.HeaderLines(http.Header{"A": {"1", "2"}}, 2); ref != nil {
		t.Errorf("%+v", ref)
	}
}
