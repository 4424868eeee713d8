package selfcheck

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// authority issues certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(t *testing.T, tmpl *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	if tmpl.NotAfter.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	}
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) leaf(t *testing.T, tmpl *x509.Certificate) *tls.Certificate {
	t.Helper()
	cert, key := a.issue(t, tmpl)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

const capability = `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}`

// payer answers as a well-kept server.
func payer() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fhir/metadata", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, capability)
	})
	return mux
}

func serve(t *testing.T, h http.Handler, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if config == nil {
		s.Start()
	} else {
		s.TLS = config
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s.URL + "/fhir"
}

func plainDial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func check(t *testing.T, ch *proxy.Channel, o Options) map[string]proxy.Probe {
	t.Helper()
	o.Timeout = 5 * time.Minute // a busy machine is no fault of the server
	got := New(plainDial, o).Check(t.Context(), ch)
	out := map[string]proxy.Probe{}
	for _, p := range got.Probes {
		if _, twice := out[p.ID]; twice || p.Title == "" || p.Text == "" || p.Leg == "" {
			t.Errorf("probe %+v", p)
		}
		if (p.Outcome == proxy.ProbeProblem) && (p.Side == "" || p.Action == "") {
			t.Errorf("nobody is told to act: %+v", p)
		}
		out[p.ID] = p
	}
	return out
}

// expect compares a probe's outcome and a part of its text or action.
func expect(t *testing.T, probes map[string]proxy.Probe, id string, outcome proxy.ProbeOutcome, side, part string) {
	t.Helper()
	p, ok := probes[id]
	if !ok || p.Outcome != outcome || p.Side != side || !strings.Contains(p.Text+" "+p.Action, part) {
		t.Errorf("%s: got %s by %q: %s / %s; want %s by %q with %q", id, p.Outcome, p.Side, p.Text, p.Action, outcome, side, part)
	}
}

func TestServerInClear(t *testing.T) {
	t.Parallel()
	base := serve(t, payer(), nil)
	got := check(t, &proxy.Channel{ServerURL: base}, Options{})
	expect(t, got, "server-name", proxy.ProbeOK, "", "is an address")
	expect(t, got, "server-port", proxy.ProbeOK, "", "Connected to 127.0.0.1")
	expect(t, got, "server-metadata", proxy.ProbeOK, "", "FHIR 4.0.1")
	expect(t, got, "server-clock", proxy.ProbeOK, "", "differ by")
	expect(t, got, "server-discovery", proxy.ProbeOK, "", "neither")
	if _, ok := got["server-tls"]; ok {
		t.Error("TLS is judged on a connection in clear")
	}
}

func TestServerOutOfReach(t *testing.T) {
	t.Parallel()
	const gone = "127.0.0.1:1" // nothing listens there, and no program is given this port by chance
	got := check(t, &proxy.Channel{ServerURL: "http://" + gone + "/fhir"}, Options{})
	expect(t, got, "server-port", proxy.ProbeProblem, "server", "nothing listens there")
	expect(t, got, "server-metadata", proxy.ProbeNotChecked, "", "Not looked at")

	missing := Options{Resolve: func(context.Context, string) ([]net.IPAddr, error) { return nil, &net.DNSError{IsNotFound: true} }}
	got = check(t, &proxy.Channel{ServerURL: "http://payer.invalid/fhir"}, missing)
	expect(t, got, "server-name", proxy.ProbeProblem, "server", "the name is not known")

	own := New(func(context.Context, string, string) (net.Conn, error) {
		return nil, fmt.Errorf("dial: %w", &record.RefusedError{Text: "that is the proxy itself"})
	}, Options{}).Check(t.Context(), &proxy.Channel{ServerURL: "http://127.0.0.1:1/fhir"})
	if p := own.Probes[1]; p.Side != "proxy" || !strings.Contains(p.Text, "the proxy itself") || own.Worst() != proxy.ProbeProblem {
		t.Errorf("%+v", p)
	}
}

func TestServerCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	for name, tc := range map[string]struct {
		leaf    x509.Certificate
		server  proxy.SystemOptions
		outcome proxy.ProbeOutcome
		part    string
	}{
		"trusted":  {x509.Certificate{IPAddresses: here}, proxy.SystemOptions{CA: ca.pem()}, proxy.ProbeOK, "TLS 1.3"},
		"stranger": {x509.Certificate{IPAddresses: here}, proxy.SystemOptions{}, proxy.ProbeProblem, "its issuer CN=Test CA is not known"},
		"expired": {
			x509.Certificate{IPAddresses: here, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)},
			proxy.SystemOptions{CA: ca.pem()},
			proxy.ProbeProblem, "not valid now",
		},
		"ends soon": {
			x509.Certificate{IPAddresses: here, NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(73 * time.Hour)},
			proxy.SystemOptions{CA: ca.pem()},
			proxy.ProbeWarning, "in 3 days",
		},
		"made for a week": {
			x509.Certificate{IPAddresses: here, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(120 * time.Hour)},
			proxy.SystemOptions{CA: ca.pem()},
			proxy.ProbeOK, "It is trusted",
		},
		"wrong name": {x509.Certificate{DNSNames: []string{"other.example"}}, proxy.SystemOptions{CA: ca.pem()}, proxy.ProbeProblem, "for other.example, not for 127.0.0.1"},
		"switched off": {
			x509.Certificate{DNSNames: []string{"other.example"}}, proxy.SystemOptions{InsecureUntil: time.Now().Add(time.Hour)}, proxy.ProbeWarning, "switched off until",
		},
		"no longer switched off": {
			x509.Certificate{DNSNames: []string{"other.example"}}, proxy.SystemOptions{CA: ca.pem(), InsecureUntil: time.Now().Add(-time.Hour)}, proxy.ProbeProblem, "not for 127.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.leaf.Subject = pkix.Name{CommonName: "payer"}
			base := serve(t, payer(), &tls.Config{Certificates: []tls.Certificate{*ca.leaf(t, &tc.leaf)}, MinVersion: tls.VersionTLS12})
			got := check(t, &proxy.Channel{ServerURL: base, Server: tc.server}, Options{})
			side := map[proxy.ProbeOutcome]string{proxy.ProbeProblem: "server", proxy.ProbeWarning: "server"}[tc.outcome]
			if name == "switched off" {
				side = "proxy"
			}
			expect(t, got, "server-tls", tc.outcome, side, tc.part)
			if len(got["server-tls"].Certificates) == 0 {
				t.Error("the certificate is not shown")
			}
			want := proxy.ProbeOK
			if tc.outcome == proxy.ProbeProblem {
				want = proxy.ProbeNotChecked
			}
			if p := got["server-metadata"]; p.Outcome != want {
				t.Errorf("metadata after that: %+v", p)
			}
		})
	}

	inClear := serve(t, payer(), nil)
	got := check(t, &proxy.Channel{ServerURL: strings.Replace(inClear, "http:", "https:", 1)}, Options{})
	expect(t, got, "server-tls", proxy.ProbeProblem, "server", "does not speak TLS")
}

