package smartauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// UDAPWellKnown is the path of the UDAP configuration, below the FHIR base and at the root (P2P-DCR-141).
const UDAPWellKnown = "/.well-known/udap"

// signedMetadataLife is how long the signed part of the UDAP configuration holds; the guide allows a year.
const signedMetadataLife = 24 * time.Hour

// UDAPConfiguration is the UDAP configuration: what a client registers by that has a certificate of the community.
type UDAPConfiguration struct {
	Versions               []string `json:"udap_versions_supported"`
	Profiles               []string `json:"udap_profiles_supported"`
	Extensions             []string `json:"udap_authorization_extensions_supported"`
	RequiredExtensions     []string `json:"udap_authorization_extensions_required"`
	Certifications         []string `json:"udap_certifications_supported"`
	GrantTypes             []string `json:"grant_types_supported"`
	Scopes                 []string `json:"scopes_supported"`
	Token                  string   `json:"token_endpoint"`
	AuthMethods            []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Registration           string   `json:"registration_endpoint"`
	RegistrationAlgorithms []string `json:"registration_endpoint_jwt_signing_alg_values_supported"`
	// SignedMetadata repeats the endpoints in a JWT by the server's certificate, which is in its x5c.
	SignedMetadata string `json:"signed_metadata"`
}

// signedMetadata are the claims of SignedMetadata. iss and sub are the FHIR base, a URI of the certificate.
type signedMetadata struct {
	Iss          string `json:"iss"`
	Sub          string `json:"sub"`
	Iat          int64  `json:"iat"`
	Exp          int64  `json:"exp"`
	Jti          string `json:"jti"`
	Token        string `json:"token_endpoint"`
	Registration string `json:"registration_endpoint"`
}

const b2bExtension = "hl7-b2b"

// serveUDAP is the UDAP configuration, signed for the FHIR base by which the request came.
func (s *Server) serveUDAP(w http.ResponseWriter, r *http.Request) error {
	base := s.base(r) + s.o.FHIRPath
	cert, err := s.o.UDAP(base)
	if err != nil {
		return fmt.Errorf("certificate for UDAP: %w", err)
	}
	if cert == nil {
		return refuse(http.StatusNotFound, "invalid_request", "UDAP is not offered under this URL.")
	}
	at := s.Endpoints(r)
	c := UDAPConfiguration{
		Versions: []string{"1"}, Profiles: []string{"udap_dcr", "udap_authn", "udap_authz"},
		Extensions: []string{b2bExtension}, RequiredExtensions: []string{b2bExtension}, Certifications: []string{},
		GrantTypes: []string{grantClientCredentials}, Scopes: s.o.Scopes, Token: at.Token, Registration: at.Register, AuthMethods: []string{authJWT},
	}
	for _, a := range algorithms {
		c.AuthAlgorithms = append(c.AuthAlgorithms, string(a))
	}
	c.RegistrationAlgorithms = c.AuthAlgorithms
	jti, err := s.random(16)
	if err != nil {
		return err
	}
	now := s.o.Clock()
	c.SignedMetadata, err = signByCertificate(cert, base, signedMetadata{
		Iss: base, Sub: base, Iat: now.Unix(), Exp: now.Add(signedMetadataLife).Unix(), Jti: jti, Token: c.Token, Registration: c.Registration,
	})
	if err != nil {
		return fmt.Errorf("sign the UDAP configuration: %w", err)
	}
	w.Header().Set("Cache-Control", "max-age=60")
	writeJSON(w, http.StatusOK, c)
	return nil
}

// signByCertificate makes a JWT with the certificate's chain in x5c. A certificate that has not the issuer as a URI would be refused
// by whoever checks it, so it is refused here.
func signByCertificate(cert *tls.Certificate, issuer string, claims any) (string, error) {
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return "", err
		}
	}
	if !slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == issuer }) {
		return "", fmt.Errorf("the certificate of %s does not name %s", leaf.Subject, issuer)
	}
	alg, err := algorithmOf(cert.PrivateKey)
	if err != nil {
		return "", err
	}
	chain := make([]string, len(cert.Certificate))
	for i, der := range cert.Certificate {
		chain[i] = base64.StdEncoding.EncodeToString(der)
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5c", chain)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: cert.PrivateKey}, options)
	if err != nil {
		return "", err
	}
	return sign(signer, claims)
}

// algorithmOf is how a key signs here.
func algorithmOf(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		}
	case *rsa.PrivateKey:
		return jose.RS384, nil
	}
	return "", errors.New("the certificate's key is neither RSA nor P-256 nor P-384")
}
