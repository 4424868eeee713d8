package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
)

// Exporter writes what was recorded as HAR 1.2, as it reads it and without secrets.
type Exporter interface {
	ExportHAR(ctx context.Context, w io.Writer, filter proxy.Filter) error
}

// exportHAR streams the exchanges that a filter selects.
func (a *API) exportHAR(c *gin.Context) error {
	if a.deps.Exporter == nil {
		return failed(http.StatusNotImplemented, "This server exports nothing.")
	}
	filter, faults := proxy.ParseFilter(c.Query("filter"))
	if len(faults) > 0 {
		texts := make([]string, len(faults))
		for i, f := range faults {
			texts[i] = f.Error()
		}
		return failed(http.StatusBadRequest, "The filter was not understood: "+strings.Join(texts, "; ")+".")
	}
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // not every writer has one
	c.Header("Content-Type", "application/json; charset=utf-8")
	c.Header("Content-Disposition", `attachment; filename="fhirwire.har"`)
	err := a.deps.Exporter.ExportHAR(c.Request.Context(), c.Writer, filter)
	if err == nil || !c.Writer.Written() {
		return err
	}
	if c.Request.Context().Err() == nil {
		a.opts.Logger.Error("har export broke off", "error", err)
	}
	panic(http.ErrAbortHandler) // so that half a file does not look like a whole one
}