type wallet map[string]*tls.Certificate

func (w wallet) TLS(name string) (*tls.Certificate, error) {
	if c, ok := w[name]; ok {
		return c, nil
	}
	return nil, errors.New("no such certificate")
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certs := wallet{
		"acme":     ca.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "acme"}, ExtKeyUsage: usage}),
		"stranger": other.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "stranger"}, ExtKeyUsage: usage}),
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	leaf := ca.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "payer"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	mutual := serve(t, payer(), &tls.Config{Certificates: []tls.Certificate{*leaf}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12})
	open := serve(t, payer(), &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12})
	with := func(base, name string) *proxy.Channel {
		return &proxy.Channel{ServerURL: base, Server: proxy.SystemOptions{CA: ca.pem()}, Options: proxy.ChannelOptions{ClientCert: name}}
	}
	o := Options{Certificates: certs}

	got := check(t, with(mutual, "acme"), o)
	expect(t, got, "server-mtls", proxy.ProbeOK, "", `"acme" was presented`)
	expect(t, got, "server-metadata", proxy.ProbeOK, "", "FHIR 4.0.1")

	got = check(t, with(mutual, ""), o)
	expect(t, got, "server-mtls", proxy.ProbeWarning, "proxy", "asks for a client certificate")
	expect(t, got, "server-metadata", proxy.ProbeProblem, "proxy", "It wants a client certificate")

	got = check(t, with(mutual, "stranger"), o)
	expect(t, got, "server-metadata", proxy.ProbeProblem, "server", "does not accept the certificate presented")

	got = check(t, with(mutual, "lost"), o)
	expect(t, got, "server-mtls", proxy.ProbeProblem, "proxy", "fhirwire ca issue --client lost")

	got = check(t, with(open, "acme"), o)
	expect(t, got, "server-mtls", proxy.ProbeWarning, "server", "never presented")
}

