package smartauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is a refusal under the name that an RFC gives it.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the RFC's error code: "invalid_client"; empty where RFC 6750 wants none.
	Code string
	// Description is one sentence for the client's developer. It holds no secret and no member's data.
	Description string
	// Scheme is what WWW-Authenticate names on a 401: "Basic", "Bearer" or none.
	Scheme string
	// RetryAfter goes with 429.
	RetryAfter time.Duration
	// Scope is the scope that was needed (insufficient_scope).
	Scope string
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Description
	}
	return e.Code + ": " + e.Description
}

// text is the description in the characters that RFC 6749 section 5.2 allows.
func (e *Error) text() string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		default:
			return r
		}
	}, e.Description)
}

func refuse(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Description: fmt.Sprintf(format, args...)}
}

// The names of P2P-TOK-111 to 116 and P2P-DCR-131 to 134.

func invalidRequest(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_request", format, args...)
}

func invalidClient(format string, args ...any) *Error {
	return refuse(http.StatusUnauthorized, "invalid_client", format, args...)
}

func invalidGrant(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_grant", format, args...)
}

func invalidScope(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_scope", format, args...)
}

func invalidMetadata(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_client_metadata", format, args...)
}

func invalidRedirect(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_redirect_uri", format, args...)
}

func invalidStatement(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "invalid_software_statement", format, args...)
}

func unapprovedStatement(text string) *Error {
	return refuse(http.StatusBadRequest, "unapproved_software_statement", "%s", text)
}

const realm = "fhirwire"

func (e *Error) headers(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	switch {
	case e.Status == http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(max(1, int((e.RetryAfter+time.Second-1)/time.Second))))
	case e.Scheme == "Basic":
		h.Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
	case e.Scheme == "Bearer":
		v := `Bearer realm="` + realm + `"`
		if e.Code != "" {
			v += `, error="` + e.Code + `", error_description="` + e.text() + `"`
		}
		if e.Scope != "" {
			v += `, scope="` + e.Scope + `"`
		}
		h.Set("WWW-Authenticate", v)
	}
}

// NewError is a refusal by a listener in front of the server, such as one that verifies client certificates.
func NewError(status int, code, description string) *Error {
	e := refuse(status, code, "%s", description)
	if status == http.StatusUnauthorized && (code == "invalid_token" || code == "") {
		e.Scheme = "Bearer"
	}
	return e
}

// WriteError answers a request to the authorization server.
func WriteError(w http.ResponseWriter, e *Error) { writeError(w, e) }

// writeError answers in the form of RFC 6749 section 5.2.
func writeError(w http.ResponseWriter, e *Error) {
	e.headers(w.Header())
	writeJSON(w, e.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.text()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only plain structs and maps of strings come here
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
