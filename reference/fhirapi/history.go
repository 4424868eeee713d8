package fhirapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// history is that of one resource, R4 http 3.1.0.17, newest first.
func (a *API) history(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	versions, err := a.store.History(c.Request.Context(), typ, id)
	if err != nil {
		return a.about(err, typ, id)
	}
	if all := len(versions); all > 0 {
		if versions, err = a.covered(c.Request.Context(), versions); err != nil {
			return err
		}
		if len(versions) < all { // a version that shows would tell of the others
			return a.about(resources.ErrNotFound, typ, id)
		}
	}
	if err := a.available(c.Request.Context(), &versions[0]); err != nil {
		return err
	}
	if err := a.shown(c.Request.Context(), versions); err != nil {
		return err
	}
	first := versions[len(versions)-1].Version
	q, err := historyQuery(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(r resources.Resource) bool { return !r.Updated.After(q.since) && !q.since.IsZero() })
	b := newBundle("history", a.o.NewID())
	b.total = len(versions)
	base := a.base(c.Request)
	self := base + "/" + typ + "/" + id + "/_history"
	link := func(relation string, at int) {
		args := url.Values{}
		if q.count >= 0 {
			args.Set("_count", strconv.Itoa(q.count))
		}
		if !q.since.IsZero() {
			args.Set("_since", q.since.UTC().Format(resources.InstantFormat))
		}
		if at > 0 {
			args.Set(cursorParam, place{Cursor: resources.Cursor{Offset: int64(at)}}.encode())
		}
		b.link(relation, absolute(self, "", args))
	}
	from := min(q.offset, len(versions))
	to := len(versions)
	if q.count >= 0 {
		to = min(from+q.count, to)
	}
	link("self", from)
	if to < len(versions) && q.count > 0 {
		link("next", to)
	}
	for _, r := range versions[from:to] {
		b.historyEntry(base, r, r.Version == first)
	}
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

type historyRange struct {
	since  time.Time
	count  int // -1: all
	offset int
}

func historyQuery(raw string) (historyRange, error) {
	q := historyRange{count: -1}
	pairs, err := search.ParsePairs(raw)
	if err != nil {
		return q, err
	}
	for _, p := range pairs {
		switch p.Name {
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 0 {
				return q, &search.Error{Name: p.Name, Code: "invalid", Message: strconv.Quote(p.Value) + " is not a count"}
			}
			q.count = n
		case "_since":
			if q.since, err = search.Instant(p.Value); err != nil {
				return q, &search.Error{Name: p.Name, Code: "invalid", Message: err.Error()}
			}
		case cursorParam:
			at, err := decodePlace(p.Value)
			if err != nil {
				return q, err
			}
			q.offset = int(min(at.Offset, 1<<30))
		}
	}
	return q, nil
}
