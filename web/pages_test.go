package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/golden"
	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

var assetName = regexp.MustCompile(`(app|icon)\.[0-9a-f]{12}\.(css|js|svg)`)

// checkPage compares a page with its golden file, asset hashes left out and one tag a line, so that differences read well.
func checkPage(t *testing.T, name, html string) {
	t.Helper()
	html = assetName.ReplaceAllString(html, "$1.HASH.$2")
	if i := strings.Index(html, `<svg hidden`); i >= 0 {
		html = html[:i] + html[i+strings.Index(html[i:], "</svg>")+len("</svg>"):]
	}
	golden.Check(t, name, []byte(strings.ReplaceAll(html, "><", ">\n<")+"\n"))
}

func TestPages(t *testing.T) {
	full, empty, one, none := apitest.NewStore(), apitest.NewStore(), apitest.NewStore(), apitest.NewStore()
	demo(t, full)
	addPair(t, empty, "Harborlight Health Plan", "Cedar Mesa Mutual", true)
	ch := addPair(t, one, "Harborlight Health Plan", "Reference payer", true)
	addExchange(one, "only", 0, spec{path: "/fhir/metadata", channel: ch, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200, ms: 12})
	tests := []struct {
		name, path string
		store      *apitest.Store
		status     int
	}{
		{"live-nothing-registered", "/", none, 200},
		{"live-empty", "/", empty, 200},
		{"live-one-queued", "/", one, 200},
		{"live-many-selected", "/?selected=x5", full, 200},
		{"live-filter-unknown-word", "/?filter=stauts:422", full, 200},
		{"live-filter-no-match", "/?filter=status:299", full, 200},
		{"exchange-summary", "/exchanges/x5", full, 200},
		{"exchange-response", "/exchanges/x5/response", full, 200},
		{"exchange-request-finding", "/exchanges/x3/request", full, 200},
		{"exchange-findings", "/exchanges/x5/findings", full, 200},
		{"exchange-connection", "/exchanges/x5/connection", full, 200},
		{"exchange-changes", "/exchanges/x5/changes", full, 200},
		{"exchange-cut-off", "/exchanges/x7/response", full, 200},
		{"exchange-no-response", "/exchanges/x9", full, 200},
		{"exchange-tool-error", "/exchanges/x10", full, 200},
		{"exchange-gzip-ndjson", "/exchanges/x11/response", full, 200},
		{"exchange-hex", "/exchanges/x4/response?view=hex", full, 200},
		{"exchange-clean", "/exchanges/x4/findings", full, 200},
		{"systems-empty", "/systems", none, 200},
		{"systems", "/systems", full, 200},
		{"systems-change", "/systems/s-cedar", full, 200},
		{"systems-confirm-delete", "/systems/s-cedar/delete", full, 200},
		{"not-found", "/nowhere", full, 404},
		{"exchange-not-found", "/exchanges/nope", full, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, newServer(t, tt.store, Options{Event: "September connectathon", ReferenceURL: "http://127.0.0.1:8083/fhir"}), tt.path)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			checkPage(t, tt.name+".html", w.Body.String())
		})
	}
}

func TestStoreFailureIsAPage(t *testing.T) {
	store := apitest.NewStore()
	store.FailWith(errors.New("disk image is malformed: secret detail"))
	w := get(t, newServer(t, store, Options{}), "/")
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Our fault") || strings.Contains(w.Body.String(), "secret detail") {
		t.Errorf("status %d, or the page has the wrong words", w.Code)
	}
}

