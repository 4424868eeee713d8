package fhirapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
)

// binaryType is the one type that is served in two forms: as a resource, or as the bytes it holds (FHIR R4, RESTful API, 2.21.0.7).
const binaryType = "Binary"

// fhirTypes are the media types that ask for a resource. XML is among them, so that it is refused as everywhere.
var fhirTypes = []string{"application/fhir+json", "application/json+fhir", "application/json", "application/fhir+xml", "application/xml+fhir"}

// wantsBytes says that a Binary is asked for as what it holds: Accept names media types, but neither FHIR's nor all there are.
// Without an Accept it is a resource.
func wantsBytes(r *http.Request) bool {
	if strings.Contains(r.URL.RawQuery, "_format=") {
		return false
	}
	named := false
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		t, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		t = strings.TrimSpace(t)
		switch {
		case t == "" || strings.ReplaceAll(params, " ", "") == "q=0":
		case slices.Contains(fhirTypes, t):
			return false
		case t != "*/*":
			named = true
		}
	}
	return named
}

// readsBytes says that a request reads a Binary as what it holds.
func readsBytes(c *gin.Context) bool {
	whole := strings.TrimPrefix(c.FullPath(), Prefix)
	return (whole == "/:type/:id" || whole == "/:type/:id/_history/:vid") && c.Param("type") == binaryType &&
		(c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead) && wantsBytes(c.Request)
}

// sendBytes sends what a Binary holds. Browsers neither run nor guess it.
func sendBytes(c *gin.Context, r resources.Resource) error {
	var b struct {
		ContentType string `json:"contentType"`
		Data        string `json:"data"`
	}
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(b.Data), ""))
	if err != nil {
		return fmt.Errorf("%s/%s.data: %w", r.Type, r.ID, err)
	}
	contentType := "application/octet-stream"
	if _, _, err := mime.ParseMediaType(b.ContentType); err == nil {
		contentType = b.ContentType
	}
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Disposition", "attachment; filename="+strconv.Quote(r.ID))
	send(c, http.StatusOK, contentType, data)
	return nil
}
