package reverse_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

// channels is the double of the store.
type channels map[string]*proxy.Channel

func (c channels) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	if ch, ok := c[name]; ok {
		return ch, nil
	}
	return nil, fmt.Errorf("channel %s: %w", name, proxy.ErrNotFound)
}

// rig is a server, the proxy before it, and what was recorded.
type rig struct {
	t     testing.TB
	sink  *proxytest.Sink
	rec   *record.Recorder
	front *httptest.Server
	back  *httptest.Server
	chans channels
}

func newRig(t testing.TB, server http.Handler) *rig {
	return newRigWith(t, server, record.Options{}, reverse.Options{})
}

func newRigWith(t testing.TB, server http.Handler, ro record.Options, o reverse.Options) *rig {
	r := &rig{t: t, sink: &proxytest.Sink{}, back: httptest.NewServer(server)}
	t.Cleanup(r.back.Close)
	if ro.SpoolDir == "" {
		ro.SpoolDir = t.TempDir()
	}
	if ro.HoldFor == 0 {
		ro.HoldFor = time.Hour // what the client has read to its end is recorded then
	}
	if ro.RestFor == 0 {
		ro.RestFor = 5 * time.Minute // longer than any stall of a machine
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Minute // likewise
	}
	r.rec = record.New(r.sink, proxy.NewFingerprintKey([]byte("0123456789abcdef0123456789abcdef")), ro)
	t.Cleanup(func() {
		if err := r.rec.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.chans = channels{"a~b": {Name: "a~b", ServerURL: r.back.URL + "/fhir"}}
	r.front = httptest.NewServer(reverse.New(r.chans, r.rec, o))
	t.Cleanup(r.front.Close)
	return r
}

// answer is a response whose body has been read.
type answer struct {
	StatusCode      int
	Header, Trailer http.Header
	ContentLength   int64
}

// raw sends text on a fresh connection and reads one response.
func (r *rig) raw(addr, text string) (answer, string) {
	r.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.Trailer, res.ContentLength}, string(b)
}

func (r *rig) get(path string) (answer, string) {
	r.t.Helper()
	return r.raw(r.front.Listener.Addr().String(), "GET /a~b"+path+" HTTP/1.1\r\nHost: "+r.front.Listener.Addr().String()+"\r\nConnection: close\r\n\r\n")
}

// wire is what a server saw, taken at the socket.
func wire(t *testing.T, answer string) (addr string, seen func() string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		var b bytes.Buffer
		buf := make([]byte, 64<<10)
		for !strings.Contains(b.String(), "END") {
			n, err := conn.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		_, _ = io.WriteString(conn, answer)
		got <- b.String()
	}()
	return l.Addr().String(), func() string { return <-got }
}

// TestBytes compares what passes at the sockets, in both directions.
func TestBytes(t *testing.T) {
	answer := "HTTP/1.1 201 Created\r\nX-Odd: a,  b\r\nEtag: W/\"3\"\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 5\r\nX-Bytes: \xe9\r\n\r\n\x00\xff{}\n"
	addr, seen := wire(t, answer)
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"].ServerURL = "http://" + addr + "/fhir"
	path := "/fhir/Patient/$member-match/:vid//x%7C|y%2Fz%2f;a=b?q=%7c|&bad=%zz&;semi&blank=&+="
	request := "POST /a%7Eb" + path + " HTTP/1.1\r\nHost: proxy.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Two: b\r\nX-Two: a\r\nContent-Length: 6\r\nCookie: fhirwire_session=s; a=1\r\nX-Empty: \r\n\r\n\x00\xfeaEND"
	res, body := r.raw(r.front.Listener.Addr().String(), request)

	got := seen()
	head, rest, _ := strings.Cut(got, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	slices.Sort(lines[1:])
	want := []string{"POST " + path + " HTTP/1.1", "Content-Length: 6", "Cookie: a=1", "Host: " + addr, "X-Empty: ", "X-Forwarded-For: 192.0.2.1", "X-Two: a", "X-Two: b"}
	if !slices.Equal(lines, want) || rest != "\x00\xfeaEND" {
		t.Errorf("server saw %q %q\nwant %q", lines, rest, want)
	}
	if res.StatusCode != 201 || body != "\x00\xff{}\n" {
		t.Errorf("client got %d %q", res.StatusCode, body)
	}
	wantHeader := http.Header{"X-Odd": {"a,  b"}, "Etag": {`W/"3"`}, "X-Two": {"1", "2"}, "Content-Length": {"5"}, "X-Bytes": {"\xe9"}}
	if !maps.EqualFunc(res.Header, wantHeader, slices.Equal) {
		t.Errorf("client got %q\nwant %q", res.Header, wantHeader)
	}

	ex := r.sink.Wait(t, 1)[0]
	if ex.Request.Target != "http://"+addr+path || ex.Request.URL != "http://proxy.test/a%7Eb"+path {
		t.Errorf("recorded %s to %s", ex.Request.URL, ex.Request.Target)
	}
	if ex.Channel != "a~b" || ex.Matched != "channel URL" || ex.Status() != 201 || ex.Failure != nil || string(r.sink.Body(ex.Request.Body)) != "\x00\xfeaEND" {
		t.Errorf("recorded %+v", ex)
	}
	if !ex.Request.Body.Complete || !ex.Response.Body.Complete || ex.Response.Forwarded != nil {
		t.Errorf("bodies %+v %+v", ex.Request.Body, ex.Response)
	}
	if len(ex.Edits) != 1 || ex.Edits[0].At != "Cookie" || strings.Contains(ex.Edits[0].From, "=s") {
		t.Errorf("edits %+v", ex.Edits)
	}
	tm := ex.Timing
	if tm.Start.IsZero() || tm.Connected.Before(tm.Start) || tm.RequestDone.Before(tm.Connected) || tm.End.Before(tm.RequestDone) || tm.FirstByte.Before(tm.Connected) || tm.End.Before(tm.FirstByte) {
		t.Errorf("timing %+v", tm)
	}
}

func TestRewrite(t *testing.T) {
	var base string
	bundle := func(n int) string {
		return `{"resourceType":"Bundle","link":[{"relation":"next","url":"` + base + `/fhir?p=2"}],"entry":[{"fullUrl":"` + base + `/fhir/Patient/1","resource":{"id":"` + strings.Repeat("x", n) + `"}}]}`
	}
	pack := func(s string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, s)
		_ = w.Close()
		return b.Bytes()
	}
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		base = "http://" + req.Host
		w.Header().Set("Content-Type", "application/fhir+json")
		switch req.URL.Path {
		case "/fhir/small":
			w.Header().Set("Content-Location", base+"/fhir/jobs/1")
			_, _ = io.WriteString(w, bundle(1))
		case "/fhir/large":
			_, _ = io.WriteString(w, bundle(2<<20))
		case "/fhir/gzip", "/fhir/gziplarge":
			w.Header().Set("Content-Encoding", "gzip")
			n := 1
			if req.URL.Path == "/fhir/gziplarge" {
				n = 12 << 20
			}
			_, _ = w.Write(pack(bundle(n)))
		case "/fhir/gzipcut":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(pack(bundle(1000))[:40])
		case "/fhir/patient":
			_, _ = io.WriteString(w, `{"resourceType":"Patient","link":[{"url":"`+base+`/fhir"}]}`)
		case "/fhir/302":
			w.Header().Set("Location", "/fhir/elsewhere")
			w.WriteHeader(302)
		}
	}))
	front := r.front.URL
	for _, c := range []struct {
		path   string
		edited bool
	}{{"small", true}, {"large", true}, {"gzip", true}, {"gziplarge", true}, {"gzipcut", false}, {"patient", false}} {
		t.Run(c.path, func(t *testing.T) {
			n := len(r.sink.Exchanges())
			res, body := r.get("/fhir/" + c.path)
			ex := r.sink.Wait(t, n+1)[n]
			if (ex.Response.Forwarded != nil) != c.edited || ex.Failure != nil {
				t.Fatalf("edits %v, failure %+v", ex.Edits, ex.Failure)
			}
			stored := string(r.sink.Body(ex.Response.Body))
			if !c.edited {
				if stored != body {
					t.Error("an unedited body changed")
				}
				return
			}
			if res.Header.Get("Content-Length") != "" && res.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
				t.Errorf("length %s of %d", res.Header.Get("Content-Length"), len(body))
			}
			if fwd := string(r.sink.Body(*ex.Response.Forwarded)); fwd != body || ex.Response.Forwarded.Size != int64(len(body)) {
				t.Errorf("forwarded body not the one recorded")
			}
			if strings.HasPrefix(c.path, "gzip") {
				z, err := gzip.NewReader(strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				body = string(plain)
				if stored[:2] != "\x1f\x8b" {
					t.Error("original not stored as received")
				}
			} else if !strings.Contains(stored, base+"/fhir/Patient/1") {
				t.Error("original not stored")
			}
			if strings.Contains(body, base) || !strings.Contains(body, `"url":"`+front+`/a~b/fhir?p=2"`) || !strings.Contains(body, `"fullUrl":"`+front+`/a~b/fhir/Patient/1"`) {
				t.Errorf("client got %.300s", body)
			}
		})
	}
	res, _ := r.get("/fhir/small")
	if got := res.Header.Get("Content-Location"); got != front+"/a~b/fhir/jobs/1" {
		t.Errorf("Content-Location %s", got)
	}
	res, _ = r.get("/fhir/302")
	if got := res.Header.Get("Location"); got != front+"/a~b/fhir/elsewhere" {
		t.Errorf("Location %s", got)
	}
}

