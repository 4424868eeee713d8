package web

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/api/apitest"
)

func describedCert(subject, issuer, fill string, ends time.Time) proxy.Certificate {
	return proxy.Certificate{
		Subject: subject, Issuer: issuer, Serial: "4d2", Names: []string{"p2p.cedar.example", "https://cedar.example/fhir"},
		NotBefore: start.Add(-30 * 24 * time.Hour), NotAfter: ends, Fingerprint: strings.Repeat(fill, 32),
	}
}

// withLegs gives an exchange both connections over TLS.
func withLegs(e *proxy.Exchange) *proxy.Exchange {
	far := start.Add(400 * 24 * time.Hour)
	e.ClientLeg = &proxy.Leg{Address: "192.0.2.7:50412", TLS: &proxy.TLS{
		Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "proxy.example", Protocol: "h2", Trust: proxy.TrustEventCA,
		Detail: "issued under the event's CA (event.pem)",
		Client: []proxy.Certificate{describedCert("CN=Harborlight client", "CN=Event CA", "a1", start.Add(3*24*time.Hour)), describedCert("CN=Event CA", "CN=Event CA", "e0", far)},
		Server: []proxy.Certificate{describedCert("CN=proxy.example", "CN=fhirwire local CA", "b2", far)},
	}}
	e.ServerLeg = &proxy.Leg{Address: "192.0.2.9:443", TLS: &proxy.TLS{
		Version: "TLS 1.2", Cipher: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ServerName: "p2p.cedar.example", Protocol: "http/1.1", Resumed: true,
		Trust: proxy.TrustServerCA, Detail: "issued under CN=Cedar CA", Asked: true,
		Server: []proxy.Certificate{describedCert("CN=p2p.cedar.example", "CN=Cedar CA", "c3", start.Add(-time.Hour))},
		Client: []proxy.Certificate{describedCert("CN=Harborlight test identity", "CN=fhirwire local CA", "d4", far)},
	}}
	return e
}

func bearer(fill string) proxy.Field {
	sum, _ := hex.DecodeString(strings.Repeat(fill, 32))
	return proxy.Field{Name: "Authorization", Value: `Bearer hmac:5f1c9a20b7d41e88 jwt{"cnf":{"x5t#S256":"` + base64.RawURLEncoding.EncodeToString(sum) + `"}}`}
}

