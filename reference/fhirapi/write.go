package fhirapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

func (a *API) create(c *gin.Context) error {
	typ := c.Param("type")
	if err := a.served(typ); err != nil {
		return err
	}
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	if cond := c.Request.Header.Get("If-None-Exist"); cond != "" {
		found, err := a.conditional(c, typ, cond)
		if err != nil {
			return err
		}
		switch len(found) {
		case 0:
		case 1:
			return a.written(c, found[0], http.StatusOK)
		default:
			return failf(http.StatusPreconditionFailed, "multiple-matches", "If-None-Exist matches more than one %s.", typ)
		}
	}
	id := a.o.NewID()
	if err := a.checked(c, typ, id, body); err != nil {
		return err
	}
	r, _, err := a.put(c, typ, id, body, 0)
	if err != nil {
		return err
	}
	return a.written(c, r, http.StatusCreated)
}

func (a *API) conditional(c *gin.Context, typ, query string) ([]resources.Resource, error) {
	if _, after, ok := strings.Cut(query, "?"); ok { // some clients send the whole URL of the search
		query = after
	}
	pairs, err := search.ParsePairs(query)
	if err != nil {
		return nil, err
	}
	q, err := a.reg.Parse(typ, pairs, search.ParseOptions{Strict: true, Base: a.base(c.Request)})
	if err != nil {
		return nil, err
	}
	if len(q.Clauses) == 0 {
		return nil, failf(http.StatusBadRequest, "invalid", "The condition has no criteria.")
	}
	res, err := a.store.Search(c.Request.Context(), q, resources.Page{Limit: 2})
	return res.Resources, err
}

func (a *API) update(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	if !validID(id) {
		return failf(http.StatusBadRequest, "value", "%q is no resource id.", id)
	}
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	return a.updateOf(c, typ, id, body)
}

func (a *API) updateOf(c *gin.Context, typ, id string, body []byte) error {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	if got := doc.Root().MemberText("id"); got != id && doc.Fatal() == nil {
		return failf(http.StatusBadRequest, "invariant", "The body's id is %q, the URL says %q.", got, id)
	}
	var ifMatch int64
	if m := c.Request.Header.Get("If-Match"); m != "" {
		var err error
		if ifMatch, err = version(m); err != nil {
			return err
		}
	}
	if err := a.checked(c, typ, id, body); err != nil {
		return err
	}
	r, created, err := a.put(c, typ, id, body, ifMatch)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return a.written(c, r, status)
}

// written answers a write: 201 needs a Location, and Prefer decides about the body.
func (a *API) written(c *gin.Context, r resources.Resource, status int) error {
	url := a.base(c.Request) + "/" + r.Type + "/" + r.ID + "/_history/" + strconv.FormatInt(r.Version, 10)
	c.Header("ETag", etag(r.Version))
	c.Header("Last-Modified", r.Updated.UTC().Format(http.TimeFormat))
	if status == http.StatusCreated {
		c.Header("Location", url)
	} else {
		c.Header("Content-Location", url)
	}
	switch preferences(c.Request)["return"] {
	case "minimal":
		c.Status(status)
		c.Writer.WriteHeaderNow()
	case "OperationOutcome":
		send(c, status, fhirJSON, outcome(issue{Severity: "information", Code: "informational", Diagnostics: "Stored as " + r.Type + "/" + r.ID + "."}))
	default:
		send(c, status, fhirJSON, r.Body)
	}
	return nil
}

func (a *API) remove(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	r, err := a.store.Delete(c.Request.Context(), typ, id)
	if err != nil {
		return err
	}
	if r.Version > 0 {
		c.Header("ETag", etag(r.Version))
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}

// updateWhere is a conditional update: of the one match, or a create.
func (a *API) updateWhere(c *gin.Context) error {
	typ := c.Param("type")
	if err := a.served(typ); err != nil {
		return err
	}
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	found, err := a.where(c, typ)
	if err != nil {
		return err
	}
	doc := fhirjson.Parse(body)
	defer doc.Release()
	id := doc.Root().MemberText("id")
	switch {
	case len(found) == 1 && id != "" && id != found[0].ID:
		return failf(http.StatusBadRequest, "invariant", "The body's id is %q, the one match is %s/%s.", id, typ, found[0].ID)
	case len(found) == 1:
		id = found[0].ID
	case id == "":
		id = a.o.NewID()
	case !validID(id):
		return failf(http.StatusBadRequest, "value", "%q is no resource id.", id)
	}
	if err := a.checked(c, typ, id, body); err != nil {
		return err
	}
	r, created, err := a.put(c, typ, id, body, 0)
	if err != nil {
		return err
	}
	if created {
		return a.written(c, r, http.StatusCreated)
	}
	return a.written(c, r, http.StatusOK)
}

// removeWhere is a conditional delete of at most one resource.
func (a *API) removeWhere(c *gin.Context) error {
	typ := c.Param("type")
	if err := a.served(typ); err != nil {
		return err
	}
	found, err := a.where(c, typ)
	if err != nil {
		return err
	}
	if len(found) == 1 {
		r, err := a.store.Delete(c.Request.Context(), typ, found[0].ID)
		if err != nil {
			return err
		}
		c.Header("ETag", etag(r.Version))
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}

// where gives the one match of the query, or none.
func (a *API) where(c *gin.Context, typ string) ([]resources.Resource, error) {
	found, err := a.conditional(c, typ, c.Request.URL.RawQuery)
	if err == nil && len(found) > 1 {
		err = failf(http.StatusPreconditionFailed, "multiple-matches", "The criteria match more than one %s.", typ)
	}
	return found, err
}

func (a *API) memberMatch(c *gin.Context) error {
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	status, answer, wait, err := a.o.Matcher.Match(c.Request.Context(), body)
	if err != nil {
		return err
	}
	if wait > 0 {
		c.Header("Retry-After", strconv.Itoa(int(max(1, (wait+time.Second-1)/time.Second))))
	}
	c.Header("Cache-Control", "no-store")
	send(c, status, fhirJSON, answer)
	return nil
}

// validID is the id datatype.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