func TestHostFormAndBasePath(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", "http://"+req.Host+"/fhir/Patient/1")
		_, _ = io.WriteString(w, req.RequestURI)
	}))
	r.chans["a~b"].Options.BasePath = "/custom/x/fhir"
	addr := r.front.Listener.Addr().String()
	res, body := r.raw(addr, "GET /custom/x/fhir/Patient?a=1 HTTP/1.1\r\nHost: A~b.localhost:8081\r\n\r\n")
	if body != "/fhir/Patient?a=1" || res.Header.Get("Location") != "http://A~b.localhost:8081/custom/x/fhir/Patient/1" {
		t.Errorf("host form: %q, %q", body, res.Header.Get("Location"))
	}
	res, body = r.raw(addr, "GET http://x.test/a~b/custom/x/fhir HTTP/1.1\r\nHost: x.test\r\n\r\n")
	if body != "/fhir" || res.Header.Get("Location") != "http://x.test/a~b/custom/x/fhir/Patient/1" {
		t.Errorf("path form: %q, %q", body, res.Header.Get("Location"))
	}
	if _, body = r.raw(addr, "GET /a~b HTTP/1.1\r\nHost: x.test\r\n\r\n"); body != "/" {
		t.Errorf("bare channel: %q", body)
	}
	if _, body = r.raw(addr, "GET /a~b?x=1 HTTP/1.1\r\nHost: x.test\r\n\r\n"); body != "/?x=1" {
		t.Errorf("bare channel with query: %q", body)
	}
}

