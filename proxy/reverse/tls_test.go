package reverse_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
	"fhirwire/proxy/upstream"
)

// secured is a TLS server behind a TLS front, with what each side trusts.
type secured struct {
	sink         *proxytest.Sink
	front, back  *httptest.Server
	event, other *proxytest.CA
	channel      *proxy.Channel
}

type oneSystem []*proxy.System

func (s oneSystem) Systems(context.Context) ([]*proxy.System, error) { return s, nil }

type oneCertificate tls.Certificate

func (c oneCertificate) TLS(string) (*tls.Certificate, error) {
	cert := tls.Certificate(c)
	return &cert, nil
}

// newSecured: the back accepts the channel's certificate only, and the front asks for one.
func newSecured(t testing.TB, h2 bool, pins ...string) *secured {
	t.Helper()
	s := &secured{sink: &proxytest.Sink{}, event: proxytest.NewCA(t, "Event CA"), other: proxytest.NewCA(t, "Other CA")}
	servers, channelClients := proxytest.NewCA(t, "Server CA"), proxytest.NewCA(t, "Channel CA")
	s.back = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = fmt.Fprintf(w, `{"resourceType":"Basic","id":%q}`, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.back.EnableHTTP2 = h2
	s.back.TLS = &tls.Config{Certificates: []tls.Certificate{servers.Server(t, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: channelClients.Pool()}
	s.back.StartTLS()
	t.Cleanup(s.back.Close)

	rec := record.New(s.sink, proxy.NewFingerprintKey([]byte("0123456789abcdef0123456789abcdef")), record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	// On a busy machine exchanges are journaled, which Run brings to the sink.
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- rec.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	known := oneSystem{
		{ID: "1", Slug: "a", Name: "Acme", Roles: []proxy.Role{proxy.RoleClient}},
		{ID: "2", Slug: "c", Name: "Birch", Roles: []proxy.Role{proxy.RoleClient}, Options: proxy.SystemOptions{ClientPins: pins}},
	}
	transports := upstream.New(upstream.Options{DialTimeout: 5 * time.Minute, Certificates: oneCertificate(channelClients.Client(t, "channel-a"))})
	t.Cleanup(transports.CloseIdleConnections)
	s.channel = &proxy.Channel{
		ID: "1", Name: "a~b", ClientID: "1", ServerURL: s.back.URL + "/fhir", Server: proxy.SystemOptions{CA: servers.PEM()},
		Options: proxy.ChannelOptions{ClientCert: "channel-a", RequireClientCert: true},
	}
	s.front = httptest.NewUnstartedServer(reverse.New(channels{"a~b": s.channel}, rec, reverse.Options{
		Transport: transports, Peers: peers.New(peers.Options{EventCA: s.event.Pool(), Systems: known}),
	}))
	s.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.front.EnableHTTP2 = h2
	s.front.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.front.StartTLS()
	t.Cleanup(s.front.Close)
	return s
}

// client presents cert, or nothing for nil.
func (s *secured) client(t testing.TB, h2 bool, cert *tls.Certificate) *http.Client {
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	conf.RootCAs.AddCert(s.front.Certificate())
	if cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: h2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (s *secured) get(t testing.TB, c *http.Client, header http.Header) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.front.URL+"/a~b/fhir/Basic/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(text)
}

// TestMutualTLS: an exchange names the certificates of both legs, over HTTP/1.1 and HTTP/2.
func TestMutualTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[h2], func(t *testing.T) {
			s := newSecured(t, h2)
			cert := s.event.Client(t, "acme-client")
			c := s.client(t, h2, &cert)
			for range 2 {
				if status, body := s.get(t, c, nil); status != 200 || !strings.Contains(body, "channel-a") {
					t.Fatalf("%d %s", status, body)
				}
			}
			for _, ex := range s.sink.Wait(t, 2) {
				in, out := ex.ClientLeg.TLS, ex.ServerLeg.TLS
				if in.Trust != proxy.TrustEventCA || len(in.Client) != 1 || in.Client[0].Subject != "CN=acme-client" || in.Client[0].Issuer != "CN=Event CA" {
					t.Errorf("client's leg %+v", in)
				}
				if out.Trust != proxy.TrustServerCA || len(out.Client) != 1 || out.Client[0].Subject != "CN=channel-a" || !out.Asked || out.Server[0].Issuer != "CN=Server CA" {
					t.Errorf("server's leg %+v", out)
				}
				want := ""
				if h2 {
					want = "h2"
				}
				if in.Protocol != want || h2 && out.Protocol != "h2" {
					t.Errorf("protocols %q, %q", in.Protocol, out.Protocol)
				}
			}
		})
	}
}

// TestClientCertificateRule: wrong, expired, unlisted and missing certificates are refused where the channel requires one, recorded and
// explained; where it does not, the record says what they are worth and the request passes.
func TestClientCertificateRule(t *testing.T) {
	birch := proxytest.NewCA(t, "Birch CA").Client(t, "birch-client")
	s := newSecured(t, false, proxy.CertificateOf(birch.Leaf).Fingerprint)
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	expired := s.event.Issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "old"}, NotBefore: time.Now().Add(-9 * time.Hour), NotAfter: time.Now().Add(-time.Hour), ExtKeyUsage: clients})
	unlisted := s.other.Client(t, "stranger")
	for _, c := range []struct {
		name  string
		cert  *tls.Certificate
		trust proxy.Trust
		words string
	}{
		{"wrong", &birch, proxy.TrustRefused, "belongs to the system Birch (c), which is not this channel's client"},
		{"expired", &expired, proxy.TrustRefused, "the certificate of CN=old expired on"},
		{"unlisted", &unlisted, proxy.TrustRefused, "issued by CN=Other CA, which is neither the event's CA nor fhirwire's own"},
		{"missing", nil, proxy.TrustNone, "no client certificate was presented"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(s.sink.Exchanges())
			s.channel.Options.RequireClientCert = true
			status, body := s.get(t, s.client(t, false, c.cert), nil)
			s.channel.Options.RequireClientCert = false
			passed, _ := s.get(t, s.client(t, false, c.cert), nil)
			all := s.sink.Wait(t, before+2)[before:]
			ex := all[0]
			var o struct {
				ResourceType string
				Issue        []struct{ Severity, Code, Diagnostics string }
			}
			if err := json.Unmarshal([]byte(body), &o); err != nil || status != 403 || len(o.Issue) != 1 || o.Issue[0].Code != "forbidden" ||
				!strings.Contains(o.Issue[0].Diagnostics, c.words) || !strings.Contains(o.Issue[0].Diagnostics, ex.ID) {
				t.Errorf("%d %s %v", status, body, err)
			}
			if f := ex.Failure; f == nil || f.Reason != proxy.ReasonClientTLS || f.Side != "client" || !strings.Contains(f.Detail, c.words) {
				t.Errorf("failure %+v", f)
			}
			if ex.ClientLeg.TLS.Trust != c.trust || ex.ServerLeg != nil || ex.Request.Target != "" {
				t.Errorf("forwarded? %+v %+v", ex.ClientLeg.TLS, ex.ServerLeg)
			}
			if passed != 200 || all[1].Failure != nil || all[1].ClientLeg.TLS.Trust != c.trust {
				t.Errorf("without the requirement: %d, %+v", passed, all[1].ClientLeg.TLS)
			}
		})
	}
}