func TestConnectionPages(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	read := proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}
	add := func(id string, failure *proxy.Failure) *proxy.Exchange {
		status := 200
		if failure != nil {
			status = 0
		}
		e := addExchange(store, id, 0, spec{path: "/fhir/Patient/1", channel: ch, kind: read, status: status, ms: 12, failure: failure})
		addReport(store, id, nil)
		return e
	}
	withLegs(add("mutual", nil))
	insecure := withLegs(add("insecure", nil))
	insecure.ServerLeg.TLS.Trust, insecure.ServerLeg.TLS.Detail = proxy.TrustInsecure, "verification is switched off until 2026-09-12 14:00:00 UTC"
	refused := withLegs(add("refused", &proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client", Detail: "the certificate of CN=old expired on 2026-09-01"}))
	refused.ClientLeg.TLS.Trust, refused.ClientLeg.TLS.Detail = proxy.TrustRefused, "the certificate of CN=old expired on 2026-09-01"
	refused.ServerLeg, refused.Request.Target = nil, ""
	asked := withLegs(add("asked", &proxy.Failure{Reason: proxy.ReasonUpstreamTLS, Side: "proxy", Detail: "the server asked for a client certificate and the channel presents none"}))
	asked.ServerLeg.TLS.Client, asked.ServerLeg.TLS.Trust = nil, ""
	asked.ClientLeg.TLS.Client, asked.ClientLeg.TLS.Trust, asked.ClientLeg.TLS.Detail = nil, proxy.TrustNone, ""
	add("clear", nil).ClientLeg = &proxy.Leg{Address: "127.0.0.1:50412"}
	tunnel := add("tunnel", nil)
	tunnel.Mode, tunnel.Response = proxy.ModeTunnel, nil
	tunnel.ClientLeg = &proxy.Leg{Address: "127.0.0.1:50412", Tunnel: &proxy.Tunnel{ServerName: "p2p.cedar.example", Protocols: []string{"h2", "http/1.1"}, Sent: 2417, Received: 90211}}
	early := add("early", &proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client", Detail: "the client does not accept the proxy's certificate (unknown certificate authority)"})
	early.Interaction = proxy.Interaction{Kind: proxy.KindTunnel}
	early.Request = proxy.Request{Method: "CONNECT", URL: "https://proxy.example/"}
	early.ClientLeg = &proxy.Leg{Address: "192.0.2.7:50412", TLS: &proxy.TLS{Version: "TLS 1.3", ServerName: "proxy.example"}}
	for _, name := range []string{"mutual", "insecure", "refused", "asked", "clear", "tunnel", "early"} {
		t.Run(name, func(t *testing.T) {
			w := get(t, newServer(t, store, Options{}), "/exchanges/"+name+"/connection")
			if w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			checkPage(t, "connection-"+name+".html", w.Body.String())
		})
	}
	// The mark is on every row and on every tab of the exchange.
	for path, want := range map[string]int{"/": 1, "/?selected=insecure": 2, "/exchanges/insecure": 1, "/exchanges/insecure/request": 1, "/exchanges/mutual": 0} {
		body := get(t, newServer(t, store, Options{}), path).Body.String()
		if got := strings.Count(body, `class="tag insecure"`); got != want {
			t.Errorf("%s: %d marks, want %d", path, got, want)
		}
	}
}

// TestBinding: what becomes of a token that is bound to a certificate.
func TestBinding(t *testing.T) {
	for _, c := range []struct{ name, fill, want string }{
		{"client's", "a1", "bound to the client's certificate, and the server does not see it"},
		{"channel's", "d4", "bound to the certificate that this channel presents"},
		{"another", "ff", "that neither connection shows"},
		{"not bound", "", "The server does not see the client's certificate"},
	} {
		e := withLegs(&proxy.Exchange{})
		e.Request.Header = proxy.Header{{Name: "Authorization", Value: "Bearer hmac:5f1c9a20b7d41e88"}}
		if c.fill != "" {
			e.Request.Header[0] = bearer(c.fill)
		}
		got := binding(e)
		if len(got) != 1 || !strings.Contains(got[0].Title, c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := binding(&proxy.Exchange{}); got != nil {
		t.Errorf("in clear: %+v", got)
	}
}

// TestHostileConnection: what peers write into certificates is text.
func TestHostileConnection(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	e := withLegs(addExchange(store, "h1", 0, spec{path: "/fhir/x", channel: ch, status: 200}))
	for _, l := range []*proxy.Leg{e.ClientLeg, e.ServerLeg} {
		l.Address = hostile
		l.TLS.ServerName, l.TLS.Protocol, l.TLS.Detail, l.TLS.Trust, l.TLS.Cipher = hostile, hostile, hostile, hostile, hostile
		l.Tunnel = &proxy.Tunnel{ServerName: hostile, Protocols: []string{hostile}}
		for _, chain := range [][]proxy.Certificate{l.TLS.Client, l.TLS.Server} {
			for i := range chain {
				chain[i] = proxy.Certificate{Subject: hostile, Issuer: hostile, Serial: hostile, Names: []string{hostile}, Fingerprint: hostile}
			}
		}
	}
	body := get(t, newServer(t, store, Options{}), "/exchanges/h1/connection").Body.String()
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || strings.Contains(body, `href="javascript`) || !strings.Contains(body, "&lt;script&gt;") {
		t.Error("markup of a certificate is in the page")
	}
}
