package reverse_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

// outcome checks that body is a short OperationOutcome that names the exchange and tells nothing of the cause.
func outcome(t *testing.T, res answer, body, id string) string {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct{ Severity, Code, Diagnostics string }
	}
	if err := json.Unmarshal([]byte(body), &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) != 1 || o.Issue[0].Severity != "error" {
		t.Fatalf("not an OperationOutcome: %v %s", err, body)
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/fhir+json" {
		t.Errorf("content type %s", ct)
	}
	if !strings.Contains(o.Issue[0].Diagnostics, id) {
		t.Errorf("%q does not name exchange %s", o.Issue[0].Diagnostics, id)
	}
	if strings.Contains(body, "127.0.0.1") || strings.Contains(body, "dial") {
		t.Errorf("the cause is told to the client: %s", body)
	}
	return o.Issue[0].Code
}

// answering is a server that reads a request and does what it likes with the connection.
func answering(t *testing.T, do func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 4096)
				if _, err := conn.Read(buf); err == nil {
					do(conn)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestMain has no name resolve, whatever the machine's name service would say.
func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name service")
	}}
	os.Exit(m.Run())
}

// silent says nothing until the other end gives up.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// nobody is where nothing listens: a port that no program is given by chance.
const nobody = "127.0.0.1:1"

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func TestFailures(t *testing.T) {
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	defer tlsServer.Close()
	for _, c := range []struct {
		name, server string
		status       int
		code         string
		reason       proxy.Reason
		side, detail string
	}{
		{"refused", "http://" + nobody, 502, "transient", proxy.ReasonUpstreamDown, "server", "connection refused"},
		{"unknown host", "http://nowhere.invalid", 502, "transient", proxy.ReasonUpstreamDown, "server", "nowhere.invalid"},
		{"certificate", tlsServer.URL, 502, "transient", proxy.ReasonUpstreamTLS, "server", "certificate"},
		{"no TLS there", "https://" + answering(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }), 502, "transient", proxy.ReasonUpstreamTLS, "server", ""},
		{"silent", "http://" + answering(t, silent), 504, "timeout", proxy.ReasonUpstreamTimeout, "server", "no answer in time"},
		{"silent handshake", "https://" + answering(t, silent), 502, "transient", proxy.ReasonUpstreamTLS, "server", "handshake timed out"},
		{"reset", "http://" + answering(t, reset), 502, "transient", proxy.ReasonUpstreamReset, "server", ""},
		{"closed", "http://" + answering(t, func(net.Conn) {}), 502, "transient", proxy.ReasonUpstreamReset, "server", ""},
		{"not HTTP", "http://" + answering(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n") }), 502, "transient", proxy.ReasonUpstreamInvalid, "server", "malformed"},
		{"header flood", "http://" + answering(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("x", 1000)+"\r\n", 1200))
		}), 502, "transient", proxy.ReasonUpstreamInvalid, "server", "headers exceeded"},
		{"metadata", "http://169.254.169.254/latest", 502, "forbidden", proxy.ReasonRefused, "proxy", "link-local"},
		{"metadata as IPv6", "http://[::ffff:169.254.169.254]/latest", 502, "forbidden", proxy.ReasonRefused, "proxy", "link-local"},
		{"link-local IPv6", "http://[fe80::1]/", 502, "forbidden", proxy.ReasonRefused, "proxy", "link-local"},
		{"denied", "http://10.9.8.7/", 502, "forbidden", proxy.ReasonRefused, "proxy", "not ours"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial, response := 5*time.Minute, 5*time.Minute
			switch c.name {
			case "silent":
				response = 100 * time.Millisecond
			case "silent handshake":
				dial = 5 * time.Second // connecting, which succeeds, has as long
			}
			r := newRigWith(t, http.NotFoundHandler(), record.Options{}, reverse.Options{
				DialTimeout: dial, ResponseTimeout: response,
				Deny: func(a netip.AddrPort) error {
					if a.Addr() == netip.MustParseAddr("10.9.8.7") {
						return errors.New("not ours")
					}
					return nil
				},
			})
			r.chans["a~b"].ServerURL = c.server
			res, body := r.get("/fhir/Patient")
			ex := r.sink.Wait(t, 1)[0]
			f := ex.Failure
			if f == nil || f.Reason != c.reason || f.Side != c.side || !strings.Contains(f.Detail, c.detail) || ex.Response != nil {
				t.Fatalf("recorded %+v, response %+v; want %s, %q", f, ex.Response, c.reason, c.detail)
			}
			if res.StatusCode != c.status || ex.Timing.End.IsZero() || ex.Request.Target == "" {
				t.Errorf("status %d, recorded %+v", res.StatusCode, ex)
			}
			if code := outcome(t, res, body, ex.ID); code != c.code {
				t.Errorf("code %s", code)
			}
		})
	}
}

