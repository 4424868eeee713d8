package upstream_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/upstream"
)

// unhurried is how long a connection may take here: a machine that stands still for a while is no server that does.
const unhurried = 5 * time.Minute

// certificates is the double of the local CA's store.
type certificates struct {
	mu    sync.Mutex
	named map[string]tls.Certificate
}

func (c *certificates) TLS(name string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cert, ok := c.named[name]; ok {
		return &cert, nil
	}
	return nil, fmt.Errorf("certificate %q: file does not exist", name)
}

func (c *certificates) set(name string, cert tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named[name] = cert
}

// server is a TLS server that says who called and counts connections.
type server struct {
	*httptest.Server
	connections atomic.Int64
}

func newServer(t testing.TB, h2 bool, cert tls.Certificate, conf *tls.Config) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = io.WriteString(w, who+" "+r.Proto)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.EnableHTTP2 = h2
	if conf == nil {
		conf = &tls.Config{}
	}
	conf.Certificates = []tls.Certificate{cert}
	s.TLS = conf
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// call sends one request of ch and gives what was said and recorded.
func call(t testing.TB, next http.RoundTripper, ch *proxy.Channel, url string) (string, *proxy.Exchange) {
	t.Helper()
	sink := &proxytest.Sink{}
	rec := record.New(sink, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	in := httptest.NewRequest("GET", "/fhir/Patient", nil)
	in, p := rec.Begin(in, record.Arrival{})
	ctx := in.Context()
	if ch != nil {
		ctx = upstream.WithChannel(ctx, ch)
	}
	out, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	res, err := rec.Transport(next).RoundTrip(out)
	if err != nil {
		p.Fail(p.Classify(err))
	} else {
		p.Deliver(res)
		if text, err = io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	return string(text), sink.Wait(t, 1)[0]
}

// TestTrust: what a server's certificate is accepted on, or why not and whose side that is.
func TestTrust(t *testing.T) {
	public, given, local, foreign := proxytest.NewCA(t, "Public CA"), proxytest.NewCA(t, "Given CA"), proxytest.NewCA(t, "Local CA"), proxytest.NewCA(t, "Foreign CA")
	now := time.Now()
	servers := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	later := now.Add(time.Hour)
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		opt    proxy.SystemOptions
		trust  proxy.Trust
		detail string
		fails  bool
	}{
		{"public", public.Server(t, "127.0.0.1"), proxy.SystemOptions{}, proxy.TrustPublic, "CN=Public CA", false},
		{"server CA", given.Server(t, "127.0.0.1"), proxy.SystemOptions{CA: given.PEM()}, proxy.TrustServerCA, "CN=Given CA", false},
		{"several", public.Server(t, "127.0.0.1"), proxy.SystemOptions{CA: given.PEM() + public.PEM()}, proxy.TrustServerCA, "CN=Public CA", false},
		{"local CA", local.Server(t, "127.0.0.1"), proxy.SystemOptions{}, proxy.TrustLocalCA, "CN=Local CA", false},
		{"public beside a server CA", public.Server(t, "127.0.0.1"), proxy.SystemOptions{CA: given.PEM()}, proxy.TrustPublic, "", false},
		{"unknown CA", foreign.Server(t, "127.0.0.1"), proxy.SystemOptions{CA: given.PEM()}, proxy.TrustRefused, "issued by CN=Foreign CA, which is not trusted here", true},
		{"wrong host", public.Server(t, "payer.example", "10.0.0.1"), proxy.SystemOptions{}, proxy.TrustRefused, "made out to payer.example, 10.0.0.1, not to 127.0.0.1", true},
		{"expired", public.Issue(t, &x509.Certificate{NotBefore: now.Add(-9 * time.Hour), NotAfter: now.Add(-time.Hour), ExtKeyUsage: servers, IPAddresses: loopback}), proxy.SystemOptions{}, proxy.TrustRefused, "which is not now", true},
		{"for clients", public.Issue(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IPAddresses: loopback}), proxy.SystemOptions{}, proxy.TrustRefused, "not for servers", true},
		{"insecure, would fail", foreign.Server(t, "127.0.0.1"), proxy.SystemOptions{InsecureUntil: later}, proxy.TrustInsecure, "it would fail: the server's certificate is issued by CN=Foreign CA", false},
		{"insecure, for nothing", public.Server(t, "127.0.0.1"), proxy.SystemOptions{InsecureUntil: later}, proxy.TrustInsecure, "it would succeed", false},
		{"insecure no more", foreign.Server(t, "127.0.0.1"), proxy.SystemOptions{InsecureUntil: now.Add(-time.Second)}, proxy.TrustRefused, "not trusted", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, true, c.cert, nil)
			tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: public.Pool(), LocalRoot: local.Cert, Clock: func() time.Time { return now }})
			defer tr.CloseIdleConnections()
			text, ex := call(t, tr, &proxy.Channel{ID: "1", Server: c.opt}, s.URL+"/fhir")
			leg := ex.ServerLeg
			if leg == nil || leg.TLS == nil || leg.TLS.Trust != c.trust || !strings.Contains(leg.TLS.Detail, c.detail) {
				t.Fatalf("leg %+v; failure %+v", leg, ex.Failure)
			}
			if leg.Address != s.Listener.Addr().String() || len(leg.TLS.Server) != 1 || leg.TLS.Server[0].Fingerprint != proxy.CertificateOf(c.cert.Leaf).Fingerprint {
				t.Errorf("leg %+v", leg.TLS)
			}
			if !c.fails {
				if text != "nobody HTTP/2.0" || ex.Failure != nil || leg.TLS.Version != "TLS 1.3" || leg.TLS.Protocol != "h2" {
					t.Errorf("%q, %+v, %+v", text, ex.Failure, leg.TLS)
				}
				return
			}
			if f := ex.Failure; f == nil || f.Reason != proxy.ReasonUpstreamTLS || f.Side != "server" || f.Detail != leg.TLS.Detail {
				t.Errorf("failure %+v", f)
			}
		})
	}
}

