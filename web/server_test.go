package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
	"fhirwire/web/views"
)

func benchRows(b *testing.B, s *Server, list []*proxy.Exchange) error {
	n, err := s.names(b.Context())
	if err != nil {
		return err
	}
	rows, err := s.rows(b.Context(), n, list, true)
	if err != nil {
		return err
	}
	return views.LivePage(views.Live{Rows: rows}).Render(b.Context(), io.Discard)
}

func TestOtherSitesAreRefused(t *testing.T) {
	store := apitest.NewStore()
	addPair(t, store, "Harborlight", "Cedar", false)
	s := newServer(t, store, Options{Hosts: []string{"fhirwire.example"}})
	for _, tt := range []struct {
		name, method, path string
		header             map[string]string
		want               int
	}{
		{"rebound name", "GET", "/", map[string]string{"Host": "evil.example:8080"}, 421},
		{"rebound name, API", "GET", "/api/v1/systems", map[string]string{"Host": "evil.example"}, 421},
		{"configured name", "GET", "/", map[string]string{"Host": "fhirwire.example"}, 200},
		{"localhost", "GET", "/", map[string]string{"Host": "localhost:8080"}, 200},
		{"IPv6 loopback", "GET", "/", map[string]string{"Host": "[::1]:8080"}, 200},
		{"foreign address", "GET", "/", map[string]string{"Host": "192.0.2.7"}, 421},
		{"form from another site", "POST", "/systems/s-cedar/delete", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"form from a sibling", "POST", "/systems/s-cedar/delete", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"old browser, other origin", "DELETE", "/api/v1/systems/s-cedar", map[string]string{"Origin": "https://evil.example"}, 403},
		{"own form", "POST", "/systems/s-cedar/delete", map[string]string{"Sec-Fetch-Site": "same-origin"}, 303},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := do(t, s, tt.method, tt.path, "", tt.header)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("CORS header")
			}
		})
	}
}

func TestPanicIsOurFault(t *testing.T) {
	var log bytes.Buffer
	store := apitest.NewStore()
	d := store.Deps()
	d.Reports = panicking{}
	s, err := New(d, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	addExchange(store, "x", 0, spec{path: "/y"})
	w := get(t, s, "/?filter=token")
	if w.Code != 500 || !strings.Contains(w.Body.String(), "Our fault") || !strings.Contains(log.String(), "panicked") {
		t.Errorf("status %d, log %s", w.Code, &log)
	}
	if strings.Contains(log.String(), "filter=token") {
		t.Error("the query is in the log")
	}
}

type panicking struct{}

func (panicking) Report(context.Context, string) (*validators.Report, error) { panic("boom") }
func (panicking) Summaries(context.Context, []string) (map[string]validators.Summary, error) {
	panic("boom")
}
func (panicking) CountUnjudged(context.Context) (int, error) { return 0, errors.New("no") }

func TestHealth(t *testing.T) {
	ready := errors.New("the database is locked")
	s := newServer(t, apitest.NewStore(), Options{Ready: func(context.Context) error { return ready }})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200} {
		if w := get(t, s, path); w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
	ready = nil
	if w := get(t, s, "/readyz"); w.Code != 200 {
		t.Errorf("ready: status %d", w.Code)
	}
	if w := get(t, s, "/metrics"); !strings.Contains(w.Body.String(), `fhirwire_dashboard_requests_total{method="GET",route="/healthz",status="200"} 1`) {
		t.Error("the request was not counted by its route")
	}
}

func TestAssets(t *testing.T) {
	s := newServer(t, apitest.NewStore(), Options{})
	for _, name := range []string{"app.css", "app.js"} {
		path := s.files.URL(name)
		w := get(t, s, path)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", path, w.Code, w.Header())
		}
	}
	if w := get(t, s, "/static/../server.go"); w.Code != 404 {
		t.Errorf("a file that is no asset: status %d", w.Code)
	}
	page := get(t, s, "/").Body.String()
	if strings.Contains(page, "<style") || strings.Contains(page, " style=") || strings.Count(page, "<script") != 1 {
		t.Error("the page has inline style or script")
	}
}

