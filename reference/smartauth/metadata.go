package smartauth

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Grant types.
const (
	grantClientCredentials = "client_credentials"
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// Ways of client authentication at the token endpoint.
const (
	authBasic   = "client_secret_basic"
	authPost    = "client_secret_post"
	authJWT     = "private_key_jwt"
	authTLS     = "tls_client_auth"
	maxMetadata = 64 << 10
)

// Metadata describes a client as RFC 7591 section 2 does. Members it does not have are ignored, as that section asks.
type Metadata struct {
	RedirectURIs    []string        `json:"redirect_uris,omitempty"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   *[]string       `json:"response_types,omitempty"`
	ClientName      string          `json:"client_name,omitempty"`
	ClientURI       string          `json:"client_uri,omitempty"`
	LogoURI         string          `json:"logo_uri,omitempty"`
	Scope           string          `json:"scope"`
	Contacts        []string        `json:"contacts,omitempty"`
	TOSURI          string          `json:"tos_uri,omitempty"`
	PolicyURI       string          `json:"policy_uri,omitempty"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	SoftwareID      string          `json:"software_id,omitempty"`
	SoftwareVersion string          `json:"software_version,omitempty"`

	// RFC 8705 section 2.1.2 and 3.4.
	SubjectDN   string `json:"tls_client_auth_subject_dn,omitempty"`
	SANDNS      string `json:"tls_client_auth_san_dns,omitempty"`
	SANURI      string `json:"tls_client_auth_san_uri,omitempty"`
	SANIP       string `json:"tls_client_auth_san_ip,omitempty"`
	SANEmail    string `json:"tls_client_auth_san_email,omitempty"`
	BoundTokens bool   `json:"tls_client_certificate_bound_access_tokens,omitempty"`

	// SoftwareStatement is kept as sent (RFC 7591 section 3.2.1).
	SoftwareStatement string `json:"software_statement,omitempty"`
}

// parseMetadata reads a registration body. Any fault of form is invalid_client_metadata.
func parseMetadata(body []byte) (Metadata, *Error) {
	var m Metadata
	if e := readMetadata(body, &m); e != nil {
		return Metadata{}, e
	}
	return m, nil
}

// readMetadata lays the members of a JSON object over m: those of a software statement take precedence over plain ones.
func readMetadata(body []byte, m *Metadata) *Error {
	if trimmed := strings.TrimLeft(string(body), " \t\r\n"); !strings.HasPrefix(trimmed, "{") {
		return invalidMetadata("The body is no JSON object.")
	}
	if err := json.Unmarshal(body, m); err != nil {
		if te, ok := asTypeError(err); ok {
			return invalidMetadata("%s must not be a %s.", te.Field, te.Value)
		}
		return invalidMetadata("The body is no valid JSON.")
	}
	if string(m.JWKS) == "null" {
		m.JWKS = nil
	}
	return nil
}

// normalize checks the metadata and fills defaults in; what it leaves is what the client gets. allowed bounds the scopes.
func (m *Metadata) normalize(allowed Scopes) *Error {
	for _, check := range []func() *Error{m.checkRedirects, m.checkGrants, m.checkMethod} {
		if e := check(); e != nil {
			return e
		}
	}
	if m.Scope == "" { // P2P-DCR-22
		m.Scope = MemberMatch
	}
	got := ParseScopes(m.Scope).offered(allowed)
	if len(got) == 0 {
		return invalidMetadata("No scope that was asked for is offered here; scopes_supported of the SMART configuration lists them.")
	}
	m.Scope = got.String()
	return nil
}

// checkRedirects is P2P-DCR-131.
func (m *Metadata) checkRedirects() *Error {
	for _, r := range m.RedirectURIs {
		u, err := url.Parse(r)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" || strings.HasSuffix(r, "#") {
			return invalidRedirect("%q is not an absolute https URL without fragment.", r)
		}
	}
	if len(m.RedirectURIs) == 0 && slices.Contains(m.GrantTypes, "authorization_code") {
		return invalidRedirect("authorization_code is asked for without redirect_uris.")
	}
	return nil
}

// checkGrants is P2P-DCR-102 and 103.
func (m *Metadata) checkGrants() *Error {
	if len(m.GrantTypes) == 0 {
		return invalidMetadata("grant_types is missing and so means authorization_code, which is not offered here; send %q.", grantClientCredentials)
	}
	for _, g := range m.GrantTypes {
		if g != grantClientCredentials && g != grantJWTBearer {
			return invalidMetadata("The grant type %q is not offered here; %s and %s are.", g, grantClientCredentials, grantJWTBearer)
		}
	}
	if m.ResponseTypes != nil && len(*m.ResponseTypes) > 0 {
		return invalidMetadata("response_types does not fit the grant types; send an empty list.")
	}
	m.ResponseTypes = &[]string{}
	return nil
}

// checkMethod is P2P-DCR-105, 106, 112 and 132.
func (m *Metadata) checkMethod() *Error {
	if m.AuthMethod == "" {
		m.AuthMethod = authBasic // the default of RFC 7591
	}
	if m.JWKS != nil && m.JWKSURI != "" {
		return invalidMetadata("jwks and jwks_uri are mutually exclusive.")
	}
	if m.JWKSURI != "" {
		if err := keyURL(m.JWKSURI); err != nil {
			return invalidMetadata("%v.", err)
		}
	}
	if m.JWKS != nil {
		if _, err := parseKeys(m.JWKS); err != nil {
			return invalidMetadata("jwks: %v.", err)
		}
	}
	subjects := 0
	for _, s := range []string{m.SubjectDN, m.SANDNS, m.SANURI, m.SANIP, m.SANEmail} {
		if s != "" {
			subjects++
		}
	}
	switch m.AuthMethod {
	case authBasic, authPost:
	case authJWT:
		if m.JWKS == nil && m.JWKSURI == "" {
			return invalidMetadata("private_key_jwt needs jwks_uri or jwks.")
		}
	case authTLS:
		if subjects != 1 {
			return invalidMetadata("tls_client_auth needs exactly one of the tls_client_auth_… members, preferably tls_client_auth_san_uri; there are %d.", subjects)
		}
	default:
		return invalidMetadata("The token_endpoint_auth_method %q is not offered here; %s are.", m.AuthMethod, strings.Join(authMethods, ", "))
	}
	if slices.Contains(m.GrantTypes, grantJWTBearer) && m.JWKS == nil && m.JWKSURI == "" {
		return invalidMetadata("The grant type %s needs jwks_uri or jwks.", grantJWTBearer)
	}
	return nil
}

var authMethods = []string{authJWT, authBasic, authPost, authTLS}
