package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/api/apitest"
)

type fixedCheck proxy.ConnectionCheck

func (f fixedCheck) Check(_ context.Context, ch *proxy.Channel) proxy.ConnectionCheck {
	c := proxy.ConnectionCheck(f)
	c.Channel = ch.Name
	return c
}

func TestConnectionCheckPage(t *testing.T) {
	t.Parallel()
	store := apitest.NewStore()
	addPair(t, store, "Acme EHR", "Diamond payer", false)
	deps := store.Deps()
	deps.Checker = fixedCheck{At: start, ServerURL: "https://p2p.diamond.example/fhir", Probes: []proxy.Probe{
		{ID: "client-proxy", Leg: "client", Title: "Proxy URL", Outcome: proxy.ProbeOK, Text: "The proxy answers.", Took: 3 * time.Millisecond},
		{ID: "client-seen", Leg: "client", Title: "Calls of the client", Outcome: proxy.ProbeNotChecked, Text: "Nothing has come in.", Side: "client", Action: "Ask for metadata."},
		{
			ID: "server-tls", Leg: "server", Title: "TLS of the server", Outcome: proxy.ProbeProblem, Text: "The certificate is for " + hostile + ".", Side: "server", Action: "Issue another.",
			Certificates: []proxy.Certificate{{Subject: "CN=" + hostile, Issuer: "CN=CA", Names: []string{hostile, "b.example"}, NotBefore: start, NotAfter: start.AddDate(0, 3, 0), Serial: "1f", Fingerprint: "ab"}},
		},
		{ID: "server-mtls", Leg: "server", Title: "Client certificate", Outcome: proxy.ProbeWarning, Text: "None.", Side: "proxy", Action: "Choose one."},
	}}
	s, err := New(deps, Options{Clock: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)

	empty := get(t, s, "/channels/c-acme/check")
	if empty.Code != http.StatusOK {
		t.Fatalf("before: %d", empty.Code)
	}
	checkPage(t, "check-empty.html", empty.Body.String())
	if w := do(t, s, http.MethodPost, "/channels/c-acme/check", "", map[string]string{"Sec-Fetch-Site": "same-origin"}); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/channels/c-acme/check" {
		t.Fatalf("check: %d %s", w.Code, w.Header().Get("Location"))
	}
	page := get(t, s, "/channels/c-acme/check").Body.String()
	if strings.Contains(page, "<script>alert") {
		t.Error("a certificate's text is markup")
	}
	checkPage(t, "check-problem.html", page)

	if w := do(t, s, http.MethodPost, "/api/v1/channels/c-acme/check", "", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"outcome":"problem"`) {
		t.Errorf("API: %d %s", w.Code, w.Body)
	}
	if w := get(t, s, "/channels/nobody/check"); w.Code != http.StatusNotFound {
		t.Errorf("unknown channel: %d", w.Code)
	}
}

func TestConnectionCheckWithoutChecker(t *testing.T) {
	t.Parallel()
	store := apitest.NewStore()
	addPair(t, store, "Acme EHR", "Diamond payer", false)
	s := newServer(t, store, Options{})
	for _, path := range []string{"/channels/c-acme/check", "/api/v1/channels/c-acme/check"} {
		if w := do(t, s, http.MethodPost, path, "", nil); w.Code != http.StatusNotImplemented {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