func TestTheme(t *testing.T) {
	s := newServer(t, apitest.NewStore(), Options{})
	for to, want := range map[string]string{"/systems?x=1": "/systems?x=1", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/"} {
		w := do(t, s, "POST", "/theme", "theme=dark&to="+to, nil)
		if w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("to %q: status %d, location %q", to, w.Code, w.Header().Get("Location"))
		}
		if c := w.Header().Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") {
			t.Errorf("cookie %q", c)
		}
	}
	if w := do(t, s, "GET", "/", "", map[string]string{"Cookie": themeCookie + "=dark"}); !strings.Contains(w.Body.String(), `data-theme="dark"`) {
		t.Error("the page is not dark")
	}
}

func TestSystemsForms(t *testing.T) {
	store := apitest.NewStore()
	s := newServer(t, store, Options{ChannelSuffix: func() string { return "k3v9" }})
	bad := do(t, s, "POST", "/systems", "name=&slug=Not+ok&roles=server&base_url=ftp://x", nil)
	html := bad.Body.String()
	if bad.Code != 422 || !strings.Contains(html, `value="Not ok"`) || !strings.Contains(html, `id="base_url-e"`) || !strings.Contains(html, `id="slug-e"`) || !strings.Contains(html, `id="name-e"`) {
		t.Errorf("status %d, values or errors are missing", bad.Code)
	}
	for _, form := range []string{"name=Diamond+Payer&roles=server&base_url=https://d.example/fhir/", "name=Acme+EHR&slug=acme&roles=client"} {
		if w := do(t, s, "POST", "/systems", form, nil); w.Code != 303 {
			t.Fatalf("status %d", w.Code)
		}
	}
	if w := do(t, s, "POST", "/systems", "name=Other&slug=acme&roles=client", nil); w.Code != 422 || !strings.Contains(w.Body.String(), "acme is taken") {
		t.Errorf("taken slug: status %d", w.Code)
	}
	if w := do(t, s, "POST", "/channels", "client_id=new-2&server_id=new-2", nil); w.Code != 422 || !strings.Contains(w.Body.String(), "is not registered as a client") {
		t.Errorf("wrong role: status %d", w.Code)
	}
	w := do(t, s, "POST", "/channels", "client_id=new-3&server_id=new-2&track=P2P&base_path=/custom/r4", nil)
	if w.Code != 303 {
		t.Fatalf("status %d", w.Code)
	}
	page := get(t, s, "/systems?done=connected").Body.String()
	for _, want := range []string{"http://127.0.0.1:8081/acme~diamond-payer~k3v9/custom/r4<", "curl http://127.0.0.1:8081/acme~diamond-payer~k3v9/custom/r4/metadata", "The proxy URL is ready."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if w := do(t, s, "POST", "/channels", "client_id=new-3&server_id=new-2", nil); w.Code != 422 {
		t.Errorf("connected twice: status %d", w.Code)
	}
	if w := do(t, s, "POST", "/systems/new-3", "name=Acme&slug=acme&roles=client", nil); w.Code != 303 {
		t.Errorf("change: status %d", w.Code)
	}
}

func TestJudgeAgain(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	s := newServer(t, store, Options{})
	if w := do(t, s, "POST", "/exchanges/x5/judge", "", nil); w.Code != 303 || len(store.Judged()) != 1 {
		t.Errorf("status %d, judged %v", w.Code, store.Judged())
	}
	if w := do(t, s, "POST", "/exchanges/nope/judge", "", nil); w.Code != 404 {
		t.Errorf("unknown: status %d", w.Code)
	}
}

// event is one server-sent event.
type event struct{ name, id, data string }

// readEvents connects and sends events until the test ends or the server does.
func readEvents(t *testing.T, base, path, lastID string) <-chan event {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("content type %q", got)
	}
	out := make(chan event, 1000)
	go func() {
		defer close(out)
		var e event
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			switch field, value, _ := strings.Cut(sc.Text(), ": "); field {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data += value
			case "":
				if e.name != "" {
					out <- e
				}
				e = event{}
			}
		}
	}()
	return out
}

// patience is how long a test waits for what does come, however busy the machine is.
const patience = time.Minute

