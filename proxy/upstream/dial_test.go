package upstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/upstream"
)

// TestNever: what no setting makes reachable, in each spelling that a registered URL may have. Each refusal comes before a packet is
// sent, or the test would wait for an answer.
func TestNever(t *testing.T) {
	for at, want := range map[string]string{
		"169.254.169.254":               "link-local",
		"169.254.0.1":                   "link-local",
		"[::ffff:169.254.169.254]":      "link-local",
		"[::ffff:a9fe:a9fe]":            "link-local",
		"[::169.254.169.254]":           "link-local or multicast (169.254.169.254)",
		"[64:ff9b::a9fe:a9fe]":          "link-local or multicast (169.254.169.254)",
		"[2002:a9fe:a9fe::1]":           "link-local or multicast (169.254.169.254)",
		"[fe80::1]":                     "link-local",
		"[fe80::1%25lo]":                "link-local",
		"[ff02::1]":                     "multicast",
		"224.0.0.1":                     "multicast",
		"255.255.255.255":               "multicast",
		"[fd00:ec2::254]":               "metadata service",
		"[fd00:0ec2:0:0:0:0:0:254]":     "metadata service",
		"[fd00:ec2::254%25eth0]":        "metadata service",
		"[fd20:ce::254]":                "metadata service",
		"100.100.100.200":               "metadata service",
		"[::ffff:100.100.100.200]":      "metadata service",
		"[64:ff9b::6464:64c8]":          "metadata service",
		"192.0.0.192":                   "metadata service",
		"168.63.129.16":                 "metadata service",
		"[0:0:0:0:0:ffff:169.254.10.1]": "link-local",
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(scheme+" "+at, func(t *testing.T) {
				_, e := call(t, upstream.New(upstream.Options{}), &proxy.Channel{ID: "c"}, scheme+"://"+at+":80/latest/meta-data/")
				if e.Failure == nil || e.Failure.Reason != proxy.ReasonRefused || e.Failure.Side != "proxy" || !strings.Contains(e.Failure.Detail, want) {
					t.Errorf("%+v, want a refusal that says %q", e.Failure, want)
				}
			})
		}
	}
}

// TestOwnListener: by each spelling of an address that leads to it.
func TestOwnListener(t *testing.T) {
	var reached atomic.Int64
	own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer own.Close()
	_, port, _ := net.SplitHostPort(own.Listener.Addr().String())
	tr := upstream.New(upstream.Options{DialTimeout: unhurried, Own: []netip.AddrPort{own.Listener.Addr().(*net.TCPAddr).AddrPort()}})
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]"} {
		_, e := call(t, tr, &proxy.Channel{ID: "c"}, "http://"+host+":"+port+"/")
		if e.Failure == nil || e.Failure.Reason != proxy.ReasonRefused || !strings.Contains(e.Failure.Detail, "a listener of this proxy") {
			t.Errorf("%s: %+v", host, e.Failure)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests reached it", n)
	}
}

// TestRedirectsAreTheClients: a redirect is an answer; where it leads is the client's affair, and to the proxy a request like others.
func TestRedirectsAreTheClients(t *testing.T) {
	for _, to := range []string{"http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "file:///etc/passwd", "//[fd00:ec2::254]/"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		_, e := call(t, upstream.New(upstream.Options{DialTimeout: unhurried}), nil, s.URL)
		s.Close()
		if e.Failure != nil || e.Status() != http.StatusTemporaryRedirect || e.Response.Header.Get("Location") != to {
			t.Errorf("%s: %d %+v", to, e.Status(), e.Failure)
		}
	}
}

// chainOf is a certificate for 127.0.0.1 below n-1 others, the last of which issued itself. Each names a list of revoked certificates
// at crl.
func chainOf(t *testing.T, n int, crl string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var parent *x509.Certificate
	out := tls.Certificate{PrivateKey: key}
	for i := range n {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprint("CA ", i)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, CRLDistributionPoints: []string{crl}, OCSPServer: []string{crl},
		}
		if i == n-1 {
			c.IsCA, c.KeyUsage, c.IPAddresses = false, x509.KeyUsageDigitalSignature, []net.IP{net.IPv4(127, 0, 0, 1)}
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
		out.Certificate = append([][]byte{der}, out.Certificate...)
	}
	root, err := x509.ParseCertificate(out.Certificate[n-1])
	if err != nil {
		t.Fatal(err)
	}
	return out, root
}

// TestLongChain: a hundred certificates are taken or refused like three; the first ten are recorded. Nobody is asked whether one was revoked.
func TestLongChain(t *testing.T) {
	var asked atomic.Int64
	list := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer list.Close()
	for _, n := range []int{3, 100} {
		chain, root := chainOf(t, n, list.URL+"/expired.crl")
		s := newServer(t, true, chain, nil)
		pool := x509.NewCertPool()
		pool.AddCert(root)
		text, e := call(t, upstream.New(upstream.Options{DialTimeout: unhurried, Roots: pool}), nil, s.URL)
		if e.Failure != nil || text == "" || len(e.ServerLeg.TLS.Server) != min(n, proxy.MaxChain) {
			t.Errorf("%d certificates below a root: %+v %+v", n, e.Failure, e.ServerLeg)
		}
		_, e = call(t, upstream.New(upstream.Options{DialTimeout: unhurried, Roots: x509.NewCertPool()}), nil, s.URL)
		if e.Failure == nil || e.Failure.Reason != proxy.ReasonUpstreamTLS || e.Failure.Side != "server" || len(e.ServerLeg.TLS.Server) != min(n, proxy.MaxChain) {
			t.Errorf("%d certificates below nothing: %+v", n, e.Failure)
		}
	}
	if asked.Load() > 0 {
		t.Error("a revocation service was asked")
	}
}
