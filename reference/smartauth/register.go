package smartauth

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// registered is the answer of RFC 7591 section 3.2.1.
type registered struct {
	ClientID      string `json:"client_id"`
	IssuedAt      int64  `json:"client_id_issued_at"`
	Secret        string `json:"client_secret,omitempty"`
	SecretExpires *int64 `json:"client_secret_expires_at,omitempty"`
	Metadata
}

// serveRegister is the registration endpoint (P2P-DCR-*).
func (s *Server) serveRegister(w http.ResponseWriter, r *http.Request) error {
	chain := peer(r)
	who := thumbprint(chain)
	if who == "" {
		who = remoteHost(r)
	}
	if wait := s.rate.wait(who, s.o.Clock()); wait > 0 { // P2P-DCR-26
		e := refuse(http.StatusTooManyRequests, "temporarily_unavailable", "There were too many registrations; try again later.")
		e.RetryAfter = wait
		return e
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" { // P2P-DCR-20
		return invalidMetadata("The body has to be application/json.")
	}
	if e := s.initialToken(r); e != nil {
		return e
	}
	identity, err := s.identify(r.Context(), chain)
	if err != nil {
		return err
	}
	body, refused := readBody(r, maxMetadata)
	if refused != nil {
		return invalidMetadata("%s", refused)
	}
	c := &Client{Certificate: thumbprint(chain), Entry: identity.Entry, Organization: identity.Organization}
	udap, err := s.describe(r, body, chain, c)
	if err != nil {
		return err
	}
	if udap && len(c.GrantTypes) == 0 { // P2P-DCR-146: cancel
		return s.cancel(w, r, c)
	}
	if refused := c.normalize(s.allowed); refused != nil {
		return refused
	}
	if udap {
		c.ResponseTypes = nil // P2P-DCR-145
	}
	if e := subjectIsPresented(c, chain); e != nil {
		return e
	}
	secret, status, err := s.enroll(r.Context(), c)
	if err != nil {
		return err
	}
	answer := registered{ClientID: c.ID, IssuedAt: c.Created.Unix(), Secret: secret, Metadata: c.Metadata}
	if secret != "" {
		answer.SecretExpires = new(int64)
	}
	noStore(w)
	writeJSON(w, status, answer)
	return nil
}

// initialToken is RFC 7591 section 3 and P2P-DCR-123: a token that is presented has to be one of ours, and may be required.
func (s *Server) initialToken(r *http.Request) *Error {
	if len(s.o.InitialTokens) == 0 && !s.o.RequireInitialToken {
		return nil
	}
	e := refuse(http.StatusUnauthorized, "invalid_token", "The initial access token is not known.")
	e.Scheme = "Bearer"
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if !s.o.RequireInitialToken {
			return nil
		}
		e.Code, e.Description = "", "Registration needs an initial access token." // RFC 6750 section 3.1: no code where nothing was presented
		return e
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	known := false
	for _, t := range s.o.InitialTokens {
		known = subtle.ConstantTimeCompare([]byte(digest(t)), []byte(digest(token))) == 1 || known
	}
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || !known {
		return e
	}
	return nil
}

// Register enrols a client without HTTP, for demos and tests. The secret is "" for clients that use none.
func (s *Server) Register(ctx context.Context, m Metadata) (c Client, secret string, err error) {
	c.Metadata = m
	if e := c.normalize(s.allowed); e != nil {
		return Client{}, "", e
	}
	secret, _, err = s.enroll(ctx, &c)
	return c, secret, err
}

func (s *Server) identify(ctx context.Context, chain []*x509.Certificate) (Identity, error) {
	switch {
	case chain == nil && s.o.RequireTLS:
		return Identity{}, refuse(http.StatusUnauthorized, "access_denied", "Registration needs a client certificate (mutual TLS).")
	case chain == nil || s.o.Identify == nil:
		return Identity{}, nil
	}
	id, err := s.o.Identify(ctx, chain)
	if errors.Is(err, ErrNotListed) { // P2P-DCR-21
		return Identity{}, refuse(http.StatusForbidden, "access_denied", "The client certificate is not listed in the endpoint directory.")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("look up client certificate: %w", err)
	}
	return id, nil
}

