package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// neighbours are the servers that commands may be pointed at, as environment of the scripts.
func neighbours(t *testing.T) []string {
	t.Helper()
	var env []string
	for name, h := range map[string]http.HandlerFunc{"TX": terminologyServer, "REGISTRY": packageRegistry, "DIRECTORY": endpointDirectory} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		env = append(env, name+"="+s.URL)
	}
	return env
}

// terminologyServer knows one code, and is broken under /broken.
func terminologyServer(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/broken/") {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintf(w, `{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":%v}]}`, r.FormValue("code") == "known")
}

// packageRegistry has one package, with a value set.
func packageRegistry(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/far.guide/1.0.0" {
		http.NotFound(w, r)
		return
	}
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	for name, text := range map[string]string{
		"package/package.json":    `{"name":"far.guide","version":"1.0.0"}`,
		"package/ValueSet-a.json": `{"resourceType":"ValueSet","url":"http://example.org/a","compose":{"include":[{"system":"http://example.org/cs"}]}}`,
	} {
		_ = tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))})
		_, _ = tw.Write([]byte(text))
	}
	_ = tw.Close()
	_ = zw.Close()
}

// endpointDirectory has one entry, and an index that leads elsewhere under /far.
func endpointDirectory(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/directory/index.json":
		_, _ = fmt.Fprint(w, `{"bundles":[{"file":"acme.json","url":"bundles/acme.json"}]}`)
	case "/directory":
		http.Redirect(w, r, "/directory/index.json", http.StatusMovedPermanently)
	case "/directory/bundles/acme.json":
		_, _ = fmt.Fprint(w, `{"resourceType":"Bundle","type":"collection","entry":[]}`)
	case "/far/index.json":
		_, _ = fmt.Fprint(w, `{"bundles":[{"file":"acme.json","url":"http://elsewhere.invalid/acme.json"}]}`)
	default:
		http.NotFound(w, r)
	}
}