func TestShapes(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/fhir/204", "/fhir/304":
			w.Header().Set("Etag", `W/"1"`)
			w.WriteHeader(map[string]int{"/fhir/204": 204, "/fhir/304": 304}[req.URL.Path])
		case "/fhir/head":
			w.Header().Set("Content-Length", "12345")
		case "/fhir/trailer":
			b, _ := io.ReadAll(req.Body)
			w.Header().Set("Trailer", "X-Sum")
			_, _ = fmt.Fprintf(w, "%s %s", b, req.Trailer.Get("X-Req"))
			w.Header().Set("X-Sum", "42")
		case "/fhir/refuse":
			w.WriteHeader(413)
		default:
			b, _ := io.ReadAll(req.Body)
			_, _ = w.Write(b)
		}
	}))
	addr := r.front.Listener.Addr().String()
	for _, c := range []struct {
		name, request string
		status        int
		body          string
	}{
		{"204", "GET /a~b/fhir/204 HTTP/1.1\r\nHost: x\r\n\r\n", 204, ""},
		{"304", "GET /a~b/fhir/304 HTTP/1.1\r\nHost: x\r\n\r\n", 304, ""},
		{"HEAD", "HEAD /a~b/fhir/head HTTP/1.1\r\nHost: x\r\n\r\n", 200, ""},
		{"chunked with trailer", "POST /a~b/fhir/trailer HTTP/1.1\r\nHost: x\r\nTrailer: X-Req\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Req: v\r\n\r\n", 200, "abcde v"},
		{"echo", "POST /a~b/fhir/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(r.sink.Exchanges())
			res, body := r.raw(addr, c.request)
			if res.StatusCode != c.status || body != c.body {
				t.Errorf("got %d %q", res.StatusCode, body)
			}
			ex := r.sink.Wait(t, n+1)[n]
			if ex.Failure != nil || ex.Status() != c.status || !ex.Response.Body.Complete || !ex.Request.Body.Complete {
				t.Errorf("recorded %+v %+v", ex.Failure, ex.Response)
			}
			if c.name == "HEAD" && res.ContentLength != 12345 {
				t.Errorf("length %d", res.ContentLength)
			}
			if c.name == "chunked with trailer" {
				if res.Trailer.Get("X-Sum") != "42" || ex.Response.Trailer.Get("X-Sum") != "42" || ex.Request.Trailer.Get("X-Req") != "v" || ex.Request.Header.Get("Transfer-Encoding") != "chunked" {
					t.Errorf("trailers %v, recorded %v %v", res.Trailer, ex.Request, ex.Response.Trailer)
				}
			}
		})
	}
	t.Run("100-continue", func(t *testing.T) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "POST /a~b/fhir/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(conn, "abc")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if b, _ := io.ReadAll(res.Body); string(b) != "abc" {
			t.Errorf("got %q", b)
		}
	})
	t.Run("100-continue refused", func(t *testing.T) {
		res, _ := r.raw(addr, "POST /a~b/fhir/refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		if res.StatusCode != 413 {
			t.Errorf("got %d", res.StatusCode)
		}
	})
}