// TestClientCertificateInClear: a connection in clear cannot carry what the channel requires, and a proxy that judges nothing accepts nothing.
func TestClientCertificateInClear(t *testing.T) {
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"].Options.RequireClientCert = true
	res, body := r.get("/fhir/Patient")
	ex := r.sink.Wait(t, 1)[0]
	if res.StatusCode != 403 || !strings.Contains(body, "in clear") || ex.Failure == nil || ex.Failure.Reason != proxy.ReasonClientTLS {
		t.Errorf("%d %s, %+v", res.StatusCode, body, ex.Failure)
	}
	if ex.ClientLeg == nil || ex.ClientLeg.TLS != nil {
		t.Errorf("leg %+v", ex.ClientLeg)
	}
}

// TestBoundToken: what a token is bound to stays in the record, beside the certificate that the client presented.
func TestBoundToken(t *testing.T) {
	s := newSecured(t, false)
	cert := s.event.Client(t, "acme-client")
	// {"alg":"none"}.{"sub":"x","cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}
	token := "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiY25mIjp7Ing1dCNTMjU2IjoiYndjSzBlc2MzQUNDM0RCMlk1X2xFU3NYRThvOWx0YzA1Tzg5amROLWRnMiJ9fQ.sig"
	if status, _ := s.get(t, s.client(t, false, &cert), http.Header{"Authorization": {"Bearer " + token}}); status != 200 {
		t.Fatalf("status %d", status)
	}
	got := s.sink.Wait(t, 1)[0].Request.Header.Get("Authorization")
	if !strings.Contains(got, `"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}`) || strings.Contains(got, token) {
		t.Errorf("recorded %s", got)
	}
}

// connect opens a client's connection. An HTTP/2 server of net/http gives a client two seconds to begin, which it may not have on a busy
// machine: it tries again.
func (s *secured) connect(t testing.TB, c *http.Client) error {
	for tries := 1; ; tries++ {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.front.URL+"/a~b/fhir/Basic/1", nil)
		if err != nil {
			return err
		}
		res, err := c.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		if err == nil || tries == 20 {
			return err
		}
	}
}

// TestManyMutualTLSClients: 200 clients at once, each with its own certificate and connection, are told apart.
func TestManyMutualTLSClients(t *testing.T) {
	const clients, requests = 200, 3
	for _, h2 := range []bool{false, true} {
		s := newSecured(t, h2)
		var all [clients]*http.Client
		var connecting errgroup.Group
		connecting.SetLimit(4)
		for i := range clients {
			cert := s.event.Client(t, fmt.Sprintf("client-%d", i))
			all[i] = s.client(t, h2, &cert)
			connecting.Go(func() error { return s.connect(t, all[i]) })
		}
		if err := connecting.Wait(); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i, c := range all {
			wg.Go(func() {
				for range requests {
					if status, _ := s.get(t, c, http.Header{"X-Who": {fmt.Sprintf("client-%d", i)}}); status != 200 {
						t.Errorf("client %d: status %d", i, status)
					}
				}
			})
		}
		wg.Wait()
		var asked []*proxy.Exchange // after connecting
		for n := clients * requests; len(asked) < clients*requests; n++ {
			asked = slices.DeleteFunc(s.sink.Wait(t, n), func(ex *proxy.Exchange) bool { return ex.Request.Header.Get("X-Who") == "" })
		}
		for _, ex := range asked {
			in, out := ex.ClientLeg, ex.ServerLeg
			if ex.Failure != nil || in.TLS.Trust != proxy.TrustEventCA || in.TLS.Client[0].Subject != "CN="+ex.Request.Header.Get("X-Who") || out.TLS.Trust != proxy.TrustServerCA {
				t.Fatalf("%s: %+v, %+v, %+v", ex.Request.Header.Get("X-Who"), ex.Failure, in.TLS, out)
			}
		}
	}
}
