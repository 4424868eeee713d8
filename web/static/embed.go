package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// The assets, all of them ours.
//
//go:embed app.css app.js icon.svg
var assets embed.FS

// Prefix is the path under which assets are served.
const Prefix = "/static/"

var contentTypes = map[string]string{
	"app.css": "text/css; charset=utf-8",
	"app.js":  "text/javascript; charset=utf-8",

	"icon.svg": "image/svg+xml",
}

// Files serves the assets.
type Files struct {
	dev    fs.FS             // nil: embedded
	hashed map[string]string // name to hashed name
	byName map[string]asset  // hashed name to asset
}

type asset struct {
	name string
	body []byte
}

// New reads the assets. With dev set they are read from it on every request and never cached, for work on them.
func New(dev fs.FS) (*Files, error) {
	f := &Files{dev: dev, hashed: map[string]string{}, byName: map[string]asset{}}
	for name := range contentTypes {
		body, err := fs.ReadFile(assets, name)
		if err != nil {
			return nil, fmt.Errorf("embedded asset %s: %w", name, err)
		}
		sum := sha256.Sum256(body)
		stem, ext, _ := strings.Cut(name, ".")
		hashed := stem + "." + hex.EncodeToString(sum[:6]) + "." + ext
		f.hashed[name] = hashed
		f.byName[hashed] = asset{name: name, body: body}
	}
	return f, nil
}

// URL is where name is served.
func (f *Files) URL(name string) string {
	if f.dev != nil {
		return Prefix + name
	}
	return Prefix + f.hashed[name]
}

// ServeHTTP answers for Prefix and the names under it.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	if f.dev != nil && contentTypes[name] != "" {
		body, err := fs.ReadFile(f.dev, name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		write(w, r, name, body)
		return
	}
	a, ok := f.byName[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	write(w, r, a.name, a.body)
}

func write(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	w.Header().Set("Content-Type", contentTypes[name])
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the browser is gone when this fails
}
