package edgecases_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/edgecases"
	"fhirwire/validators/fhirjson"
)

// payer answers like the reference server does, as far as edges need it.
var payer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body := `{"resourceType":"Patient","id":"1"}`
	switch {
	case strings.HasSuffix(r.URL.Path, "/Patient"):
		body = `{"resourceType":"Bundle","id":"b","entry":[{"resource":{"resourceType":"Patient","id":"1"}}]}`
	case strings.HasSuffix(r.URL.Path, "/empty"):
		body = `{"resourceType":"Bundle","id":"b"}`
	case strings.HasSuffix(r.URL.Path, "/missing"):
		w.WriteHeader(http.StatusNotFound)
		body = `{"resourceType":"OperationOutcome"}`
	}
	w.Header().Set("Content-Type", "application/fhir+json;charset=utf-8")
	_, _ = io.WriteString(w, body)
})

type bench struct {
	t   *testing.T
	s   *edgecases.Switches
	h   http.Handler
	now time.Time
}

func start(t *testing.T) *bench {
	b := &bench{t: t, now: time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)}
	b.s = edgecases.New(edgecases.Options{Clock: func() time.Time { return b.now }, Client: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	b.h = b.s.Wrap("/fhir", payer)
	return b
}

func (b *bench) do(method, path string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	return w
}

func (b *bench) on(client string, times int, edges ...edgecases.Edge) {
	b.t.Helper()
	if err := b.s.Set(edgecases.Switch{Client: client, Edges: edges, Times: times}); err != nil {
		b.t.Fatal(err)
	}
}

func TestNothingIsOnByDefault(t *testing.T) {
	b := start(t)
	for _, path := range []string{"/fhir/Patient/1", "/fhir/Patient", "/fhir/bulk/j/status", "/other"} {
		if w := b.do("GET", path, "Authorization", "Bearer x"); w.Code != 200 || w.Header().Get(edgecases.Header) != "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if len(b.s.List()) != 0 {
		t.Error("switches are on")
	}
}

func TestEdges(t *testing.T) {
	for _, tt := range []struct {
		edge         edgecases.Edge
		method, path string
		header       []string
		status       int
		code         string // of the OperationOutcome
	}{
		{edgecases.NoMatch, "POST", "/fhir/Patient/$member-match", nil, 422, "not-found"},
		{edgecases.SeveralMatches, "POST", "/fhir/Patient/$member-match", nil, 422, "multiple-matches"},
		{edgecases.ConsentRefused, "POST", "/fhir/Patient/$member-match", nil, 422, "business-rule"},
		{edgecases.NoMatch, "GET", "/fhir/Patient/1", nil, 200, ""},
		{edgecases.Throttled, "GET", "/fhir/Patient/1", nil, 429, "throttled"},
		{edgecases.Throttled, "GET", "/fhir/metadata", nil, 200, ""},
		{edgecases.SlowJob, "GET", "/fhir/bulk/j/status", nil, 202, ""},
		{edgecases.SlowJob, "DELETE", "/fhir/bulk/j/status", nil, 200, ""},
		{edgecases.FailingFile, "GET", "/fhir/bulk/j/files/Patient-1.ndjson", nil, 500, "exception"},
		{edgecases.FailingFile, "GET", "/fhir/bulk/j/status", nil, 200, ""},
		{edgecases.ExpiredToken, "GET", "/fhir/Patient/1", []string{"Authorization", "Bearer x"}, 401, "expired"},
		{edgecases.ExpiredToken, "GET", "/fhir/Patient/1", nil, 200, ""},
		{edgecases.Throttled, "OPTIONS", "/fhir/Patient/1", nil, 200, ""},
		{edgecases.FailedJob, "GET", "/fhir/bulk/j/status", nil, 500, "exception"},
		{edgecases.FailedJob, "DELETE", "/fhir/bulk/j/status", nil, 200, ""},
		{edgecases.FailedJob, "GET", "/fhir/bulk/j/files/Patient-1.ndjson", nil, 200, ""},
		{edgecases.StatusRequired, "GET", "/fhir/Immunization?patient=1", nil, 400, "required"},
		{edgecases.StatusRequired, "GET", "/fhir/Immunization?patient=1&status=completed", nil, 200, ""},
		{edgecases.StatusRequired, "GET", "/fhir/Condition?patient=1", nil, 200, ""},
		{edgecases.StatusRequired, "GET", "/fhir/Immunization/1", nil, 200, ""},
	} {
		b := start(t)
		b.on(edgecases.Everybody, 0, tt.edge)
		w := b.do(tt.method, tt.path, tt.header...)
		if w.Code != tt.status || tt.code != "" && !strings.Contains(w.Body.String(), `"code":"`+tt.code+`"`) {
			t.Errorf("%s %s %s: %d %s", tt.edge, tt.method, tt.path, w.Code, w.Body)
		}
		if said := w.Header().Get(edgecases.Header); tt.method != "OPTIONS" && said != string(tt.edge) {
			t.Errorf("%s %s: the answer says %q", tt.edge, tt.path, said)
		}
		if (tt.status == 429 || tt.status == 202) && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s without Retry-After", tt.edge)
		}
		if tt.status == 401 && !strings.Contains(w.Header().Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestSlowJobEnds(t *testing.T) {
	b := start(t)
	b.on(edgecases.Everybody, 0, edgecases.SlowJob)
	for _, wait := range []time.Duration{0, 20 * time.Second, 9 * time.Second} {
		b.now = b.now.Add(wait)
		if w := b.do("GET", "/fhir/bulk/j/status"); w.Code != 202 || w.Header().Get("X-Progress") == "" {
			t.Errorf("after %s: %d", wait, w.Code)
		}
	}
	b.now = b.now.Add(time.Second)
	if w := b.do("GET", "/fhir/bulk/j/status"); w.Code != 200 {
		t.Errorf("still held: %d", w.Code)
	}
}

func TestBrokenResourceHasAnUnknownElement(t *testing.T) {
	b := start(t)
	b.on(edgecases.Everybody, 0, edgecases.BrokenResource)
	for path, broken := range map[string]bool{"/fhir/Patient/1": true, "/fhir/Patient": true, "/fhir/empty": false, "/fhir/missing": false} {
		w := b.do("GET", path, "Accept-Encoding", "gzip")
		doc := fhirjson.Parse(w.Body.Bytes())
		if len(doc.Problems()) > 0 {
			t.Errorf("%s is no JSON: %s", path, w.Body)
		}
		if got := strings.Contains(w.Body.String(), "brokenOnRequest"); got != broken {
			t.Errorf("%s: %s", path, w.Body)
		}
		if path == "/fhir/Patient" && doc.Root().Member("entry").Item(0).Member("resource").Member("brokenOnRequest") == nil {
			t.Errorf("the Bundle is broken, not its resource: %s", w.Body)
		}
	}
}

func TestWrongContentType(t *testing.T) {
	b := start(t)
	b.on(edgecases.Everybody, 0, edgecases.WrongContentType)
	w := b.do("GET", "/fhir/Patient/1")
	if w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%v", w.Header())
	}
}

func TestSwitchesArePerClient(t *testing.T) {
	b := start(t)
	b.on("app-1", 0, edgecases.Throttled)
	b.on("192.0.2.1", 0, edgecases.WrongContentType) // httptest's address
	if w := b.do("GET", "/fhir/Patient/1", "X-Client", "app-1"); w.Code != 429 || w.Header().Get(edgecases.Header) != "throttled, wrong-content-type" {
		t.Errorf("app-1: %d %v", w.Code, w.Header())
	}
	if w := b.do("GET", "/fhir/Patient/1", "X-Client", "app-2"); w.Code != 200 || w.Header().Get(edgecases.Header) != "wrong-content-type" {
		t.Errorf("app-2: %d %v", w.Code, w.Header())
	}
	if !b.s.Clear("192.0.2.1") || b.s.Clear("192.0.2.1") {
		t.Error("clearing")
	}
	if w := b.do("GET", "/fhir/Patient/1", "X-Client", "app-2"); w.Header().Get(edgecases.Header) != "" {
		t.Error("still on")
	}
	if w := b.do("GET", "/fhir/Patient/1", edgecases.Header, "throttled, unheard-of"); w.Code != 429 || w.Header().Get(edgecases.Header) != "throttled" {
		t.Errorf("by header: %d %v", w.Code, w.Header())
	}
}

func TestTimes(t *testing.T) {
	b := start(t)
	b.on("app", 2, edgecases.Throttled)
	var got []int
	for range 3 {
		got = append(got, b.do("GET", "/fhir/Patient/1", "X-Client", "app").Code)
	}
	if !slices.Equal(got, []int{429, 429, 200}) || len(b.s.List()) != 0 {
		t.Errorf("%v, left %v", got, b.s.List())
	}
}

func TestAdmin(t *testing.T) {
	s := edgecases.New(edgecases.Options{Clock: time.Now})
	hs := httptest.NewServer(s.Admin())
	defer hs.Close()
	do := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, hs.URL+edgecases.AdminPath+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
			if header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // read below
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	for _, tt := range []struct {
		method, path, body string
		header             []string
		status             int
		has                string
	}{
		{"GET", "", "", nil, 200, `"switches":[]`},
		{"PUT", "/app-1", `{"edges":["throttled"],"times":3}`, nil, 200, `"client":"app-1","edges":["throttled"],"times":3,"seconds":30`},
		{"PUT", "/*", `{"edges":["slow-job"],"seconds":5}`, nil, 200, `"seconds":5`},
		{"PUT", "/app-2", `{"edges":["unheard-of"]}`, nil, 400, "unheard-of"},
		{"PUT", "/app-2", `{"edges":[]}`, nil, 400, "no edge"},
		{"PUT", "/app-2", `{"edges":["throttled"],"times":-1}`, nil, 400, "times"},
		{"PUT", "/app-2", `{"edge":"throttled"}`, nil, 400, "unknown field"},
		{"PUT", "/app-2", `{"client":"app-3","edges":["throttled"]}`, nil, 400, "another client"},
		{"PUT", "/app-2", `edges=throttled`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json"},
		{"PUT", "/app-2", `{"edges":["throttled"]}`, []string{"Origin", "https://evil.example"}, 403, "this machine"},
		{"GET", "", "", []string{"Host", "evil.example"}, 403, "this machine"},
		{"DELETE", "/app-2", "", nil, 404, "Nothing"},
		{"DELETE", "/app-1", "", nil, 204, ""},
		{"GET", "", "", nil, 200, `"client":"*"`},
		{"PATCH", "", "{}", nil, 405, ""},
	} {
		status, body := do(tt.method, tt.path, tt.body, tt.header...)
		if status != tt.status || !strings.Contains(body, tt.has) {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, status, body)
		}
	}
	var listed struct{ Edges []edgecases.Description }
	_, body := do("GET", "", "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || len(listed.Edges) != len(edgecases.Edges()) {
		t.Errorf("%v %s", err, body)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost"+edgecases.AdminPath, nil) // from 192.0.2.1
	w := httptest.NewRecorder()
	if s.Admin().ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("from elsewhere: %d", w.Code)
	}
}

func TestPage(t *testing.T) {
	s := edgecases.New(edgecases.Options{Clock: time.Now})
	hs := httptest.NewServer(s.Admin())
	defer hs.Close()
	do := func(method, form string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, hs.URL+edgecases.AdminPath, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html,*/*;q=0.8")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // read below
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v", method, res.Header)
		}
		return res.StatusCode, string(b)
	}
	if status, body := do("GET", ""); status != 200 || !strings.Contains(body, "Nothing.") || strings.Count(body, `type="checkbox"`) != len(edgecases.Edges()) {
		t.Errorf("%d %s", status, body)
	}
	const on = "client=%3Cb%3Eapp&edge=throttled&edge=slow-job&times=2&seconds=9"
	if status, _ := do("POST", on, "Origin", hs.URL); status != 303 {
		t.Errorf("turning on: %d", status)
	}
	if got := s.List(); len(got) != 1 || got[0].Client != "<b>app" || got[0].Times != 2 || got[0].Seconds != 9 || len(got[0].Edges) != 2 {
		t.Errorf("on: %+v", got)
	}
	if _, body := do("GET", ""); !strings.Contains(body, "&lt;b&gt;app") || strings.Contains(body, "<b>app") {
		t.Errorf("a client's name is markup: %s", body)
	}
	for _, form := range []string{"client=a", "client=a&edge=unheard-of", "client=a&edge=throttled&times=x"} {
		if status, body := do("POST", form, "Origin", hs.URL); status != 400 || !strings.Contains(body, "alert") {
			t.Errorf("%s: %d", form, status)
		}
	}
	for _, origin := range []string{"", "https://evil.example"} {
		if status, _ := do("POST", on, "Origin", origin); status != 403 {
			t.Errorf("from %q: %d", origin, status)
		}
	}
	if status, _ := do("POST", "client=%3Cb%3Eapp&off=1", "Origin", hs.URL); status != 303 || len(s.List()) != 0 {
		t.Errorf("turning off: %d, on: %v", status, s.List())
	}
}

// TestOpenFiles: an export is free once its manifest has said so, and no other is.
func TestOpenFiles(t *testing.T) {
	b := start(t)
	b.on("app", 0, edgecases.OpenFiles)
	file := func(path string) *http.Request { return httptest.NewRequestWithContext(t.Context(), "GET", path, nil) }
	if _, ok := b.s.Opened(file("/fhir/bulk/j/files/Patient-1.ndjson")); ok {
		t.Error("free before the manifest says so")
	}
	w := b.do("GET", "/fhir/bulk/j/status", "X-Client", "app")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"requiresAccessToken":false`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]bool{"/fhir/bulk/j/files/Patient-1.ndjson": true, "/fhir/bulk/k/files/Patient-1.ndjson": false, "/fhir/bulk/j/status": false} {
		client, ok := b.s.Opened(file(path))
		if ok != want || ok && client != "app" {
			t.Errorf("%s: free is %t, of %q", path, ok, client)
		}
	}
}
