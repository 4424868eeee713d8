package smartauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLife = 5 * time.Minute // AUTH-07
	maxForm       = 64 << 10
)

// login is an authenticated client.
type login struct {
	client *Client
	// subject is the sub of the client assertion where that is not the client (form F2 of P2P-TOK-20).
	subject string
	// audience is the token URL that the assertion named, audienceKind "direct" or "proxied"; "" without an assertion.
	audience, audienceKind string
}

// readForm reads the parameters of a token request: of the form media type, in the body, each once, empty ones left out
// (RFC 6749 section 3.2, P2P-TOK-111).
func readForm(r *http.Request) (url.Values, error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("The body has to be application/x-www-form-urlencoded.")
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("Parameters belong into the body, not into the URL.")
	}
	body, err := readBody(r, maxForm)
	if err != nil {
		return nil, invalidRequest("%v", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("The body is not well-formed.")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, invalidRequest("%q is given more than once.", name)
		}
		if values[0] == "" {
			delete(form, name)
		}
	}
	return form, nil
}

// authenticate finds out which client asks, by exactly one of the ways of P2P-TOK-103 to 106.
func (s *Server) authenticate(r *http.Request, form url.Values) (*login, error) {
	if len(r.Header.Values("Authorization")) > 1 {
		return nil, invalidRequest("There is more than one Authorization header.")
	}
	id, secret, basic := r.BasicAuth()
	byForm, byJWT := form.Has("client_secret"), form.Has("client_assertion") || form.Has("client_assertion_type")
	ways := 0
	for _, used := range []bool{r.Header.Get("Authorization") != "", byForm, byJWT} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return nil, invalidRequest("The client authenticates in more than one way at once.")
	}
	var in *login
	var err error
	switch {
	case byJWT:
		in, err = s.byAssertion(r, form)
	case basic:
		if in, err = s.bySecret(r.Context(), id, secret, form, authBasic); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized {
				e.Scheme = "Basic" // P2P-TOK-112
			}
		}
	case byForm:
		in, err = s.bySecret(r.Context(), form.Get("client_id"), form.Get("client_secret"), form, authPost)
	case r.Header.Get("Authorization") != "":
		return nil, invalidClient("The Authorization header is not Basic with base64 of id and secret.")
	default:
		in, err = s.byCertificate(r, form)
	}
	if err != nil {
		return nil, err
	}
	return in, s.sameParty(r, in.client)
}

func (s *Server) bySecret(ctx context.Context, id, secret string, form url.Values, way string) (*login, error) {
	if way == authBasic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return nil, invalidClient("Client id and secret have to be form-urlencoded before they are joined.")
		}
	}
	if asked := form.Get("client_id"); asked != "" && asked != id {
		return nil, invalidRequest("client_id names another client than the Authorization header.")
	}
	c, err := s.store.client(ctx, "id", id)
	if err != nil {
		return nil, err
	}
	if c == nil || subtle.ConstantTimeCompare([]byte(c.secret), []byte(digest(secret))) != 1 {
		return nil, invalidClient("The client is not known or its secret is wrong.")
	}
	if c.AuthMethod != authPost && c.AuthMethod != way { // Basic is open to all clients with a secret (RFC 6749 section 2.3.1)
		return nil, invalidClient("The client is registered for %s.", c.AuthMethod)
	}
	return &login{client: c}, nil
}

// byCertificate is tls_client_auth by RFC 8705 section 2.1.
func (s *Server) byCertificate(r *http.Request, form url.Values) (*login, error) {
	id := form.Get("client_id")
	if id == "" {
		return nil, invalidClient("The request has no client authentication.")
	}
	c, err := s.store.client(r.Context(), "id", id)
	if err != nil {
		return nil, err
	}
	chain := peer(r)
	if c == nil || c.AuthMethod != authTLS || chain == nil || !c.namesCertificate(chain[0]) {
		return nil, invalidClient("The request has no client authentication that fits the client.")
	}
	return &login{client: c}, nil
}

// sameParty is P2P-TLS-21: who registered with a certificate comes back with it, or with another one of the same directory entry.
func (s *Server) sameParty(r *http.Request, c *Client) error {
	if c.Certificate == "" || s.o.PlainTokens {
		return nil
	}
	chain := peer(r)
	if thumbprint(chain) == c.Certificate {
		return nil
	}
	if chain == nil {
		return invalidClient("The client has registered with a certificate and has to present it here too (mutual TLS).")
	}
	id, err := s.identify(r.Context(), chain)
	if _, refused := errors.AsType[*Error](err); err != nil && !refused {
		return err
	}
	if err == nil && id.Entry != "" && id.Entry == c.Entry {
		return nil
	}
	return invalidClient("The client has registered with another certificate.")
}

