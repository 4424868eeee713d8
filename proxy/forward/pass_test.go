package forward_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/forward"
)

func sealed(r *rig) {
	r.hosts.mu.Lock()
	defer r.hosts.mu.Unlock()
	r.hosts.channels[0].Options.Passthrough = true
}

// overTLS sends one request on conn, to the server behind a tunnel that is not intercepted.
func overTLS(t *testing.T, conn net.Conn, host string) string {
	t.Helper()
	name, _, _ := net.SplitHostPort(host)
	c := tls.Client(conn, &tls.Config{RootCAs: pool(public()), ServerName: name, NextProtos: []string{"http/1.1"}})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, body := exchange(t, c, "GET /fhir/Patient?name=secret HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	_ = c.Close()
	return res.Status + " " + body
}

func checkTunnel(t *testing.T, e *proxy.Exchange) {
	t.Helper()
	if e.Mode != proxy.ModeTunnel || e.Channel != "acme~payer" || e.Failure != nil || e.Response != nil || e.Request.Method != http.MethodConnect {
		t.Fatalf("recorded %+v %+v", e, e.Failure)
	}
	if e.ServerLeg == nil || !strings.HasPrefix(e.ServerLeg.Address, "127.0.0.1:") || !strings.HasPrefix(e.Request.Target, "https://payer.example:") {
		t.Errorf("recorded server %+v, target %q", e.ServerLeg, e.Request.Target)
	}
	tun := e.ClientLeg.Tunnel
	if tun == nil || tun.ServerName != "payer.example" || len(tun.Protocols) != 1 || tun.Sent < 100 || tun.Received < 100 || !e.Timing.End.After(e.Timing.Start) {
		t.Errorf("recorded tunnel %+v", tun)
	}
}

func TestPassThroughIsUnreadAndRecorded(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	sealed(r)
	if got := overTLS(t, r.connect(r.addr()), r.addr()); got != "200 OK ok" {
		t.Errorf("got %q", got)
	}
	e := r.sink.Wait(t, 1)[0]
	checkTunnel(t, e)
	if e.Request.URL != "https://"+r.addr() || e.Matched != "the only channel to this host" {
		t.Errorf("recorded %q %q", e.Request.URL, e.Matched)
	}
}

func TestPassThroughRefuses(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	sealed(r)
	conn := r.connect(r.addr())
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection in clear was passed on")
	}
	other := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(public()), ServerName: "auth.example"})
	if err := other.HandshakeContext(t.Context()); err == nil {
		t.Error("another server name was passed on")
	}
	r.back.Close()
	if res, _ := exchange(t, r.dial(), "CONNECT "+r.addr()+" HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 502 {
		t.Errorf("to a server that is down: %s", res.Status)
	}
	want := []string{"refused/client", "refused/client", "upstream-down/server"}
	for i, e := range r.sink.Wait(t, 3) {
		if failureOf(e) != want[i] || e.Mode != proxy.ModeTunnel {
			t.Errorf("%d: recorded %s %+v", i, failureOf(e), e.Failure)
		}
	}
}

func TestShutdownClosesWhatStandsStill(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	sealed(r)
	conn := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(public()), ServerName: "payer.example", NextProtos: []string{"http/1.1"}})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := r.fwd.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the tunnel is open after shutdown")
	}
	if e := r.sink.Wait(t, 1)[0]; e.Failure != nil || e.ClientLeg.Tunnel == nil {
		t.Errorf("recorded %+v", e)
	}
}

