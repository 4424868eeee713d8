package forward_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elazarl/goproxy"

	"fhirwire/proxy"
	"fhirwire/proxy/forward"
	"fhirwire/proxy/peers"
)

// What goproxy does by itself, and what must come of it here. Each test is one of its traps.

func TestLengthsStayAsTheServerSentThem(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fhir/known":
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "known")
		case "/fhir/empty":
			w.Header().Set("Content-Length", "0")
		case "/fhir/chunked":
			_, _ = io.WriteString(w, "un")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "known")
		case "/fhir/204":
			w.WriteHeader(http.StatusNoContent)
		case "/fhir/304":
			w.Header().Set("ETag", `W/"1"`)
			w.WriteHeader(http.StatusNotModified)
		}
	})
	tests := []struct {
		method, path string
		status       int
		length       int64
		body         string
	}{
		{"GET", "known", 200, 5, "known"},
		{"GET", "empty", 200, 0, ""},
		{"GET", "chunked", 200, -1, "unknown"},
		{"HEAD", "known", 200, 5, ""},
		{"GET", "204", 204, 0, ""},
		{"GET", "304", 304, 0, ""},
	}
	for _, way := range []string{"plain", "HTTP/1.1", "HTTP/2"} {
		base, c := r.base(), r.client(nil, way == "HTTP/2")
		if way == "plain" {
			base = "http://" + r.clearAddr() + "/fhir"
		}
		for _, tt := range tests {
			t.Run(way+" "+tt.method+" "+tt.path, func(t *testing.T) {
				req, err := http.NewRequestWithContext(t.Context(), tt.method, base+"/"+tt.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, body, err := r.do(c, req)
				if err != nil || res.StatusCode != tt.status || body != tt.body {
					t.Errorf("%s %q %v", res.Status, body, err)
				}
				if res.ContentLength != tt.length && (tt.body != "" || tt.method == "HEAD" || res.ContentLength > 0) {
					t.Errorf("length %d, want %d", res.ContentLength, tt.length)
				}
				if _, ok := res.Header["Content-Type"]; ok && tt.body == "" && tt.method == "GET" {
					t.Errorf("added Content-Type %v", res.Header["Content-Type"])
				}
			})
		}
	}
	for _, e := range r.sink.Wait(t, 18) {
		if e.Failure != nil {
			t.Errorf("%s %s: %+v", e.Request.Method, e.Request.URL, e.Failure)
		}
	}
}

func TestOneTunnelServesManyRequests(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})
	conn := r.secure(r.addr())
	in := bufio.NewReader(conn)
	for i := range 3 {
		if _, err := fmt.Fprintf(conn, "POST /fhir/%d HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\nb%d", i, r.addr(), i); err != nil {
			t.Fatal(err)
		}
		if _, body := next(t, in, "POST"); body != fmt.Sprintf("/fhir/%d b%d", i, i) {
			t.Errorf("request %d got %q", i, body)
		}
	}
	for _, e := range r.sink.Wait(t, 3) {
		if e.ClientAddr != conn.LocalAddr().String() {
			t.Errorf("client address %s, want %s", e.ClientAddr, conn.LocalAddr())
		}
	}
}

// The first flight of an eager client comes together with its CONNECT, where goproxy loses it.
func TestBytesBehindConnectAreNotLost(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	conn := r.dial()
	_, err := io.WriteString(conn, "CONNECT "+r.clearAddr()+" HTTP/1.1\r\nHost: x\r\n\r\nGET /fhir HTTP/1.1\r\nHost: "+r.clearAddr()+"\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for i := range 2 {
		if res, _ := next(t, in, []string{"CONNECT", "GET"}[i]); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
}

func TestBodiesPassAsTheyCome(t *testing.T) {
	next := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			_ = http.NewResponseController(w).Flush()
			<-next
			_, _ = fmt.Fprintf(w, "part %d\n", i)
		}
	})
	for _, h2 := range []bool{false, true} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.client(nil, h2).Do(req) // the header comes before the body
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(res.Body)
		for i := range 3 {
			next <- struct{}{}
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("part %d\n", i) {
				t.Fatalf("%q %v", line, err)
			}
		}
		_ = res.Body.Close()
	}
}

func TestAResponseThatBreaksOffDoesSoForTheClient(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for i, way := range []string{"plain", "HTTP/1.1", "HTTP/2"} {
		base := r.base()
		if way == "plain" {
			base = "http://" + r.clearAddr() + "/fhir"
		}
		if _, body, err := r.get(r.client(nil, way == "HTTP/2"), base); err == nil {
			t.Errorf("%s: the client takes %q for whole", way, body)
		}
		if e := r.sink.Wait(t, i+1)[i]; failureOf(e) != "upstream-reset/server" {
			t.Errorf("%s: recorded %+v", way, e.Failure)
		}
	}
}

