package smartauth

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ProtectOptions tune Protect.
type ProtectOptions struct {
	// Mode; empty means Off.
	Mode Mode
	// ForeignTokens makes the Optional mode treat a token that this server never issued as none: clients with a fixed token for
	// somewhere else can be tried as they are.
	ForeignTokens bool
	// Owner is asked when a member's token reads a resource by its id; nil refuses such reads.
	Owner Owner
	// Exports says that the handler limits Patient/$export to GrantFrom(ctx).Patient; otherwise members' tokens cannot export.
	Exports bool
	// Searches tells whether the handler knows a search parameter of a type. A member's search is narrowed by one; while Searches
	// is nil the handler is asked (Prefer: handling=strict) to refuse it rather than to ignore it.
	Searches func(typ, parameter string) bool
	// Open are types that can be read and searched without a token, such as those of a public formulary.
	Open []string
	// NarrowsOpen says that the handler keeps to OpenTypes(ctx). Otherwise a request for open types that may lead to others by an
	// _include without a target, by a chain or by _has, needs a token.
	NarrowsOpen bool
	// IdentifierLookup lets a $member-match token ask Patient?identifier= for a member it matched within a day (P2P-TOK-125):
	// PDex 2.0.0, where the match returns no id.
	IdentifierLookup bool
}

// maxSearchForm bounds the body of a POSTed search, which is read here to judge it.
const maxSearchForm = 1 << 20

// Protect stands in front of a FHIR handler that serves below Options.FHIRPath: it refuses what the token does not allow and
// narrows what a member's token may see. The handler finds the grant with GrantFrom. Other paths pass.
func (s *Server) Protect(next http.Handler, o ProtectOptions) http.Handler {
	if o.Mode == Off || o.Mode == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // an app in a browser has to be able to read a refusal
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		path, ours := strings.CutPrefix(r.URL.EscapedPath(), s.o.FHIRPath)
		if !ours || path != "" && path[0] != '/' {
			next.ServeHTTP(w, r)
			return
		}
		admitted, err := s.admit(r, path, o)
		if err == nil {
			next.ServeHTTP(w, admitted)
			return
		}
		refused, ok := errors.AsType[*Error](err)
		if !ok {
			if r.Context().Err() == nil {
				s.o.Logger.ErrorContext(r.Context(), "authorization failed", "path", r.URL.Path, "error", err)
			}
			refused = refuse(http.StatusInternalServerError, "server_error", "The server failed on this request.")
		}
		WriteFailure(w, refused)
	})
}

// admit gives the request to pass on.
func (s *Server) admit(r *http.Request, path string, o ProtectOptions) (*http.Request, error) {
	q := readRequest(r.Method, path, parseQuery(r.URL.RawQuery))
	if q.public() || o.Mode == Optional && r.Header.Get("Authorization") == "" {
		return r, nil
	}
	if o.Mode == Optional && o.ForeignTokens {
		foreign, err := s.foreign(r)
		if err != nil {
			return nil, err
		}
		if foreign {
			return setAside(r), nil
		}
	}
	query, anonymous := q.params, r.Header.Get("Authorization") == ""
	form, err := searchForm(r, q)
	if err != nil {
		return nil, err
	}
	if form != nil {
		q.params = url.Values{}
		for _, part := range []url.Values{query, form} {
			for k, v := range part {
				q.params[k] = append(q.params[k], v...)
			}
		}
	}
	if anonymous && q.openTo(o) {
		return r.WithContext(withOpenTypes(r.Context(), o.Open)), nil
	}
	need := q.need()
	if q.isBatch() && !anonymous {
		if need, err = s.batchNeed(r); err != nil {
			return nil, err
		}
	}
	g, err := s.Authorize(r, need)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Code == "insufficient_scope" && g != nil && q.openTo(o) { // a token takes nothing away (FORM-ACC-08)
		return r.WithContext(WithGrant(withOpenTypes(r.Context(), o.Open), g)), nil
	}
	if refused, ok := errors.AsType[*Error](err); ok && refused.Code == "insufficient_scope" && o.IdentifierLookup && g != nil && g.Operation {
		if err := s.lookupMatched(r, g, &q); err != nil {
			return nil, err
		}
		return pass(r, g, q), nil
	}
	if err != nil {
		return nil, err
	}
	if g.Patient != "" {
		if err := q.limit(r.Context(), g.Patient, o); err != nil {
			return nil, err
		}
		if q.search && q.asksReverse() {
			r = r.WithContext(withOpenTypes(r.Context(), o.Open))
		}
		if q.search {
			out := pass(r, g, q)
			if o.Searches == nil {
				out.Header.Set("Prefer", "handling=strict")
			}
			return out, nil
		}
	}
	return r.WithContext(WithGrant(r.Context(), g)), nil
}

// matchedFor is how long after a match the operation token may look the member's id up.
const matchedFor = 24 * time.Hour

// lookupMatched narrows Patient?identifier= to a member that the client has matched, or refuses.
func (s *Server) lookupMatched(r *http.Request, g *Grant, q *request) error {
	refused := insufficientScope(nil, "The access token is for $member-match; ask for a token for the member to read its data.") // P2P-TOK-15
	value := q.identifierOnly()
	if value == "" {
		return refused
	}
	m, err := s.store.member(r.Context(), g.Client, value)
	if err != nil {
		return err
	}
	if m == nil || m.Withdrawn != 0 || m.Matched < s.o.Clock().Add(-matchedFor).Unix() {
		return refused
	}
	q.params.Add("_id", m.Patient)
	return nil
}

// searchForm reads the form of a POSTed search and puts the body back; nil for any other request.
func searchForm(r *http.Request, q request) (url.Values, error) {
	if !q.search || r.Method != http.MethodPost {
		return nil, nil
	}
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mt != "application/x-www-form-urlencoded" {
		return url.Values{}, nil // the handler refuses it
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSearchForm+1))
	if err != nil || len(body) > maxSearchForm {
		return nil, refuse(http.StatusRequestEntityTooLarge, "invalid_request", "The search cannot be read, or is larger than %d bytes.", maxSearchForm)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "invalid_request", "The search is no well-formed form.")
	}
	return form, nil
}

// pass is the request with the grant and with the narrowed parameters, all of them in the form of a POSTed search.
func pass(r *http.Request, g *Grant, q request) *http.Request {
	out := r.Clone(WithGrant(r.Context(), g))
	text := q.params.Encode()
	if r.Method == http.MethodPost {
		out.URL.RawQuery = ""
		out.Body = io.NopCloser(strings.NewReader(text))
		out.ContentLength = int64(len(text))
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return out
	}
	out.URL.RawQuery = text
	out.RequestURI = out.URL.RequestURI()
	return out
}
