package smartauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Mode is whether the FHIR API asks for tokens.
type Mode string

// The modes.
const (
	// Off: tokens are not looked at.
	Off Mode = "off"
	// Optional: a request without a token is open; one with a token has what the token allows, and a bad token is refused.
	Optional Mode = "optional"
	// Required: no token, no data.
	Required Mode = "required"
)

// Need is what a request needs: of each inner list one scope. An empty need is met by any token.
type Need [][]Scope

// Grant is what a token allows. It is shared: do not change it.
type Grant struct {
	Client string
	Scopes Scopes
	// Patient is the id of the one member the token is for, "" for none (P2P-TOK-21).
	Patient string
	// Sensitive is whether that member's consent covers sensitive data.
	Sensitive bool
	Expires   time.Time
	// Entry and Organization say whose client it is, where it registered over mutual TLS.
	Entry, Organization string
	// Operation is whether the token is for $member-match; the lookup of P2P-TOK-125 is then open to it.
	Operation bool

	certificate string
	revoked     bool
}

type grantKey struct{}

// GrantFrom is the grant that Protect found for a request, nil where it was open.
func GrantFrom(ctx context.Context) *Grant {
	g, _ := ctx.Value(grantKey{}).(*Grant)
	return g
}

// WithGrant is ctx with a grant, for callers of Authorize that do not use Protect.
func WithGrant(ctx context.Context, g *Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

type openKey struct{}

// OpenTypes are the types that a request without a token for more is limited to, nil where it is not: what is included or asked
// about on the way has to be of them too.
func OpenTypes(ctx context.Context) []string {
	types, _ := ctx.Value(openKey{}).([]string)
	return types
}

func withOpenTypes(ctx context.Context, types []string) context.Context {
	return context.WithValue(ctx, openKey{}, types)
}

func invalidToken(format string, args ...any) *Error {
	e := refuse(http.StatusUnauthorized, "invalid_token", format, args...)
	e.Scheme = "Bearer"
	return e
}

func insufficientScope(needed []Scope, format string, args ...any) *Error {
	e := refuse(http.StatusForbidden, "insufficient_scope", format, args...)
	e.Scheme = "Bearer"
	if len(needed) > 0 {
		n := needed[0]
		if n.Context == "" && n.Operation == "" {
			n.Context = "system"
		}
		e.Scope = n.String()
	}
	return e
}

// Authorize checks the bearer token of a request (P2P-TOK-04, 06; AUTH-13). Its error is an *Error, 401 or 403, or one of our
// own. WriteFailure answers with it.
func (s *Server) Authorize(r *http.Request, need Need) (*Grant, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		e := refuse(http.StatusBadRequest, "invalid_request", "There is more than one Authorization header.")
		e.Scheme = "Bearer"
		return nil, e
	}
	scheme, token := "", ""
	if len(headers) == 1 {
		scheme, token, _ = strings.Cut(headers[0], " ")
	}
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		// RFC 6750 section 3.1: without a token the challenge has no error code.
		return nil, &Error{Status: http.StatusUnauthorized, Scheme: "Bearer", Description: "The request has no bearer token."}
	}
	g, err := s.grant(r.Context(), token)
	if err != nil {
		return nil, err
	}
	switch {
	case g == nil || g.revoked:
		return nil, invalidToken("The access token is not valid here.")
	case !s.o.Clock().Before(g.Expires):
		return nil, invalidToken("The access token has expired.")
	case g.certificate != "" && g.certificate != thumbprint(peer(r)): // P2P-TLS-08
		return nil, invalidToken("The access token is bound to a client certificate that is not in use here.")
	}
	for _, alternatives := range need {
		if !slices.ContainsFunc(alternatives, g.Scopes.Covers) {
			return g, insufficientScope(alternatives, "The scope of the access token (%s) does not cover the request.", g.Scopes)
		}
	}
	return g, nil
}

// grantCache remembers grants by the hash of their token, for a moment and within one generation.
type grantCache struct {
	mu     sync.RWMutex // guards grants
	grants map[string]remembered
}

type remembered struct {
	grant      *Grant
	generation int64
	until      time.Time
}

const (
	rememberFor = 10 * time.Second // another process on the same database may have revoked the token
	maxGrants   = 10000
	maxToken    = 16 << 10
)

// grant finds what a token allows; nil for a token that is not ours. Only we put tokens into the store, so a token is genuine if
// its hash is there, and the signature need not be checked again.
func (s *Server) grant(ctx context.Context, token string) (*Grant, error) {
	if len(token) > maxToken {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(token))
	now, generation := s.o.Clock(), s.generation.Load()
	s.remembered.mu.RLock()
	m, ok := s.remembered.grants[string(sum[:])]
	s.remembered.mu.RUnlock()
	if ok && m.generation == generation && now.Before(m.until) {
		return m.grant, nil
	}
	g, err := s.load(ctx, base64.RawURLEncoding.EncodeToString(sum[:]))
	if err != nil || g == nil {
		return nil, err
	}
	s.remembered.mu.Lock()
	defer s.remembered.mu.Unlock()
	if len(s.remembered.grants) >= maxGrants {
		clear(s.remembered.grants)
	}
	s.remembered.grants[string(sum[:])] = remembered{g, generation, now.Add(rememberFor)}
	return g, nil
}

func (s *Server) load(ctx context.Context, hash string) (*Grant, error) {
	t, err := s.store.token(ctx, hash)
	if err != nil || t == nil {
		return nil, err
	}
	c, err := s.store.client(ctx, "id", t.Client)
	if err != nil || c == nil {
		return nil, err
	}
	g := &Grant{
		Client: t.Client, Scopes: ParseScopes(t.Scope), Patient: t.Patient, Expires: time.Unix(t.Expires, 0), Entry: c.Entry,
		Organization: c.Organization, certificate: t.Certificate, revoked: t.Revoked != 0,
	}
	g.Operation = g.Scopes.Covers(Scope{Operation: MemberMatch})
	if g.Operation && s.o.OperationReadsData {
		g.Scopes = append(g.Scopes, Scope{Context: "system", Type: "*", Rights: Read | Search})
	}
	if g.Patient != "" {
		m, err := s.store.member(ctx, t.Client, t.Patient)
		if err != nil {
			return nil, err
		}
		g.Sensitive = m != nil && m.Sensitive != 0
	}
	return g, nil
}

// WriteFailure answers a FHIR request that Authorize refused: status, WWW-Authenticate and an OperationOutcome.
func WriteFailure(w http.ResponseWriter, e *Error) {
	code := "login"
	switch {
	case e.Status == http.StatusForbidden:
		code = "forbidden"
	case e.Status == http.StatusBadRequest:
		code = "invalid"
	case e.Status >= http.StatusInternalServerError:
		code = "exception"
	case strings.Contains(e.Description, "expired"):
		code = "expired"
	}
	e.headers(w.Header())
	type issue struct {
		Severity    string `json:"severity"`
		Code        string `json:"code"`
		Diagnostics string `json:"diagnostics"`
	}
	body, err := json.Marshal(struct {
		ResourceType string  `json:"resourceType"`
		Issue        []issue `json:"issue"`
	}{"OperationOutcome", []issue{{"error", code, e.text()}}})
	if err != nil { // strings always marshal
		panic(err)
	}
	w.Header().Set("Content-Type", "application/fhir+json;charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}
