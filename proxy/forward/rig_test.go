package forward_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"fhirwire/proxy"
	"fhirwire/proxy/forward"
	"fhirwire/proxy/localca"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/upstream"
)

// names is the name service of these tests: what it is asked, it remembers.
type names struct {
	mu      sync.Mutex
	answers map[string][]string // a name's addresses, one an answer; the last stays
	asked   []string
}

var dns = &names{answers: map[string][]string{}}

// TestMain puts the tests' name service in the place of the machine's, so that names can be made to mean anything.
func TestMain(m *testing.M) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go dns.serve(server)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	os.Exit(m.Run())
}

func (n *names) set(name string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name+"."] = addrs
}

func (n *names) askedFor(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.asked, name+".")
}

func (n *names) serve(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		k, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:k]) != nil || len(m.Questions) == 0 {
			continue
		}
		q := m.Questions[0]
		name := strings.ToLower(q.Name.String())
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		n.mu.Lock()
		n.asked = append(n.asked, name)
		if addrs := n.answers[name]; len(addrs) == 0 {
			m.RCode = dnsmessage.RCodeNameError
		} else if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(addrs[0]).To4())},
			}}
			if len(addrs) > 1 {
				n.answers[name] = addrs[1:]
			}
		}
		n.mu.Unlock()
		if out, err := m.Pack(); err == nil {
			_, _ = c.WriteTo(out, from)
		}
	}
}

// hosts is the double of the store.
type hosts struct {
	mu       sync.Mutex
	systems  []*proxy.System
	channels []*proxy.Channel
	fault    func()
}

func (h *hosts) Systems(context.Context) ([]*proxy.System, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.systems), nil
}

func (h *hosts) Channels(context.Context) ([]*proxy.Channel, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.channels), nil
}

func (h *hosts) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		h.fault()
	}
	for _, ch := range h.channels {
		if ch.Name == name {
			return ch, nil
		}
	}
	return nil, fmt.Errorf("channel %s: %w", name, proxy.ErrNotFound)
}

// add registers a channel from client to a server at base.
func (h *hosts) add(client, server, base string, change ...func(*proxy.Channel)) *proxy.Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.ContainsFunc(h.systems, func(s *proxy.System) bool { return s.Slug == client }) {
		h.systems = append(h.systems, &proxy.System{ID: "id-" + client, Slug: client})
	}
	name := client + "~" + server
	ch := &proxy.Channel{ID: "id-" + name, Name: name, ClientID: "id-" + client, ServerID: "id-" + server, ServerURL: base, Server: proxy.SystemOptions{CA: publicPEM()}}
	for _, f := range change {
		f(ch)
	}
	h.channels = append(h.channels, ch)
	return ch
}

// The tests' public CA issues servers' certificates, the local one is the proxy's.
var (
	public = sync.OnceValue(func() *localca.Authority { return openCA("public") })
	local  = sync.OnceValue(func() *localca.Authority { return openCA("local") })
)

var testHosts = []string{"payer.example", "other.example", "auth.example", "localhost", "127.0.0.1"}

func openCA(name string) *localca.Authority {
	dir, err := os.MkdirTemp("", "forward-"+name)
	if err != nil {
		log.Panic(err)
	}
	ca, err := localca.Open(dir, localca.Options{Name: name})
	if err == nil {
		err = ca.Permit(testHosts)
	}
	if err != nil {
		log.Panic(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		log.Panic(err)
	}
	return ca
}

func publicPEM() string { return string(public().RootPEM()) }

func pool(ca *localca.Authority) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Root())
	return p
}

// rig is a server with a name, the proxy, and what was recorded.
type rig struct {
	t     testing.TB
	sink  *proxytest.Sink
	rec   *record.Recorder
	hosts *hosts
	fwd   *forward.Server
	front *httptest.Server
	back  *httptest.Server // https
	clear *httptest.Server // http
	key   proxy.FingerprintKey
}

