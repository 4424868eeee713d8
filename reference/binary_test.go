package reference_test

import (
	"net/http"
	"strings"
	"testing"
)

// FHIR R4, RESTful API 2.21.0.7: a Binary is read as a resource, or as what it holds where Accept names no media type of FHIR.
func TestBinaryInBothForms(t *testing.T) {
	s := start(t, 0)
	if r := s.do(http.MethodPut, "/Binary/note", `{"resourceType":"Binary","id":"note","contentType":"text/plain","data":"SGVsbG8s\nIHdvcmxk"}`); r.status != 201 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	for _, tt := range []struct {
		accept, query string
		status        int
		bytes         bool
	}{
		{"text/plain", "", 200, true},
		{"application/pdf", "", 200, true},
		{"text/plain;charset=utf-8, image/*;q=0.5", "", 200, true},
		{"text/plain, */*", "", 200, true},
		{"", "", 200, false},
		{"*/*", "", 200, false},
		{"application/fhir+json", "", 200, false},
		{"text/plain, application/fhir+json", "", 200, false},
		{"text/plain", "?_format=json", 200, false},
		{"application/fhir+xml", "", 406, false},
	} {
		for _, path := range []string{"/Binary/note", "/Binary/note/_history/1"} {
			r := s.do(http.MethodGet, path+tt.query, "", "Accept", tt.accept)
			got, contentType := r.raw == "Hello, world", r.header.Get("Content-Type")
			if r.status != tt.status || got != tt.bytes || strings.HasPrefix(contentType, "text/plain") != tt.bytes {
				t.Errorf("%s Accept %q: %d %s %s", path+tt.query, tt.accept, r.status, contentType, r.raw)
			}
			if tt.bytes && (r.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.header.Get("Content-Security-Policy"), "sandbox")) {
				t.Errorf("%s: %v", path, r.header)
			}
		}
	}
	for path, want := range map[string]int{"/Binary/note/_history": 406, "/Binary/unknown": 404, "/Patient/999": 406} {
		if r := s.do(http.MethodGet, path, "", "Accept", "image/png"); r.status != want || issueCode(r) == "" {
			t.Errorf("%s: %d %s", path, r.status, r.raw)
		}
	}
}