func TestMetadataAndDiscovery(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status      int
		kind, body  string
		header      http.Header
		probe       string
		outcome     proxy.ProbeOutcome
		side, part  string
		smart, udap string
		aux         []proxy.Auxiliary
	}{
		"redirect":    {status: 302, header: http.Header{"Location": {"https://elsewhere.example/r4/metadata"}}, probe: "metadata", outcome: proxy.ProbeProblem, side: "server", part: "302 to https://elsewhere"},
		"closed":      {status: 401, probe: "metadata", outcome: proxy.ProbeProblem, side: "server", part: "not open"},
		"not here":    {status: 404, probe: "metadata", outcome: proxy.ProbeProblem, side: "server", part: "answered 404"},
		"a web page":  {status: 200, kind: "text/html", body: "<html>", probe: "metadata", outcome: proxy.ProbeProblem, side: "server", part: "no CapabilityStatement"},
		"R5":          {status: 200, kind: "application/fhir+json", body: `{"resourceType":"CapabilityStatement","fhirVersion":"5.0.0"}`, probe: "metadata", outcome: proxy.ProbeProblem, side: "server", part: "FHIR 5.0.0"},
		"plain JSON":  {status: 200, kind: "application/json", body: capability, probe: "metadata", outcome: proxy.ProbeWarning, side: "server", part: "as application/json"},
		"other base":  {status: 200, kind: "application/fhir+json", body: `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","implementation":{"url":"http://inside/fhir"}}`, probe: "metadata", outcome: proxy.ProbeWarning, side: "server", part: "http://inside/fhir"},
		"clock ahead": {status: 200, kind: "application/fhir+json", body: capability, header: http.Header{"Date": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, probe: "clock", outcome: proxy.ProbeProblem, side: "server", part: "ahead of"},
		"clock late":  {status: 200, kind: "application/fhir+json", body: capability, header: http.Header{"Date": {time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)}}, probe: "clock", outcome: proxy.ProbeWarning, side: "server", part: "behind"},
		"stranger":    {status: 200, smart: `{"token_endpoint":"https://auth.example/token","capabilities":[]}`, probe: "discovery", outcome: proxy.ProbeWarning, side: "proxy", part: "https://auth.example"},
		"declared":    {status: 200, smart: `{"token_endpoint":"https://auth.example/token"}`, aux: []proxy.Auxiliary{{Name: "auth", URL: "https://auth.example"}}, probe: "discovery", outcome: proxy.ProbeOK, part: "all endpoints are behind this channel"},
		"broken":      {status: 200, udap: `[`, probe: "discovery", outcome: proxy.ProbeProblem, side: "server", part: "UDAP metadata is no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("/fhir/metadata", func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), tc.header)
				w.Header().Set("Content-Type", tc.kind)
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			for path, body := range map[string]string{"smart-configuration": tc.smart, "udap": tc.udap} {
				if body != "" {
					mux.HandleFunc("/fhir/.well-known/"+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
				}
			}
			ch := &proxy.Channel{ServerURL: serve(t, mux, nil), Server: proxy.SystemOptions{Auxiliary: tc.aux}}
			o := Options{Resolve: func(context.Context, string) ([]net.IPAddr, error) { return nil, &net.DNSError{IsNotFound: true} }}
			got := check(t, ch, o)
			expect(t, got, "server-"+tc.probe, tc.outcome, tc.side, tc.part)
			for _, a := range tc.aux {
				expect(t, got, "auxiliary-"+a.Name+"-name", proxy.ProbeProblem, "server", "the name is not known")
			}
		})
	}
}

type recorded []*proxy.Exchange

func (r recorded) Exchanges(context.Context, proxy.Query) (proxy.Page, error) {
	return proxy.Page{Exchanges: r}, nil
}

func (r recorded) Exchange(context.Context, string) (*proxy.Exchange, error) { return r[0], nil }

func TestClientLeg(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leaf := ca.leaf(t, &x509.Certificate{Subject: pkix.Name{CommonName: "proxy"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	front := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	inClear := strings.TrimSuffix(serve(t, front, nil), "/fhir")
	secure := strings.TrimSuffix(serve(t, front, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12}), "/fhir")
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	ch := &proxy.Channel{Name: "acme~payer", ServerURL: serve(t, payer(), nil)}

	got := check(t, ch, Options{ProxyURL: inClear, Exchanges: recorded{}})
	expect(t, got, "client-proxy", proxy.ProbeWarning, "proxy", "from this machine only")
	expect(t, got, "client-seen", proxy.ProbeNotChecked, "client", inClear+"/acme~payer/fhir")

	got = check(t, ch, Options{ProxyURL: secure, Roots: roots})
	expect(t, got, "client-proxy", proxy.ProbeWarning, "client", "local CA")
	got = check(t, ch, Options{ProxyURL: secure})
	expect(t, got, "client-proxy", proxy.ProbeProblem, "proxy", "does not answer")

	ex := &proxy.Exchange{ID: "e", Number: 7, ClientAddr: "192.0.2.7:5000", Timing: proxy.Timing{Start: time.Now()}}
	got = check(t, ch, Options{ProxyURL: inClear, Exchanges: recorded{ex}})
	expect(t, got, "client-seen", proxy.ProbeOK, "", "exchange 7")
	strict := *ch
	strict.Options.RequireClientCert = true
	got = check(t, &strict, Options{ProxyURL: inClear, Exchanges: recorded{ex}})
	expect(t, got, "client-seen", proxy.ProbeProblem, "client", "came in clear")
	ex.ClientLeg = &proxy.Leg{TLS: &proxy.TLS{}}
	got = check(t, &strict, Options{ProxyURL: inClear, Exchanges: recorded{ex}})
	expect(t, got, "client-seen", proxy.ProbeProblem, "client", "no client certificate")
	ex.Failure = &proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client", Detail: "the certificate has expired"}
	got = check(t, ch, Options{ProxyURL: inClear, Exchanges: recorded{ex}})
	expect(t, got, "client-seen", proxy.ProbeProblem, "client", "the certificate has expired")
}
