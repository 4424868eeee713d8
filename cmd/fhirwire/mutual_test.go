package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
)

// TestMutualTLS holds the reference server on the TLS listener against every kind of client certificate (P2P-TLS-10, 32; P2P-DCR-21).
func TestMutualTLS(t *testing.T) {
	data, event := t.TempDir(), newAuthority(t)
	caFile := filepath.Join(data, "event.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: event.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := newAuthority(t)
	listed := elsewhere.issue("listed", nil)
	listEntry(t, data, "listed", "1000008429", elsewhere, listed)
	certs := map[string][]tls.Certificate{
		"none": nil, "listed": {listed}, "known": {event.issue("known", nil)}, "unknown": {newAuthority(t).issue("unknown", nil)},
		"expired":  {event.issue("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })},
		"server's": {event.issue("servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
	}
	type answer struct {
		status int
		code   string // error code, or that of the OperationOutcome
		says   string
	}
	running := map[string]*served{}
	for _, mode := range []string{"off", "optional", "required"} {
		own := t.TempDir() // a data folder has one serve
		if err := os.CopyFS(own, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
		running[mode] = startServe(t, own, "--reference-mtls", mode, "--client-ca", caFile)
	}
	for _, c := range []struct {
		mode, cert            string
		register, token, data answer
	}{
		{"off", "none", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"off", "unknown", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"optional", "none", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"optional", "listed", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"optional", "known", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"optional", "unknown", answer{403, "access_denied", "none of|neither"}, answer{401, "invalid_client", "neither"}, answer{403, "forbidden", "neither"}},
		{"optional", "expired", answer{403, "access_denied", "expired on"}, answer{401, "invalid_client", "expired on"}, answer{403, "forbidden", "expired on"}},
		{"required", "none", answer{401, "access_denied", "none was presented"}, answer{401, "invalid_client", "none was presented"}, answer{401, "login", "none was presented"}},
		{"required", "listed", answer{201, "", "client_id"}, answer{401, "invalid_client", ""}, answer{200, "", "Bundle"}},
		{"required", "known", answer{403, "access_denied", "not listed"}, answer{401, "invalid_client", "not listed"}, answer{403, "forbidden", "not listed"}},
		{"required", "unknown", answer{403, "access_denied", "neither"}, answer{401, "invalid_client", "neither"}, answer{403, "forbidden", "neither"}},
		{"required", "expired", answer{403, "access_denied", "expired on"}, answer{401, "invalid_client", "expired on"}, answer{403, "forbidden", "expired on"}},
		{"required", "server's", answer{403, "access_denied", "clientAuth"}, answer{401, "invalid_client", "clientAuth"}, answer{403, "forbidden", "clientAuth"}},
	} {
		t.Run(c.mode+"/"+c.cert, func(t *testing.T) {
			s := *running[c.mode]
			s.t = t
			client := s.client(true, certs[c.cert]...)
			check := func(what string, want answer, status int, body string) {
				t.Helper()
				if status != want.status || want.code != "" && !strings.Contains(body, `"`+want.code+`"`) || !regexp.MustCompile(want.says).MatchString(body) {
					t.Errorf("%s: %d %s\nwant %+v", what, status, body, want)
				}
			}
			status, body, _ := s.do(client, http.MethodPost, s.at+"/oauth/register", "application/json", registration)
			check("register", c.register, status, body)
			status, body, _ = s.do(client, http.MethodPost, s.at+"/oauth/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=nobody&client_secret=x&scope=system/*.rs")
			check("token", c.token, status, body)
			status, body, res := s.do(client, http.MethodGet, s.at+"/fhir/Patient?_count=1", "", "")
			check("data", c.data, status, body)
			if status == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
			if status, _, _ := s.do(client, http.MethodGet, s.at+"/fhir/.well-known/smart-configuration", "", ""); status != http.StatusOK {
				t.Errorf("discovery: %d", status)
			}
			if status, _, _ := s.do(client, http.MethodGet, s.at+"/fhir/metadata", "", ""); status != http.StatusOK {
				t.Errorf("metadata: %d", status)
			}
			if c.cert == "unknown" && c.mode != "off" {
				status, body, _ := s.do(client, http.MethodGet, s.at+"/fhir/Patient", "", "", "Authorization", "Bearer x")
				check("with a token", answer{401, "", "neither"}, status, body)
			}
		})
	}
}

// TestBoundTokens is RFC 8705 through the TLS listener: what is registered and issued over one certificate is no good with another
// (P2P-TLS-08, 21).
func TestBoundTokens(t *testing.T) {
	data, ca := t.TempDir(), newAuthority(t)
	mine, other := ca.issue("mine", nil), ca.issue("other", nil)
	listEntry(t, data, "mine", "1000008429", ca, mine)
	listEntry(t, data, "other", "1000009534", ca, other)
	s := startServe(t, data, "--reference-mtls", "required", "--reference-auth", "required")
	status, body, _ := s.do(s.client(true, mine), http.MethodPost, s.at+"/oauth/register", "application/json", registration)
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &client); err != nil || status != http.StatusCreated || client.ID == "" {
		t.Fatalf("register: %d %s", status, body)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client.ID}, "client_secret": {client.Secret}, "scope": {"system/*.rs"}}.Encode()
	token := func(cert tls.Certificate) (int, string) {
		status, body, _ := s.do(s.client(true, cert), http.MethodPost, s.at+"/oauth/token", "application/x-www-form-urlencoded", form)
		return status, body
	}
	if status, body := token(other); status != http.StatusUnauthorized || !strings.Contains(body, "invalid_client") {
		t.Errorf("token with another's certificate: %d %s", status, body)
	}
	status, body = token(mine)
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &granted); err != nil || status != http.StatusOK {
		t.Fatalf("token: %d %s", status, body)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(granted.Token, ".")[1])
	if err != nil || !strings.Contains(string(claims), `"x5t#S256"`) || !strings.Contains(string(claims), s.at) {
		t.Errorf("claims: %s %v", claims, err)
	}
	for _, c := range []struct {
		name   string
		target string
		client *http.Client
		want   int
	}{
		{"its own", s.at, s.client(false, mine), http.StatusOK},
		{"another's", s.at, s.client(false, other), http.StatusUnauthorized},
		{"none, in clear", s.reference, http.DefaultClient, http.StatusUnauthorized},
	} {
		status, body, res := s.do(c.client, http.MethodGet, c.target+"/fhir/Patient?_count=1", "", "", "Authorization", "Bearer "+granted.Token)
		if status != c.want || status == http.StatusUnauthorized && !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %d %s %s", c.name, status, res.Header.Get("WWW-Authenticate"), body)
		}
	}
}

// TestManyMutualClients: 200 clients with a certificate each, at once, through a channel.
func TestManyMutualClients(t *testing.T) {
	if testing.Short() {
		t.Skip("200 handshakes")
	}
	s := startServe(t, t.TempDir())
	s.channel("acme-app", "plain", s.reference+"/fhir")
	ca, err := localca.Open(caDir(s.data), localca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var certs [200]tls.Certificate
	for i := range certs {
		name := fmt.Sprintf("client-%d", i)
		if _, err := ca.IssueClient(localca.ClientRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		c, err := ca.TLS(name)
		if err != nil {
			t.Fatal(err)
		}
		certs[i] = *c
	}
	ask := func(c *http.Client, i int) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at+"/acme-app~plain/fhir/.well-known/smart-configuration?client="+fmt.Sprint(i), nil)
		if err != nil {
			return err
		}
		res, err := c.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("client %d: %d", i, res.StatusCode)
		}
		return err
	}
	// The listener gives a handshake ten seconds and HTTP/2's first frame two, which 200 at once may not have on a busy machine, nor a single
	// one always: they connect a few at a time and try again. After that all ask at once.
	var clients [200]*http.Client
	var connecting errgroup.Group
	connecting.SetLimit(10)
	for i, cert := range certs {
		clients[i] = s.client(i%2 == 0, cert)
		clients[i].Timeout = 0
		connecting.Go(func() (err error) {
			for range 20 {
				if err = ask(clients[i], i); err == nil {
					break
				}
			}
			return err
		})
	}
	if err := connecting.Wait(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for range 3 {
				if err := ask(c, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestMutualTLSOnBothLegs: a client with its certificate in front, the channel's certificate towards the server, which wants one that
// is listed. What is registered and issued is bound to the channel's. No key leaves the CA's folder.
func TestMutualTLSOnBothLegs(t *testing.T) {
	data, ca := t.TempDir(), newAuthority(t)
	listed := ca.issue("listed", nil)
	listEntry(t, data, "listed", "1000008429", ca, listed)
	s := startServe(t, data, "--reference-mtls", "required", "--reference-auth", "required")
	own, err := localca.Open(caDir(data), localca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(listed.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if _, err := own.Import("listed", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listed.Certificate[0]}), keyPEM); err != nil {
		t.Fatal(err)
	}
	if _, err := own.IssueClient(localca.ClientRequest{Name: "acme-app"}); err != nil {
		t.Fatal(err)
	}
	front, err := own.TLS("acme-app")
	if err != nil {
		t.Fatal(err)
	}
	s.channel("acme-app", "with", s.at+"/fhir", `{"client_cert":"listed","require_client_cert":true}`)
	s.channel("other-app", "without", s.at+"/fhir", `{}`)

	c := s.client(true, *front)
	base := s.at + "/acme-app~with"
	status, body, _ := s.do(c, http.MethodPost, base+"/oauth/register", "application/json", registration)
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &client); err != nil || status != http.StatusCreated {
		t.Fatalf("register: %d %s", status, body)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client.ID}, "client_secret": {client.Secret}, "scope": {"system/*.rs"}}.Encode()
	status, body, _ = s.do(c, http.MethodPost, base+"/oauth/token", "application/x-www-form-urlencoded", form)
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &granted); err != nil || status != http.StatusOK {
		t.Fatalf("token: %d %s", status, body)
	}
	if status, body, _ := s.do(c, http.MethodGet, base+"/fhir/Patient?_count=1", "", "", "Authorization", "Bearer "+granted.Token); status != http.StatusOK {
		t.Errorf("data: %d %s", status, body)
	}
	for _, x := range []struct {
		name   string
		client *http.Client
		base   string
		want   int
	}{
		{"no certificate in front", s.client(true), base, http.StatusForbidden},
		{"a channel that presents none", s.client(true), s.at + "/other-app~without", http.StatusUnauthorized},
	} {
		if status, body, _ := s.do(x.client, http.MethodGet, x.base+"/fhir/Patient?_count=1", "", "", "Authorization", "Bearer "+granted.Token); status != x.want {
			t.Errorf("%s: %d %s", x.name, status, body)
		}
	}

	both := 0
	for _, ex := range s.stored("channel:acme-app~with", 4) { // the one without a certificate too
		if ex.ServerLeg == nil {
			continue
		}
		both++
		in, out := ex.ClientLeg.TLS, ex.ServerLeg.TLS
		if in.Trust != proxy.TrustLocalCA || len(in.Client) == 0 || !strings.Contains(in.Client[0].Subject, "acme-app") {
			t.Errorf("client's certificate: %+v", in)
		}
		if out.Trust != proxy.TrustLocalCA || len(out.Client) == 0 || !strings.Contains(out.Client[0].Subject, "listed") || len(out.Server) == 0 {
			t.Errorf("the channel's certificate: %+v", out)
		}
	}
	if both != 3 {
		t.Errorf("%d exchanges over both legs", both)
	}
	_, shown, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/certificates", "", "")
	noKey(t, s, keyPEM, shown+s.out.String())
}

// noKey fails when a key is anywhere but in the CA's folder.
func noKey(t *testing.T, s *served, keyPEM []byte, said string) {
	t.Helper()
	block, _ := pem.Decode(keyPEM)
	needles := [][]byte{block.Bytes, bytes.Split(keyPEM, []byte("\n"))[1]}
	look := func(where string, text []byte) {
		for _, n := range needles {
			if bytes.Contains(text, n) {
				t.Errorf("a key is in %s", where)
			}
		}
	}
	look("what was said or shown", []byte(said))
	walkFiles(t, s.data, func(path string) error {
		if strings.HasPrefix(path, caDir(s.data)+string(filepath.Separator)) {
			return nil
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	})
}
