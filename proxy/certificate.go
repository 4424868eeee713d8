package proxy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// CertificateOf is the description of c.
func CertificateOf(c *x509.Certificate) Certificate {
	sum := sha256.Sum256(c.Raw)
	out := Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Fingerprint: hex.EncodeToString(sum[:]), CA: c.IsCA,
	}
	out.Names = append(out.Names, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out.Names = append(out.Names, ip.String())
	}
	for _, u := range c.URIs {
		out.Names = append(out.Names, u.String())
	}
	return out
}

// MaxChain bounds how many certificates of a chain are described.
const MaxChain = 10

// Chain describes at most MaxChain certificates.
func Chain(certs []*x509.Certificate) []Certificate {
	if len(certs) > MaxChain {
		certs = certs[:MaxChain]
	}
	var out []Certificate
	for _, c := range certs {
		out = append(out, CertificateOf(c))
	}
	return out
}

// CertificatesFromPEM reads the certificates of a PEM text. Anything else in it, a private key above all, is an error.
func CertificatesFromPEM(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the PEM text has a %s block; give certificates only", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the PEM text: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no PEM certificate in it; it begins with -----BEGIN CERTIFICATE-----")
	}
	return out, nil
}
