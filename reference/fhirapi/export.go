package fhirapi

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/bulk"
	"fhirwire/validators/fhirjson"
)

// retryAfter is how long a client is asked to wait between polls.
const retryAfter = "1"

// kickOff starts an export (BULK-KO-*). Prefer: respond-async may be missing (BULK-KO-02).
func (a *API) kickOff(level bulk.Level) func(*gin.Context) error {
	return func(c *gin.Context) error {
		base, prefer := a.base(c.Request), preferences(c.Request)
		_, async := prefer["respond-async"]
		k := bulk.Kickoff{
			Level: level, GroupID: instanceID(c), Base: base,
			URL:     base + strings.TrimPrefix(c.Request.URL.RequestURI(), Prefix),
			Posted:  c.Request.Method == http.MethodPost,
			Lenient: prefer["handling"] == "lenient",
			Client:  a.client(c.Request.Context()), Async: async, DataExport: c.Param("op") == dataExport,
			Member: a.o.Member(c.Request.Context()), General: a.o.General(c.Request.Context()),
		}
		query := c.Request.URL.Query()
		for _, name := range slices.Sorted(maps.Keys(query)) {
			for _, v := range query[name] {
				k.Params = append(k.Params, bulk.Param{Name: name, Value: v})
			}
		}
		if k.Posted {
			more, err := postedParams(c.Request)
			if err != nil {
				return err
			}
			k.Params = append(k.Params, more...)
		}
		if c.Request.Method == http.MethodHead {
			return failf(http.StatusMethodNotAllowed, "not-supported", "HEAD starts no export.")
		}
		id, err := a.export.Kickoff(c.Request.Context(), k)
		if err != nil {
			var refused *bulk.KickoffError
			if errors.As(err, &refused) && refused.RetryAfter > 0 {
				c.Header("Retry-After", strconv.Itoa(int(refused.RetryAfter/time.Second)))
			}
			return err
		}
		url := base + "/bulk/" + id + "/status"
		c.Header("Content-Location", url)
		send(c, http.StatusAccepted, fhirJSON, outcome(issue{Severity: "information", Code: "informational", Diagnostics: "Export accepted; poll " + url + "."}))
		return nil
	}
}

// instanceID is the id in the path of an operation, "" for one on the type.
func instanceID(c *gin.Context) string {
	if id := c.Param("id"); !strings.HasPrefix(id, "$") {
		return id
	}
	return ""
}

// postedParams reads the Parameters body of a kick-off; an empty body has none.
func postedParams(r *http.Request) ([]bulk.Param, error) {
	body, err := readBody(r)
	if err != nil || len(strings.TrimSpace(string(body))) == 0 {
		return nil, err
	}
	doc := fhirjson.Parse(body)
	if len(doc.Problems()) > 0 || doc.Root().ResourceType() != "Parameters" {
		return nil, failf(http.StatusBadRequest, "structure", "The body is not a Parameters resource.")
	}
	var out []bulk.Param
	list := doc.Root().Member("parameter")
	if list != nil && list.Kind() != fhirjson.Array {
		return nil, failf(http.StatusBadRequest, "structure", "Parameters.parameter is no list.")
	}
	for p := list.FirstOrNil(); p != nil; p = p.Next() {
		if p.MemberText("name") == "" {
			return nil, &failure{status: http.StatusBadRequest, code: "required", text: "A parameter has no name.", expression: p.Expression()}
		}
		before := len(out)
		for m := p.First(); m != nil; m = m.Next() {
			if !strings.HasPrefix(m.Key(), "value") {
				continue
			}
			v := m.Text()
			if m.Key() == "valueReference" {
				v = m.MemberText("reference")
			}
			out = append(out, bulk.Param{Name: strings.Clone(p.MemberText("name")), Value: strings.Clone(v)})
		}
		if len(out) != before+1 {
			return nil, &failure{status: http.StatusBadRequest, code: "structure", text: "A parameter has to have one value.", expression: p.Expression()}
		}
	}
	return out, nil
}

func (a *API) exportStatus(c *gin.Context) error {
	s, err := a.export.Status(c.Request.Context(), c.Param("job"))
	if errors.Is(err, bulk.ErrNotFound) {
		return failf(http.StatusNotFound, "not-found", "There is no such export: it was never started, was deleted, or has expired.")
	}
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	switch s.State {
	case bulk.Complete:
		body, err := encode(s.Manifest)
		if err != nil {
			return err
		}
		c.Header("Expires", s.Expires.Format(http.TimeFormat))
		send(c, http.StatusOK, "application/json", body)
	case bulk.Failed:
		return failf(http.StatusInternalServerError, "exception", "%s", s.Message)
	default:
		if wait := a.polls.wait(c.Param("job"), a.o.Clock()); wait > 0 { // OPS-12, BULK-ST-04: never for a job that is done (BULK-ST-06)
			c.Header("Retry-After", strconv.Itoa(wait))
			return failf(http.StatusTooManyRequests, "throttled", "Too many polls; come again in %d s.", wait)
		}
		c.Header("X-Progress", s.Progress)
		c.Header("Retry-After", retryAfter)
		c.Header("Content-Length", "0")
		c.Status(http.StatusAccepted)
		c.Writer.WriteHeaderNow()
	}
	return nil
}

func (a *API) exportCancel(c *gin.Context) error {
	err := a.export.Cancel(c.Request.Context(), c.Param("job"))
	if errors.Is(err, bulk.ErrNotFound) {
		return failf(http.StatusNotFound, "not-found", "There is no such export.")
	}
	if err != nil {
		return err
	}
	c.Header("Content-Length", "0")
	c.Status(http.StatusAccepted)
	c.Writer.WriteHeaderNow()
	return nil
}

// exportFile serves a finished file: ranges and conditions on the stored bytes, or the whole compressed (BULK-FI-05 to 12).
func (a *API) exportFile(c *gin.Context) error {
	f, err := a.export.Open(c.Request.Context(), c.Param("job"), c.Param("name"))
	if errors.Is(err, bulk.ErrNotFound) {
		return failf(http.StatusNotFound, "not-found", "There is no such file: the export was deleted or never had it.")
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "application/fhir+ndjson")
	h.Set("Content-Disposition", `attachment; filename="`+c.Param("name")+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vary", "Accept-Encoding")
	tag := c.Param("job") + "-" + c.Param("name")
	if takesGzip(c.Request) && c.Request.Header.Get("Range") == "" && info.Size() >= gzipFrom {
		h.Set("ETag", `"`+tag+`-gz"`)
		h.Set("Content-Encoding", "gzip")
		c.Status(http.StatusOK)
		c.Writer.WriteHeaderNow()
		if c.Request.Method == http.MethodHead {
			return nil
		}
		w := newGzip(c.Writer)
		defer gzipPool.Put(w)
		if _, err := io.Copy(w, f); err == nil {
			_ = w.Close() // the client is gone; there is nobody to tell
		}
		return nil
	}
	h.Set("ETag", `"`+tag+`"`)
	w := &ranged{ResponseWriter: c.Writer}
	http.ServeContent(w, c.Request, "", info.ModTime(), f)
	if w.refused {
		h.Del("Content-Disposition")
		return failf(http.StatusRequestedRangeNotSatisfiable, "value", "The file has no such range; it has %d bytes.", info.Size())
	}
	return nil
}

// ranged keeps back the plain text by which net/http refuses a Range.
type ranged struct {
	gin.ResponseWriter
	refused bool
}

func (w *ranged) WriteHeader(status int) {
	if w.refused = status == http.StatusRequestedRangeNotSatisfiable; !w.refused {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *ranged) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
