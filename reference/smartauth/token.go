package smartauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// AudienceHeader on a token response says which token URL the assertion named: "direct URL" or "proxied URL".
const AudienceHeader = "X-Fhirwire-Token-Audience"

// tokenAnswer is RFC 6749 section 5.1; there is never a refresh token (C-09, AUTH-11).
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
	Patient     string `json:"patient,omitempty"`
}

// accessClaims are those of RFC 9068, so that a checker can read what the token is good for (P2P-TOK-08).
type accessClaims struct {
	Iss          string        `json:"iss"`
	Sub          string        `json:"sub"`
	Aud          string        `json:"aud"`
	ClientID     string        `json:"client_id"`
	Scope        string        `json:"scope"`
	Iat          int64         `json:"iat"`
	Exp          int64         `json:"exp"`
	Jti          string        `json:"jti"`
	Patient      string        `json:"patient,omitempty"`
	Confirmation *confirmation `json:"cnf,omitempty"`
	AssertionAud string        `json:"client_assertion_aud,omitempty"`
	AudienceKind string        `json:"client_assertion_aud_kind,omitempty"`
}

type confirmation struct {
	Thumbprint string `json:"x5t#S256"` // P2P-TLS-08
}

// serveToken is the token endpoint (P2P-TOK-*).
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(r)
	if err != nil {
		return err
	}
	grantType := form.Get("grant_type")
	switch grantType {
	case "":
		return invalidRequest("grant_type is missing.")
	case grantClientCredentials, grantJWTBearer:
	default:
		return refuse(http.StatusBadRequest, "unsupported_grant_type", "The grant type %q is not offered here.", grantType)
	}
	in, err := s.authenticate(r, form)
	if err != nil {
		return err
	}
	if !slices.Contains(in.client.GrantTypes, grantType) {
		return refuse(http.StatusBadRequest, "unauthorized_client", "The client is not registered for the grant type %s.", grantType)
	}
	member, err := s.memberGrant(r, form, in)
	if err != nil {
		return err
	}
	scopes, err := grantScopes(form.Get("scope"), in.client, member != nil)
	if err != nil {
		return err
	}
	answer, err := s.issue(r, in, scopes, member)
	if err != nil {
		return err
	}
	if in.audience != "" {
		w.Header().Set(AudienceHeader, in.audienceKind+" "+in.audience)
	}
	noStore(w)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// grantScopes is what of the asked scopes the client may have (P2P-TOK-03, 116). patient/ scopes are for member tokens and
// nothing else is (P2P-TOK-01, 21).
func grantScopes(asked string, c *Client, member bool) (Scopes, error) {
	if asked == "" {
		return nil, invalidScope("scope is missing.")
	}
	got := ParseScopes(asked).within(ParseScopes(c.Scope))
	if len(got) == 0 {
		return nil, invalidScope("Nothing of %q is granted to this client; it is registered for %q.", asked, c.Scope)
	}
	fitting := got.of(func(s Scope) bool { return forMember(s) == member })
	switch {
	case len(fitting) > 0:
		return fitting, nil
	case member:
		return nil, invalidScope("A token for one member has patient/ scopes only.")
	default:
		return nil, invalidScope("patient/ scopes need a member: name it in an assertion (grant type %s) or in the form member patient.", grantJWTBearer)
	}
}

// memberGrant finds the member that is asked for in one of the three forms of P2P-TOK-20; nil when none is.
func (s *Server) memberGrant(r *http.Request, form url.Values, in *login) (*memberRow, error) {
	who := ""
	switch {
	case form.Get("grant_type") == grantJWTBearer: // F1
		if in.subject != "" {
			return nil, invalidClient("The sub of the client assertion is not the client; with this grant type the member goes into assertion.")
		}
		sub, err := s.memberAssertion(r, form, in)
		if err != nil {
			return nil, err
		}
		who = sub
	case form.Has("assertion"):
		return nil, invalidRequest("assertion goes with the grant type %s.", grantJWTBearer)
	case in.subject != "": // F2
		who = in.subject
	case form.Has("patient"): // F3
		who = form.Get("patient")
	default:
		return nil, nil
	}
	m, err := s.store.member(r.Context(), in.client.ID, who)
	if err != nil {
		return nil, err
	}
	now := s.o.Clock().Unix()
	if m == nil || m.Withdrawn != 0 || now < m.Starts || m.Ends > 0 && now >= m.Ends { // P2P-TOK-113, one text: nothing leaks
		return nil, invalidGrant("There is no active consent for this member and client.")
	}
	return m, nil
}

