package upstream_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/upstream"
)

// renegotiating is an openssl server that asks for a client certificate once it has the request, which crypto/tls servers cannot.
func renegotiating(t *testing.T, ca *proxytest.CA) (url string) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	cert := ca.Server(t, "127.0.0.1")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := exec.CommandContext(t.Context(), openssl, "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-legacy_renegotiation", "-msg",
		"-cert", file("c.pem", "CERTIFICATE", cert.Certificate[0]), "-key", file("k.pem", "PRIVATE KEY", key), "-CAfile", file("ca.pem", "CERTIFICATE", ca.Cert.Raw))
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		handshakes := 0
		for lines.Scan() {
			line := lines.Text()
			switch {
			case strings.HasPrefix(line, "ACCEPT "):
				address <- strings.TrimPrefix(line, "ACCEPT ")
			case strings.HasPrefix(line, "GET "):
				_, _ = io.WriteString(in, "R\n") // renegotiate, and ask for a certificate
			case strings.HasPrefix(line, "<<< ") && strings.HasSuffix(line, " Finished"):
				if handshakes++; handshakes == 2 {
					_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n")
				}
			}
		}
	}()
	select {
	case a := <-address:
		return "https://" + a
	case <-time.After(time.Minute):
		t.Skip("this openssl does not say where it listens")
		return ""
	}
}

// TestRenegotiation: a server that asks for the certificate late gets it, and the record of the exchange shows it.
func TestRenegotiation(t *testing.T) {
	ca := proxytest.NewCA(t, "CA")
	store := &certificates{named: map[string]tls.Certificate{"acme": ca.Client(t, "acme")}}
	for _, name := range []string{"acme", ""} {
		t.Run("certificate "+name, func(t *testing.T) {
			url := renegotiating(t, ca)
			tr := upstream.New(upstream.Options{DialTimeout: unhurried, Roots: ca.Pool(), Certificates: store})
			defer tr.CloseIdleConnections()
			text, ex := call(t, tr, &proxy.Channel{ID: "1", Options: proxy.ChannelOptions{ClientCert: name}}, url)
			if name == "" {
				if f := ex.Failure; f == nil || f.Reason != proxy.ReasonUpstreamTLS || f.Side != "proxy" || !strings.Contains(f.Detail, "renegotiates") {
					t.Errorf("failure %+v", f)
				}
				return
			}
			leg := ex.ServerLeg.TLS
			if text != "{}\n" || ex.Failure != nil || !leg.Asked || len(leg.Client) != 1 || leg.Client[0].Subject != "CN=acme" {
				t.Errorf("%q, %+v, %+v", text, ex.Failure, leg)
			}
		})
	}
}