// newRig registers the channel acme~payer to https://payer.example:PORT/fhir, and acme~clear to http://other.example:PORT/fhir.
func newRig(t testing.TB, server http.HandlerFunc, options ...func(*forward.Options)) *rig {
	dns.set("payer.example", "127.0.0.1")
	dns.set("other.example", "127.0.0.1")
	r := &rig{t: t, sink: &proxytest.Sink{}, hosts: &hosts{}, key: proxy.NewFingerprintKey([]byte("0123456789abcdef0123456789abcdef"))}
	r.rec = record.New(r.sink, r.key, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour, RestFor: 5 * time.Minute})
	t.Cleanup(func() {
		if err := r.rec.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.back = httptest.NewUnstartedServer(server)
	r.back.EnableHTTP2 = true
	r.back.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.back.TLS = &tls.Config{GetConfigForClient: func(in *tls.ClientHelloInfo) (*tls.Config, error) {
		name := in.ServerName
		if name == "" { // an IP address; httptest would show its own certificate
			name = "127.0.0.1"
		}
		c, err := public().Leaf(name)
		if err != nil {
			return nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{*c}}, nil
	}}
	r.back.StartTLS()
	t.Cleanup(r.back.Close)
	r.clear = httptest.NewServer(server)
	t.Cleanup(r.clear.Close)
	r.hosts.add("acme", "payer", "https://"+r.addr()+"/fhir")
	r.hosts.add("acme", "clear", "http://"+r.clearAddr()+"/fhir")
	// Tests may have to wait for their turn.
	o := forward.Options{HeaderTimeout: 5 * time.Minute, IdleTimeout: 10 * time.Minute}
	for _, f := range options {
		f(&o)
	}
	if o.Transport == nil {
		o.Transport = upstream.New(upstream.Options{Own: o.Own, Deny: o.Deny, Clock: o.Clock, DialTimeout: 5 * time.Minute})
	}
	r.fwd = forward.New(r.hosts, r.rec, local(), o)
	r.front = httptest.NewServer(r.fwd)
	t.Cleanup(func() {
		r.front.Close()
		end, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = r.fwd.Shutdown(end) // tests leave tunnels open
	})
	return r
}

func port(s *httptest.Server) string { return s.Listener.Addr().String()[len("127.0.0.1:"):] }

func (r *rig) addr() string      { return "payer.example:" + port(r.back) }
func (r *rig) clearAddr() string { return "other.example:" + port(r.clear) }
func (r *rig) base() string      { return "https://" + r.addr() + "/fhir" }

// client is an unmodified one that has the proxy in its settings and trusts the local CA.
func (r *rig) client(user *url.Userinfo, h2 bool) *http.Client {
	at, err := url.Parse(r.front.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	at.User = user
	tr := &http.Transport{
		Proxy: http.ProxyURL(at), TLSClientConfig: &tls.Config{RootCAs: pool(local())}, DisableCompression: true, ForceAttemptHTTP2: h2,
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response whose body has been read.
type answer struct {
	Status, Proto   string
	StatusCode      int
	ContentLength   int64
	Header, Trailer http.Header
}

func answerOf(res *http.Response) *answer {
	return &answer{res.Status, res.Proto, res.StatusCode, res.ContentLength, res.Header, res.Trailer}
}

// do sends a request and reads the response to its end, also when that is no good end.
func (r *rig) do(c *http.Client, req *http.Request) (*answer, string, error) {
	res, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return answerOf(res), string(text), err
}

func (r *rig) get(c *http.Client, target string) (*answer, string, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(c, req)
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.front.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// exchange sends text and reads one response.
func exchange(t testing.TB, conn net.Conn, text string) (*answer, string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	return next(t, bufio.NewReader(conn), method)
}

// next reads a response; of one that opens a tunnel or switches protocols only the header.
func next(t testing.TB, in *bufio.Reader, method string) (*answer, string) {
	t.Helper()
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if method == http.MethodConnect && res.StatusCode == http.StatusOK || res.StatusCode < 200 {
		return answerOf(res), ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(res), string(body)
}

// connect opens a tunnel by hand.
func (r *rig) connect(to string, header ...string) net.Conn {
	r.t.Helper()
	conn := r.dial()
	res, _ := exchange(r.t, conn, "CONNECT "+to+" HTTP/1.1\r\nHost: "+to+"\r\n"+strings.Join(append(header, ""), "\r\n")+"\r\n")
	if res.StatusCode != http.StatusOK {
		r.t.Fatalf("CONNECT %s: %s", to, res.Status)
	}
	return conn
}

// secure opens a tunnel and the TLS connection in it.
func (r *rig) secure(to string) *tls.Conn {
	r.t.Helper()
	return r.secured(r.connect(to), to)
}

// secured makes the TLS connection in a tunnel.
func (r *rig) secured(tunnel net.Conn, to string) *tls.Conn {
	r.t.Helper()
	host, _, _ := net.SplitHostPort(to)
	conn := tls.Client(tunnel, &tls.Config{RootCAs: pool(local()), ServerName: host})
	if err := conn.HandshakeContext(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func basicAuth(user, password string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func failureOf(e *proxy.Exchange) string {
	if e.Failure == nil {
		return ""
	}
	return string(e.Failure.Reason) + "/" + e.Failure.Side
}

func headerNames(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