// memberAssertion checks the assertion of form F1 and gives its sub.
func (s *Server) memberAssertion(r *http.Request, form url.Values, in *login) (string, error) {
	if !form.Has("assertion") {
		return "", invalidRequest("assertion is missing.")
	}
	t, err := parseJWT(form.Get("assertion"))
	switch {
	case err != nil:
		return "", invalidGrant("The assertion %v.", err)
	case t.Iss != in.client.ID:
		return "", invalidGrant("The iss of the assertion is not the client.")
	case t.Sub == "" || t.Sub == t.Iss:
		return "", invalidGrant("The sub of the assertion names no member.")
	}
	aud, kind, err := s.checkAssertion(r, in.client, t)
	if fault, ok := errors.AsType[assertionError](err); ok {
		return "", invalidGrant("The assertion %v.", fault)
	}
	if err != nil {
		return "", err
	}
	if in.audience == "" {
		in.audience, in.audienceKind = aud, kind
	}
	return t.Sub, nil
}

// issue makes an access token and notes it.
func (s *Server) issue(r *http.Request, in *login, scopes Scopes, member *memberRow) (tokenAnswer, error) {
	now := s.o.Clock()
	expires := now.Add(s.o.TokenLife).Unix()
	jti, err := s.random(16)
	if err != nil {
		return tokenAnswer{}, err
	}
	c := accessClaims{
		Iss: s.base(r) + Prefix, Sub: in.client.ID, Aud: s.base(r) + s.o.FHIRPath, ClientID: in.client.ID, Scope: scopes.String(),
		Iat: now.Unix(), Jti: jti, AssertionAud: in.audience, AudienceKind: in.audienceKind,
	}
	if member != nil {
		c.Patient = member.Patient
		if member.Ends > 0 {
			expires = min(expires, member.Ends)
		}
	}
	c.Exp = expires
	bound := thumbprint(peer(r))
	if bound != "" { // P2P-TLS-05
		c.Confirmation = &confirmation{bound}
	}
	token, err := sign(s.signer, c)
	if err != nil {
		return tokenAnswer{}, err
	}
	err = s.store.putToken(r.Context(), tokenRow{
		Hash: digest(token), Client: in.client.ID, Scope: c.Scope, Patient: c.Patient, Certificate: bound, Audience: in.audience, Issued: c.Iat, Expires: c.Exp,
	})
	if err != nil {
		return tokenAnswer{}, err
	}
	s.purge(r.Context(), now)
	return tokenAnswer{AccessToken: token, TokenType: "bearer", ExpiresIn: c.Exp - c.Iat, Scope: c.Scope, Patient: c.Patient}, nil
}

func sign(signer jose.Signer, claims any) (string, error) {
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	jws, err := signer.Sign(raw)
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	return out, nil
}

const (
	purgeEvery = time.Minute
	// keepExpired is how long an expired token is known, so that its user hears that it expired.
	keepExpired = 24 * time.Hour
)

// purge forgets what is over, at most once a minute. A failure is for the operator: the token is good.
func (s *Server) purge(ctx context.Context, now time.Time) {
	last := s.purged.Load()
	if now.Unix()-last < int64(purgeEvery/time.Second) || !s.purged.CompareAndSwap(last, now.Unix()) {
		return
	}
	if err := s.store.purge(ctx, now.Unix(), now.Add(-keepExpired).Unix()); err != nil {
		s.o.Logger.WarnContext(ctx, "expired tokens were not deleted", "error", err)
	}
}

// Match is a member that $member-match has found for a client; tokens for that member rest on it.
type Match struct {
	Client     string // client_id
	Patient    string // Patient id
	Identifier string // value of the MemberIdentifier that was returned
	// Start and End are the consent's period; zero is open.
	Start, End time.Time
	// Sensitive is whether the consent covers sensitive data.
	Sensitive bool
}

// RecordMatch notes a match and the consent that came with it; a newer one for the same member replaces it (P2P-TOK-19).
func (s *Server) RecordMatch(ctx context.Context, m Match) error {
	row := memberRow{Client: m.Client, Patient: m.Patient, Identifier: m.Identifier, Matched: s.o.Clock().Unix()}
	if !m.Start.IsZero() {
		row.Starts = m.Start.Unix()
	}
	if !m.End.IsZero() {
		row.Ends = m.End.Unix()
	}
	if m.Sensitive {
		row.Sensitive = 1
	}
	err := s.store.putMember(ctx, row)
	s.generation.Add(1) // remembered grants know the former consent
	return err
}

// MatchedSince reports whether the client has matched this member since t (P2P-TOK-125).
func (s *Server) MatchedSince(ctx context.Context, client, patient string, t time.Time) (bool, error) {
	m, err := s.store.member(ctx, client, patient)
	return m != nil && m.Patient == patient && m.Withdrawn == 0 && m.Matched >= t.Unix(), err
}

// Withdraw ends the consent of a member for one client, or for all with client "", and revokes the tokens that rest on it.
func (s *Server) Withdraw(ctx context.Context, client, patient string) error {
	err := s.store.withdraw(ctx, client, patient)
	s.generation.Add(1)
	return err
}
