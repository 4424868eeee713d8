package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificateFaults: what clients will say of a certificate of one's own is said first.
func TestCertificateFaults(t *testing.T) {
	now, ca, other := time.Now(), newAuthority(t), newAuthority(t)
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		chain  []*x509.Certificate
		want   string // "" for nothing
	}{
		{"good", func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) }, []*x509.Certificate{ca.cert}, ""},
		{"short-lived", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now, now.AddDate(0, 0, 7) }, []*x509.Certificate{ca.cert}, ""},
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, []*x509.Certificate{ca.cert}, "it expired on "},
		{"not yet", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(time.Hour), now.AddDate(1, 0, 0) }, []*x509.Certificate{ca.cert}, "it is not valid before "},
		{"at its end", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.AddDate(-1, 0, 0), now.AddDate(0, 0, 10) }, []*x509.Certificate{ca.cert}, "it ends on "},
		{"for clients", func(c *x509.Certificate) {
			c.NotAfter, c.ExtKeyUsage = now.AddDate(1, 0, 0), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, []*x509.Certificate{ca.cert}, "lacks serverAuth"},
		{"no names", func(c *x509.Certificate) {
			c.NotAfter, c.DNSNames, c.IPAddresses = now.AddDate(1, 0, 0), nil, nil
		}, []*x509.Certificate{ca.cert}, "no subject alternative name"},
		{"alone", func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) }, nil, "has no certificate of its issuer"},
		{"another's chain", func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) }, []*x509.Certificate{other.cert}, "certificate 2 of the file has not issued"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ca.issue("payer.example", func(c *x509.Certificate) {
				c.DNSNames, c.ExtKeyUsage = []string{"payer.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
				c.NotBefore = now.AddDate(0, 0, -1)
				tt.change(c)
			})
			for _, up := range tt.chain {
				c.Certificate = append(c.Certificate, up.Raw)
			}
			got := strings.Join(certificateFaults(&c, now), "; ")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOwnCertificateIsShown: it is on the Certificates page and in the log with what is wrong with it.
func TestOwnCertificateIsShown(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	c := ca.issue("payer.example", func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{"payer.example"}, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	cert, key := writeCertificate(t, dir, c)
	s := startServe(t, filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key, "--log-level", "info")
	if !strings.Contains(s.out.String(), "clients will not accept the TLS listener's certificate, or soon will not") {
		t.Errorf("the log says nothing: %s", s.out.String())
	}
	if _, page, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/certificates", "", "", "Accept", "text/html"); !strings.Contains(page, "TLS listener, from --tls-cert") || !strings.Contains(page, "it expired on ") {
		t.Error("the Certificates page does not show it")
	}
}

// writeCertificate puts a certificate and its key in files.
func writeCertificate(t *testing.T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "own.pem"), filepath.Join(dir, "own.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
