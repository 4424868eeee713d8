package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/api"
)

// A certificate of one's own is presented as it is: clients say what is wrong with it in many ways, so it is said here first.

// lastDays is how long before its end a certificate should have been renewed, unless it lives too short for that.
const lastDays = 14 * 24 * time.Hour

// certificateFaults says why clients will not accept a server's certificate, or soon will not.
func certificateFaults(c *tls.Certificate, now time.Time) []string {
	var out []string
	leaf := c.Leaf
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		out = append(out, "it expired on "+at(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		out = append(out, "it is not valid before "+at(leaf.NotBefore))
	case left < min(lastDays, leaf.NotAfter.Sub(leaf.NotBefore)/6):
		out = append(out, "it ends on "+at(leaf.NotAfter))
	}
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		out = append(out, "it is not for servers: its extended key usage lacks serverAuth")
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		out = append(out, "it has no subject alternative name, which is where clients look for the server's name")
	}
	below := leaf
	for i, raw := range c.Certificate[1:] {
		above, err := x509.ParseCertificate(raw)
		if err != nil || below.CheckSignatureFrom(above) != nil {
			out = append(out, fmt.Sprintf("certificate %d of the file has not issued the one before it, so clients find no way to a root", i+2))
			break
		}
		below = above
	}
	if len(c.Certificate) == 1 && !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		out = append(out, "the file has no certificate of its issuer "+leaf.Issuer.String()+": unless that is a root which clients trust, put it in behind")
	}
	return out
}

// warn logs what is wrong with the certificate. f.mu is held, or f is not shared yet.
func (f *certificateFile) warn(ctx context.Context) {
	for _, fault := range certificateFaults(f.loaded, f.now()) {
		f.logger.WarnContext(ctx, "clients will not accept the TLS listener's certificate, or soon will not", "file", f.cert, "fault", fault)
	}
}

// list is for the Certificates page.
func (f *certificateFile) list() []api.StoredCertificate {
	c := f.current()
	e := api.StoredCertificate{Name: c.Leaf.Subject.CommonName, Kind: "file", Expires: c.Leaf.NotAfter, Warnings: certificateFaults(c, f.now())}
	for _, raw := range c.Certificate {
		if one, err := x509.ParseCertificate(raw); err == nil {
			e.Chain = append(e.Chain, proxy.CertificateOf(one))
		}
	}
	if e.Name == "" {
		e.Name = strings.Join(c.Leaf.DNSNames[:min(1, len(c.Leaf.DNSNames))], "")
	}
	return []api.StoredCertificate{e}
}
