package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/gin-gonic/gin"

	"fhirwire/web/api"
	"fhirwire/web/views"
)

// pageError is a failure in the words of a page.
type pageError struct {
	status      int
	title, text string
}

func (e *pageError) Error() string { return e.title }

var (
	errNoPage   = &pageError{http.StatusNotFound, "Nothing is here", "No page has this address. It may have been typed wrong, or it belongs to another build."}
	errNoMethod = &pageError{http.StatusMethodNotAllowed, "This address does not take that", "The page exists, and the method of the request is not one it answers."}
	errHost     = &pageError{http.StatusMisdirectedRequest, "The dashboard does not answer to this name", "Open it under 127.0.0.1 or localhost, or add the name to the configured hosts. Other names are refused, so that no website can reach the dashboard through your browser."}
	errOrigin   = &pageError{http.StatusForbidden, "This came from another site", "Changes are taken from the dashboard's own pages only. Open the dashboard and do it there."}
	errPanic    = &pageError{http.StatusInternalServerError, "This page could not be built", "Our fault, and it counts for nobody. What was recorded is safe. The log says what happened."}
)

// page runs h and turns its error into a page.
func (s *Server) page(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil && !c.Writer.Written() {
			s.fail(c, err)
		}
	}
}

// fail answers with err as a page, or as a problem document under /api/, and ends the request.
func (s *Server) fail(c *gin.Context, err error) {
	c.Abort()
	if errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil {
		return // nobody is there to answer
	}
	var pe *pageError
	if !errors.As(err, &pe) {
		pe = s.describe(c, err)
	}
	if strings.HasPrefix(c.Request.URL.Path, "/api/") {
		api.WriteProblem(c.Writer, api.Problem{Type: "about:blank", Title: http.StatusText(pe.status), Status: pe.status, Detail: pe.title + ". " + pe.text, Instance: c.Request.URL.Path})
		return
	}
	v := views.Failure{
		Shell: s.bareShell(c, pe.title), Code: strconv.Itoa(pe.status) + " " + http.StatusText(pe.status), Title: pe.title, Text: pe.text,
		Actions: []views.Link{{Text: "Go to Live", Href: "/"}},
	}
	if pe.status >= http.StatusInternalServerError {
		v.Text += " It was " + s.opts.Clock().Format("2 January 2006, 15:04:05 MST") + "."
		if self := c.Request.URL.RequestURI(); c.Request.Method == http.MethodGet && strings.HasPrefix(self, "/") && !strings.HasPrefix(self, "//") {
			v.Actions = append([]views.Link{{Text: "Try again", Href: self}}, v.Actions...)
		}
	}
	if rerr := render(c, pe.status, views.FailurePage(v)); rerr != nil {
		http.Error(c.Writer, pe.title, pe.status)
	}
}

func (s *Server) describe(c *gin.Context, err error) *pageError {
	status := api.StatusOf(err)
	switch {
	case status == http.StatusNotFound:
		return &pageError{status, "Nothing is stored under this id", "It may have been deleted, or recorded in another data folder."}
	case status < http.StatusInternalServerError:
		return &pageError{status, http.StatusText(status), err.Error()}
	}
	s.opts.Logger.Error("dashboard page failed", "route", c.FullPath(), "error", err)
	return &pageError{status, errPanic.title, errPanic.text}
}

// render builds the whole page before anything is written, so that a failure can still become an error page.
func render(c *gin.Context, status int, page templ.Component) error {
	var b bytes.Buffer
	if err := page.Render(c.Request.Context(), &b); err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	c.Data(status, "text/html; charset=utf-8", b.Bytes())
	return nil
}