// resetAfter is the body that a client gets when the server resets the connection a while after text, which ends in the middle of it.
func resetAfter(t *testing.T, text string, delay time.Duration) string {
	t.Helper()
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"].ServerURL = "http://" + answering(t, func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		time.Sleep(delay)
		reset(c)
	})
	res, err := http.Get(r.front.URL + "/a~b/fhir/Patient")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	ex := r.sink.Wait(t, 1)[0]
	if ex.Failure == nil || ex.Failure.Reason != proxy.ReasonUpstreamReset {
		t.Errorf("recorded %+v", ex.Failure)
	}
	if res.StatusCode != http.StatusOK { // nothing came
		return ""
	}
	if err == nil {
		t.Errorf("client got %q and did not see that it broke", got)
	}
	if ex.Status() != 200 || ex.Response.Body.Complete || ex.Response.Body.Size != int64(len(got)) {
		t.Errorf("recorded %+v, client got %q", ex.Response, got)
	}
	return string(got)
}

func TestBreaks(t *testing.T) {
	partial := "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n{\"resourceType\":\"Bundle\","
	for _, ct := range []string{"application/fhir+json", "application/fhir+ndjson"} {
		t.Run("reset mid-body "+ct, func(t *testing.T) {
			// A reset takes with it what the proxy has not read yet, which may need a moment.
			for delay := 20 * time.Millisecond; ; delay *= 2 {
				if got := resetAfter(t, fmt.Sprintf(partial, ct), delay); got == `{"resourceType":"Bundle",` {
					return
				} else if delay > 10*time.Second {
					t.Fatalf("client got %q: must see what came", got)
				}
			}
		})
	}
	t.Run("client hangs up while the server works", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := newRig(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			cancel()
			<-req.Context().Done()
		}))
		req, err := http.NewRequestWithContext(ctx, "GET", r.front.URL+"/a~b/fhir/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			t.Fatal("answered")
		}
		ex := r.sink.Wait(t, 1)[0]
		if ex.Failure == nil || ex.Failure.Reason != proxy.ReasonClientGone || ex.Failure.Side != "client" || ex.Response != nil {
			t.Errorf("recorded %+v", ex.Failure)
		}
	})
	t.Run("client hangs up while it downloads", func(t *testing.T) {
		r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			for req.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}))
		res, err := http.Get(r.front.URL + "/a~b/fhir/x")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.CopyN(io.Discard, res.Body, 100<<10)
		_ = res.Body.Close()
		ex := r.sink.Wait(t, 1)[0]
		if ex.Failure == nil || ex.Failure.Reason != proxy.ReasonClientGone || ex.Status() != 200 || ex.Response.Body.Complete || ex.Response.Body.Size < 100<<10 {
			t.Errorf("recorded %+v %+v", ex.Failure, ex.Response)
		}
	})
	t.Run("client hangs up while it uploads", func(t *testing.T) {
		arrived := make(chan struct{})
		r := newRig(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			_, _ = io.ReadFull(req.Body, make([]byte, 4))
			close(arrived)
			_, _ = io.Copy(io.Discard, req.Body)
		}))
		conn, err := net.Dial("tcp", r.front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST /a~b/fhir/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		<-arrived
		_ = conn.Close()
		ex := r.sink.Wait(t, 1)[0]
		if ex.Failure == nil || ex.Failure.Reason != proxy.ReasonClientGone || ex.Request.Body.Complete || string(r.sink.Body(ex.Request.Body)) != "half" {
			t.Errorf("recorded %+v %+v", ex.Failure, ex.Request.Body)
		}
	})
}

