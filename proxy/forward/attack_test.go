package forward_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What somebody may try with the proxy. Each test sends bytes that no client library would send.

// everything that comes back until the proxy has no more to say.
func drain(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may have hung up already
	}
	got, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Fatalf("%.80q: neither answered nor closed; so far %q", text, got)
	}
	return string(got)
}

// untold fails when the record has a secret.
func untold(t *testing.T, r *rig) {
	t.Helper()
	text, err := json.Marshal(r.sink.Exchanges())
	if err != nil || bytes.Contains(text, []byte("SECRET")) {
		t.Errorf("recorded %s, %v", text, err)
	}
}

func TestMalformedConnect(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	to := r.addr()
	for _, line := range []string{
		"CONNECT", "CONNECT ", "CONNECT  HTTP/1.1", "CONNECT / HTTP/1.1", "CONNECT * HTTP/1.1", "CONNECT *:443 HTTP/1.1", "CONNECT :443 HTTP/1.1",
		"CONNECT https://" + to + " HTTP/1.1", "CONNECT //" + to + " HTTP/1.1", "CONNECT user:SECRET@" + to + " HTTP/1.1", "CONNECT " + to + "@evil.example:443 HTTP/1.1",
		"CONNECT " + to + "/ HTTP/1.1", "CONNECT " + to + "?x=1 HTTP/1.1", "CONNECT " + to + "#x HTTP/1.1", "CONNECT " + to + ",evil.example:443 HTTP/1.1",
		"CONNECT " + to + ":443 HTTP/1.1", "CONNECT " + to + " HTTP/0.9", "CONNECT " + to + " HTTP/9.9", "CONNECT " + to + " HTTP/1.1 x", "CONNECT\t" + to + "\tHTTP/1.1",
		"CONNECT [fe80::1%25eth0]:443 HTTP/1.1", "CONNECT [::1 HTTP/1.1", "CONNECT bücher.example:443 HTTP/1.1", "CONNECT payer%2eexample:443 HTTP/1.1",
		"CONNECT payer.example\x00.evil:443 HTTP/1.1", "CONNECT 0x7f.1:443 HTTP/1.1", "CONNECT 127.1:443 HTTP/1.1", "CONNECT payer.example:99999 HTTP/1.1", "CONNECT payer.example:-1 HTTP/1.1",
		"connect " + to + " HTTP/1.1", "CONNECT " + strings.Repeat("a", 70000) + ":443 HTTP/1.1",
	} {
		answer := drain(t, r.dial(), line+"\r\nHost: "+to+"\r\n\r\n")
		if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 5") && !strings.HasPrefix(answer, "HTTP/1.0 4") {
			t.Errorf("%.80q: %.200q", line, answer)
		}
	}
	if answer := drain(t, r.dial(), "CONNECT "+to+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"); strings.Contains(answer, "OperationOutcome") && !strings.HasPrefix(answer, "HTTP/1.1 4") {
		t.Errorf("a CONNECT with a body: %q", answer)
	}
	for _, e := range r.sink.Exchanges() {
		if got := failureOf(e); got != "refused/client" && got != "client-tls/client" {
			t.Errorf("%s: %s", e.Request.URL, got)
		}
	}
	untold(t, r)
	if res, _ := exchange(t, r.dial(), "CONNECT "+to+" HTTP/1.1\r\nHost: "+to+"\r\n\r\n"); res.StatusCode != http.StatusOK {
		t.Errorf("after all that a good one gets %s", res.Status)
	}
}

// A URL with user information is refused (RFC 9110 4.2.4): it is a secret in a place where others may log it, and hides the host.
func TestUserInformationInAURL(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	for i, target := range []string{
		"http://user:SECRET@" + r.clearAddr() + "/fhir", "http://" + r.clearAddr() + "@evil.example/fhir", "http://evil.example@" + r.clearAddr() + "/fhir",
	} {
		res, body := exchange(t, r.dial(), "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "OperationOutcome") {
			t.Errorf("%s: %s %s", target, res.Status, body)
		}
		if e := r.sink.Wait(t, i+1)[i]; failureOf(e) != "refused/client" {
			t.Errorf("%s: %s", target, failureOf(e))
		}
	}
	untold(t, r)
}

