package selfcheck

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"fhirwire/proxy"
)

// rawServer answers each connection with text once it was asked something.
func rawServer(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	return "http://" + ln.Addr().String() + "/fhir"
}

// TestWhoHasToAct: what is wrong is said in words, and to those who can change it.
func TestWhoHasToAct(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leaf := ca.leaf(t, &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, DNSNames: []string{"localhost"}})
	secure := func(change func(*tls.Config)) *proxy.Channel {
		config := &tls.Config{Certificates: []tls.Certificate{*leaf}} //nolint:gosec // old versions are what is tried
		change(config)
		return &proxy.Channel{Name: "acme~payer", ServerURL: serve(t, payer(), config), Server: proxy.SystemOptions{CA: ca.pem()}}
	}

	got := check(t, secure(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), Options{})
	expect(t, got, "server-tls", proxy.ProbeProblem, "server", "speaks no TLS 1.2 or later. Switch TLS 1.2 or 1.3 on.")

	got = check(t, secure(func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
	}), Options{})
	expect(t, got, "server-tls", proxy.ProbeProblem, "server", "old cipher suites")

	got = check(t, secure(func(c *tls.Config) { c.MinVersion, c.ClientAuth = tls.VersionTLS13, tls.RequireAnyClientCert }), Options{})
	expect(t, got, "server-mtls", proxy.ProbeWarning, "proxy", "asks for a client certificate")
	expect(t, got, "server-metadata", proxy.ProbeProblem, "proxy", "choose one in the channel's settings")
	expect(t, got, "server-discovery", proxy.ProbeProblem, "proxy", "choose one in the channel's settings")

	without := secure(func(c *tls.Config) { c.MinVersion, c.ClientAuth = tls.VersionTLS13, tls.RequireAnyClientCert })
	without.Name = "" // as the command line looks at a server
	got = check(t, without, Options{})
	expect(t, got, "server-mtls", proxy.ProbeWarning, "proxy", "none was given to present. Name the client's test certificate with --client-cert and --client-key")
	expect(t, got, "server-metadata", proxy.ProbeProblem, "proxy", "name one with --client-cert")
	without.Server.CA = ""
	got = check(t, without, Options{})
	expect(t, got, "server-tls", proxy.ProbeProblem, "server", "with --ca.")
	for id, p := range got {
		if strings.Contains(p.Text+p.Action, "channel") || strings.Contains(p.Text+p.Action, "settings") {
			t.Errorf("%s: there is no channel: %s %s", id, p.Text, p.Action)
		}
	}

	got = check(t, &proxy.Channel{ServerURL: rawServer(t, "SSH-2.0-OpenSSH_9\r\n")}, Options{})
	expect(t, got, "server-metadata", proxy.ProbeProblem, "server", "does not speak HTTP")
	expect(t, got, "server-discovery", proxy.ProbeProblem, "server", "Ask whether the server is well")

	got = check(t, &proxy.Channel{ServerURL: rawServer(t, "")}, Options{})
	expect(t, got, "server-metadata", proxy.ProbeProblem, "server", "closed the connection without an answer")

	mux := payer()
	mux.HandleFunc("GET /fhir/.well-known/udap", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no JSON") })
	got = check(t, &proxy.Channel{ServerURL: serve(t, mux, nil)}, Options{})
	expect(t, got, "server-discovery", proxy.ProbeProblem, "server", "Correct the document")
}
