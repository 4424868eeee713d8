package edgecases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Wrap plays the switches on what next serves below base ("/fhir"). Other paths pass.
func (s *Switches) Wrap(base string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ours := strings.CutPrefix(r.URL.Path, base)
		if !ours || path != "" && path[0] != '/' || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		a := s.of(r)
		if len(a.edges) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		names := make([]string, len(a.edges))
		for i, e := range a.edges {
			names[i] = string(e)
		}
		w.Header().Set(Header, strings.Join(names, ", "))
		if s.refused(w, r, path, &a) {
			return
		}
		if s.mutate(w, r, path, &a, next) {
			return
		}
		if a.has(BrokenResource) {
			r = r.Clone(r.Context())
			for _, name := range []string{"Accept-Encoding", "Range", "If-None-Match", "If-Modified-Since"} {
				r.Header.Del(name) // a whole, plain body is there to be broken
			}
			w = &breaker{ResponseWriter: w, broke: func() { s.played(&a, BrokenResource) }}
		}
		if a.has(WrongContentType) {
			w = &mislabel{ResponseWriter: w, done: func() { s.played(&a, WrongContentType) }}
		}
		next.ServeHTTP(w, r)
	})
}

// refused answers in place of the server, where an edge asks for that.
func (s *Switches) refused(w http.ResponseWriter, r *http.Request, path string, a *active) bool {
	outcome := func(e Edge, status int, code, text string) bool {
		s.played(a, e)
		writeOutcome(w, r, status, code, text)
		return true
	}
	h := w.Header()
	switch {
	case a.has(ExpiredToken) && r.Header.Get("Authorization") != "":
		h.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="The access token has expired."`)
		return outcome(ExpiredToken, http.StatusUnauthorized, "expired", "The access token has expired.")
	case a.has(Throttled) && path != "/metadata":
		h.Set("Retry-After", strconv.Itoa(a.seconds))
		return outcome(Throttled, http.StatusTooManyRequests, "throttled", "Too many requests; try again later.")
	}
	if path == "/Patient/$member-match" && r.Method == http.MethodPost {
		const status = http.StatusUnprocessableEntity
		switch {
		case a.has(NoMatch):
			return outcome(NoMatch, status, "not-found", "$member-match: No member matches the submitted coverage and demographics.")
		case a.has(SeveralMatches):
			return outcome(SeveralMatches, status, "multiple-matches", "$member-match: More than one member matches; a single match is required.")
		case a.has(ConsentRefused):
			return outcome(ConsentRefused, status, "business-rule", "$member-match: The consent request cannot be complied with.")
		}
	}
	job, ok := strings.CutPrefix(path, "/bulk/")
	switch {
	case !ok:
	case a.has(SlowJob) && strings.HasSuffix(job, "/status") && r.Method == http.MethodGet:
		if left := s.held(path, a.seconds); left > 0 {
			stillRunning(w, strconv.Itoa(min(5, int(left/time.Second)+1)))
			return true
		}
	case a.has(FailingFile) && strings.Contains(job, "/files/"):
		return outcome(FailingFile, http.StatusInternalServerError, "exception", "The file cannot be read.")
	case a.has(FailedJob) && strings.HasSuffix(job, "/status") && r.Method == http.MethodGet:
		return outcome(FailedJob, http.StatusInternalServerError, "exception", "The export has failed on request.")
	}
	if a.has(StatusRequired) && withoutStatus(r, path) {
		return outcome(StatusRequired, http.StatusBadRequest, "required", "A search by patient needs the parameter status here.")
	}
	return false
}

// HeldBack is the X-Progress of an export that is said to run because that was asked for.
const HeldBack = "held back on request"

// stillRunning says that an export runs.
func stillRunning(w http.ResponseWriter, retryAfter string) {
	h := w.Header()
	h.Set("X-Progress", HeldBack)
	h.Set("Retry-After", retryAfter)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
}

func writeOutcome(w http.ResponseWriter, r *http.Request, status int, code, text string) {
	type issue struct {
		Severity    string `json:"severity"`
		Code        string `json:"code"`
		Diagnostics string `json:"diagnostics"`
	}
	body, err := json.Marshal(struct {
		ResourceType string  `json:"resourceType"`
		Issue        []issue `json:"issue"`
	}{"OperationOutcome", []issue{{"error", code, text}}})
	if err != nil { // strings always marshal
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/fhir+json;charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, "+Header)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone; there is nobody to tell
	}
}

// breaker puts an element that FHIR does not know into the first resource that passes.
type breaker struct {
	http.ResponseWriter
	broke   func()
	started bool
	status  int
}

// The server writes what starts a body in one piece, so the place is in the first write.
var (
	bundleStart = []byte(`{"resourceType":"Bundle"`)
	entryStart  = []byte(`"resource":{"resourceType":"`)
	typeStart   = []byte(`{"resourceType":"`)
)

const unknownElement = `"brokenOnRequest":true,`

func (b *breaker) WriteHeader(status int) {
	b.status = status
	if status == http.StatusOK || status == http.StatusCreated {
		b.Header().Del("Content-Length")
		b.Header().Del("ETag")
	}
	b.ResponseWriter.WriteHeader(status)
}

func (b *breaker) Write(p []byte) (int, error) {
	if b.status == 0 {
		b.WriteHeader(http.StatusOK)
	}
	if b.started || b.status != http.StatusOK && b.status != http.StatusCreated {
		return b.ResponseWriter.Write(p)
	}
	b.started = true
	at := place(p)
	if at < 0 {
		return b.ResponseWriter.Write(p)
	}
	b.broke()
	if _, err := fmt.Fprintf(b.ResponseWriter, "%s%s%s", p[:at], unknownElement, p[at:]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// place is where the members of the first resource start, -1 where there is none to break.
func place(p []byte) int {
	if !bytes.HasPrefix(p, typeStart) || bytes.HasPrefix(p, []byte(`{"resourceType":"OperationOutcome"`)) {
		return -1
	}
	if !bytes.HasPrefix(p, bundleStart) {
		return 1
	}
	at := bytes.Index(p, entryStart)
	if at < 0 {
		return -1
	}
	return at + len(`"resource":{`)
}

// Unwrap is for http.ResponseController.
func (b *breaker) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// mislabel gives answers the wrong Content-Type.
type mislabel struct {
	http.ResponseWriter
	done  func()
	wrote bool
}

func (m *mislabel) WriteHeader(status int) {
	if !m.wrote && m.Header().Get("Content-Type") != "" {
		m.Header().Set("Content-Type", "text/html; charset=utf-8")
		// a browser that opens it shows text, and runs nothing
		m.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
		m.done()
	}
	m.wrote = true
	m.ResponseWriter.WriteHeader(status)
}

func (m *mislabel) Write(p []byte) (int, error) {
	if !m.wrote {
		m.WriteHeader(http.StatusOK)
	}
	return m.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (m *mislabel) Unwrap() http.ResponseWriter { return m.ResponseWriter }
