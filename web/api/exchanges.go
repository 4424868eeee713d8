package api

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
)

func (a *API) listExchanges(c *gin.Context) error {
	filter, faults := proxy.ParseFilter(c.Query("filter"))
	if len(faults) > 0 {
		texts := make([]string, len(faults))
		for i, f := range faults {
			texts[i] = f.Error()
		}
		return failed(http.StatusBadRequest, "The filter was not understood: "+strings.Join(texts, "; ")+".")
	}
	before, after, err := parseCursor(c.Query("cursor"))
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(cmp.Or(c.Query("limit"), "100"))
	if err != nil || limit < 1 || limit > 1000 {
		return failed(http.StatusBadRequest, "limit is a number from 1 to 1000.")
	}
	ctx := c.Request.Context()
	page, err := a.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Before: before, After: after, Limit: limit})
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Exchanges))
	for i, e := range page.Exchanges {
		ids[i] = e.ID
	}
	sums, err := a.deps.Reports.Summaries(ctx, ids)
	if err != nil {
		return err
	}
	out := List[ExchangeItem]{Items: make([]ExchangeItem, 0, len(ids)), Total: page.Total}
	for _, e := range page.Exchanges {
		out.Items = append(out.Items, itemOf(e, summary(sums, e.ID)))
	}
	if n := len(page.Exchanges); n > 0 {
		if page.Older {
			out.Next = "b" + strconv.FormatInt(page.Exchanges[n-1].Number, 10)
		}
		if page.Newer {
			out.Previous = "a" + strconv.FormatInt(page.Exchanges[0].Number, 10)
		}
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func summary(sums map[string]validators.Summary, id string) *validators.Summary {
	s, ok := sums[id]
	if !ok {
		return nil
	}
	return &s
}

func (a *API) getExchange(c *gin.Context) error {
	ctx := c.Request.Context()
	e, err := a.deps.Exchanges.Exchange(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	sums, err := a.deps.Reports.Summaries(ctx, []string{e.ID})
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, exchangeOf(e, summary(sums, e.ID)))
	return nil
}

func (a *API) getReport(c *gin.Context) error {
	ctx := c.Request.Context()
	if _, err := a.deps.Exchanges.Exchange(ctx, c.Param("id")); err != nil {
		return err
	}
	r, err := a.deps.Reports.Report(ctx, c.Param("id"))
	switch {
	case StatusOf(err) == http.StatusNotFound:
		return failed(http.StatusNotFound, "The exchange is stored and not judged yet. Ask again in a second.")
	case err != nil:
		return err
	}
	c.JSON(http.StatusOK, r)
	return nil
}

func (a *API) requestBody(c *gin.Context) error {
	e, err := a.deps.Exchanges.Exchange(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return a.body(c, e, "request", e.Request.Message)
}

func (a *API) responseBody(c *gin.Context) error {
	e, err := a.deps.Exchanges.Exchange(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if e.Response == nil {
		return failed(http.StatusNotFound, "The exchange has no response.")
	}
	return a.body(c, e, "response", e.Response.Message)
}

// body streams the stored copy as received, so still content-encoded, never as anything a browser would show.
func (a *API) body(c *gin.Context, e *proxy.Exchange, half string, m proxy.Message) error {
	if m.Body.Empty() {
		return failed(http.StatusNotFound, "The "+half+" has no body.")
	}
	r, err := a.deps.Bodies.OpenBody(c.Request.Context(), m.Body.Digest)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	h := c.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="exchange-%d-%s%s"`, e.Number, half, extension(m.Header)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	c.Status(http.StatusOK)
	_, err = io.Copy(c.Writer, r)
	return err
}

// extension is chosen from a fixed list: nothing that was recorded gets into a file name.
func extension(h proxy.Header) string {
	kind := strings.ToLower(h.Get("Content-Type"))
	ext := ".bin"
	switch {
	case strings.Contains(kind, "ndjson"):
		ext = ".ndjson"
	case strings.Contains(kind, "json"):
		ext = ".json"
	case strings.Contains(kind, "x-www-form-urlencoded"), strings.HasPrefix(kind, "text/plain"):
		ext = ".txt"
	}
	if strings.EqualFold(strings.TrimSpace(h.Get("Content-Encoding")), "gzip") {
		ext += ".gz"
	}
	return ext
}
