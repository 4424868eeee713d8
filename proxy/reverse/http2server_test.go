package reverse_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

// oddServer speaks HTTP/2 by hand: answer is called for each request.
type oddServer struct {
	addr   string
	ca     *proxytest.CA
	answer func(f *http2.Framer, id uint32)
	// old answers what comes in HTTP/1.1.
	old http.Handler

	mu       sync.Mutex
	requests int
}

func newOddServer(t *testing.T) *oddServer {
	t.Helper()
	s := &oddServer{ca: proxytest.NewCA(t, "Server CA")}
	cert := s.ca.Server(t, "127.0.0.1")
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.old.ServeHTTP(w, r) }))
	back.Config.ErrorLog = log.New(io.Discard, "", 0)
	back.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	back.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) { s.serve(c) },
	}
	back.StartTLS()
	t.Cleanup(back.Close)
	s.addr = back.Listener.Addr().String()
	return s
}

func (s *oddServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	f.AllowIllegalWrites = true
	if f.WriteSettings() != nil {
		return
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			s.mu.Lock()
			s.requests++
			s.mu.Unlock()
			s.answer(f, frame.StreamID)
		}
	}
}

func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func heads(f *http2.Framer, id uint32, end bool, fields ...string) {
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(fields...), EndHeaders: true, EndStream: end})
}

// TestServersThatBreakHTTP2: what goes wrong is the server's, and what it sent is not passed on as if it were sound.
func TestServersThatBreakHTTP2(t *testing.T) {
	s := newOddServer(t)
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"] = &proxy.Channel{Name: "a~b", ServerURL: "https://" + s.addr + "/fhir", Server: proxy.SystemOptions{CA: s.ca.PEM()}}
	n := 0
	for _, tt := range []struct {
		name   string
		answer func(f *http2.Framer, id uint32)
	}{
		{"field name in upper case", func(f *http2.Framer, id uint32) { heads(f, id, true, ":status", "200", "X-Up", "1") }},
		{"no status", func(f *http2.Framer, id uint32) { heads(f, id, true, "x-a", "1") }},
		{"status that is no number", func(f *http2.Framer, id uint32) { heads(f, id, true, ":status", "ok") }},
		{"line break in a value", func(f *http2.Framer, id uint32) { heads(f, id, true, ":status", "200", "x-a", "1\r\nx-b: 2") }},
		{"data before the header", func(f *http2.Framer, id uint32) { _ = f.WriteData(id, true, []byte("x")) }},
		{"data on another stream", func(f *http2.Framer, id uint32) { _ = f.WriteData(id+20, true, []byte("x")) }},
		{"more than was announced", func(f *http2.Framer, id uint32) {
			heads(f, id, false, ":status", "200", "content-length", "2")
			_ = f.WriteData(id, true, []byte("longer"))
		}},
		{"less than was announced", func(f *http2.Framer, id uint32) {
			heads(f, id, false, ":status", "200", "content-length", "20")
			_ = f.WriteData(id, true, []byte("short"))
		}},
		{"reset", func(f *http2.Framer, id uint32) { _ = f.WriteRSTStream(id, http2.ErrCodeInternal) }},
		{"reset in the middle", func(f *http2.Framer, id uint32) {
			heads(f, id, false, ":status", "200")
			_ = f.WriteData(id, false, []byte("half"))
			_ = f.WriteRSTStream(id, http2.ErrCodeInternal)
		}},
		{"go away", func(f *http2.Framer, id uint32) {
			_ = f.WriteGoAway(id, http2.ErrCodeEnhanceYourCalm, []byte("too many"))
			_ = f.WriteRawFrame(http2.FramePing, 0, 0, nil)
		}},
		{"go away for a protocol error", func(f *http2.Framer, id uint32) { _ = f.WriteGoAway(0, http2.ErrCodeProtocol, nil) }},
		{"a header without end", func(f *http2.Framer, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200")})
			for range 3000 {
				if f.WriteContinuation(id, false, block("x-long", strings.Repeat("a", 4000))) != nil {
					return
				}
			}
		}},
		{"compressed header that is none", func(f *http2.Framer, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true, EndStream: true})
		}},
		{"frame of a size that is not allowed", func(f *http2.Framer, _ uint32) { _ = f.WriteRawFrame(http2.FramePing, 0, 0, []byte("short")) }},
		{"pushed response", func(f *http2.Framer, id uint32) {
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: block(":method", "GET", ":path", "/x", ":scheme", "https", ":authority", "x"), EndHeaders: true})
		}},
		{"interim responses without end", func(f *http2.Framer, id uint32) {
			for range 300 {
				heads(f, id, false, ":status", "103", "link", "</x>")
			}
		}},
		{"trailer with a status", func(f *http2.Framer, id uint32) {
			heads(f, id, false, ":status", "200")
			_ = f.WriteData(id, false, []byte("x"))
			heads(f, id, true, ":status", "500")
		}},
		{"switching protocols", func(f *http2.Framer, id uint32) { heads(f, id, true, ":status", "101") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.answer = tt.answer
			res, err := http.Get(r.front.URL + "/a~b/fhir/x")
			status := 0
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				status = res.StatusCode
				_ = res.Body.Close()
			}
			n++
			ex := r.sink.Wait(t, n)[n-1]
			if ex.Failure == nil || ex.Failure.Side != "server" {
				t.Errorf("recorded %+v", ex.Failure)
			}
			if err == nil && status < 500 && tt.name != "more than was announced" {
				t.Errorf("passed on as if whole: %d", status)
			}
		})
	}
}

// TestServersThatWantHTTP1: a server that answers a request in HTTP/1.1 only gets it so, and those after it.
func TestServersThatWantHTTP1(t *testing.T) {
	s := newOddServer(t)
	s.answer = func(f *http2.Framer, id uint32) { _ = f.WriteRSTStream(id, http2.ErrCodeHTTP11Required) }
	s.old = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+string(got))
	})
	r := newRig(t, http.NotFoundHandler())
	for _, name := range []string{"a~b", "a~c"} {
		r.chans[name] = &proxy.Channel{Name: name, ServerURL: "https://" + s.addr + "/fhir", Server: proxy.SystemOptions{CA: s.ca.PEM()}}
	}
	for i, tt := range []struct {
		channel, body, want, failure string
		requests                     int // by HTTP/2, so far
	}{
		{"a~b", "", "HTTP/1.1 ", "", 1},
		{"a~b", "a body", "HTTP/1.1 a body", "", 1},
		{"a~c", "a body that is gone", "", "answers this request in HTTP/1.1 only", 2},
		{"a~c", "a body", "HTTP/1.1 a body", "", 2},
	} {
		res, err := http.Post(r.front.URL+"/"+tt.channel+"/fhir/x", "text/plain", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		ex := r.sink.Wait(t, i+1)[i]
		if tt.failure != "" {
			if res.StatusCode != http.StatusBadGateway || ex.Failure == nil || ex.Failure.Side != "server" || !strings.Contains(ex.Failure.Detail, tt.failure) {
				t.Errorf("%d: %d, recorded %+v", i, res.StatusCode, ex.Failure)
			}
		} else if string(got) != tt.want || ex.Failure != nil || ex.Response.Proto != "HTTP/1.1" || ex.ServerLeg == nil || ex.ServerLeg.TLS == nil {
			t.Errorf("%d: %s, recorded %+v", i, got, ex)
		}
		s.mu.Lock()
		if s.requests != tt.requests {
			t.Errorf("%d: %d requests by HTTP/2, want %d", i, s.requests, tt.requests)
		}
		s.mu.Unlock()
	}
}