func TestTrailersPass(t *testing.T) {
	var fromClient string
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_ = http.NewResponseController(w).Flush() // HTTP/1.1 has no trailers behind a Content-Length
		_, _ = io.Copy(w, r.Body)
		fromClient = r.Trailer.Get("X-Check")
		w.Header().Set("X-Sum", "42")
	})
	for _, h2 := range []bool{false, true} {
		fromClient = ""
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base(), io.MultiReader(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"X-Check": {"7"}}
		res, body, err := r.do(r.client(nil, h2), req)
		if err != nil {
			t.Fatal(err)
		}
		if body != "body" || res.Trailer.Get("X-Sum") != "42" || fromClient != "7" {
			t.Errorf("h2=%t: %q, trailers %v and %q", h2, body, res.Trailer, fromClient)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fhir/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	conn := r.secure(r.addr())
	in := bufio.NewReader(conn)
	head := "HTTP/1.1\r\nHost: " + r.addr() + "\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
	if _, err := io.WriteString(conn, "POST /fhir/yes "+head); err != nil {
		t.Fatal(err)
	}
	if res, _ := next(t, in, "POST"); res.StatusCode != http.StatusContinue {
		t.Fatal(res.Status)
	}
	if _, err := io.WriteString(conn, "body"); err != nil {
		t.Fatal(err)
	}
	if res, body := next(t, in, "POST"); res.StatusCode != 200 || body != "body" {
		t.Errorf("%s %q", res.Status, body)
	}
}

func TestEarlyHintsPass(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "ok")
	})
	conn := r.secure(r.addr())
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if hints, _ := next(t, in, "GET"); hints.StatusCode != 103 || hints.Header.Get("Link") == "" {
		t.Fatalf("%+v", hints)
	}
	if res, _ := next(t, in, "GET"); res.StatusCode != 200 || res.Header.Get("Link") != "" {
		t.Errorf("%+v", res)
	}
}

// upgrade answers as a WebSocket server that sends back what it gets.
func upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_, _ = io.Copy(conn, rw)
}

func TestUpgradedConnections(t *testing.T) {
	r := newRig(t, upgrade)
	for i, way := range []string{"plain", "tunnel"} {
		var conn net.Conn
		line, host := "GET /fhir/ws HTTP/1.1", r.addr()
		if way == "plain" {
			conn, host = r.dial(), r.clearAddr()
			line = "GET http://" + host + "/fhir/ws HTTP/1.1"
		} else {
			conn = r.secure(host)
		}
		in := bufio.NewReader(conn)
		// The first frame comes together with the request.
		if _, err := io.WriteString(conn, line+"\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping"); err != nil {
			t.Fatal(err)
		}
		if res, body := next(t, in, "GET"); res.StatusCode != 101 {
			t.Fatalf("%s: %s %s", way, res.Status, body)
		}
		echo := make([]byte, 4)
		if _, err := io.ReadFull(in, echo); err != nil || string(echo) != "ping" {
			t.Fatalf("%s: %q %v", way, echo, err)
		}
		if e := r.sink.Wait(t, i+1)[i]; e.Status() != 101 || e.Failure != nil {
			t.Errorf("%s: recorded %+v", way, e)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := r.fwd.Shutdown(ctx); err != nil {
		t.Errorf("upgraded connections hold the shutdown up: %v", err)
	}
}

func TestAnUpgradeThatEndsIsClosed(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = conn.Close()
	})
	conn := r.dial()
	if res, _ := exchange(t, conn, "GET http://"+r.clearAddr()+"/fhir HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client's connection ends with %v", err)
	}
}

func TestNoOtherProtocolIsSwitchedTo(t *testing.T) {
	r := newRig(t, upgrade)
	for _, ask := range []string{"", "Connection: Upgrade\r\nUpgrade: h2c\r\n"} {
		res, body := exchange(t, r.dial(), "GET http://"+r.clearAddr()+"/fhir HTTP/1.1\r\nHost: x\r\n"+ask+"\r\n")
		if res.StatusCode != 502 {
			t.Errorf("%q: %s %s", ask, res.Status, body)
		}
	}
}