// TestUpgrade: after 101 the connection is a tunnel; the exchange ends with the switch.
func TestUpgrade(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.CopyN(conn, rw, 4)
	}))
	conn, err := net.Dial("tcp", r.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /a~b/fhir/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("got %+v, %v", res, err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.WriteString(conn, "ping")
	got := make([]byte, 4)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "ping" {
		t.Errorf("got %q, %v", got, err)
	}
	if ex := r.sink.Wait(t, 1)[0]; ex.Status() != 101 || ex.Failure != nil {
		t.Errorf("recorded %+v", ex)
	}
}

// TestStreaming: each part arrives before the next is sent, both ways.
func TestStreaming(t *testing.T) {
	step := make(chan struct{})
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		for range 3 {
			_, _ = io.WriteString(w, "{}\n")
			w.(http.Flusher).Flush()
			<-step
		}
	}))
	res, err := http.Get(r.front.URL + "/a~b/fhir/x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	buf := make([]byte, 3)
	for range 3 {
		if _, err := io.ReadFull(res.Body, buf); err != nil {
			t.Fatal(err)
		}
		step <- struct{}{}
	}
	if n, err := res.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	if len(r.sink.Exchanges()) != 1 {
		t.Error("not stored when the client saw the end")
	}
}

func TestConcurrent(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, req.Body)
	}))
	const clients, each = 50, 8
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				want := strings.Repeat(fmt.Sprintf("%d-%d ", c, i), 5000)
				res, err := http.Post(r.front.URL+"/a~b/fhir/x", "text/plain", strings.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(got) != want {
					t.Errorf("client %d: %v", c, err)
				}
			}
		})
	}
	wg.Wait()
	list := r.sink.Wait(t, clients*each)
	for _, ex := range list {
		if ex.Request.Body.Digest != ex.Response.Body.Digest || ex.Failure != nil {
			t.Errorf("%s: %+v", ex.ID, ex.Failure)
		}
	}
}
