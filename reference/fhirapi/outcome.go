package fhirapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/bulk"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// failure is an answer that is an OperationOutcome. Code is from FHIR's IssueType.
type failure struct {
	status     int
	code       string
	text       string
	expression string
	// issues are said in place of the one above, where there are several.
	issues []issue
}

func (f *failure) Error() string { return f.text }

func failf(status int, code, format string, args ...any) error {
	return &failure{status: status, code: code, text: fmt.Sprintf(format, args...)}
}

type issue struct {
	Severity    string   `json:"severity"`
	Code        string   `json:"code"`
	Diagnostics string   `json:"diagnostics,omitempty"`
	Expression  []string `json:"expression,omitempty"`
}

type operationOutcome struct {
	ResourceType string  `json:"resourceType"`
	Issue        []issue `json:"issue"`
}

func outcome(issues ...issue) []byte {
	b, err := encode(operationOutcome{"OperationOutcome", issues})
	if err != nil { // strings always marshal
		panic(err)
	}
	return b
}

// failureOf is the one place that maps errors to HTTP.
func failureOf(err error) *failure {
	var (
		f     *failure
		param *search.Error
		kick  *bulk.KickoffError
		big   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &param):
		return &failure{status: http.StatusBadRequest, code: param.Code, text: "Parameter " + param.Name + ": " + param.Message, expression: "http." + param.Name}
	case errors.As(err, &kick):
		return &failure{status: kick.Status, code: kick.Code, text: kick.Message}
	case errors.As(err, &big):
		return &failure{status: http.StatusRequestEntityTooLarge, code: "too-long", text: fmt.Sprintf("The body is larger than %d bytes.", big.Limit)}
	case errors.Is(err, resources.ErrNotFound), errors.Is(err, bulk.ErrNotFound):
		return &failure{status: http.StatusNotFound, code: "not-found", text: "There is no such resource."}
	case errors.Is(err, resources.ErrDeleted):
		return &failure{status: http.StatusGone, code: "deleted", text: "The resource was deleted."}
	case errors.Is(err, bulk.ErrExpired):
		return &failure{status: http.StatusGone, code: "not-found", text: "The files of this export have expired."}
	case errors.Is(err, resources.ErrConflict):
		return &failure{status: http.StatusPreconditionFailed, code: "conflict", text: "If-Match does not name the current version."}
	case errors.Is(err, resources.ErrInvalid):
		return &failure{status: http.StatusBadRequest, code: "structure", text: err.Error()}
	case errors.Is(err, search.ErrType):
		return &failure{status: http.StatusNotFound, code: "not-supported", text: err.Error()}
	default:
		return &failure{status: http.StatusInternalServerError, code: "exception", text: "The server failed on this request."}
	}
}

// wrap turns a handler's error into the answer.
func (a *API) wrap(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Body != nil {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, a.o.MaxBody)
		}
		if !readsBytes(c) {
			if err := acceptable(c.Request); err != nil {
				a.fail(c, err)
				return
			}
		}
		if err := h(c); err != nil {
			a.fail(c, err)
		}
	}
}

func (a *API) fail(c *gin.Context, err error) {
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError && c.Request.Context().Err() == nil {
		a.o.Logger.ErrorContext(c.Request.Context(), "request failed", "method", c.Request.Method, "path", c.Request.URL.Path, "error", err)
	}
	i := issue{Severity: "error", Code: f.code, Diagnostics: f.text}
	if f.expression != "" {
		i.Expression = []string{f.expression}
	}
	c.Header("Cache-Control", "no-store")
	issues := f.issues
	if len(issues) == 0 {
		issues = []issue{i}
	}
	send(c, f.status, fhirJSON, outcome(issues...))
}
