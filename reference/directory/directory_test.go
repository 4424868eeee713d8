package directory

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, h http.Handler, method, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	maps.Copy(r.Header, header)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestServe(t *testing.T) { // P2P-DIR-06
	const bundle = `{"resourceType":"Bundle"}`
	h := New(fstest.MapFS{
		"bundles/a b.json": {Data: []byte(bundle)}, "top.json": {Data: []byte("{ broken")}, "README.md": {Data: []byte("x")},
		".git/config.json": {Data: []byte("secret")}, "big.json": {Data: make([]byte, maxFile+1)},
	}, Options{Commit: "abc123"}).Handler()
	var index Index
	rec := get(t, h, http.MethodGet, "/directory/index.json", nil)
	if err := json.Unmarshal(rec.Body.Bytes(), &index); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %v", rec.Code, err)
	}
	if len(index.Bundles) != 2 || index.Commit != "abc123" || index.Bundles[0].File != "bundles/a b.json" || index.Bundles[0].Size != len(bundle) || index.Bundles[1].File != "top.json" {
		t.Errorf("%+v", index)
	}
	rec = get(t, h, http.MethodGet, "/directory/"+index.Bundles[0].URL, nil)
	if rec.Code != http.StatusOK || rec.Body.String() != bundle || rec.Header().Get("Content-Type") != "application/fhir+json" || rec.Header().Get("ETag") != `"`+index.Bundles[0].SHA256+`"` {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
	}
	if again := get(t, h, http.MethodGet, "/directory/"+index.Bundles[0].URL, http.Header{"If-None-Match": {rec.Header().Get("ETag")}}); again.Code != http.StatusNotModified {
		t.Errorf("conditional: %d", again.Code)
	}
	for target, status := range map[string]int{
		"/directory/bundles/README.md": 404, "/directory/bundles/.git/config.json": 404, "/directory/bundles/none.json": 404, "/directory/bundles/": 404,
		"/directory/bundles/..%2f..%2fx.json": 404, "/directory/bundles/big.json": 500, "/directory/": 200, "/directory/else": 404,
	} {
		if rec := get(t, h, http.MethodGet, target, nil); rec.Code != status {
			t.Errorf("%s: %d, want %d", target, rec.Code, status)
		}
	}
	if rec := get(t, h, http.MethodPost, "/directory/index.json", nil); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", rec.Code)
	}
	if rec := get(t, h, http.MethodHead, "/directory/bundles/top.json", nil); rec.Code != http.StatusOK || rec.Body.Len() != 0 {
		t.Errorf("HEAD: %d %s", rec.Code, rec.Body)
	}
}

func TestAFolderThatChanges(t *testing.T) {
	dir := t.TempDir()
	h := New(os.DirFS(dir), Options{}).Handler()
	if rec := get(t, h, http.MethodGet, "/directory/bundles/new.json", nil); rec.Code != http.StatusNotFound {
		t.Errorf("%d", rec.Code)
	}
	if err := os.WriteFile(filepath.Join(dir, "new.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rec := get(t, h, http.MethodGet, "/directory/bundles/new.json", nil); rec.Code != http.StatusOK || rec.Body.String() != "{}" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
