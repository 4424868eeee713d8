package smartauth

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// describeByStatement checks a software statement of RFC 7591 and lays its claims over the metadata.
func (s *Server) describeByStatement(r *http.Request, peerChain []*x509.Certificate, c *Client) error {
	st, err := parseJWT(c.SoftwareStatement)
	if err != nil {
		return invalidStatement("The software statement %v.", err)
	}
	if st.Iss == "" {
		return invalidStatement("The software statement has no iss.")
	}
	if err := st.checkTimes(s.o.Clock(), s.o.Leeway, 0); err != nil {
		return invalidStatement("The software statement %v.", err)
	}
	if here := s.base(r) + RegisterPath; len(st.Aud) > 0 && !slices.Contains(st.Aud, here) {
		return invalidStatement("The aud of the software statement is not %s.", here)
	}
	if e := overlay(st, &c.Metadata); e != nil {
		return e
	}
	return s.trust(r, st, peerChain, &c.Metadata)
}

// overlay reads the claims as metadata. The statement itself stays as sent.
func overlay(st *signed, m *Metadata) *Error {
	sent := m.SoftwareStatement
	e := readMetadata(st.payload, m)
	m.SoftwareStatement = sent
	if e != nil {
		return invalidStatement("In the software statement: %s", e.Description)
	}
	return nil
}

// trust finds whose signature it is: a CA's on the trust list, a listed issuer's, that of the certificate in use, or, without a
// trust list, the client's own. P2P-DCR-133 for a bad signature, 134 for a good one of a stranger.
func (s *Server) trust(r *http.Request, st *signed, peerChain []*x509.Certificate, m *Metadata) error {
	listed := s.o.StatementRoots != nil || len(s.issuers) > 0
	bad := invalidStatement("The signature of the software statement does not verify.")
	if len(st.header.X5C) > 0 {
		_, err := s.trustChain(st)
		return err
	}
	if keys, ok := s.issuers[st.Iss]; ok {
		if _, ok := st.verifiedBy(keys); !ok {
			return bad
		}
		return nil
	}
	if len(peerChain) > 0 {
		if _, err := st.jws.Verify(peerChain[0].PublicKey); err == nil {
			return nil
		}
	}
	if listed {
		return unapprovedStatement("The issuer of the software statement is not on the trust list.")
	}
	if m.JWKS == nil && m.JWKSURI == "" {
		return unapprovedStatement("There is no key to verify the software statement with: it has no x5c, its issuer is not known and it names no jwks or jwks_uri.")
	}
	if e := m.checkMethod(); e != nil { // before a URL is fetched
		return e
	}
	keys, err := s.clientKeys(r.Context(), m, true)
	if err != nil {
		return invalidStatement("The software statement cannot be verified: %v.", err)
	}
	if _, ok := st.verifiedBy(keys); !ok {
		return bad
	}
	return nil
}

// trustChain checks a statement by its x5c.
func (s *Server) trustChain(st *signed) (*x509.Certificate, error) {
	chain, err := st.chain()
	if err != nil {
		return nil, invalidStatement("The software statement %v.", err)
	}
	if len(chain) == 0 {
		return nil, invalidStatement("The software statement has no x5c.")
	}
	if _, err := st.jws.Verify(chain[0].PublicKey); err != nil {
		return nil, invalidStatement("The software statement does not verify with the first certificate of x5c.")
	}
	if s.o.StatementRoots == nil {
		if len(s.issuers) > 0 {
			return nil, unapprovedStatement("The issuer of the software statement is not on the trust list.")
		}
		return chain[0], nil
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots: s.o.StatementRoots, Intermediates: between, CurrentTime: s.o.Clock(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, unapprovedStatement("The certificate of the software statement does not chain to the trust list.")
	}
	return chain[0], nil
}

const udapLife = 5 * time.Minute

// describeUDAP checks a registration as the FAST Security guide has it (P2P-DCR-142 to 146): all of the metadata is in the
// statement, and the certificate in it is the client's identity and key.
func (s *Server) describeUDAP(r *http.Request, c *Client) error {
	st, err := parseJWT(c.SoftwareStatement)
	if err != nil {
		return invalidStatement("The software statement %v.", err)
	}
	now, here := s.o.Clock(), s.base(r)+RegisterPath
	leaf, err := s.trustChain(st)
	if err != nil {
		return err
	}
	uris := make([]string, len(leaf.URIs))
	for i, u := range leaf.URIs {
		uris[i] = u.String()
	}
	c.Metadata = Metadata{SoftwareStatement: c.SoftwareStatement}
	if e := overlay(st, &c.Metadata); e != nil {
		return e
	}
	switch err := st.checkTimes(now, s.o.Leeway, udapLife); {
	case err != nil:
		return invalidStatement("The software statement %v.", err)
	case st.Iat == nil || *st.Exp > *st.Iat+udapLife.Seconds():
		return invalidStatement("The software statement needs an iat, at most 5 minutes before exp.")
	case st.Iss == "" || st.Iss != st.Sub || !slices.Contains(uris, st.Iss):
		return invalidStatement("iss and sub have to be one URI that the certificate has as a subject alternative name.")
	case !slices.Contains(st.Aud, here):
		return invalidStatement("The aud of the software statement is not %s.", here)
	case st.Jti == "":
		return invalidStatement("The software statement has no jti.")
	}
	if e := checkUDAPMetadata(&c.Metadata); e != nil {
		return e
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: leaf.PublicKey, KeyID: thumbprint([]*x509.Certificate{leaf}), Use: "sig"}}})
	if err != nil {
		return invalidStatement("The key of the certificate is of a kind that is not served here.")
	}
	fresh, err := s.store.useJTI(r.Context(), "udap\x00"+st.Iss, st.Jti, int64(*st.Exp))
	if err != nil {
		return err
	}
	if !fresh {
		return invalidStatement("The jti of the software statement was already used.")
	}
	c.JWKS, c.JWKSURI = set, ""
	c.anchor = digest("udap\x00" + st.Iss)
	return nil
}

func checkUDAPMetadata(m *Metadata) *Error {
	if len(m.GrantTypes) == 0 {
		return nil // a cancellation
	}
	switch {
	case len(m.GrantTypes) != 1 || m.GrantTypes[0] != grantClientCredentials:
		return invalidMetadata("grant_types has to be client_credentials alone; authorization_code is not offered here.")
	case len(m.RedirectURIs) > 0 || m.ResponseTypes != nil:
		return invalidMetadata("redirect_uris and response_types do not go with client_credentials.")
	case m.ClientName == "" || m.Scope == "" || m.AuthMethod != authJWT:
		return invalidMetadata("client_name, scope and token_endpoint_auth_method (private_key_jwt) are required.")
	case !slices.ContainsFunc(m.Contacts, func(s string) bool { return strings.HasPrefix(s, "mailto:") }):
		return invalidMetadata("contacts needs a mailto: URI.")
	}
	return nil
}
