package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

type discardSink struct{}

func (discardSink) Put(context.Context, *proxy.Exchange, proxy.Bodies) error { return nil }

func get() *http.Request { return httptest.NewRequest("GET", "/fhir/Patient", nil) }

func plainResponse(size int) *http.Response {
	return response(http.Header{"Content-Type": {"application/octet-stream"}}, bytes.Repeat([]byte("x"), size))
}

// TestHeldBack: the client's last read returns when the Sink has the exchange.
func TestHeldBack(t *testing.T) {
	stored := false
	sink := &proxytest.Sink{Before: func(context.Context, *proxy.Exchange) error {
		time.Sleep(20 * time.Millisecond)
		stored = true
		return nil
	}}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	p := exchange(t, rec, get(), plainResponse(10)) //nolint:bodyclose // exchange closes it
	if !stored || len(sink.Exchanges()) != 1 {
		t.Error("the response ended before the exchange was stored")
	}
	<-p.Stored()
}

// TestJournal: whatever the Sink does, what the client saw survives the process.
func TestJournal(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		opt    Options
		before func(release chan struct{}) func(context.Context, *proxy.Exchange) error
	}{
		{"the Sink hangs", 10, Options{HoldFor: 5 * time.Millisecond, PrepareFor: time.Hour}, func(release chan struct{}) func(context.Context, *proxy.Exchange) error {
			return func(context.Context, *proxy.Exchange) error { <-release; return errors.New("killed") }
		}},
		{"the Sink hangs, spooled body", 100 << 10, Options{HoldFor: 5 * time.Millisecond, PrepareFor: time.Hour, MemoryBody: 1 << 10}, func(release chan struct{}) func(context.Context, *proxy.Exchange) error {
			return func(context.Context, *proxy.Exchange) error { <-release; return errors.New("killed") }
		}},
		{"a large response does not wait", 2 << 20, Options{HoldFor: time.Hour, PrepareFor: time.Hour}, func(release chan struct{}) func(context.Context, *proxy.Exchange) error {
			return func(context.Context, *proxy.Exchange) error { <-release; return errors.New("killed") }
		}},
		{"the Sink fails", 10, Options{PrepareFor: time.Hour}, func(chan struct{}) func(context.Context, *proxy.Exchange) error {
			return func(context.Context, *proxy.Exchange) error { return errors.New("disk full") }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.SpoolDir = t.TempDir()
			release := make(chan struct{})
			first := New(&proxytest.Sink{Before: c.before(release)}, testKey, c.opt)
			exchange(t, first, get(), plainResponse(c.size)) //nolint:bodyclose // exchange closes it
			// What a kill would leave at this moment is on disk now; another process starts with it.
			entries, err := filepath.Glob(filepath.Join(c.opt.SpoolDir, "*"+journalSuffix))
			if err != nil || len(entries) != 1 {
				t.Fatalf("journal %v, %v", entries, err)
			}
			sink := &proxytest.Sink{}
			second := New(sink, testKey, c.opt)
			ctx, cancel := context.WithCancel(t.Context())
			var done sync.WaitGroup
			done.Go(func() {
				if err := second.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			ex := sink.Wait(t, 1)[0]
			if len(sink.Body(ex.Response.Body)) != c.size || ex.Status() != 200 || ex.Channel != "a~b" {
				t.Errorf("replayed %+v", ex)
			}
			close(release)
			cancel()
			done.Wait()
			if err := first.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFullQueue: beyond InFlight nothing is lost and nothing stays in memory.
func TestFullQueue(t *testing.T) {
	release := make(chan struct{})
	sink := &proxytest.Sink{Before: func(context.Context, *proxy.Exchange) error { <-release; return nil }}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), InFlight: 2, HoldFor: time.Millisecond})
	for range 20 {
		exchange(t, rec, get(), plainResponse(1000)) //nolint:bodyclose // exchange closes it
	}
	// A response may end a moment before what is journaled of its exchange is let go.
	for deadline := time.Now().Add(5 * time.Minute); rec.memory.Load() > 2000; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes held", rec.memory.Load())
		}
	}
	close(release)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := rec.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	sink.Wait(t, 20)
	cancel()
	done.Wait()
	if m := rec.memory.Load(); m != 0 {
		t.Errorf("%d bytes not given back", m)
	}
}