// TestClientCertificate: the channel's certificate is what the server sees; where it is refused or missing, words say so.
func TestClientCertificate(t *testing.T) {
	ca, foreign := proxytest.NewCA(t, "CA"), proxytest.NewCA(t, "Foreign CA")
	store := &certificates{named: map[string]tls.Certificate{
		"acme": ca.Client(t, "acme"), "foreign": foreign.Client(t, "stranger"),
		"old": ca.Issue(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "old"}, NotAfter: time.Now().Add(-time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}),
	}}
	require := func(version uint16) *tls.Config {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MaxVersion: version}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, h2 := range []bool{false, true} {
			for _, c := range []struct {
				cert, who string
				words     []string
			}{
				{"acme", "acme", nil},
				{"", "", []string{"client certificate", "presents none"}},
				{"foreign", "", []string{"refused the channel's client certificate CN=stranger, issued by CN=Foreign CA"}},
				{"old", "", []string{"refused the channel's client certificate CN=old", "good until"}},
				{"gone", "", []string{`client certificate "gone", which cannot be used`, "does not exist"}},
			} {
				t.Run(fmt.Sprintf("%s h2=%v %q", tls.VersionName(version), h2, c.cert), func(t *testing.T) {
					s := newServer(t, h2, ca.Server(t, "127.0.0.1"), require(version))
					tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: ca.Pool(), Certificates: store})
					defer tr.CloseIdleConnections()
					text, ex := call(t, tr, &proxy.Channel{ID: "1", Options: proxy.ChannelOptions{ClientCert: c.cert}}, s.URL)
					if c.who != "" {
						leg := ex.ServerLeg.TLS
						if !strings.HasPrefix(text, c.who+" ") || ex.Failure != nil || !leg.Asked || len(leg.Client) != 1 || leg.Client[0].Subject != "CN=acme" {
							t.Fatalf("%q, %+v, %+v", text, ex.Failure, leg)
						}
						return
					}
					f := ex.Failure
					if f != nil && f.Reason == proxy.ReasonUpstreamReset { // the alert was lost with the connection
						if !strings.Contains(f.Detail, "client certificate") {
							t.Fatalf("%+v", f)
						}
						return
					}
					if f == nil || f.Reason != proxy.ReasonUpstreamTLS || f.Side != "proxy" {
						t.Fatalf("failure %+v", f)
					}
					for _, w := range c.words {
						if !strings.Contains(f.Detail, w) {
							t.Errorf("%q lacks %q", f.Detail, w)
						}
					}
					if c.cert != "gone" && (ex.ServerLeg == nil || ex.ServerLeg.TLS == nil || !ex.ServerLeg.TLS.Asked) {
						t.Errorf("leg %+v", ex.ServerLeg)
					}
				})
			}
		}
	}
}

// TestChangedSettings: each change holds for the next request, on connections of its own; what did not change keeps its connection.
func TestChangedSettings(t *testing.T) {
	ca, foreign := proxytest.NewCA(t, "CA"), proxytest.NewCA(t, "Foreign CA")
	store := &certificates{named: map[string]tls.Certificate{"a": ca.Client(t, "first"), "b": ca.Client(t, "second")}}
	s := newServer(t, true, foreign.Server(t, "127.0.0.1"), &tls.Config{ClientAuth: tls.RequestClientCert})
	now := time.Now()
	tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: ca.Pool(), Certificates: store, Clock: func() time.Time { return now }})
	defer tr.CloseIdleConnections()
	step := func(what, want string, connections int64, opt proxy.SystemOptions, cert string) {
		t.Helper()
		text, ex := call(t, tr, &proxy.Channel{ID: "1", Server: opt, Options: proxy.ChannelOptions{ClientCert: cert}}, s.URL)
		who, _, _ := strings.Cut(text, " ")
		if who != want || s.connections.Load() != connections {
			t.Fatalf("%s: %q, %d connections, %+v; want %q, %d", what, who, s.connections.Load(), ex.Failure, want, connections)
		}
		now = now.Add(2 * time.Second)
	}
	given := proxy.SystemOptions{CA: foreign.PEM()}
	step("with its CA", "nobody", 1, given, "")
	step("again", "nobody", 1, given, "")
	step("with a certificate", "first", 2, given, "a")
	step("with another", "second", 3, given, "b")
	store.set("b", ca.Client(t, "renewed"))
	step("renewed", "renewed", 4, given, "b")
	step("same", "renewed", 4, given, "b")
	step("without the CA", "", 5, proxy.SystemOptions{}, "b")
	insecure := proxy.SystemOptions{InsecureUntil: now.Add(3 * time.Second)}
	step("not verified", "renewed", 6, insecure, "b")
	step("still not verified", "renewed", 6, insecure, "b")
	step("the time is over", "", 7, insecure, "b")
}