// byAssertion is private_key_jwt (AUTH-07 to AUTH-09).
func (s *Server) byAssertion(r *http.Request, form url.Values) (*login, error) {
	if form.Get("client_assertion_type") != assertionType {
		return nil, invalidRequest("client_assertion_type has to be %s.", assertionType)
	}
	if !form.Has("client_assertion") {
		return nil, invalidRequest("client_assertion is missing.")
	}
	t, err := parseJWT(form.Get("client_assertion"))
	if err != nil {
		return nil, invalidClient("The client assertion %v.", err)
	}
	if t.Iss == "" {
		return nil, invalidClient("The client assertion has no iss.")
	}
	if id := form.Get("client_id"); id != "" && id != t.Iss {
		return nil, invalidClient("client_id is not the iss of the client assertion.")
	}
	c, err := s.store.client(r.Context(), "id", t.Iss)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, invalidClient("The iss of the client assertion is no registered client.")
	}
	if c.AuthMethod != authJWT {
		return nil, invalidClient("The client is registered for %s.", c.AuthMethod)
	}
	in := &login{client: c}
	if t.Sub != t.Iss {
		if t.Sub == "" || s.o.RefuseMemberSubject || !slices.ContainsFunc(ParseScopes(form.Get("scope")), forMember) {
			return nil, invalidClient("The sub of the client assertion is not the client.")
		}
		in.subject = t.Sub
	}
	if in.audience, in.audienceKind, err = s.checkAssertion(r, c, t); err != nil {
		if fault, ok := errors.AsType[assertionError](err); ok {
			return nil, invalidClient("The client assertion %v.", fault)
		}
		return nil, err
	}
	return in, t.udap(form)
}

// assertionError is the end of a sentence on an assertion.
type assertionError string

func (f assertionError) Error() string { return string(f) }

func faultf(format string, args ...any) error { return assertionError(fmt.Sprintf(format, args...)) }

// checkAssertion checks signature, times, audience and, last, that the assertion is used for the first time.
func (s *Server) checkAssertion(r *http.Request, c *Client, t *signed) (aud, kind string, err error) {
	if t.header.Kid == "" && len(t.header.X5C) == 0 {
		return "", "", faultf("has no kid")
	}
	if t.header.Jku != "" && t.header.Jku != c.JWKSURI {
		return "", "", faultf("has a jku that is not the registered jwks_uri")
	}
	if err := s.checkSignature(r.Context(), c, t); err != nil {
		return "", "", err
	}
	if err := t.checkTimes(s.o.Clock(), s.o.Leeway, assertionLife); err != nil {
		return "", "", faultf("%v", err)
	}
	if aud, kind = s.audienceOf(r, t.Aud); kind == "" {
		return "", "", faultf("has another aud than %s", s.base(r)+TokenPath)
	}
	if t.Jti == "" {
		return "", "", faultf("has no jti")
	}
	fresh, err := s.store.useJTI(r.Context(), c.ID, t.Jti, int64(*t.Exp)+1)
	if err != nil {
		return "", "", err
	}
	if !fresh {
		return "", "", faultf("was already used (jti)")
	}
	return aud, kind, nil
}

func (s *Server) checkSignature(ctx context.Context, c *Client, t *signed) error {
	known := false
	for _, renew := range []bool{false, true} {
		keys, err := s.clientKeys(ctx, &c.Metadata, renew)
		if err != nil {
			s.o.Logger.InfoContext(ctx, "key set of a client is not usable", "client_id", c.ID, "error", err)
			return faultf("cannot be verified: %v", err)
		}
		var ok bool
		if known, ok = t.verifiedBy(keys); ok {
			return nil
		}
		if c.JWKSURI == "" {
			break
		}
	}
	if !known {
		return faultf("has a kid and alg that no registered key has")
	}
	return faultf("has a signature that does not verify with the registered key")
}

func (s *Server) clientKeys(ctx context.Context, m *Metadata, renew bool) ([]key, error) {
	if m.JWKSURI != "" {
		return s.keys.get(ctx, m.JWKSURI, renew)
	}
	return parseKeys(m.JWKS)
}

// audienceOf finds the token URL among the audiences: ours, or one under which a proxy shows it. The contract accepts both and
// says which it got.
func (s *Server) audienceOf(r *http.Request, auds audience) (url, kind string) {
	own := s.base(r) + TokenPath
	if slices.Contains(auds, own) {
		return own, "direct"
	}
	if s.o.Audiences != nil {
		for _, a := range s.o.Audiences(r) {
			if slices.Contains(auds, a) {
				return a, "proxied"
			}
		}
	}
	return "", ""
}

// udap is what a token request by UDAP has besides (P2P-DCR-147); nil for others.
func (t *signed) udap(form url.Values) error {
	switch {
	case !form.Has("udap"):
		return nil
	case form.Get("udap") != "1":
		return invalidRequest("udap has to be 1, the version that is offered here.")
	case t.Iat == nil:
		return invalidClient("The client assertion has no iat.")
	case !t.hasB2B():
		return invalidGrant("The client assertion has no hl7-b2b extension with version, organization_id and purpose_of_use.")
	}
	return nil
}

// hasB2B checks the form of the B2B extension; what it says decides nothing here.
func (t *signed) hasB2B() bool {
	var c struct {
		Extensions map[string]struct {
			Version        string   `json:"version"`
			OrganizationID string   `json:"organization_id"`
			PurposeOfUse   []string `json:"purpose_of_use"`
		} `json:"extensions"`
	}
	if json.Unmarshal(t.payload, &c) != nil {
		return false
	}
	b := c.Extensions[b2bExtension]
	return b.Version == "1" && strings.Contains(b.OrganizationID, ":") && len(b.PurposeOfUse) > 0
}
