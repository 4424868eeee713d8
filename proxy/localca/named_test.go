package localca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestClientCertificates(t *testing.T) {
	a, c := open(t)
	first, err := a.IssueClient(ClientRequest{Name: "acme-app", Organization: "Acme", DNSNames: []string{"app.acme.example"}, URIs: []string{"https://acme.example/client"}})
	if err != nil {
		t.Fatal(err)
	}
	if first.Kind != KindClient || len(first.Chain) != 2 || first.Chain[0].Subject != "CN=acme-app,O=Acme" ||
		!slices.Equal(first.Chain[0].Names, []string{"app.acme.example", "https://acme.example/client"}) || len(first.Warnings) > 0 {
		t.Errorf("entry: %+v", first)
	}
	cert := must(a.TLS("acme-app"))
	certs := parse(t, cert)
	if err := verify(a, "", x509.ExtKeyUsageClientAuth, certs); err != nil {
		t.Error(err)
	}
	if err := verify(a, "app.acme.example", x509.ExtKeyUsageServerAuth, certs); err == nil {
		t.Error("a client certificate serves as a server's")
	}
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: a.ClientRoots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("without its intermediate: %v", err)
	}
	if must(a.TLS("acme-app")) != cert {
		t.Error("TLS is not cached")
	}

	// The same name again: another process reads the new one, the old one is kept.
	other, err := Load(a.dir, Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.IssueClient(ClientRequest{Name: "acme-app", Valid: 20 * day})
	if err != nil {
		t.Fatal(err)
	}
	if now := must(a.TLS("acme-app")); now == cert || now.Leaf.URIs[0].String() != "urn:fhirwire:acme-app" {
		t.Errorf("after rotation: %v", now.Leaf.URIs)
	}
	entries := a.Entries()
	if len(entries) != 2 || entries[0].Chain[0].Fingerprint != first.Chain[0].Fingerprint || entries[0].Name != "acme-app.1" || !entries[0].Replaced ||
		entries[1].Chain[0].Fingerprint != second.Chain[0].Fingerprint || entries[1].Replaced {
		t.Errorf("entries: %+v", entries)
	}
	if third, err := a.IssueClient(ClientRequest{Name: "acme-app", Valid: 20 * day}); err != nil || len(a.Entries()) != 3 || third.Name != "acme-app" {
		t.Errorf("third: %+v %v", third, err)
	}

	c.add(7 * day)
	if w := warnings(a, "acme-app"); !strings.Contains(w, "expires soon") {
		t.Errorf("13 days before the end: %q", w)
	}
	c.add(14 * day)
	if w := warnings(a, "acme-app"); !strings.Contains(w, "expired on") {
		t.Errorf("after the end: %q", w)
	}
}

func warnings(a *Authority, name string) string {
	for _, e := range a.Entries() {
		if e.Name == name {
			return strings.Join(e.Warnings, "\n")
		}
	}
	return "no such entry"
}

func TestClientRequestsRefused(t *testing.T) {
	a, _ := open(t)
	for _, c := range []struct {
		r    ClientRequest
		want string
	}{
		{ClientRequest{Name: "../evil"}, "lower-case letters"},
		{ClientRequest{Name: ""}, "lower-case letters"},
		{ClientRequest{Name: "a", URIs: []string{"acme"}}, "no absolute URI"},
		{ClientRequest{Name: "a", DNSNames: []string{"not a name"}}, "no host name"},
		{ClientRequest{Name: "a", Valid: 1000 * day}, "825 days"},
		{ClientRequest{Name: "a", Valid: -day}, "825 days"},
	} {
		if _, err := a.IssueClient(c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
	for _, name := range []string{"", "nobody", "../root", ".", "named/x"} {
		if _, err := a.TLS(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("TLS(%q): %v", name, err)
		}
		if _, _, _, err := a.Export(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Export(%q): %v", name, err)
		}
	}
}

func TestServerCertificates(t *testing.T) {
	a, _ := open(t, "registered.example")
	for _, host := range []string{"partner.example", "::1"} {
		e, err := a.IssueServer(host, 0)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != KindServer || e.Name != host {
			t.Errorf("entry: %+v", e)
		}
		certs := parse(t, must(a.TLS(host)))
		if err := verify(a, host, x509.ExtKeyUsageServerAuth, certs); err != nil {
			t.Error(err)
		}
		if out, err := openssl(t, a, host, certs); err != nil {
			t.Errorf("openssl: %s", out)
		}
	}
	var names []string
	for _, e := range a.Entries() {
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"::1", "partner.example"}) {
		t.Errorf("names: %q", names)
	}
	if !slices.Equal(a.Hosts(), []string{"registered.example"}) {
		t.Errorf("hosts: %q", a.Hosts())
	}
	if _, err := a.IssueServer("*.example", 0); err == nil {
		t.Error("a wildcard is issued")
	}
}

func TestImportAndExport(t *testing.T) {
	a, _ := open(t)
	b, _ := open(t)
	if _, err := b.IssueClient(ClientRequest{Name: "partner"}); err != nil {
		t.Fatal(err)
	}
	cert, chain, key, err := b.Export("partner")
	if err != nil {
		t.Fatal(err)
	}
	e, err := a.Import("theirs", slices.Concat(cert, chain), key)
	if err != nil || e.Kind != KindImported || len(e.Chain) != 2 {
		t.Fatalf("%+v %v", e, err)
	}
	if got := must(a.TLS("theirs")); len(got.Certificate) != 2 {
		t.Errorf("%d certificates", len(got.Certificate))
	}
	if c2, ch2, k2, err := a.Export("theirs"); err != nil || !bytes.Equal(c2, cert) || !bytes.Equal(ch2, chain) || !bytes.Equal(k2, key) {
		t.Errorf("what was imported comes out otherwise: %v", err)
	}
	if _, err := a.IssueClient(ClientRequest{Name: "own"}); err != nil {
		t.Fatal(err)
	}
	_, _, other, err := a.Export("own")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Import("mixed", cert, other); err == nil {
		t.Error("a certificate with another's key is imported")
	}
}

// TestHandshake is both halves of the authority in one connection.
func TestHandshake(t *testing.T) {
	a, _ := open(t, "127.0.0.1")
	if _, err := a.IssueClient(ClientRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.VerifiedChains[0][0].Subject.CommonName)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.ClientRoots(), Certificates: []tls.Certificate{*must(a.Leaf("127.0.0.1"))}}
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(a.Root())
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*must(a.TLS("acme"))}}}}
	defer client.CloseIdleConnections()
	res, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "acme" {
		t.Errorf("%q %v", body, err)
	}
}