// describe fills in c.Metadata from the body and its software statement, whose members win (P2P-DCR-111). It also sets the
// client's anchor, by which a second registration replaces the first (P2P-DCR-23, 146).
func (s *Server) describe(r *http.Request, body []byte, chain []*x509.Certificate, c *Client) (udap bool, err error) {
	m, e := parseMetadata(body)
	if e != nil {
		return false, e
	}
	var form struct {
		UDAP string `json:"udap"`
	}
	if json.Unmarshal(body, &form) != nil {
		return false, invalidMetadata("udap must be a string.")
	}
	c.Metadata = m
	switch {
	case form.UDAP != "":
		if m.SoftwareStatement == "" {
			return true, invalidStatement("A UDAP registration consists of a software statement.")
		}
		return true, s.describeUDAP(r, c)
	case m.SoftwareStatement != "":
		if err := s.describeByStatement(r, chain, c); err != nil {
			return false, err
		}
	}
	if c.SoftwareID != "" && c.Certificate != "" {
		identity := c.Entry
		if identity == "" {
			identity = c.Certificate
		}
		c.anchor = digest("certificate\x00" + identity + "\x00" + c.SoftwareID)
	}
	return false, nil
}

// enroll gives the client an id and, where it uses one, a secret.
func (s *Server) enroll(ctx context.Context, c *Client) (secret string, status int, err error) {
	id, err := s.random(16)
	if err != nil {
		return "", 0, err
	}
	c.ID, c.Created = "c-"+id, s.o.Clock().UTC()
	if c.AuthMethod == authBasic || c.AuthMethod == authPost {
		if secret, err = s.random(32); err != nil { // P2P-DCR-24: 256 bits
			return "", 0, err
		}
		c.secret = digest(secret)
	}
	fresh := c.ID
	if err := s.store.putClient(ctx, c); err != nil {
		return "", 0, err
	}
	if c.ID == fresh {
		return secret, http.StatusCreated, nil
	}
	s.generation.Add(1)
	return secret, http.StatusOK, nil
}

// cancel ends a UDAP registration.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request, c *Client) error {
	old, err := s.store.client(r.Context(), "anchor", c.anchor)
	if err != nil {
		return err
	}
	if old == nil {
		return invalidMetadata("There is no registration to cancel.")
	}
	if err := s.store.deleteClient(r.Context(), old.ID); err != nil {
		return err
	}
	s.generation.Add(1)
	noStore(w)
	writeJSON(w, http.StatusOK, map[string]any{"client_id": old.ID, "grant_types": []string{}})
	return nil
}

// subjectIsPresented: the subject that tls_client_auth names is that of the certificate in use (P2P-DCR-132).
func subjectIsPresented(c *Client, chain []*x509.Certificate) *Error {
	if c.AuthMethod != authTLS || chain == nil {
		return nil
	}
	if !c.namesCertificate(chain[0]) {
		return invalidMetadata("The tls_client_auth_… member names another subject than the certificate that was presented.")
	}
	return nil
}

// namesCertificate is RFC 8705 section 2.1: the one registered subject member matches the certificate.
func (m *Metadata) namesCertificate(c *x509.Certificate) bool {
	contains := func(want string, fold bool, all []string) bool {
		for _, have := range all {
			if have == want || fold && strings.EqualFold(have, want) {
				return true
			}
		}
		return false
	}
	switch {
	case m.SANURI != "":
		uris := make([]string, len(c.URIs))
		for i, u := range c.URIs {
			uris[i] = u.String()
		}
		return contains(m.SANURI, false, uris)
	case m.SANDNS != "":
		return contains(m.SANDNS, true, c.DNSNames)
	case m.SANIP != "":
		ips := make([]string, len(c.IPAddresses))
		for i, ip := range c.IPAddresses {
			ips[i] = ip.String()
		}
		return contains(m.SANIP, true, ips)
	case m.SANEmail != "":
		return contains(m.SANEmail, true, c.EmailAddresses)
	case m.SubjectDN != "":
		return plainDN(m.SubjectDN) == plainDN(c.Subject.String())
	default:
		return false
	}
}

// plainDN takes the blanks around the separators of a distinguished name away, and case.
func plainDN(s string) string {
	parts := strings.Split(s, ",")
	for i, p := range parts {
		k, v, _ := strings.Cut(p, "=")
		parts[i] = strings.TrimSpace(k) + "=" + strings.TrimSpace(v)
	}
	return strings.ToLower(strings.Join(parts, ","))
}

// readBody reads a body up to limit bytes; the error is a whole sentence.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, errors.New("The body could not be read.") //nolint:staticcheck // a sentence for error_description
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("The body is larger than %d bytes.", limit) //nolint:staticcheck // as above
	}
	return b, nil
}