// socket is a server that notes what arrives, byte for byte, and answers each request it makes out in it.
type socket struct {
	net.Listener

	mu    sync.Mutex
	conns []net.Conn
	seen  bytes.Buffer
	asks  []string
}

func listenRaw(t *testing.T) *socket {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{Listener: ln}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			serving.Go(func() { s.answer(c) })
		}
	})
	return s
}

// Write implements io.Writer for what arrives.
func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(b)
}

func (s *socket) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	in := bufio.NewReader(io.TeeReader(c, s))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.asks = append(s.asks, r.Method+" "+r.RequestURI)
		s.mu.Unlock()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (s *socket) all() (string, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String(), s.asks
}

// TestSmuggling: wherever a request's end can be read in two ways, the server gets the reading that the proxy went by, or nothing.
// What a sender hid behind it is a request of its own, which is judged as such.
func TestSmuggling(t *testing.T) {
	const hidden = "GET http://evil.example/smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n"
	cases := map[string]string{
		"length and chunks":     "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks and length":     "Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n0\r\n\r\n",
		"two lengths":           "Content-Length: 4\r\nContent-Length: 200\r\n\r\nabcd",
		"lengths in a list":     "Content-Length: 4, 4\r\n\r\nabcd",
		"length with a sign":    "Content-Length: +4\r\n\r\nabcd",
		"hexadecimal length":    "Content-Length: 0x4\r\n\r\nabcd",
		"negative length":       "Content-Length: -4\r\n\r\nabcd",
		"length with a space":   "Content-Length : 4\r\n\r\nabcd",
		"unknown coding":        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"coding in quotes":      "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"coding twice":          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"coding in a list":      "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"coding with a space":   "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"coding after a tab":    "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
		"coding in a fold":      "X-Fold: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"length in a fold":      "Content-Length:\r\n 4\r\n\r\nabcd",
		"bare line feeds":       "X-A: b\nTransfer-Encoding: chunked\n\n0\r\n\r\n",
		"carriage return":       "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"zero byte":             "X-A: b\x00\r\nContent-Length: 4\r\n\r\nabcd",
		"chunk too long":        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
		"chunk with a sign":     "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
		"chunk extension":       "Transfer-Encoding: chunked\r\n\r\n3;x=\"\n\"\r\nabc\r\n0\r\n\r\n",
		"trailer of importance": "Transfer-Encoding: chunked\r\nTrailer: Content-Length, Authorization\r\n\r\n0\r\nContent-Length: 99\r\nAuthorization: Bearer x\r\n\r\n",
		"body of a GET":         "\r\n",
		"connection names it":   "Connection: close, content-length, transfer-encoding\r\nContent-Length: 4\r\n\r\nabcd",
	}
	for name, rest := range cases {
		for _, way := range []string{"plain", "tunnel"} {
			t.Run(name+" "+way, func(t *testing.T) {
				r := newRig(t, func(http.ResponseWriter, *http.Request) {})
				server := listenRaw(t)
				_, at, _ := net.SplitHostPort(server.Addr().String())
				host := "other.example:" + at
				r.hosts.add("acme", "raw", "http://"+host+"/fhir")
				method, target := "POST", "/fhir/first"
				if name == "body of a GET" {
					method = "GET"
				}
				conn := r.dial()
				if way == "tunnel" {
					conn = r.connect(host)
				} else {
					target = "http://" + host + target
				}
				answer := drain(t, conn, method+" "+target+" HTTP/1.1\r\nHost: "+host+"\r\n"+rest+hidden)
				seen, asks := server.all()
				if len(asks) > 1 || strings.Contains(seen, "smuggled") || strings.Contains(seen, "evil") {
					t.Errorf("the server made out %q of %q; the client got %q", asks, seen, answer)
				}
				if strings.Contains(seen, "\nContent-Length:") && strings.Contains(seen, "\nTransfer-Encoding:") {
					t.Errorf("the server may choose where this ends: %q", seen)
				}
				if len(asks) == 0 && !strings.Contains(answer, " 4") && !strings.Contains(answer, " 5") {
					t.Errorf("neither forwarded nor refused: %q", answer)
				}
				for _, e := range r.sink.Exchanges() {
					if strings.Contains(e.Request.URL, "evil") && failureOf(e) != "refused/client" {
						t.Errorf("what was hidden became %s", failureOf(e))
					}
				}
			})
		}
	}
}

