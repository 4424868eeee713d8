package fhirapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// histories is the history of a type, or of all of them, R4 http 3.1.0.17: newest first, a page at a time.
func (a *API) histories(c *gin.Context) error {
	ctx, typ := c.Request.Context(), c.Param("type")
	if typ != "" {
		if err := a.served(typ); err != nil {
			return err
		}
	}
	pairs, err := search.ParsePairs(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	q, args, err := a.historiesOf(pairs)
	if err != nil {
		return err
	}
	q.Type = typ
	if q.Hidden, err = a.hiddenGroups(ctx); err != nil {
		return err
	}
	b := newBundle("history", a.o.NewID())
	if b.total, err = a.store.CountHistories(ctx, q); err != nil {
		return err
	}
	base := a.base(c.Request)
	self := strings.TrimSuffix(base+"/"+typ, "/") + "/_history"
	found, next := []resources.Resource(nil), (*resources.VersionKey)(nil)
	if q.Limit > 0 {
		if found, next, err = a.store.Histories(ctx, q); err != nil {
			return err
		}
	}
	b.link("self", absolute(self, "", args))
	if next != nil {
		args.Set(cursorParam, encodeVersion(*next))
		b.link("next", absolute(self, "", args))
	}
	if found, err = a.visibleVersions(ctx, found); err != nil {
		return err
	}
	for _, r := range found {
		b.historyEntry(base, r, r.Version == 1)
	}
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// visibleVersions leaves out what the request's token does not cover.
func (a *API) visibleVersions(ctx context.Context, found []resources.Resource) ([]resources.Resource, error) {
	restricted, err := a.restrictedPlans(ctx)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r resources.Resource) bool { return r.Type == "InsurancePlan" && slices.Contains(restricted, r.ID) })
	if found, err = a.covered(ctx, found); err != nil {
		return nil, err
	}
	for i := range found {
		if !found[i].Deleted {
			if err := a.shown(ctx, found[i:i+1]); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// historiesOf reads the parameters and gives those that the links repeat.
func (a *API) historiesOf(pairs []search.Pair) (resources.HistoryQuery, url.Values, error) {
	q, args := resources.HistoryQuery{Limit: a.o.PageSize}, url.Values{}
	for _, p := range pairs {
		var err error
		switch p.Name {
		case "_count":
			var n int
			if n, err = strconv.Atoi(p.Value); err != nil || n < 0 {
				return q, nil, &search.Error{Name: p.Name, Code: "invalid", Message: strconv.Quote(p.Value) + " is not a count"}
			}
			q.Limit = min(n, a.o.MaxPageSize)
		case "_since":
			if q.Since, err = search.Instant(p.Value); err != nil {
				return q, nil, &search.Error{Name: p.Name, Code: "invalid", Message: err.Error()}
			}
		case cursorParam:
			if q.After, err = decodeVersion(p.Value); err != nil {
				return q, nil, err
			}
		default:
			continue
		}
		args.Set(p.Name, p.Value)
	}
	return q, args, nil
}

func encodeVersion(at resources.VersionKey) string {
	b, err := json.Marshal(at)
	if err != nil { // integers always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeVersion(s string) (resources.VersionKey, error) {
	var at resources.VersionKey
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &at)
	}
	if err != nil || at.Updated <= 0 || at.Row <= 0 || at.Version <= 0 {
		return at, failf(http.StatusBadRequest, "invalid", "The page link is damaged: start again at the first page.")
	}
	return at, nil
}