// goproxy by itself verifies no server.
func TestServersAreVerified(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	r.hosts.channels[0].Server.CA = ""
	res, body, err := r.get(r.client(nil, true), r.base())
	if err != nil || res.StatusCode != 502 {
		t.Fatalf("%v %v", res, err)
	}
	// The client is told the kind of failure, not the cause, which goproxy would write into its error page.
	if strings.Contains(body, "x509") || strings.Contains(body, "certificate") {
		t.Errorf("the client is told %s", body)
	}
	if e := r.sink.Wait(t, 1)[0]; failureOf(e) != "upstream-tls/server" {
		t.Errorf("recorded %+v", e.Failure)
	}
}

func TestFailuresAreRecordedAndShort(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	const at = "127.0.0.1:1" // nothing listens there, and no program is given this port by chance
	r.hosts.add("acme", "down", "http://"+at)
	res, body := exchange(t, r.dial(), "GET http://"+at+"/x HTTP/1.1\r\nHost: x\r\n\r\n")
	if res.StatusCode != 502 || !strings.Contains(body, "could not be reached") || strings.Contains(body, at) {
		t.Errorf("%s %s", res.Status, body)
	}
	if e := r.sink.Wait(t, 1)[0]; failureOf(e) != "upstream-down/server" || e.Channel != "acme~down" {
		t.Errorf("recorded %+v", e)
	}
}

// goproxy's certificates are signed with a key that everybody has.
func TestLeavesComeFromTheLocalCA(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	chain := r.secure(r.addr()).ConnectionState().PeerCertificates
	root := chain[len(chain)-1]
	if root.CheckSignatureFrom(goproxy.GoproxyCa.Leaf) == nil || root.CheckSignatureFrom(local().Root()) != nil {
		t.Errorf("issued by %s", root.Issuer)
	}
	if names := chain[0].DNSNames; len(names) != 1 || names[0] != "payer.example" {
		t.Errorf("made out to %v", names)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	addr, visits := canary(t)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+addr)
	}
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	for _, target := range []string{r.base(), "http://" + r.clearAddr() + "/fhir"} {
		if _, body, err := r.get(r.client(nil, true), target); err != nil || body != "ok" {
			t.Errorf("%q %v", body, err)
		}
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d connections to a proxy from the environment", n)
	}
}

// goproxy prints what it meets, URLs included, on stderr.
func TestNothingIsPrinted(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	r := newRig(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	exchange(t, r.dial(), "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	exchange(t, r.dial(), "GET http://evil.example/?code=hush HTTP/1.1\r\nHost: x\r\n\r\n")
	_, _, _ = r.get(r.client(nil, false), r.base()+"?code=hush")
	_ = r.connect(r.addr()).Close()
	os.Stderr = stderr
	_ = write.Close()
	if text, _ := io.ReadAll(read); bytes.Contains(text, []byte("hush")) || bytes.Contains(text, []byte("WARN")) || bytes.Contains(text, []byte("evil")) {
		t.Errorf("printed %s", text)
	}
}

// A panic in goproxy's own interception ends the process.
func TestAPanicCostsOneRequest(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	conn := r.secure(r.addr())
	r.hosts.mu.Lock()
	r.hosts.fault = func() { panic("planted") }
	r.hosts.mu.Unlock()
	if _, err := io.WriteString(conn, "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the client got an answer")
	}
	out := r.dial()
	_, _ = io.WriteString(out, "CONNECT "+r.addr()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("the client got an answer to CONNECT")
	}
	r.hosts.mu.Lock()
	r.hosts.fault = nil
	r.hosts.mu.Unlock()
	if _, body, err := r.get(r.client(nil, true), r.base()); err != nil || body != "ok" {
		t.Errorf("afterwards: %q %v", body, err)
	}
}

// A client that hangs up ends the exchange, and the server's connection with it.
func TestAClientThatHangsUp(t *testing.T) {
	gone := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	conn := r.secure(r.addr())
	if _, err := io.WriteString(conn, "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	half := make([]byte, 4)
	if _, err := io.ReadFull(res.Body, half); err != nil || string(half) != "half" {
		t.Fatalf("%q %v", half, err)
	}
	_ = conn.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Minute):
		t.Fatal("the server's connection stays")
	}
	if e := r.sink.Wait(t, 1)[0]; failureOf(e) != "client-gone/client" || string(r.sink.Body(e.Response.Body)) != "half" {
		t.Errorf("recorded %+v", e.Failure)
	}
}

