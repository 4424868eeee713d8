package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// plainAddresses are those of the listeners that speak no TLS at once.
func (s *served) plainAddresses() map[string]string {
	s.t.Helper()
	out := map[string]string{"dashboard": s.dashboard, "proxy": s.proxy, "reference": s.reference}
	for line := range strings.Lines(s.out.String()) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "forward" {
			out["forward"] = f[1]
		}
	}
	if len(out) != 4 {
		s.t.Fatalf("listeners: %v", out)
	}
	for name, u := range out {
		out[name] = strings.TrimPrefix(u, "http://")
	}
	return out
}

// ends reads until the other side hangs up, and fails when it does not.
func ends(t *testing.T, what string, conn net.Conn) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	got, err := io.ReadAll(conn)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Errorf("%s: still open after a minute; so far %q", what, got)
	}
	return string(got)
}

// TestSlowAndLarge: a connection on which a request does not arrive is closed on each of the five listeners, and so is one with a
// header beyond measure.
func TestSlowAndLarge(t *testing.T) {
	s := startServe(t, t.TempDir())
	dial := func(addr string) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	inTLS := func() net.Conn {
		return tls.Client(dial(strings.TrimPrefix(s.at, "https://")), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // not about certificates
	}
	conns := map[string]func() net.Conn{"TLS": inTLS}
	for name, addr := range s.plainAddresses() {
		conns[name] = func() net.Conn { return dial(addr) }
	}
	var all sync.WaitGroup
	for name, connect := range conns {
		all.Go(func() {
			c := connect()
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			ends(t, name+", half a request", c)
		})
		all.Go(func() {
			c := connect()
			_, _ = io.WriteString(c, "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("X-Large: "+strings.Repeat("a", 1000)+"\r\n", 400)+"\r\n") // it need not read all
			if got := ends(t, name+", a large header", c); got != "" && !strings.Contains(got, " 431 ") {
				t.Errorf("%s: a header of 400 KiB is answered with %.100q", name, got)
			}
		})
	}
	for what, first := range map[string]string{"no handshake": "", "half a handshake": "\x16\x03\x01\x02\x00\x01\x00"} {
		all.Go(func() {
			c := dial(strings.TrimPrefix(s.at, "https://"))
			_, _ = io.WriteString(c, first)
			ends(t, "TLS, "+what, c)
		})
	}
	all.Wait()
	for name, addr := range s.plainAddresses() {
		if c := dial(addr); c == nil {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestManyCertificatesOfAClient: a chain of a hundred that leads nowhere is no more than one that is not accepted.
func TestManyCertificatesOfAClient(t *testing.T) {
	s := startServe(t, t.TempDir())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var parent *x509.Certificate
	chain := tls.Certificate{PrivateKey: key}
	for i := range 100 {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: i < 99, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			CRLDistributionPoints: []string{s.dashboard + "/list.crl"},
		}
		if parent == nil {
			parent = c
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		chain.Certificate = append([][]byte{der}, chain.Certificate...)
	}
	for _, http2 := range []bool{false, true} {
		status, body, _ := s.do(s.client(http2, chain), http.MethodGet, s.at+"/fhir/Patient", "", "")
		if status != http.StatusForbidden || !strings.Contains(body, "not accepted") {
			t.Errorf("%d %s", status, body)
		}
	}
}

// TestAnotherNameThanTheHandshakes: the request's host says which channel is meant, whatever name the handshake had; both HTTP versions
// agree, and neither name opens what the other does not.
func TestAnotherNameThanTheHandshakes(t *testing.T) {
	s := startServe(t, t.TempDir())
	for _, http2 := range []bool{false, true} {
		c := s.client(http2)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at+"/fhir/metadata", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "nobody~nowhere.localhost"
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound || !strings.Contains(string(text), "No channel has this URL") {
			t.Errorf("%d %s", res.StatusCode, text)
		}
	}
}
