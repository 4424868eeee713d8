package fhirapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/resources"
)

func TestPreferences(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Add("Prefer", `Respond-Async ; x=1, handling="lenient"`)
	r.Header.Add("Prefer", "return=minimal,handling=strict")
	got := preferences(r)
	if _, ok := got["respond-async"]; !ok || got["handling"] != "lenient" || got["return"] != "minimal" || len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestAcceptable(t *testing.T) {
	for _, tt := range []struct {
		accept, target string
		ok             bool
	}{
		{"", "/fhir/Patient", true},
		{"application/fhir+json; fhirVersion=4.0", "/fhir/Patient", true},
		{"application/fhir+json; fhirVersion=3.0", "/fhir/Patient", false},
		{"text/html, */*;q=0.1", "/fhir/Patient", true},
		{"APPLICATION/JSON", "/fhir/Patient", true},
		{"application/fhir+xml", "/fhir/Patient", false},
		{"application/fhir+xml, application/fhir+json", "/fhir/Patient", true},
		{"application/fhir+ndjson", "/fhir/bulk/1/files/x.ndjson", true},
		{"application/fhir+ndjson", "/fhir/Patient", false},
		{"application/fhir+xml", "/fhir/Patient?_format=json", true},
		{"", "/fhir/Patient?_format=application/fhir+json", true},
		{"", "/fhir/Patient?_format=application%2Fxml", false},
		{"", "/fhir/Patient?_format=ttl", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, nil)
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		if err := acceptable(r); (err == nil) != tt.ok {
			t.Errorf("Accept %q of %s: %v", tt.accept, tt.target, err)
		}
	}
}

func TestNotModified(t *testing.T) {
	updated := time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC)
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"If-None-Match", `W/"3"`, true},
		{"If-None-Match", `"3"`, true},
		{"If-None-Match", `W/"2", W/"3"`, true},
		{"If-None-Match", `W/"2"`, false},
		{"If-None-Match", `*`, true},
		{"If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT", true},
		{"If-Modified-Since", "Wed, 31 Dec 2025 23:59:59 GMT", false},
		{"If-Modified-Since", "nonsense", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set(tt.name, tt.value)
		if got := notModified(r, etag(3), updated); got != tt.want {
			t.Errorf("%s: %s gives %v", tt.name, tt.value, got)
		}
	}
}

func TestPlacesComeBack(t *testing.T) {
	for _, p := range []place{{}, {Cursor: resources.Cursor{Row: 7, Last: 9}, Total: 3}, {Cursor: resources.Cursor{Offset: 50}, Phase: 2}} {
		if got, err := decodePlace(p.encode()); err != nil || got != p {
			t.Errorf("%+v came back as %+v, %v", p, got, err)
		}
	}
	for _, bad := range []string{"", "x", "!!", "eyJyIjotMX0", "bnVsbA=="} {
		if p, err := decodePlace(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, p)
		}
	}
}

// FuzzBundle: whatever ends up in a URL or an id, the Bundle stays JSON and gives it back.
func FuzzBundle(f *testing.F) {
	for _, s := range []string{"", `a"b\c`, "\x00\x1f", "é\u2028", "http://x/fhir/Patient?name=<script>", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := newBundle("searchset", s)
		b.total = 1
		b.link("self", s)
		b.entry(s, &resources.Resource{Type: "Patient", ID: "1"}, []byte(`{"resourceType":"Patient"}`), "match")
		var out struct {
			ID    string
			Link  []struct{ URL string }
			Entry []struct{ FullURL string }
		}
		if err := json.Unmarshal(b.bytes(), &out); err != nil {
			t.Fatalf("%q: %v: %s", s, err, b.bytes())
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		if strings.ContainsRune(s, '\ufffd') || want != s {
			return // replacement is the encoder's business
		}
		if out.ID != s || out.Link[0].URL != s || out.Entry[0].FullURL != s+"/Patient/1" {
			t.Fatalf("%q came back as %+v", s, out)
		}
	})
}