// TestUnwritableSpool: with no journal the end of the response waits for the Sink.
func TestUnwritableSpool(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sink := &proxytest.Sink{Before: func(context.Context, *proxy.Exchange) error { time.Sleep(50 * time.Millisecond); return nil }}
	rec := New(sink, testKey, Options{SpoolDir: file, HoldFor: time.Millisecond, PrepareFor: time.Hour, MemoryBody: 100})
	exchange(t, rec, get(), plainResponse(1000)) //nolint:bodyclose // exchange closes it
	if n := len(sink.Exchanges()); n != 1 {
		t.Fatalf("%d stored when the client saw the end", n)
	}
	b := sink.Exchanges()[0].Response.Body
	if b.Size != 1000 || b.Stored != 0 && b.Stored != 100 || b.Withheld == "" {
		t.Errorf("body %+v", b)
	}
}

func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"old.1-response.body", "x" + journalSuffix + ".tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rec := New(&proxytest.Sink{}, testKey, Options{SpoolDir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rec.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestCaps: a body over its cap is counted and hashed in full.
func TestCaps(t *testing.T) {
	sink := &proxytest.Sink{}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), MaxBody: 1000, MemoryBody: 100, HoldFor: time.Hour})
	whole := bytes.Repeat([]byte("abcdefghij"), 1000)
	exchange(t, rec, get(), response(nil, whole)) //nolint:bodyclose // exchange closes it
	b := sink.Wait(t, 1)[0].Response.Body
	want := proxytest.Describe(whole)
	if b.Size != 10000 || b.Stored != 1000 || b.Digest != want.Digest || !b.Complete || !b.Truncated() || !bytes.Equal(sink.Body(b), whole[:1000]) {
		t.Errorf("body %+v", b)
	}
}

// TestSealOnce: however the response ends, and however often, there is one exchange.
func TestSealOnce(t *testing.T) {
	sink := &proxytest.Sink{}
	rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	p := exchange(t, rec, get(), plainResponse(10)) //nolint:bodyclose // exchange closes it
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { p.Fail(proxy.Failure{Reason: proxy.ReasonProxy}) })
	}
	wg.Wait()
	p.AddEdits(proxy.Edit{})
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := sink.Exchanges(); len(e) != 1 || e[0].Failure != nil || len(e[0].Edits) != 0 {
		t.Errorf("%d exchanges, first %+v", len(e), e[0])
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		ph   phase
		want proxy.Reason
	}{
		{"end of stream", io.ErrUnexpectedEOF, phaseSent, proxy.ReasonUpstreamReset},
		{"refused by the dialer", &RefusedError{"no"}, phaseConnect, proxy.ReasonRefused},
		{"slow", context.DeadlineExceeded, phaseSent, proxy.ReasonUpstreamTimeout},
		{"slow to connect", context.DeadlineExceeded, phaseConnect, proxy.ReasonUpstreamDown},
		{"slow handshake", context.DeadlineExceeded, phaseTLS, proxy.ReasonUpstreamTLS},
		{"not HTTP", errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "hi"`), phaseSent, proxy.ReasonUpstreamInvalid},
		{"gone while the request was written", &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}, phaseSending, proxy.ReasonUpstreamReset},
		{"ours", errors.New("odd"), phaseSent, proxy.ReasonProxy},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := classify(c.err, c.ph); got.Reason != c.want || got.Detail == "" || got.Side == "" {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// TestNoPending: requests of others pass the transport.
func TestNoPending(t *testing.T) {
	rec := New(discardSink{}, testKey, Options{})
	res, err := rec.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return plainResponse(1), nil })).RoundTrip(get())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err != nil || strings.TrimSpace(string(b)) != "x" {
		t.Errorf("%q, %v", b, err)
	}
}
