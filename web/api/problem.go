package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"fhirwire/proxy"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	// Type is "about:blank": the status says what kind of problem it is.
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Errors are the fields that were not acceptable.
	Errors []ProblemField `json:"errors,omitempty"`
}

// ProblemField is a fault in one field of a request.
type ProblemField struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// StatusOf maps what an error means to an HTTP status. It is the only such table of the dashboard and its API.
func StatusOf(err error) int {
	var known *statusError
	switch {
	case errors.As(err, &known):
		return known.status
	case errors.Is(err, proxy.ErrNotFound), errors.Is(err, proxy.ErrNoBody):
		return http.StatusNotFound
	case errors.Is(err, proxy.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, proxy.ErrInvalid):
		return http.StatusUnprocessableEntity
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

type statusError struct {
	status int
	detail string
}

func (e *statusError) Error() string { return e.detail }

// failed is an error with the status it means and a detail that is safe to show.
func failed(status int, detail string) error { return &statusError{status: status, detail: detail} }

// ProblemOf describes err to a client. The text of errors of our own is kept for the log.
func ProblemOf(err error) Problem {
	status := StatusOf(err)
	p := Problem{Type: "about:blank", Title: http.StatusText(status), Status: status}
	var known *statusError
	switch {
	case errors.As(err, &known):
		p.Detail = known.detail
	case status == http.StatusNotFound:
		p.Detail = "Nothing is stored under this id."
	case status == http.StatusRequestEntityTooLarge:
		p.Detail = "The body is larger than 16 MB."
	case status >= http.StatusInternalServerError:
		p.Detail = "Our fault: the request could not be answered. The log says why."
	default:
		p.Detail = "Not stored: see errors."
		for _, fe := range fieldErrors(err) {
			p.Errors = append(p.Errors, ProblemField{Field: fe.Field, Detail: fe.Text})
		}
		if len(p.Errors) == 0 {
			p.Detail = err.Error()
		}
	}
	return p
}

// WriteProblem answers with p.
func WriteProblem(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone when this fails
}
