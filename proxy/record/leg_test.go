package record

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

// passOn is the least of a forwarder.
func passOn(rec *Recorder, to string, next http.RoundTripper) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, p := rec.Begin(r, Arrival{Mode: proxy.ModeReverse, URL: "https://proxy.example" + r.URL.Path})
		out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.Path, nil)
		if err != nil {
			panic(err)
		}
		res, err := rec.Transport(next).RoundTrip(out)
		if err != nil {
			p.Fail(p.Classify(err))
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = res.Body.Close() }()
		p.Deliver(res)
		_, _ = io.Copy(w, res.Body)
	})
}

// TestLegs: both connections are described, on new and on reused ones, with HTTP/1.1 and HTTP/2.
func TestLegs(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		name := map[bool]string{false: "http/1.1", true: "h2"}[h2]
		t.Run(name, func(t *testing.T) {
			back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
			back.EnableHTTP2 = h2
			back.StartTLS()
			defer back.Close()
			sink := &proxytest.Sink{}
			var own []*x509.Certificate
			rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour, Presents: func(name string) []*x509.Certificate {
				if name != "example.com" {
					t.Errorf("asked for the chain of %q", name)
				}
				return own
			}})
			front := httptest.NewUnstartedServer(passOn(rec, back.URL, back.Client().Transport))
			front.EnableHTTP2 = h2
			front.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
			front.StartTLS()
			defer front.Close()
			own = []*x509.Certificate{front.Certificate()}
			client := front.Client()
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{back.TLS.Certificates[0]}
			client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
			for range 2 {
				res, err := client.Get(front.URL + "/fhir/Patient")
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			want := proxy.CertificateOf(back.Certificate()).Fingerprint
			for i, ex := range sink.Wait(t, 2) {
				c, s := ex.ClientLeg, ex.ServerLeg
				if c == nil || s == nil || c.TLS == nil || s.TLS == nil {
					t.Fatalf("legs %+v, %+v", c, s)
				}
				if c.Address != ex.ClientAddr || s.Address != back.Listener.Addr().String() {
					t.Errorf("addresses %s, %s", c.Address, s.Address)
				}
				if c.TLS.Version != "TLS 1.3" || s.TLS.Version != "TLS 1.3" || !strings.HasPrefix(s.TLS.Cipher, "TLS_") {
					t.Errorf("handshakes %+v, %+v", c.TLS, s.TLS)
				}
				if h2 && (c.TLS.Protocol != "h2" || s.TLS.Protocol != "h2") {
					t.Errorf("ALPN %q, %q", c.TLS.Protocol, s.TLS.Protocol)
				}
				if c.TLS.ServerName != "example.com" || len(c.TLS.Server) != 1 || len(c.TLS.Client) != 1 || c.TLS.Client[0].Fingerprint != want {
					t.Errorf("client's leg %+v", c.TLS)
				}
				if len(s.TLS.Server) != 1 || s.TLS.Server[0].Fingerprint != want {
					t.Errorf("server's leg %+v", s.TLS)
				}
				if ex.Timing.ReusedUpConn != (i == 1) {
					t.Errorf("exchange %d reused %v", i, ex.Timing.ReusedUpConn)
				}
			}
		})
	}
}

// TestKnownFailure: a failure explained where it arose is told as it is, with what was seen of the connection.
func TestKnownFailure(t *testing.T) {
	sink := &proxytest.Sink{}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	known := &FailedError{
		Failure: proxy.Failure{Reason: proxy.ReasonUpstreamTLS, Side: sideServer, Detail: "the certificate ran out"},
		Leg:     &proxy.Leg{Address: "192.0.2.1:443", TLS: &proxy.TLS{Trust: proxy.TrustRefused}}, Err: io.ErrUnexpectedEOF,
	}
	if !errors.Is(known, io.ErrUnexpectedEOF) || known.Error() != "the certificate ran out" {
		t.Errorf("error %v", known)
	}
	next := roundTrip(func(*http.Request) (*http.Response, error) { return nil, known })
	passOn(rec, "https://192.0.2.1", next).ServeHTTP(httptest.NewRecorder(), get())
	ex := sink.Wait(t, 1)[0]
	if ex.Failure == nil || *ex.Failure != known.Failure || ex.ServerLeg != known.Leg {
		t.Errorf("recorded %+v, %+v", ex.Failure, ex.ServerLeg)
	}
	if ex.ClientLeg == nil || ex.ClientLeg.TLS != nil {
		t.Errorf("client's leg %+v", ex.ClientLeg)
	}
}

func TestTrustClient(t *testing.T) {
	sink := &proxytest.Sink{}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	for _, secure := range []bool{false, true} {
		r := get()
		if secure {
			r.TLS = &tls.ConnectionState{Version: tls.VersionTLS12}
		}
		_, p := rec.Begin(r, Arrival{})
		p.TrustClient(proxy.TrustRefused, "not listed")
		p.Fail(proxy.Failure{Reason: proxy.ReasonClientTLS})
		p.TrustClient(proxy.TrustPinned, "too late")
	}
	all := sink.Wait(t, 2)
	if all[0].ClientLeg.TLS != nil {
		t.Errorf("in clear: %+v", all[0].ClientLeg.TLS)
	}
	if l := all[1].ClientLeg.TLS; l.Trust != proxy.TrustRefused || l.Detail != "not listed" || l.Version != "TLS 1.2" {
		t.Errorf("TLS: %+v", l)
	}
}

func TestChains(t *testing.T) {
	back := httptest.NewTLSServer(nil)
	defer back.Close()
	leaf := back.Certificate()
	var c Chains
	one, again, longer := c.Of([]*x509.Certificate{leaf}), c.Of([]*x509.Certificate{leaf}), c.Of([]*x509.Certificate{leaf, leaf})
	if len(one) != 1 || &one[0] != &again[0] || len(longer) != 2 || c.Of(nil) != nil {
		t.Errorf("%d, shared %v, %d", len(one), &one[0] == &again[0], len(longer))
	}
}

// TestCertificateBinding: what a token is bound to is no secret; anything else in cnf is not kept.
func TestCertificateBinding(t *testing.T) {
	token := func(cnf string) string {
		b := base64.RawURLEncoding.EncodeToString
		return b([]byte(`{"alg":"none"}`)) + "." + b([]byte(`{"cnf":`+cnf+`}`)) + ".x"
	}
	m := masker{key: testKey}
	thumb := strings.Repeat("aB-_", 11)[:43]
	if got := m.value(token(`{"x5t#S256":"` + thumb + `"}`)); !strings.Contains(got, `"cnf":{"x5t#S256":"`+thumb+`"}`) {
		t.Error(got)
	}
	for _, cnf := range []string{`{"x5t#S256":"short"}`, `{"jwk":{"k":"secret"}}`, `"secret"`} {
		if got := m.value(token(cnf)); strings.Contains(got, "cnf") || strings.Contains(got, "secret") {
			t.Error(got)
		}
	}
}

func BenchmarkChains(b *testing.B) {
	back := httptest.NewTLSServer(nil)
	defer back.Close()
	chain := []*x509.Certificate{back.Certificate()}
	var c Chains
	b.ReportAllocs()
	for b.Loop() {
		c.Of(chain)
	}
}