func TestARequiredClientCertificate(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	r.hosts.channels[0].Options.RequireClientCert = true
	res, body, err := r.get(r.client(nil, true), r.base())
	if err != nil || res.StatusCode != 403 || !strings.Contains(body, "client certificate") {
		t.Errorf("%v %s %v", res, body, err)
	}
	e := r.sink.Wait(t, 1)[0]
	if failureOf(e) != "client-tls/client" || e.ClientLeg.TLS.Trust != proxy.TrustNone {
		t.Errorf("recorded %+v %+v", e.Failure, e.ClientLeg.TLS)
	}
}

func TestClientCertificatesAreEvidence(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	c := r.client(nil, true)
	mine, err := public().Leaf("auth.example")
	if err != nil {
		t.Fatal(err)
	}
	c.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{*mine}
	if _, body, err := r.get(c, r.base()); err != nil || body != "ok" {
		t.Fatalf("%q %v", body, err)
	}
	e := r.sink.Wait(t, 1)[0]
	if got := e.ClientLeg.TLS; len(got.Client) == 0 || got.Client[0].Names[0] != "auth.example" || got.Trust != proxy.TrustRefused {
		t.Errorf("recorded %+v", got)
	}
}

// judge is a double of package peers: certificates belong to the client that their first name says.
type judge map[string]string

func (j judge) Of(_ context.Context, chain []*x509.Certificate, ch *proxy.Channel, _ *proxy.System) peers.Finding {
	if id, ok := j.ByCertificate(context.Background(), chain); ok && id == ch.ClientID {
		return peers.Finding{Trust: proxy.TrustPinned, Accepted: true}
	}
	return peers.Finding{Trust: proxy.TrustRefused, Detail: "it is another's"}
}

func (j judge) ByCertificate(_ context.Context, chain []*x509.Certificate) (string, bool) {
	if len(chain) == 0 {
		return "", false
	}
	id, ok := j[chain[0].DNSNames[0]]
	return id, ok
}

func TestAClientCertificateSaysWhichChannelIsMeant(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, func(o *forward.Options) {
		o.Peers = judge{"auth.example": "id-beta", "other.example": "id-nobody"}
	})
	r.hosts.add("beta", "payer", r.base()).Options.RequireClientCert = true
	tests := []struct {
		cert    string
		status  int
		channel string
		matched string
	}{
		{"auth.example", 200, "beta~payer", "client certificate"},
		{"other.example", 403, "", ""},
		{"", 403, "", ""},
	}
	for i, tt := range tests {
		c := r.client(nil, true)
		if tt.cert != "" {
			mine, err := public().Leaf(tt.cert)
			if err != nil {
				t.Fatal(err)
			}
			c.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{*mine}
		}
		res, body, err := r.get(c, r.base())
		if err != nil || res.StatusCode != tt.status {
			t.Fatalf("%q: %v %s %v", tt.cert, res, body, err)
		}
		e := r.sink.Wait(t, i+1)[i]
		if e.Channel != tt.channel || e.Matched != tt.matched || (e.Failure == nil) != (tt.status == 200) {
			t.Errorf("%q: recorded %q %q %+v", tt.cert, e.Channel, e.Matched, e.Failure)
		}
	}
}

// A hundred clients have tunnels open at once, each sends requests, and the record has them all under the channel they named.
func TestManyTunnelsAtOnce(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Query().Get("n")) })
	r.hosts.add("beta", "payer", r.base())
	const clients, requests = 100, 3
	var all, connected sync.WaitGroup
	connected.Add(clients)
	connecting := make(chan struct{}, 2) // an HTTP/2 server gives a client two seconds to begin, which a hundred at once may not have
	for i := range clients {
		all.Go(func() {
			c := r.client(url.User([]string{"acme", "beta"}[i%2]), i%3 == 0)
			get := func(k int) {
				want := fmt.Sprintf("%d-%d", i, k)
				if _, body, err := r.get(c, r.base()+"?n="+want); err != nil || body != want {
					t.Errorf("%s: %q %v", want, body, err)
				}
			}
			connecting <- struct{}{}
			get(0)
			<-connecting
			connected.Done()
			connected.Wait()
			for k := 1; k < requests; k++ {
				get(k)
			}
		})
	}
	all.Wait()
	count := map[string]int{}
	for _, e := range r.sink.Wait(t, clients*requests) {
		count[e.Channel]++
		if e.Failure != nil {
			t.Errorf("%s: %+v", e.Request.URL, e.Failure)
		}
	}
	if count["acme~payer"] != clients*requests/2 || count["beta~payer"] != clients*requests/2 {
		t.Errorf("by channel: %v", count)
	}
}
