package directory

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Prefix is the path below which the directory is served.
const Prefix = "/directory"

// maxFile bounds a file; larger ones are left out.
const maxFile = 4 << 20

// Options tune New. The zero value works.
type Options struct {
	// Commit is what the index says; empty: that of the checkout that the folder is or has, if it is one.
	Commit string
	Logger *slog.Logger
}

// Server serves one folder. Files are read at each request, so that a refreshed checkout shows at once.
type Server struct {
	files fs.FS
	o     Options
	mux   *http.ServeMux
}

// Index is /directory/index.json.
type Index struct {
	Commit  string   `json:"commit,omitempty"`
	Bundles []Bundle `json:"bundles"`
}

// Bundle is one file in the index.
type Bundle struct {
	File     string    `json:"file"`
	URL      string    `json:"url"` // relative to the index
	Size     int       `json:"size"`
	SHA256   string    `json:"sha256"`
	Modified time.Time `json:"modified"`
}

// New serves every *.json below the root of files.
func New(files fs.FS, o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{files: files, o: o, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET "+Prefix+"/index.json", s.index)
	s.mux.HandleFunc("GET "+Prefix+"/{$}", s.index)
	s.mux.HandleFunc("GET "+Prefix+"/bundles/{file...}", s.bundle)
	return s
}

// Handler serves the directory; mount it at Prefix+"/".
func (s *Server) Handler() http.Handler { return s.mux }

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	out := Index{Commit: cmp.Or(s.o.Commit, Commit(s.files)), Bundles: []Bundle{}}
	err := fs.WalkDir(s.files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."): // .git
			return fs.SkipDir
		case d.IsDir() || !servable(name):
			return nil
		}
		body, modified, err := s.read(name)
		if errors.Is(err, errTooLarge) || errors.Is(err, fs.ErrNotExist) { // too large, or gone since it was listed
			return nil
		}
		if err != nil {
			return err
		}
		out.Bundles = append(out.Bundles, Bundle{
			File: name, URL: "bundles/" + (&url.URL{Path: name}).EscapedPath(), Size: len(body), SHA256: digest(body), Modified: modified.UTC(),
		})
		return r.Context().Err()
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.send(w, r, "index.json", "application/json", body, time.Time{})
}

func (s *Server) bundle(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if !fs.ValidPath(name) || !servable(name) {
		s.fail(w, r, fs.ErrNotExist)
		return
	}
	body, modified, err := s.read(name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.send(w, r, name, "application/fhir+json", body, modified)
}

// servable keeps to *.json outside hidden folders.
func servable(name string) bool {
	if path.Ext(name) != ".json" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return false
		}
	}
	return true
}

var errTooLarge = errors.New("file is too large")

func (s *Server) read(name string) ([]byte, time.Time, error) {
	info, err := fs.Stat(s.files, name)
	if err != nil {
		return nil, time.Time{}, err
	}
	if info.IsDir() {
		return nil, time.Time{}, fs.ErrNotExist
	}
	if info.Size() > maxFile {
		return nil, time.Time{}, fmt.Errorf("%s: %w", name, errTooLarge)
	}
	body, err := fs.ReadFile(s.files, name)
	return body, info.ModTime(), err
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// send answers conditional requests and ranges by the digest.
func (s *Server) send(w http.ResponseWriter, r *http.Request, name, contentType string, body []byte, modified time.Time) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("ETag", `"`+digest(body)+`"`)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	http.ServeContent(w, r, path.Base(name), modified, bytes.NewReader(body))
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, code, text := http.StatusNotFound, "not-found", "There is no such file in the directory."
	if !errors.Is(err, fs.ErrNotExist) {
		s.o.Logger.ErrorContext(r.Context(), "directory file not served", "path", r.URL.Path, "error", err)
		status, code, text = http.StatusInternalServerError, "exception", "The file cannot be read."
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":%q,"diagnostics":%q}]}`, code, text)
}
