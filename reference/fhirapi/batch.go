package fhirapi

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/validators/fhirjson"
)

// batch runs the entries of a batch Bundle one by one, each as if it had come alone; those of a transaction together.
func (a *API) batch(c *gin.Context) error {
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	doc := fhirjson.Parse(body)
	root := doc.Root()
	if len(doc.Problems()) > 0 || root.ResourceType() != "Bundle" {
		return failf(http.StatusBadRequest, "structure", "The body is not a Bundle.")
	}
	switch t := root.MemberText("type"); t {
	case "batch":
	case "transaction":
		return a.transaction(c, root)
	default:
		return failf(http.StatusBadRequest, "value", "A Bundle of type %q cannot be processed; batch and transaction can.", t)
	}
	base := a.base(c.Request)
	b := newBundle("batch-response", a.o.NewID())
	for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		req := e.Member("request")
		answer := a.one(c, base, req.MemberText("method"), req, e.Member("resource"))
		b.open()
		b.entries = append(b.entries, '{')
		writeAnswer(b, answer)
	}
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// writeAnswer ends an entry, whose brace is open, with the answer to its request.
func writeAnswer(b *bundle, answer *answer) {
	if answer.ok() && answer.body.Len() > 0 {
		b.entries = append(append(append(b.entries, `"resource":`...), answer.body.Bytes()...), ',')
	}
	b.entries = append(b.entries, `"response":{"status":`...)
	b.entries = appendString(b.entries, strconv.Itoa(answer.status)+" "+http.StatusText(answer.status))
	for _, h := range [...]struct{ header, member string }{{"Location", "location"}, {"ETag", "etag"}} {
		if v := answer.header.Get(h.header); v != "" {
			b.entries = append(append(append(b.entries, `,"`...), h.member...), `":`...)
			b.entries = appendString(b.entries, v)
		}
	}
	if !answer.ok() && answer.body.Len() > 0 {
		b.entries = append(append(b.entries, `,"outcome":`...), answer.body.Bytes()...)
	}
	b.entries = append(b.entries, "}}"...)
}

// answer is a response in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) ok() bool { return a.status < http.StatusBadRequest }

func (a *API) one(c *gin.Context, base, method string, entry, resource *fhirjson.Node) *answer {
	out := &answer{header: http.Header{}}
	refuse := func(text string) *answer {
		out.status = http.StatusBadRequest
		out.body.Write(outcome(issue{Severity: "error", Code: "invalid", Diagnostics: text}))
		return out
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return refuse("request.method " + strconv.Quote(method) + " is not processed in a batch")
	}
	url := strings.TrimPrefix(strings.TrimPrefix(entry.MemberText("url"), base), "/")
	if url == "" && method == http.MethodPost {
		url = resource.ResourceType()
	}
	if url == "" {
		return refuse("request.url is missing")
	}
	var body bytes.Buffer
	if resource != nil {
		body.Write(resource.Raw())
	}
	contentType := "application/fhir+json"
	if method == http.MethodPatch && resource.ResourceType() == "Binary" {
		data, err := base64.StdEncoding.DecodeString(resource.MemberText("data"))
		if err != nil {
			return refuse("the Binary's data is not base64")
		}
		contentType = resource.MemberText("contentType")
		body.Reset()
		body.Write(data)
	}
	r, err := http.NewRequestWithContext(c.Request.Context(), method, base+"/"+url, &body)
	if err != nil {
		return refuse("request.url " + strconv.Quote(url) + " is no URL")
	}
	r.URL.Path = Prefix + strings.TrimPrefix(r.URL.Path, pathOf(base))
	r.RequestURI = ""
	r.Header.Set("Content-Type", contentType)
	for member, header := range map[string]string{"ifMatch": "If-Match", "ifNoneExist": "If-None-Exist", "ifNoneMatch": "If-None-Match"} {
		if v := entry.MemberText(member); v != "" {
			r.Header.Set(header, v)
		}
	}
	a.engine.ServeHTTP(out, r)
	return out
}

// pathOf is the path part of the base URL, which a front end may have moved.
func pathOf(base string) string {
	_, rest, _ := strings.Cut(base, "://")
	_, path, ok := strings.Cut(rest, "/")
	if !ok {
		return ""
	}
	return "/" + path
}
