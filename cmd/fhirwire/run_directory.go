package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fhirwire/proxy"
	entries "fhirwire/reference/directory"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
	"fhirwire/testplans"
	"fhirwire/validators/directory"
)

// runnerPayer is the payer that the runner plays: its certificate names the URI, and plans ask in its name for members' data.
const (
	runnerHost    = "harborlight.example"
	runnerURI     = "https://harborlight.example/fhir"
	runnerSupport = "https://harborlight.example"
	runnerNPI     = "1245319599"
	runnerName    = "Harborlight Mutual"
	payerSupport  = "https://www.cedarmesa.example"
)

// publish fills the endpoint directory of a run: an entry for the reference payer and one for the runner, each with the certificates that
// it would connect with as server and as client.
func (s *ownServer) publish(origin string, server, runner *tls.Certificate, now time.Time) error {
	s.listed = &directoryPeers{dir: filepath.Join(s.dir, "directory"), now: func() time.Time { return now }}
	if err := os.MkdirAll(s.listed.dir, 0o700); err != nil {
		return err
	}
	for _, p := range []entries.Payer{
		{
			ID: "cedarmesa", NPI: synth.PayerNPI, Name: synth.PayerName, Support: payerSupport, Operator: "fhirwire", Address: origin, FHIRBase: origin + "/fhir",
			Registration: origin + smartauth.RegisterPath, Certificates: []*tls.Certificate{server, s.identity}, Signer: s.identity,
		},
		{ID: "harborlight", NPI: runnerNPI, Name: runnerName, Support: runnerSupport, Operator: "fhirwire", Address: runnerURI, Certificates: []*tls.Certificate{s.client, runner}, Signer: s.client},
	} {
		src, err := entries.Publish(p, now)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.listed.dir, p.ID+".json"), src, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// identify admits whom the directory of the run lists.
func (s *ownServer) identify(ctx context.Context, chain []*x509.Certificate) (smartauth.Identity, error) {
	hit, err := s.listed.hit(ctx, chain)
	if err != nil {
		return smartauth.Identity{}, err
	}
	if hit.Outcome != directory.Found {
		return smartauth.Identity{}, smartauth.ErrNotListed
	}
	return smartauth.Identity{Entry: hit.Entry.File, Organization: hit.Entry.Plan.NPI()}, nil
}

// directoryVariable is the name of the input by which a plan asks for the endpoint directory.
const directoryVariable = "directory"

// inputs adds what is known of the reference payer of this run to what a person gave. s may be nil, for another server.
func (s *ownServer) inputs(plan *testplans.Plan, given map[string]string) map[string]string {
	asks := plan.Play != nil && slices.ContainsFunc(plan.Play.Inputs, func(in testplans.Input) bool { return in.Name == directoryVariable })
	if s == nil || s.listed == nil || !asks || given[directoryVariable] != "" {
		return given
	}
	out := maps.Clone(given)
	out[directoryVariable] = s.directory
	return out
}

// accepted is the client's leg of an exchange with the reference payer of this run, which is in this process: on what it accepted the
// client's certificate is known, where with another server it is not.
func (s *ownServer) accepted(ctx context.Context, server *proxy.Leg) *proxy.Leg {
	if s.listed == nil || server == nil || server.TLS == nil {
		return nil
	}
	t := *server.TLS
	t.Trust, t.Detail = proxy.TrustNone, ""
	if len(t.Client) > 0 {
		chain := s.chainOf(t.Client[0].Fingerprint)
		if chain == nil {
			return nil // a person's own certificate: what the listener made of it was not noted
		}
		entry, err := s.listed.Entry(ctx, chain)
		t.Trust, t.Detail = proxy.TrustDirectory, entry
		if err != nil {
			t.Trust, t.Detail = proxy.TrustRefused, err.Error()
		}
	}
	return &proxy.Leg{TLS: &t}
}

// chainOf is that of the run's certificate with a fingerprint; nil for others.
func (s *ownServer) chainOf(fingerprint string) []*x509.Certificate {
	for _, cert := range []*tls.Certificate{s.client, s.stranger} {
		if chain, err := parseChain(cert); err == nil && proxy.CertificateOf(chain[0]).Fingerprint == fingerprint {
			return chain
		}
	}
	return nil
}

func parseChain(cert *tls.Certificate) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, len(cert.Certificate))
	for i, der := range cert.Certificate {
		var err error
		if out[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return out, nil
}
