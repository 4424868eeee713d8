package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/url"
	"slices"
	"sync"
	"time"

	"fhirwire/proxy/localca"
	"fhirwire/reference/fhirapi"
)

const (
	// udapCertificate is the name, in the local CA, of the certificate by which the reference payer signs its UDAP configuration.
	udapCertificate = "reference-udap"
	// udapLeft is how long that certificate has to hold still; below, another one is issued.
	udapLeft = 30 * 24 * time.Hour
)

// udapSigner gives the reference payer's certificate for UDAP, issued by the local CA when it is first asked for.
type udapSigner struct {
	ca *localca.Authority
	// bases are the FHIR bases by which the payer is reached; for others, which a request may make up, nothing is issued.
	bases func() []string
	now   func() time.Time

	mu sync.Mutex // one issues at a time
}

// certificate is nil for a base that is none of the payer's.
func (s *udapSigner) certificate(base string) (*tls.Certificate, error) {
	bases := s.bases()
	if !slices.Contains(bases, base) {
		return nil, nil //nolint:nilnil // there is none, and that is no failure
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have, err := s.ca.TLS(udapCertificate)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if have != nil {
		leaf, err := x509.ParseCertificate(have.Certificate[0])
		if err != nil {
			return nil, err
		}
		if leaf.NotAfter.Sub(s.now()) > udapLeft && slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == base }) {
			return have, nil
		}
	}
	if _, err := s.ca.IssueClient(localca.ClientRequest{Name: udapCertificate, Organization: "fhirwire reference payer", URIs: bases}); err != nil {
		return nil, err
	}
	return s.ca.TLS(udapCertificate)
}

// udap is the signer of this program's reference payer.
func (a *app) udap() *udapSigner {
	return &udapSigner{ca: a.ca, now: a.p.now, bases: func() []string {
		var out []string
		for _, origin := range append([]string{a.reference.url()}, a.tlsOrigins()...) {
			out = append(out, origin+fhirapi.Prefix)
		}
		return out
	}}
}
