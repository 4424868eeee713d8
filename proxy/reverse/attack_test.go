package reverse_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

// all that comes back for text until the proxy hangs up. half: nothing more is sent, which net/http takes for the end of the client.
func (r *rig) all(text string, half bool) string {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.front.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	if half {
		_ = conn.(*net.TCPConn).CloseWrite() // the proxy may have hung up already
	}
	got, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		r.t.Fatalf("%.80q: neither answered nor closed; so far %q", text, got)
	}
	return string(got)
}

// TestSmuggling: package forward has the long list; both stand on the same server and transport of net/http.
func TestSmuggling(t *testing.T) {
	var mu sync.Mutex
	var asks []string
	r := newRig(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		mu.Lock()
		defer mu.Unlock()
		asks = append(asks, req.Method+" "+req.RequestURI+" "+string(body))
	}))
	const hidden = "GET /no~where/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, rest := range map[string]string{
		"length and chunks": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":       "Content-Length: 4\r\nContent-Length: 200\r\n\r\nabcd",
		"unknown coding":    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"coding in a fold":  "X-Fold: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"carriage return":   "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"chunk too long":    "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
		"length in a name":  "Content-Length : 4\r\n\r\nabcd",
	} {
		t.Run(name, func(t *testing.T) {
			mu.Lock()
			asks = nil
			mu.Unlock()
			answer := r.all("POST /a~b/fhir/first HTTP/1.1\r\nHost: x\r\n"+rest+hidden, true)
			mu.Lock()
			defer mu.Unlock()
			if len(asks) > 1 || strings.Contains(strings.Join(asks, " "), "smuggled") {
				t.Errorf("the server made out %q; the client got %q", asks, answer)
			}
		})
	}
	for _, e := range r.sink.Exchanges() {
		if strings.Contains(e.Request.URL, "smuggled") && (e.Failure == nil || e.Failure.Reason != proxy.ReasonNoChannel) {
			t.Errorf("what was hidden became %+v", e.Failure)
		}
	}
}

// TestOddTargets: whatever a request line says, the path decides, and no other server than the channel's is asked.
func TestOddTargets(t *testing.T) {
	var mu sync.Mutex
	var asks []string
	r := newRig(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asks = append(asks, req.Host+" "+req.RequestURI)
	}))
	own := strings.TrimPrefix(r.back.URL, "http://")
	for line, want := range map[string]string{
		"GET http://evil.example/a~b/fhir/1":             own + " /fhir/1",
		"GET http://user:SECRET@evil.example/a~b/fhir/2": own + " /fhir/2",
		"GET //evil.example/a~b/fhir":                    "",
		"GET /a~b//evil.example/fhir":                    own + " //evil.example/fhir",
		"GET /a~b@evil.example/fhir":                     "",
		"GET /a~b/http://evil.example/fhir":              own + " /http://evil.example/fhir",
		"GET /a~b/../../evil":                            own + " /../../evil",
		"GET /a~b%2f..%2fc~d/fhir":                       "",
		"CONNECT evil.example:443":                       "",
		"CONNECT /a~b/fhir":                              own + " /fhir",
		"OPTIONS *":                                      "",
		"GET /A~B/fhir":                                  "",
	} {
		mu.Lock()
		asks = nil
		mu.Unlock()
		answer := r.all(line+" HTTP/1.1\r\nHost: acme.example\r\nConnection: close\r\n\r\n", false)
		mu.Lock()
		got := strings.Join(asks, "; ")
		mu.Unlock()
		if got != want && got != "" {
			t.Errorf("%s: the server was asked for %q, want %q", line, got, want)
		}
		if want != "" && got == "" && !strings.HasPrefix(answer, "HTTP/1.1 4") {
			t.Errorf("%s: %q", line, answer)
		}
	}
	for _, host := range []string{"a~b.localhost.", "a~b.evil.example", "A~B.localhost"} {
		if answer := r.all("GET /fhir/x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n", false); !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%s: %q", host, answer)
		}
	}
	if text, err := json.Marshal(r.sink.Exchanges()); err != nil || bytes.Contains(text, []byte("SECRET")) {
		t.Errorf("recorded %s, %v", text, err)
	}
}

// TestCompressionBomb: a body that is 128 MiB of JSON when it is unpacked, to look for links in it, costs no memory.
func TestCompressionBomb(t *testing.T) {
	size := 128 // MiB
	if raceEnabled {
		size = 8
	}
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(z, `{"resourceType":"Bundle","id":"`)
	zeros := bytes.Repeat([]byte("0"), 1<<20)
	for range size {
		_, _ = z.Write(zeros)
	}
	_, _ = io.WriteString(z, `"}`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRigWith(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}), record.Options{}, reverse.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer, body := r.get("/fhir/Patient")
	runtime.ReadMemStats(&after)
	got, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, got); answer.StatusCode != 200 || err != nil || n != int64(size)<<20+int64(len(`{"resourceType":"Bundle","id":""}`)) {
		t.Errorf("%d, %d bytes, %v", answer.StatusCode, n, err)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 64 && !raceEnabled {
		t.Errorf("%d MiB were allocated for %d KiB", used, bomb.Len()>>10)
	}
	if e := r.sink.Wait(t, 1)[0]; e.Failure != nil || e.Response.Body.Size != int64(bomb.Len()) {
		t.Errorf("recorded %+v %+v", e.Failure, e.Response.Body)
	}
}

// TestHalfClosed: a client that says no more is taken for gone, and hears no success that there was not.
func TestHalfClosed(t *testing.T) {
	let := make(chan struct{})
	r := newRig(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-let }))
	defer close(let)
	if got := r.all("GET /a~b/fhir HTTP/1.1\r\nHost: x\r\n\r\n", true); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("%q", got)
	}
	if e := r.sink.Wait(t, 1)[0]; e.Failure == nil || e.Failure.Reason != proxy.ReasonClientGone {
		t.Errorf("recorded %+v", e.Failure)
	}
}

// TestEarlyHints: some pass, without end they are given up.
func TestEarlyHints(t *testing.T) {
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
				req, err := http.ReadRequest(bufio.NewReader(c))
				for n := 0; err == nil && (n < 3 || req.RequestURI == "/endless"); n++ {
					_, err = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}()
		}
	}()
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"].ServerURL = "http://" + ln.Addr().String()
	if got := r.all("GET /a~b/some HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false); strings.Count(got, "103 Early Hints") != 3 || !strings.HasSuffix(got, "ok") {
		t.Errorf("%q", got)
	}
	if got := r.all("GET /a~b/endless HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false); strings.Contains(got, "200 OK") || !strings.Contains(got, " 502 ") {
		t.Errorf("%.200q", got)
	}
	if e := r.sink.Wait(t, 2)[1]; e.Failure == nil || e.Failure.Reason != proxy.ReasonUpstreamInvalid || e.Failure.Side != "server" {
		t.Errorf("recorded %+v", e.Failure)
	}
}