func TestRefusals(t *testing.T) {
	r := newRig(t, http.NotFoundHandler())
	r.chans["loop~loop"] = &proxy.Channel{Name: "loop~loop", ServerURL: r.front.URL}
	_, port, _ := net.SplitHostPort(r.front.Listener.Addr().String())
	r.chans["loop~alias"] = &proxy.Channel{Name: "loop~alias", ServerURL: "http://127.0.0.2:" + port}
	r.chans["loop~name"] = &proxy.Channel{Name: "loop~name", ServerURL: "http://localhost:" + port}
	r.chans["loop~any"] = &proxy.Channel{Name: "loop~any", ServerURL: "http://0.0.0.0:" + port}
	addr := r.front.Listener.Addr().String()
	for i, c := range []struct {
		name, request string
		status        int
		reason        proxy.Reason
		channel       string
	}{
		{"unknown channel", "POST /no~where/fhir/Patient?access_token=SECRET HTTP/1.1\r\nHost: " + addr + "\r\nAuthorization: Bearer SECRET\r\nContent-Length: 4\r\n\r\nbody", 404, proxy.ReasonNoChannel, ""},
		{"unknown channel by host", "GET /fhir HTTP/1.1\r\nHost: no~where.localhost:80\r\n\r\n", 404, proxy.ReasonNoChannel, ""},
		{"hostile channel", "GET /%3Cscript%3E/..%2f HTTP/1.1\r\nHost: x\r\n\r\n", 404, proxy.ReasonNoChannel, ""},
		{"loop", "GET /loop~loop/x HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", 508, proxy.ReasonRefused, "loop~loop"},
		{"loop by another loopback address", "GET /loop~alias/x HTTP/1.1\r\nHost: x\r\n\r\n", 502, proxy.ReasonRefused, "loop~alias"},
		{"loop by name", "GET /loop~name/x HTTP/1.1\r\nHost: x\r\n\r\n", 502, proxy.ReasonRefused, "loop~name"},
		{"loop by no address", "GET /loop~any/x HTTP/1.1\r\nHost: x\r\n\r\n", 502, proxy.ReasonRefused, "loop~any"},
		{"header flood", "GET /a~b/x HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 501) + "\r\n", 431, proxy.ReasonRefused, "a~b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := r.raw(addr, c.request)
			ex := r.sink.Wait(t, i+1)[i]
			if res.StatusCode != c.status || ex.Failure == nil || ex.Failure.Reason != c.reason || ex.Channel != c.channel || ex.Response != nil {
				t.Fatalf("%d %s, recorded %q %+v", res.StatusCode, body, ex.Channel, ex.Failure)
			}
			outcome(t, res, body, ex.ID)
			if text, err := json.Marshal(ex); err != nil || bytes.Contains(text, []byte("SECRET")) {
				t.Errorf("recorded %s, %v", text, err)
			}
			if c.name == "unknown channel" && (string(r.sink.Body(ex.Request.Body)) != "body" || !strings.Contains(body, "Register")) {
				t.Errorf("body %q, answer %s", r.sink.Body(ex.Request.Body), body)
			}
		})
	}
	if res, body := r.raw(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 200 || !strings.Contains(body, "proxy") {
		t.Errorf("root: %d %s", res.StatusCode, body)
	}
}