// TestHostile puts markup into everything that is recorded or registered and looks at every page.
func TestHostile(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "H "+hostile, "S "+hostile, false)
	body := []byte(`{"resourceType":"Patient","x` + hostile + `":"` + hostile + `","esc":"</span><script>alert(3)</script>"}`)
	e := addExchange(store, "h1", 0, spec{
		method: "POST" + hostile, path: "/fhir/" + hostile + "?q=" + hostile, channel: ch, status: 200, request: body, response: body, ms: 5,
		kind:    proxy.Interaction{Kind: proxy.KindOperation, Operation: "$" + hostile, ResourceType: hostile, ResourceID: hostile},
		header:  proxy.Header{{Name: "X-" + hostile, Value: hostile}},
		failure: &proxy.Failure{Reason: proxy.ReasonProxy, Side: hostile, Detail: hostile},
		edits:   []proxy.Edit{{Where: hostile, At: hostile, From: hostile, To: hostile}},
	})
	e.ClientAddr, e.Matched, e.Request.Target, e.Request.Proto = hostile, hostile, hostile, hostile
	e.Response.Header = append(e.Response.Header, proxy.Field{Name: hostile, Value: hostile})
	r := addReport(store, "h1", []validators.ResourceResult{{ResourceType: hostile, ID: hostile, Profiles: []validators.ProfileChoice{{URL: "javascript:" + hostile, Why: hostile}}}},
		validators.Issue{
			Severity: validators.SeverityError, Message: hostile, Expected: hostile, Found: hostile, DoNext: hostile, Expression: hostile, MessageID: hostile,
			Profile: "javascript:alert(9)//" + hostile, Constraint: hostile, Requirement: hostile, Slice: hostile, Part: validators.PartResponseBody, Side: validators.SideServer,
			Position: validators.Position{Offset: 30, Line: 1, Column: 31},
		}, validators.Issue{Severity: validators.SeverityError, Message: hostile, Part: validators.PartRequestHeader})
	r.Summary.Unjudged, r.Summary.ToolError, r.Summary.Headline = hostile, "", hostile
	raw := addExchange(store, "h2", 0, spec{path: "/fhir/x", channel: ch, status: 200, response: []byte("<!doctype html><script>alert(4)</script>"), contentType: "text/html"})
	raw.Interaction.Kind = proxy.KindOther
	s := newServer(t, store, Options{Event: hostile})
	pages := []string{"/", "/?selected=h1", "/?filter=" + url.QueryEscape(hostile), "/?channel=" + url.QueryEscape(hostile), "/systems", "/exchanges/h1/pane", "/exchanges/h2/response", "/exchanges/" + url.PathEscape("<script>")}
	for _, tab := range tabNames {
		pages = append(pages, "/exchanges/h1/"+tab.key)
	}
	for _, mode := range []string{"raw", "hex"} {
		pages = append(pages, "/exchanges/h1/response?view="+mode)
	}
	pages[len(pages)-1] = "/exchanges/h1/response?view=hex&part=" + url.QueryEscape(hostile)
	for _, path := range pages {
		path = strings.Replace(path, "/exchanges/h1/summary", "/exchanges/h1", 1)
		w := get(t, s, path)
		noMarkup(t, path, w)
	}
	w := get(t, s, "/api/v1/exchanges/h2/response/body")
	if got := w.Header().Get("Content-Type"); got != "application/octet-stream" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("download headers %v", w.Header())
	}
}

// noMarkup checks that nothing hostile became markup on a page.
func noMarkup(t *testing.T, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	html := strings.Replace(w.Body.String(), `<script src="/static/`, "", 1)
	for _, bad := range []string{"<script", "<img", `href="javascript:`, "onerror=alert(2)>j\""} {
		if strings.Contains(strings.ToLower(html), bad) {
			t.Errorf("%s: page contains %q", path, bad)
		}
	}
	if on := regexp.MustCompile(`<[a-z]+[^<>"]*("[^"]*"[^<>"]*)*\s(on[a-z]+|style)=`).FindString(html); on != "" {
		t.Errorf("%s: attribute in %q", path, on)
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "script-src 'self'") || strings.Contains(got, "unsafe") {
		t.Errorf("%s: policy %q", path, got)
	}
}

func TestFindingAndLineAreLinked(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	s := newServer(t, store, Options{})
	html := get(t, s, "/exchanges/x5/response").Body.String()
	item := regexp.MustCompile(`id="l-f0"[^>]*href="(/exchanges/x5/response)#(L\d+)"`).FindStringSubmatch(html)
	if item == nil {
		t.Fatal("the finding has no link to its line")
	}
	line := html[strings.Index(html, `id="`+item[2]+`"`):]
	callout := strings.Index(line, `id="f0"`)
	next := strings.Index(line[1:], `class="ln`)
	if callout < 0 || next < 0 || callout > next {
		t.Errorf("the callout is not right under its line: callout at %d, next line at %d", callout, next)
	}
	if !strings.Contains(line[:callout], `href="#l-f0"`) {
		t.Error("the mark in the gutter does not lead to the list")
	}
	if !strings.Contains(line[:callout], "<u class=") {
		t.Error("nothing is underlined on the line")
	}
}

func TestLongBodyInParts(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight", "Cedar", false)
	var b strings.Builder
	for range 3000 {
		b.WriteString(`{"resourceType":"Patient","id":"1"}` + "\n")
	}
	last := `{"resourceType":"Patient","id":"bad"}`
	body := b.String() + last
	addExchange(store, "big", 0, spec{path: "/f.ndjson", channel: ch, kind: proxy.Interaction{Kind: proxy.KindBulkFile}, status: 200, response: []byte(body), contentType: "application/fhir+ndjson"})
	addReport(store, "big", nil, issueAt(body, `"bad"`, validators.Issue{Severity: validators.SeverityError, Message: "bad id"}))
	s := newServer(t, store, Options{})
	first := get(t, s, "/exchanges/big/response").Body.String()
	if strings.Contains(first, "bad id</h3>") || !strings.Contains(first, "Load more") || !strings.Contains(first, "Lines 1 to 2,000 of 12,004") {
		t.Error("the first part does not say that there is more")
	}
	link := regexp.MustCompile(`id="l-f0"[^>]*href="([^"]*)#(L\d+)"`).FindStringSubmatch(first)
	if link == nil {
		t.Fatal("no link to the finding")
	}
	page := get(t, s, link[1]).Body.String()
	if !strings.Contains(page, `id="`+link[2]+`"`) || !strings.Contains(page, `id="f0"`) {
		t.Errorf("%s does not hold line %s", link[1], link[2])
	}
	if got := get(t, s, "/exchanges/big/response?finding=0").Body.String(); !strings.Contains(got, `id="f0"`) {
		t.Error("?finding=0 does not lead to the part with it")
	}
}