// A TLS listener passes on what asks for a pass-through server's name, and serves the rest.
func TestListener(t *testing.T) {
	var ahead atomic.Int64 // how far the proxy's clock is
	later := func() { ahead.Add(int64(2 * time.Second)) }
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the server") }, func(o *forward.Options) {
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	sealed(r)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the listener") }),
		TLSConfig:         &tls.Config{GetCertificate: func(in *tls.ClientHelloInfo) (*tls.Certificate, error) { return public().Leaf(in.ServerName) }},
		ReadHeaderTimeout: time.Minute,
	}
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = srv.ServeTLS(r.fwd.Listener(raw), "", "") }()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	if got := overTLS(t, dial(), r.addr()); got != "200 OK the server" {
		t.Errorf("by the server's name: %q", got)
	}
	e := r.sink.Wait(t, 1)[0]
	checkTunnel(t, e)
	if e.Request.URL != "https://payer.example" || e.Matched != "TLS server name" {
		t.Errorf("recorded %q %q", e.Request.URL, e.Matched)
	}
	if got := overTLS(t, dial(), "localhost:1"); got != "200 OK the listener" {
		t.Errorf("by another name: %q", got)
	}

	// A channel that leads to the listener itself is no way round in circles.
	r.hosts.add("acme", "self", "https://localhost:"+raw.Addr().String()[len("127.0.0.1:"):]).Options.Passthrough = true
	dns.set("localhost", "127.0.0.1")
	later() // the register learns of further channels within a second
	if got := overTLS(t, dial(), "localhost:1"); got != "200 OK the listener" || len(r.sink.Exchanges()) != 1 {
		t.Errorf("by the listener's own name: %q", got)
	}

	beta := r.hosts.add("beta", "payer", r.base())
	beta.Options.Passthrough = true
	later()
	twice := tls.Client(dial(), &tls.Config{RootCAs: pool(public()), ServerName: "payer.example"})
	if err := twice.HandshakeContext(t.Context()); err == nil {
		t.Error("a name that two channels lead to was passed on")
	}
	if e := r.sink.Wait(t, 2)[1]; failureOf(e) != "refused/client" || !strings.Contains(e.Failure.Detail, "2 channels") {
		t.Errorf("recorded %+v", e.Failure)
	}
}

// A TLS listener's own deadlines are not for what is passed on.
func TestListenerDeadlines(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the server") })
	sealed(r)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const deadline = 200 * time.Millisecond
	srv := &http.Server{
		Handler:           http.NotFoundHandler(),
		TLSConfig:         &tls.Config{GetCertificate: func(in *tls.ClientHelloInfo) (*tls.Certificate, error) { return public().Leaf(in.ServerName) }},
		ReadHeaderTimeout: deadline,
	}
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = srv.ServeTLS(r.fwd.Listener(raw), "", "") }()
	for end := time.Now().Add(5 * time.Minute); ; {
		conn, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		slow := tls.Client(conn, &tls.Config{RootCAs: pool(public()), ServerName: "payer.example", NextProtos: []string{"http/1.1"}})
		if err := slow.HandshakeContext(t.Context()); err != nil {
			_ = conn.Close()
			if time.Now().After(end) {
				t.Fatal(err)
			}
			continue // the deadline is for the client's first bytes, and a busy machine may miss it
		}
		time.Sleep(2 * deadline)
		if res, body := exchange(t, slow, "GET /fhir HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 200 || body != "the server" {
			t.Errorf("after a while: %s %s", res.Status, body)
		}
		_ = slow.Close()
		return
	}
}

func TestBytesPassBothWaysUntilBothEnd(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	})
	sealed(r)
	c := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(public()), ServerName: "payer.example", NextProtos: []string{"http/1.1"}})
	big := strings.Repeat("x", 1<<20)
	go func() {
		_, _ = io.WriteString(c, "POST /fhir HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n"+big)
		_ = c.CloseWrite()
	}()
	if _, body := next(t, bufio.NewReader(c), "POST"); body != big {
		t.Errorf("%d bytes", len(body))
	}
	_ = c.Close()
	if e := r.sink.Wait(t, 1)[0]; e.ClientLeg.Tunnel.Sent < 1<<20 || e.ClientLeg.Tunnel.Received < 1<<20 {
		t.Errorf("recorded %+v", e.ClientLeg.Tunnel)
	}
}
