package static

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func serve(t *testing.T, f *Files, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestHashedNames(t *testing.T) {
	f, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	url := f.URL("app.css")
	if !regexp.MustCompile(`^/static/app\.[0-9a-f]{12}\.css$`).MatchString(url) {
		t.Errorf("URL %q", url)
	}
	if w := serve(t, f, url); w.Code != 200 || w.Header().Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	for _, path := range []string{"/static/app.css", "/static/embed.go", "/static/app.000000000000.css"} {
		if w := serve(t, f, path); w.Code != 404 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

func TestDevelopment(t *testing.T) {
	f, err := New(fstest.MapFS{"app.js": {Data: []byte("now")}, "secret.txt": {Data: []byte("no")}})
	if err != nil {
		t.Fatal(err)
	}
	if w := serve(t, f, f.URL("app.js")); w.Body.String() != "now" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("body %q, %v", w.Body, w.Header())
	}
	if w := serve(t, f, "/static/secret.txt"); w.Code != 404 {
		t.Errorf("a file that is no asset: status %d", w.Code)
	}
}

// TestAssetsKeepThePolicy keeps what the content security policy and the guide forbid out of the assets.
func TestAssetsKeepThePolicy(t *testing.T) {
	for _, name := range []string{"app.css", "app.js"} {
		b, err := assets.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"@import", "http://", "https://", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", ".style."} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
	}
}