// TestToTheSecond: verification is off before the moment and on at it.
func TestToTheSecond(t *testing.T) {
	ca := proxytest.NewCA(t, "CA")
	s := newServer(t, false, ca.Server(t, "127.0.0.1"), nil)
	until := time.Now().Truncate(time.Second)
	for _, c := range []struct {
		at time.Duration
		ok bool
	}{{-time.Nanosecond, true}, {0, false}} {
		tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: x509.NewCertPool(), Clock: func() time.Time { return until.Add(c.at) }})
		_, ex := call(t, tr, &proxy.Channel{ID: "1", Server: proxy.SystemOptions{InsecureUntil: until}}, s.URL)
		if ok := ex.Failure == nil; ok != c.ok {
			t.Errorf("%v: %+v", c.at, ex.Failure)
		}
		tr.CloseIdleConnections()
	}
}

// TestManyChannels: each has its own connection, and the number of transports is bounded.
func TestManyChannels(t *testing.T) {
	ca := proxytest.NewCA(t, "CA")
	s := newServer(t, false, ca.Server(t, "127.0.0.1"), nil)
	tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: ca.Pool(), MaxChannels: 2})
	defer tr.CloseIdleConnections()
	for i, want := range []int64{1, 2, 2, 3, 4} {
		id := []string{"a", "b", "b", "c", "a"}[i]
		if text, ex := call(t, tr, &proxy.Channel{ID: id}, s.URL); text == "" || s.connections.Load() != want {
			t.Fatalf("request %d: %q, %d connections, %+v", i, text, s.connections.Load(), ex.Failure)
		}
	}
	clear := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in clear") }))
	defer clear.Close()
	text, ex := call(t, tr, &proxy.Channel{ID: "a"}, clear.URL)
	if text != "in clear" || ex.ServerLeg == nil || ex.ServerLeg.TLS != nil || ex.ServerLeg.Address != clear.Listener.Addr().String() {
		t.Errorf("%q %+v", text, ex.ServerLeg)
	}
}

// TestHandshakes that fail before any certificate.
func TestHandshakes(t *testing.T) {
	listen := func(do func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = c.Close() }()
					_, _ = c.Read(make([]byte, 4096))
					do(c)
				}()
			}
		}()
		return l.Addr().String()
	}
	ca := proxytest.NewCA(t, "CA")
	old := newServer(t, false, ca.Server(t, "127.0.0.1"), &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	for _, c := range []struct{ name, addr, want string }{
		{"in clear", listen(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), "does not speak TLS"},
		{"silent", listen(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), "TLS handshake timed out"},
		{"closed", listen(func(net.Conn) {}), "closed the connection during the TLS handshake"},
		{"alert", listen(func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 112}) }), "knows no site called 127.0.0.1"},
		{"old", old.Listener.Addr().String(), "TLS 1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			patience := unhurried
			if c.name == "silent" {
				patience = 5 * time.Second // connecting, which succeeds, has as long
			}
			tr := upstream.New(upstream.Options{Roots: ca.Pool(), DialTimeout: patience})
			_, ex := call(t, tr, &proxy.Channel{ID: "1"}, "https://"+c.addr)
			if f := ex.Failure; f == nil || f.Reason != proxy.ReasonUpstreamTLS || f.Side != "server" || !strings.Contains(f.Detail, c.want) {
				t.Errorf("failure %+v", f)
			}
			if ex.ServerLeg == nil || ex.ServerLeg.Address != c.addr {
				t.Errorf("leg %+v", ex.ServerLeg)
			}
		})
	}
}

// TestGivenUp: a caller that leaves during the handshake is no failure of the server.
func TestGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "https://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := upstream.New(upstream.Options{}).RoundTrip(r)
	var known *record.FailedError
	if err == nil || errors.As(err, &known) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if res != nil {
		_ = res.Body.Close()
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	ca := proxytest.NewCA(b, "CA")
	s := newServer(b, false, ca.Server(b, "127.0.0.1"), nil)
	tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: ca.Pool()})
	defer tr.CloseIdleConnections()
	ctx := upstream.WithChannel(b.Context(), &proxy.Channel{ID: "1", Server: proxy.SystemOptions{CA: ca.PEM()}})
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		res, err := tr.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