func TestBodiesThatDoNotDecode(t *testing.T) {
	zeros := make([]byte, 64<<20)
	whole := gz([]byte(everything))
	for _, tt := range []struct {
		name, encoding string
		body           []byte
		want           string
	}{
		{"truncated gzip", "gzip", whole[:len(whole)/2], "The gzip data breaks off"},
		{"not gzip", "gzip", []byte("{}"), "This is not gzip"},
		{"bomb", "gzip", gz(zeros), "The body decodes to more than that"},
		{"unknown coding", "br", []byte{1, 2, 3, 0}, "Sent with content coding br"},
		{"binary", "", []byte{0, 1, 2, 3, 255}, `class="code hex"`},
		{"not JSON", "", []byte("<html>no"), "&lt;html&gt;no"},
		{"empty", "", nil, "No body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := apitest.NewStore()
			ch := addPair(t, store, "Harborlight", "Cedar", false)
			addExchange(store, "e", 0, spec{path: "/x", channel: ch, status: 200, response: tt.body, encoding: tt.encoding})
			w := get(t, newServer(t, store, Options{}), "/exchanges/e/response")
			if w.Code != 200 || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("status %d, %q is missing", w.Code, tt.want)
			}
			if w.Body.Len() > 4<<20 {
				t.Errorf("page of %d bytes", w.Body.Len())
			}
		})
	}
}

func TestPaging(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight", "Cedar", false)
	for i := range 250 {
		addExchange(store, "p"+string(rune('a'+i%26))+time.Duration(i).String(), 0, spec{path: "/fhir/metadata", channel: ch, status: 200})
	}
	s := newServer(t, store, Options{})
	older := regexp.MustCompile(`id="older" href="([^"]+)"`)
	seen, path := map[string]bool{}, "/"
	for pages := 0; ; pages++ {
		html := get(t, s, path).Body.String()
		for _, m := range regexp.MustCompile(`<tr role="row" id="r(\d+)"`).FindAllStringSubmatch(html, -1) {
			if seen[m[1]] {
				t.Fatalf("row %s twice", m[1])
			}
			seen[m[1]] = true
		}
		m := older.FindStringSubmatch(html)
		if m == nil {
			break
		}
		if path = strings.ReplaceAll(m[1], "&amp;", "&"); pages > 5 {
			t.Fatal("paging does not end")
		}
	}
	if len(seen) != 250 {
		t.Errorf("%d rows on all pages, want 250", len(seen))
	}
	if html := get(t, s, "/?after=50").Body.String(); !strings.Contains(html, `id="r51"`) || strings.Contains(html, `id="r250"`) {
		t.Error("the page after 50 is not the one next to it")
	}
}

func TestCurl(t *testing.T) {
	store := apitest.NewStore()
	e := addExchange(store, "c", 0, spec{method: "POST", path: "/fhir/$x'; rm -rf ~ #\nfoo", channel: "a~b", request: []byte(`{"a":"it's"}`), header: proxy.Header{{Name: "Cookie", Value: "x"}, {Name: "X-Api-Key", Value: "hmac:12"}}})
	want := `curl -X POST 'http://127.0.0.1:8081/a~b/fhir/$x'\''; rm -rf ~ # foo' \
  -H 'Accept: application/fhir+json' \
  -H "Authorization: Bearer $TOKEN" \
  -H 'X-Api-Key: '"$SECRET" \
  -H 'Content-Type: application/fhir+json' \
  --data-raw '{"a":"it'\''s"}'`
	if got := curl(e, []byte(`{"a":"it's"}`)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func BenchmarkLive200Rows(b *testing.B) {
	store := apitest.NewStore()
	ch := addPair(b, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	for i := range 200 {
		id := "b" + time.Duration(i).String()
		addExchange(store, id, 0, spec{path: "/fhir/Patient?identifier=1", channel: ch, kind: proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}, status: 200, ms: 12})
		addReport(store, id, nil, validators.Issue{Severity: validators.SeverityError, Message: "Patient.name is missing", Side: validators.SideServer})
	}
	s := newServer(b, store, Options{})
	page, err := store.Exchanges(b.Context(), proxy.Query{Limit: 200})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := benchRows(b, s, page.Exchanges); err != nil {
			b.Fatal(err)
		}
	}
}