// TestHostileHeaders: what net/http lets through arrives and is recorded as text.
func TestHostileHeaders(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header()["X-Echo"] = []string{req.Header.Get("X-H")}
		w.Header().Set("Location", "http://[::1/%zz\" onload=x")
		w.Header().Set("Set-Cookie", "fhirwire_session=evil; Path=/")
	}))
	hostile := `<script>alert(1)</script>"'; ${jndi:x} ` + "\xff"
	res, _ := r.raw(r.front.Listener.Addr().String(), "GET /a~b/fhir HTTP/1.1\r\nHost: x\r\nX-H: "+hostile+"\r\n\r\n")
	ex := r.sink.Wait(t, 1)[0]
	if res.Header.Get("X-Echo") != hostile || ex.Request.Header.Get("X-H") != hostile || ex.Response.Header.Get("X-Echo") != hostile {
		t.Errorf("got %q, recorded %q", res.Header.Get("X-Echo"), ex.Request.Header.Get("X-H"))
	}
	if res.Header.Get("Location") != "http://[::1/%zz\" onload=x" {
		t.Errorf("Location %q", res.Header.Get("Location"))
	}
	if res.Header.Get("Set-Cookie") != "" || len(ex.Edits) != 1 || ex.Edits[0].At != "Set-Cookie" {
		t.Errorf("the server set the dashboard's cookie; edits %+v", ex.Edits)
	}
	for _, bad := range []string{
		"GET /a~b/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET /a~b/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
		"GET /a~b/x HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
		"GET /a~b/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
	} {
		if res, _ := r.raw(r.front.Listener.Addr().String(), bad); res.StatusCode < 400 {
			t.Errorf("%q answered %d", bad, res.StatusCode)
		}
	}
}

// lines is a bulk file of size bytes, made as it is read.
func lines(w io.Writer, size int64) {
	line := []byte(`{"resourceType":"Patient","id":"1","name":[{"family":"Shaw"}]}` + "\n")
	chunk := bytes.Repeat(line, 1000)
	for n := int64(0); n < size; n += int64(len(chunk)) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// TestLargeDownload: memory stays bounded. FHIRWIRE_TEST_LARGE sets the size in MiB, 1024 for the full proof.
func TestLargeDownload(t *testing.T) {
	size := int64(64 << 20)
	if testing.Short() {
		size = 8 << 20
	}
	if v, err := strconv.Atoi(os.Getenv("FHIRWIRE_TEST_LARGE")); err == nil {
		size = int64(v) << 20
	}
	for _, kind := range []string{"ndjson", "gzip", "bundle"} {
		t.Run(kind, func(t *testing.T) {
			size := size
			if kind != "ndjson" {
				size /= 4
			}
			r := newRigWith(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				out := io.Writer(w)
				switch kind {
				case "gzip":
					w.Header().Set("Content-Encoding", "gzip")
					z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
					defer func() { _ = z.Close() }()
					out = z
					fallthrough
				case "ndjson":
					w.Header().Set("Content-Type", "application/fhir+ndjson")
				case "bundle":
					w.Header().Set("Content-Type", "application/fhir+json")
					_, _ = io.WriteString(w, `{"resourceType":"Bundle","x":[`)
				}
				lines(out, size)
			}), record.Options{MaxBody: 8 << 20}, reverse.Options{})
			// The client counts and forgets.
			req, err := http.NewRequestWithContext(t.Context(), "GET", r.front.URL+"/a~b/fhir/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "identity")
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			limit := before.HeapInuse + 48<<20
			peak := uint64(0)
			total := int64(0)
			for {
				n, err := io.CopyN(io.Discard, res.Body, 4<<20)
				total += n
				if runtime.ReadMemStats(&now); now.HeapInuse > limit {
					runtime.GC() // what is in use counts, not what waits to be collected
					runtime.ReadMemStats(&now)
				}
				peak = max(peak, now.HeapInuse)
				if err != nil {
					break
				}
			}
			if kind != "gzip" && total < size {
				t.Errorf("%d bytes arrived", total)
			}
			if peak > limit {
				t.Errorf("heap grew by %d MiB", (peak-before.HeapInuse)>>20)
			}
			t.Logf("%d MiB passed, heap grew by at most %d KiB", total>>20, (int64(peak)-int64(before.HeapInuse))>>10)
			ex := r.sink.Wait(t, 1)[0]
			if ex.Failure != nil || kind != "bundle" && ex.Response.Body.Size != total || !ex.Response.Body.Complete {
				t.Errorf("recorded %+v %+v", ex.Failure, ex.Response.Body)
			}
		})
	}
}
