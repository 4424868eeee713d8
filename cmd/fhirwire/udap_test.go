package main

import (
	"crypto/x509"
	"testing"
	"time"

	"fhirwire/proxy/localca"
)

// TestUDAPSigner: a certificate is issued for the payer's own bases only, kept while it holds, and replaced before its end or when a base
// is new.
func TestUDAPSigner(t *testing.T) {
	now := time.Date(2026, 2, 17, 8, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	ca, err := localca.Open(t.TempDir(), localca.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	bases := []string{"http://127.0.0.1:8083/fhir"}
	s := &udapSigner{ca: ca, now: clock, bases: func() []string { return bases }}
	serial := func(base string) string {
		t.Helper()
		cert, err := s.certificate(base)
		if err != nil {
			t.Fatal(err)
		}
		if cert == nil {
			return ""
		}
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.ClientRoots(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Error(err)
		}
		return leaf.SerialNumber.String()
	}
	if got := serial("https://made-up.example/fhir"); got != "" {
		t.Error("a base that is made up has a certificate")
	}
	first := serial(bases[0])
	if first == "" || serial(bases[0]) != first {
		t.Error("it is not kept")
	}
	bases = append(bases, "https://payer.example:8443/fhir")
	second := serial(bases[1])
	if second == first || serial(bases[0]) != second {
		t.Error("a new base has no place in it, or the old one lost its own")
	}
	now = now.AddDate(0, 11, 10)
	if serial(bases[0]) == second {
		t.Error("it ends soon and is not replaced")
	}
}
