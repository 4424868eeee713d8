package record

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type slowly struct {
	src  io.Reader
	done *atomic.Bool
}

func (s slowly) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	time.Sleep(20 * time.Millisecond)
	s.done.Store(true)
	return n, err
}

// TestReleaseWaits: a read that is under way ends before the handler does, and none begins after it.
func TestReleaseWaits(t *testing.T) {
	rec := New(discardSink{}, testKey, Options{SpoolDir: t.TempDir(), RestFor: time.Hour})
	var done atomic.Bool
	in := httptest.NewRequest("POST", "/fhir/Patient", slowly{strings.NewReader("a body"), &done})
	r, p := rec.Begin(in, Arrival{})
	go func() { _, _ = r.Body.Read(make([]byte, 2)) }()
	for p.body.reading.TryLock() {
		p.body.reading.Unlock()
		if done.Load() {
			break
		}
		runtime.Gosched()
	}
	p.Release(httptest.NewRecorder())
	if !done.Load() {
		t.Error("released while a read was under way")
	}
	if n, err := r.Body.Read(make([]byte, 2)); n != 0 || err == nil {
		t.Errorf("read %d bytes after the release, %v", n, err)
	}
}

// TestUnreadBodies: a connection serves the next request, however little of the last one the server wanted.
func TestUnreadBodies(t *testing.T) {
	rec := New(discardSink{}, testKey, Options{SpoolDir: t.TempDir(), RestFor: time.Minute})
	var logged bytes.Buffer
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, p := rec.Begin(r, Arrival{})
		defer p.Release(w)
		_ = http.NewResponseController(w).EnableFullDuplex()
		if r.URL.Path == "/begun" {
			go func() { _, _ = io.Copy(io.Discard, r.Body) }()
		}
		_, _ = io.WriteString(w, "answer")
	}))
	s.Config.ErrorLog = log.New(&logged, "", 0)
	s.Start()
	conn, in := dial(t, s)
	for i := range 60 {
		text := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nstart"
		if i%2 == 0 {
			text = strings.Replace(text, "/ ", "/begun ", 1)
		}
		if i%3 == 0 {
			text = strings.Replace(text, "Content-Length: 5\r\n\r\nstart", "Transfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n0\r\n\r\n", 1)
		}
		_, _ = io.WriteString(conn, text)
		if got, err := body(in); got != "answer" || err != nil {
			t.Fatalf("request %d: %q, %v", i, got, err)
		}
	}
	_ = conn.Close()
	s.Close()
	if logged.Len() > 0 {
		t.Error(&logged)
	}
}

func dial(t *testing.T, s *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return conn, bufio.NewReader(conn)
}

func body(in *bufio.Reader) (string, error) {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	got, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return string(got), err
}

// TestRestOfABody: what a client sends of a request that was answered early never counts as another request.
func TestRestOfABody(t *testing.T) {
	rec := New(discardSink{}, testKey, Options{SpoolDir: t.TempDir(), RestFor: 10 * time.Millisecond})
	var mu sync.Mutex
	var asked []string
	var logged bytes.Buffer
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		r, p := rec.Begin(r, Arrival{})
		defer p.Release(w)
		_ = http.NewResponseController(w).EnableFullDuplex()
		start := make([]byte, 5)
		if _, err := io.ReadFull(r.Body, start); err != nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, r.Body) }()
		for p.body.reading.TryLock() {
			p.body.reading.Unlock()
			runtime.Gosched()
		}
		_, _ = io.WriteString(w, "early")
	}))
	s.Config.ErrorLog = log.New(&logged, "", 0)
	s.Start()
	conn, in := dial(t, s)
	_, _ = io.WriteString(conn, "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nstart")
	if got, err := body(in); got != "early" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, _ = io.WriteString(conn, "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
	if rest, err := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("%q came after the response, %v", rest, err)
	}
	s.Close()
	if len(asked) != 1 || logged.Len() > 0 {
		t.Errorf("requests %v; %s", asked, &logged)
	}
}
