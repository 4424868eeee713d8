package smartauth

import (
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// Endpoints are the server's URLs as a client of this request sees them: what the capability statement's oauth-uris extension
// (P2P-DSC-02, AUTH-20) and the SMART configuration name.
type Endpoints struct {
	Issuer, Token, Register, Introspect, Revoke, JWKS string
}

// Endpoints gives the URLs.
func (s *Server) Endpoints(r *http.Request) Endpoints {
	base := s.base(r)
	return Endpoints{
		Issuer: base + Prefix, Token: base + TokenPath, Register: base + RegisterPath, Introspect: base + IntrospectPath,
		Revoke: base + RevokePath, JWKS: base + JWKSPath,
	}
}

// Configuration is the SMART configuration (P2P-DSC-101 to 112, AUTH-02, AUTH-03).
type Configuration struct {
	Issuer         string   `json:"issuer"`
	JWKS           string   `json:"jwks_uri"`
	Token          string   `json:"token_endpoint"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	GrantTypes     []string `json:"grant_types_supported"`
	Registration   string   `json:"registration_endpoint"`
	Introspection  string   `json:"introspection_endpoint"`
	Revocation     string   `json:"revocation_endpoint"`
	Scopes         []string `json:"scopes_supported"`
	CodeMethods    []string `json:"code_challenge_methods_supported"`
	Capabilities   []string `json:"capabilities"`
	BoundTokens    bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// Configuration gives the document for a request.
func (s *Server) Configuration(r *http.Request) Configuration {
	at := s.Endpoints(r)
	c := Configuration{
		Issuer: at.Issuer, JWKS: at.JWKS, Token: at.Token, Registration: at.Register, Introspection: at.Introspect, Revocation: at.Revoke,
		AuthMethods: authMethods, GrantTypes: []string{grantClientCredentials, grantJWTBearer}, Scopes: s.o.Scopes,
		// SMART wants S256 named even where there is no code flow.
		CodeMethods:  []string{"S256"},
		Capabilities: []string{"client-confidential-asymmetric", "client-confidential-symmetric", "permission-v1", "permission-v2"},
		BoundTokens:  r.TLS != nil,
	}
	for _, a := range algorithms {
		c.AuthAlgorithms = append(c.AuthAlgorithms, string(a))
	}
	return c
}

func (s *Server) serveDiscovery(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "max-age=60")
	writeJSON(w, http.StatusOK, s.Configuration(r))
	return nil
}

func (s *Server) serveJWKS(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "max-age=300")
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.public}})
	return nil
}

// introspection is RFC 7662 section 2.2.
type introspection struct {
	Active       bool          `json:"active"`
	Scope        string        `json:"scope,omitempty"`
	ClientID     string        `json:"client_id,omitempty"`
	Sub          string        `json:"sub,omitempty"`
	TokenType    string        `json:"token_type,omitempty"`
	Iat          int64         `json:"iat,omitempty"`
	Exp          int64         `json:"exp,omitempty"`
	Patient      string        `json:"patient,omitempty"`
	Confirmation *confirmation `json:"cnf,omitempty"`
}

// ownToken is the token that the form names when it belongs to the client that asks; nil otherwise.
func (s *Server) ownToken(r *http.Request) (*tokenRow, error) {
	form, err := readForm(r)
	if err != nil {
		return nil, err
	}
	if !form.Has("token") {
		return nil, invalidRequest("token is missing.")
	}
	in, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	t, err := s.store.token(r.Context(), digest(form.Get("token")))
	if err != nil || t == nil || t.Client != in.client.ID {
		return nil, err
	}
	return t, nil
}

// serveIntrospect answers clients about their own tokens; a stranger's is inactive like one that never was.
func (s *Server) serveIntrospect(w http.ResponseWriter, r *http.Request) error {
	t, err := s.ownToken(r)
	if err != nil {
		return err
	}
	var out introspection
	if t != nil && t.Revoked == 0 && s.o.Clock().Unix() < t.Expires {
		out = introspection{
			Active: true, Scope: t.Scope, ClientID: t.Client, Sub: t.Client, TokenType: "bearer", Iat: t.Issued, Exp: t.Expires, Patient: t.Patient,
		}
		if t.Certificate != "" {
			out.Confirmation = &confirmation{t.Certificate}
		}
	}
	noStore(w)
	writeJSON(w, http.StatusOK, out)
	return nil
}

// serveRevoke is RFC 7009: 200 also for a token that is not the client's to revoke.
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request) error {
	t, err := s.ownToken(r)
	if err != nil {
		return err
	}
	if t != nil {
		if err := s.store.revoke(r.Context(), "hash", t.Hash); err != nil {
			return err
		}
		s.generation.Add(1)
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}