// next is the next event named name.
func next(t *testing.T, events <-chan event, name string) event {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended before an event %s", name)
			}
			if e.name == name {
				return e
			}
		case <-timeout:
			t.Fatalf("no event %s", name)
		}
	}
}

func TestLiveRows(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight", "Cedar", false)
	add := func(id string, status int) {
		addExchange(store, id, 0, spec{path: "/fhir/metadata", channel: ch, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: status})
	}
	add("a", 200)
	s := newServer(t, store, Options{})
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close) // streams end with the test, then the server can
	events := readEvents(t, srv.URL, "/events?after=1", "")
	next(t, events, "state")

	add("b", 200)
	got := next(t, events, "row")
	if got.id != "2" || !strings.Contains(got.data, `id="r2"`) || !strings.Contains(got.data, "Evaluating") {
		t.Errorf("row %+v", got)
	}
	page := get(t, s, "/").Body.String()
	if !strings.Contains(page, got.data) {
		t.Error("the live row is not the row of the page")
	}
	addReport(store, "b", nil)
	got = next(t, events, "row")
	if got.id != "" || !strings.Contains(got.data, `id="r2"`) || !strings.Contains(got.data, "Pass") {
		t.Errorf("judged row %+v", got)
	}

	// A browser that was away sees what it missed, in order, and the verdicts that came meanwhile.
	add("c", 500)
	add("d", 200)
	again := readEvents(t, srv.URL, "/events?after=1", "2")
	var fresh []string
	for len(fresh) < 2 {
		if e := next(t, again, "row"); e.id != "" {
			fresh = append(fresh, e.id)
		} else if !strings.Contains(e.data, `id="r2"`) && !strings.Contains(e.data, `id="r1"`) {
			t.Errorf("an old row without id: %+v", e)
		}
	}
	if strings.Join(fresh, " ") != "3 4" {
		t.Errorf("resumed with %v, want 3 4", fresh)
	}

	// A page with rows that waited for their verdict is told of them again, in case it came before the stream.
	if e := next(t, readEvents(t, srv.URL, "/events?after=4&open=1", ""), "row"); e.id != "" || !strings.Contains(e.data, `id="r1"`) {
		t.Errorf("open row %+v", e)
	}

	// A filtered list gets what matches, also when only the verdict makes it match.
	failed := readEvents(t, srv.URL, "/events?after=4&filter=verdict:fail", "")
	next(t, failed, "state")
	add("e", 200)
	addReport(store, "e", nil, validators.Issue{Severity: validators.SeverityError, Message: "wrong"})
	if e := next(t, failed, "row"); e.id != "5" || !strings.Contains(e.data, "Fail") {
		t.Errorf("filtered row %+v", e)
	}

	// Ending the server ends the stream.
	s.Close()
	for timeout := time.After(patience); ; {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-timeout:
			t.Fatal("the stream did not end with the server")
		}
	}
}

func TestTooManyMissed(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight", "Cedar", false)
	for i := range eventRows + 50 {
		addExchange(store, "m"+time.Duration(i).String(), 0, spec{path: "/x", channel: ch, status: 200})
	}
	srv := httptest.NewServer(newServer(t, store, Options{}).Handler())
	t.Cleanup(srv.Close) // streams end with the test, then the server can
	if e := next(t, readEvents(t, srv.URL, "/events", "1"), "reset"); e.id != "250" {
		t.Errorf("reset %+v", e)
	}
}

func TestAPIStreamResumes(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	srv := httptest.NewServer(newServer(t, store, Options{}).Handler())
	t.Cleanup(srv.Close) // streams end with the test, then the server can
	events := readEvents(t, srv.URL, "/api/v1/stream", "9")
	for _, want := range []string{"10", "11"} {
		e := next(t, events, "exchange")
		var n struct{ ID, Href string }
		if err := json.Unmarshal([]byte(e.data), &n); err != nil || e.id != want || n.ID != "x"+want || n.Href != "/api/v1/exchanges/x"+want {
			t.Errorf("event %+v, %v", e, err)
		}
	}
	addReport(store, "x11", nil)
	if e := next(t, events, "report"); e.id != "" || !strings.Contains(e.data, "/x11/report") {
		t.Errorf("report %+v", e)
	}
}
