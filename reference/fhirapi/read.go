package fhirapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// ownParams are query parameters that concern the transport and no search.
var ownParams = []string{"_format", "_pretty", cursorParam}

func (a *API) served(typ string) error {
	if !a.reg.Serves(typ) {
		return failf(http.StatusNotFound, "not-supported", "Resource type %q is not served here.", typ)
	}
	return nil
}

// readOrSearch also serves the history of a type. Some clients search by GET [type]/_search, which later versions of FHIR allow.
func (a *API) readOrSearch(c *gin.Context) error {
	switch c.Param("id") {
	case "_search":
		return a.searchType(c)
	case "_history":
		return a.histories(c)
	}
	return a.read(c)
}

func (a *API) read(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	r, err := a.store.Get(c.Request.Context(), typ, id)
	if err != nil {
		return a.about(err, typ, id)
	}
	return a.sendResource(c, r)
}

func (a *API) vread(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	version, err := strconv.ParseInt(c.Param("vid"), 10, 64)
	if err != nil {
		return failf(http.StatusNotFound, "not-found", "%s/%s has no version %q.", typ, id, c.Param("vid"))
	}
	r, err := a.store.Version(c.Request.Context(), typ, id, version)
	if err != nil {
		return a.about(err, typ, id+"/_history/"+c.Param("vid"))
	}
	return a.sendResource(c, r)
}

// about names the resource in the two errors of reading.
func (a *API) about(err error, typ, id string) error {
	switch {
	case errors.Is(err, resources.ErrNotFound):
		return failf(http.StatusNotFound, "not-found", "%s/%s is not known.", typ, id)
	case errors.Is(err, resources.ErrDeleted):
		return failf(http.StatusGone, "deleted", "%s/%s was deleted.", typ, id)
	}
	return err
}

func etag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

func (a *API) sendResource(c *gin.Context, r resources.Resource) error {
	one, err := a.covered(c.Request.Context(), []resources.Resource{r})
	if err != nil {
		return err
	}
	if len(one) == 0 {
		return a.about(resources.ErrNotFound, r.Type, r.ID)
	}
	if err := a.available(c.Request.Context(), &r); err != nil {
		return err
	}
	tag := etag(r.Version)
	c.Header("ETag", tag)
	c.Header("Last-Modified", r.Updated.UTC().Format(http.TimeFormat))
	if notModified(c.Request, tag, r.Updated) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return nil
	}
	if err := a.shown(c.Request.Context(), one); err != nil {
		return err
	}
	if readsBytes(c) {
		return sendBytes(c, one[0])
	}
	body, err := a.shape(c, one[0])
	if err != nil {
		return err
	}
	send(c, http.StatusOK, fhirJSON, body)
	return nil
}

// shape applies _elements and _summary of a read.
func (a *API) shape(c *gin.Context, r resources.Resource) ([]byte, error) {
	if !strings.Contains(c.Request.URL.RawQuery, "_elements=") && !strings.Contains(c.Request.URL.RawQuery, "_summary=") {
		return r.Body, nil
	}
	pairs, err := search.ParsePairs(c.Request.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	pairs = slices.DeleteFunc(pairs, func(p search.Pair) bool { return p.Name != "_elements" && p.Name != "_summary" })
	q, err := a.reg.Parse(r.Type, pairs, search.ParseOptions{})
	if err != nil {
		return nil, err
	}
	return a.subset(r, &q)
}

func notModified(r *http.Request, tag string, updated time.Time) bool {
	if match := r.Header.Get("If-None-Match"); match != "" {
		for v := range strings.SplitSeq(match, ",") {
			v = strings.TrimSpace(v)
			if v == "*" || v == tag || "W/"+v == tag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !updated.Truncate(time.Second).After(since)
}