// framed is an HTTP/2 connection in a tunnel, by hand.
type framed struct {
	t *testing.T
	*http2.Framer
	id uint32
}

func (r *rig) framed(t *testing.T) *framed {
	t.Helper()
	conn := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(local()), ServerName: "payer.example", NextProtos: []string{"h2"}})
	// In one piece: a server of net/http waits for the settings no longer than two seconds.
	first := bytes.NewBufferString(http2.ClientPreface)
	if err := http2.NewFramer(first, nil).WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(first.Bytes()); err != nil {
		t.Fatal(err)
	}
	f := &framed{t, http2.NewFramer(conn, conn), 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return f
}

// ask sends a request and says what became of it: a status, or a word for the end that the stream or the connection came to.
func (f *framed) ask(body string, fields ...string) string {
	f.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: f.id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""}); err != nil {
		return "closed"
	}
	if body != "" {
		if err := f.WriteData(f.id, true, []byte(body)); err != nil {
			return "closed"
		}
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "gone"
		}
	}
}

func TestHTTP2Attacks(t *testing.T) {
	var got []*http.Request
	var mu sync.Mutex
	r := newRig(t, func(w http.ResponseWriter, in *http.Request) {
		_, err := io.ReadAll(in.Body)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			got = append(got, in)
		}
	})
	a, get := r.addr(), []string{":method", "GET", ":scheme", "https", ":path", "/fhir/x"}
	with := func(authority string, more ...string) []string {
		return append(append(get[:6:6], ":authority", authority), more...)
	}
	for _, tt := range []struct {
		name, body string
		fields     []string
		want       []string
		forwarded  int
	}{
		{"good", "", with(a), []string{"200"}, 1},
		{"CONNECT", "", []string{":method", "CONNECT", ":authority", "evil.example:443"}, []string{"403"}, 0},
		{"CONNECT to itself", "", []string{":method", "CONNECT", ":authority", a}, []string{"403"}, 0},
		{"extended CONNECT", "", []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/fhir/ws", ":authority", a}, []string{"reset", "gone", "400", "403"}, 0},
		{"another host", "", with("evil.example"), []string{"421"}, 0},
		{"another registered host", "", with(r.clearAddr()), []string{"421"}, 0},
		{"another port", "", with("payer.example:1"), []string{"421"}, 0},
		{"user information", "", with("user@" + a), []string{"400", "reset"}, 0},
		{"host besides the authority", "", with(a, "host", "evil.example"), []string{"200", "reset", "400"}, 1},
		{"another scheme", "", []string{":method", "GET", ":scheme", "http", ":path", "/fhir/x", ":authority", a}, []string{"200", "421", "reset", "400"}, 1},
		{"absolute path", "", []string{":method", "GET", ":scheme", "https", ":path", "https://evil.example/x", ":authority", a}, []string{"reset", "400", "421", "404"}, 0},
		{"line break in a value", "", with(a, "x-a", "b\r\nX-Smuggled: 1"), []string{"reset", "gone", "400", "closed"}, 0},
		{"line break in a name", "", with(a, "x-a\r\nx-smuggled", "1"), []string{"reset", "gone", "400", "closed"}, 0},
		{"upper case name", "", with(a, "X-A", "1"), []string{"reset", "gone", "400", "closed"}, 0},
		{"length too short", "abcdef", append([]string{":method", "POST", ":scheme", "https", ":path", "/fhir/x", ":authority", a}, "content-length", "2"), []string{"reset", "gone", "400", "502"}, 0},
		{"length too long", "ab", append([]string{":method", "POST", ":scheme", "https", ":path", "/fhir/x", ":authority", a}, "content-length", "200"), []string{"reset", "gone", "400", "502"}, 0},
		{"pseudo field twice", "", with(a, ":path", "/other"), []string{"reset", "gone", "400", "closed"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mu.Lock()
			got = nil
			mu.Unlock()
			answer := r.framed(t).ask(tt.body, tt.fields...)
			found := false
			for _, w := range tt.want {
				found = found || w == answer
			}
			if !found {
				t.Errorf("answered %s, want one of %v", answer, tt.want)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(got) > tt.forwarded {
				t.Errorf("%d requests were forwarded", len(got))
			}
			for _, in := range got {
				if in.Host != a || in.Header.Get("X-Smuggled") != "" || in.Header.Get("Host") != "" || strings.Contains(in.RequestURI, "evil") {
					t.Errorf("the server got %s %s %v", in.Host, in.RequestURI, in.Header)
				}
			}
		})
	}
}

// HTTP/2 without TLS is not spoken on the proxy's own address.
func TestHTTP2InClear(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	if answer := drain(t, r.dial(), http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"); answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 505") {
		t.Errorf("%q", answer)
	}
}

// A registered host may be written as C libraries write addresses. What its name service makes of it decides.
func TestRegisteredNumbers(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	for i, host := range []string{"2852039166", "0xa9fea9fe", "0251.0376.0251.0376"} {
		dns.set(host, "169.254.169.254")
		r.hosts.add("acme", fmt.Sprint("number", i), "http://"+host+":80/fhir")
		res, body := exchange(t, r.dial(), "GET http://"+host+":80/fhir HTTP/1.1\r\nHost: x\r\n\r\n")
		e := r.sink.Wait(t, i+1)[i]
		// Go's resolver takes names of digits for none.
		if res.StatusCode != http.StatusBadGateway || failureOf(e) != "refused/proxy" && failureOf(e) != "upstream-down/server" || strings.Contains(body, "169.254") {
			t.Errorf("%s: %s %s, recorded %+v", host, res.Status, body, e.Failure)
		}
		if host == "0xa9fea9fe" && !strings.Contains(e.Failure.Detail, "169.254.169.254") {
			t.Errorf("%s: recorded %+v", host, e.Failure)
		}
	}
}

// A redirect passes as it is; where it leads is asked for by the client, and refused there.
func TestRedirectsToPrivateAddresses(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
		w.WriteHeader(http.StatusFound)
	})
	c := r.client(nil, true)
	res, _, err := r.get(c, r.base()+"/x")
	if err != nil || res.StatusCode != http.StatusFound || res.Header.Get("Location") != "http://169.254.169.254/latest/meta-data/" {
		t.Fatalf("%+v %v", res, err)
	}
	if res, _, err = r.get(c, res.Header.Get("Location")); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("%+v %v", res, err)
	}
}

// A server that sends early hints without end is given up; the client gets an answer.
func TestEarlyHintsWithoutEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				for {
					if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Pad: "+strings.Repeat("a", 4000)+"\r\n\r\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	_, at, _ := net.SplitHostPort(ln.Addr().String())
	r.hosts.add("acme", "hints", "http://other.example:"+at+"/fhir")
	conn := r.dial()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET http://other.example:"+at+"/fhir HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Errorf("after %d bytes there is no end", n)
	}
	if e := r.sink.Wait(t, 1)[0]; e.Failure == nil {
		t.Errorf("recorded %+v", e)
	}
}
