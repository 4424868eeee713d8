package fhirapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
)

const fhirJSON = "application/fhir+json;charset=utf-8"

// encode is JSON with URLs as they are: no escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// gzipFrom is the body size in bytes from which gzip pays.
const gzipFrom = 1400

var gzipPool = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil { // the level is valid
		panic(err)
	}
	return w
}}

// send writes a whole body, compressed where the client takes it.
func send(c *gin.Context, status int, contentType string, body []byte) {
	if contentType == fhirJSON && pretty(c.Request.URL.RawQuery) {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	h := c.Writer.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept, Accept-Encoding")
	if len(body) < gzipFrom || !takesGzip(c.Request) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		c.Status(status)
		c.Writer.WriteHeaderNow()
		_, _ = c.Writer.Write(body) // the client is gone; there is nobody to tell
		return
	}
	h.Set("Content-Encoding", "gzip")
	c.Status(status)
	c.Writer.WriteHeaderNow()
	if c.Request.Method == http.MethodHead {
		return
	}
	w := newGzip(c.Writer)
	defer gzipPool.Put(w)
	_, _ = w.Write(body)
	_ = w.Close()
}

func pretty(query string) bool {
	for part := range strings.SplitSeq(query, "&") {
		if part == "_pretty=true" {
			return true
		}
	}
	return false
}

func newGzip(to io.Writer) *gzip.Writer {
	w, ok := gzipPool.Get().(*gzip.Writer)
	if !ok { // the pool holds nothing else
		panic("gzip pool")
	}
	w.Reset(to)
	return w
}

func takesGzip(r *http.Request) bool {
	for _, v := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(v, ",") {
			name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") && strings.TrimSpace(q) != "q=0" {
				return true
			}
		}
	}
	return false
}

var jsonTypes = []string{"application/fhir+json", "application/json", "application/json+fhir", "text/json", "json", "*/*", "application/*", "text/*"}

// acceptable refuses a request whose answer would have to be something else than JSON. Bulk files are NDJSON whatever Accept
// says; there an Accept of that is as good.
func acceptable(r *http.Request) error {
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		v, ok := strings.CutPrefix(part, "_format=")
		if !ok {
			continue
		}
		v = strings.NewReplacer("%2B", "+", "%2b", "+", "%2F", "/", "%2f", "/").Replace(v)
		v, _, _ = strings.Cut(strings.TrimSpace(v), ";")
		if !slices.Contains(jsonTypes, v) && v != "application/fhir json" {
			return failf(http.StatusNotAcceptable, "not-supported", "_format %q is not served; JSON (application/fhir+json) is.", v)
		}
		return nil
	}
	accept := r.Header.Values("Accept")
	if len(accept) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		t, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		if strings.Contains(strings.ReplaceAll(params, " ", ""), "fhirversion=") && !strings.Contains(params, "4.0") {
			continue
		}
		if q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=0"); ok && strings.Trim(q, ".0") == "" {
			continue // what the client does not want
		}
		t = strings.TrimSpace(t)
		if t == "" || slices.Contains(jsonTypes, t) || strings.HasSuffix(t, "ndjson") && strings.Contains(r.URL.Path, "/bulk/") {
			return nil
		}
	}
	return failf(http.StatusNotAcceptable, "not-supported", "Accept %q is not served; JSON (application/fhir+json) is.", strings.Join(accept, ", "))
}

// readBody reads a JSON body. Clients that send JSON under text/plain or under no type are common enough to be let in; what
// claims to be something else is refused.
func readBody(r *http.Request) ([]byte, error) {
	t, _, _ := strings.Cut(strings.ToLower(r.Header.Get("Content-Type")), ";")
	switch t = strings.TrimSpace(t); t {
	case "", "text/plain", "application/fhir+json", "application/json", "application/json+fhir", "text/json":
	default:
		return nil, failf(http.StatusUnsupportedMediaType, "not-supported", "Content-Type %q is not read; JSON (application/fhir+json) is.", t)
	}
	return io.ReadAll(r.Body)
}

// preferences reads the Prefer headers, RFC 7240: several headers, commas, blanks, any case.
func preferences(r *http.Request) map[string]string {
	out := map[string]string{}
	for _, h := range r.Header.Values("Prefer") {
		for part := range strings.SplitSeq(h, ",") {
			part, _, _ = strings.Cut(part, ";")
			name, v, _ := strings.Cut(part, "=")
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				if _, dup := out[name]; !dup {
					out[name] = strings.Trim(strings.TrimSpace(v), `"`)
				}
			}
		}
	}
	return out
}
