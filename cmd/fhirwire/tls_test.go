package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
)

// served is a serve process in this one.
type served struct {
	t                               *testing.T
	data                            string
	dashboard, proxy, reference, at string // at: the TLS listener's
	ca                              *localca.Authority
	out                             *lockedBuffer
}

var saidURL = regexp.MustCompile(`(?m)^  (dashboard|proxy|reference|TLS) +(https?://\S+)`)

// startServe runs serve until the test ends.
func startServe(t *testing.T, data string, args ...string) *served {
	t.Helper()
	s := &served{t: t, data: data, out: &lockedBuffer{}}
	p := &process{stdin: strings.NewReader(""), stdout: s.out, stderr: s.out, getenv: unlimited, now: time.Now}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	args = append([]string{
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--reference-listen", "127.0.0.1:0",
		"--tls-listen", "127.0.0.1:0", "--forward-listen", "127.0.0.1:0", "--log-level", "error",
	}, args...)
	go func() { ended <- runMain(ctx, p, args) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitFine {
			t.Errorf("serve ended with %d: %s", code, s.out.String())
		}
	})
	for deadline := time.Now().Add(patience); !strings.Contains(s.out.String(), "  data "); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || len(ended) > 0 {
			t.Fatalf("serve did not start: %s", s.out.String())
		}
	}
	for _, m := range saidURL.FindAllStringSubmatch(s.out.String(), -1) {
		*map[string]*string{"dashboard": &s.dashboard, "proxy": &s.proxy, "reference": &s.reference, "TLS": &s.at}[m[1]] = strings.TrimSuffix(m[2], "/fhir")
	}
	ca, err := localca.Load(caDir(data), localca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.ca = ca
	return s
}

// client trusts the local CA; it dials the listener whatever the name, and presents certs.
func (s *served) client(http2 bool, certs ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Root())
	_, listening, _ := net.SplitHostPort(strings.TrimPrefix(s.at, "https://"))
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}, ForceAttemptHTTP2: http2,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if _, port, _ := net.SplitHostPort(addr); port == listening {
				addr = "127.0.0.1:" + port
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	if len(certs) > 0 { // also when the server hints at other CAs
		tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// reply is what else there is to know of an answer.
type reply struct {
	http.Header

	major int // of HTTP
}

func (s *served) do(c *http.Client, method, target, contentType, body string, header ...string) (status int, answer string, from reply) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(raw), reply{res.Header, res.ProtoMajor}
}

// channel registers a client and the reference server, by its URL in clear or another, and opens a channel between them.
func (s *served) channel(client, server, base string, options ...string) {
	s.t.Helper()
	id := func(text string) string {
		var out struct{ ID string }
		if err := json.Unmarshal([]byte(text), &out); err != nil || out.ID == "" {
			s.t.Fatalf("no id in %s", text)
		}
		return out.ID
	}
	post := func(path, body string) string {
		status, answer, _ := s.do(http.DefaultClient, http.MethodPost, s.dashboard+"/api/v1"+path, "application/json", body)
		if status != http.StatusCreated {
			s.t.Fatalf("%s: %d %s", path, status, answer)
		}
		return answer
	}
	c := id(post("/systems", fmt.Sprintf(`{"slug":%q,"name":%q,"roles":["client"]}`, client, client)))
	v := id(post("/systems", fmt.Sprintf(`{"slug":%q,"name":%q,"roles":["server"],"base_url":%q}`, server, server, base)))
	more := "{}"
	if len(options) > 0 {
		more = options[0]
	}
	post("/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q,"options":%s}`, c, v, more))
}

func TestTLSListener(t *testing.T) {
	s := startServe(t, t.TempDir(), "--tls-hosts", "payer.test")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.at, "https://"))
	if s.at != "https://payer.test:"+port {
		t.Errorf("announced: %s", s.at)
	}
	s.channel("acme-app", "plain", s.reference+"/fhir")
	s.channel("other-app", "secure", "https://127.0.0.1:"+port+"/fhir")
	for _, h2 := range []bool{false, true} {
		c := s.client(h2)
		for _, origin := range []string{"https://127.0.0.1:" + port, "https://localhost:" + port, "https://payer.test:" + port, "https://reference.localhost:" + port} {
			status, body, res := s.do(c, http.MethodGet, origin+"/fhir/.well-known/smart-configuration", "", "")
			if status != http.StatusOK || !strings.Contains(body, `"token_endpoint":"`+origin+`/oauth/token"`) || !strings.Contains(body, `"tls_client_certificate_bound_access_tokens":true`) {
				t.Errorf("%s: %d %s", origin, status, body)
			}
			if (res.major == 2) != h2 {
				t.Errorf("%s: HTTP/%d", origin, res.major)
			}
			if _, body, _ := s.do(c, http.MethodGet, origin+"/fhir/Patient?_count=1", "", ""); !strings.Contains(body, origin+"/fhir/Patient?") {
				t.Errorf("%s: links name something else: %s", origin, body)
			}
		}
		for _, base := range []string{
			s.at + "/acme-app~plain/fhir", "https://acme-app~plain.localhost:" + port + "/fhir", "https://acme-app~plain.payer.test:" + port + "/fhir",
			s.at + "/other-app~secure/fhir", "https://other-app~secure.localhost:" + port + "/fhir",
		} {
			status, body, _ := s.do(c, http.MethodGet, base+"/Patient?_count=1", "", "")
			if status != http.StatusOK || !strings.Contains(body, base+"/Patient?") {
				t.Errorf("%s: %d %s", base, status, body)
			}
		}
		// In a circle: a channel whose server is a channel.
		if status, body, _ := s.do(c, http.MethodGet, s.at+"/nobody~nowhere/fhir/metadata", "", ""); status != http.StatusNotFound || !strings.Contains(body, "No channel") {
			t.Errorf("unknown channel: %d %s", status, body)
		}
	}
	if status, _, _ := s.do(http.DefaultClient, http.MethodGet, s.proxy+"/other-app~secure/fhir/metadata", "", ""); status != http.StatusOK {
		t.Errorf("from clear to TLS: %d", status)
	}
	res, err := s.client(true).Get("https://bank.example:" + port + "/fhir/metadata")
	if err == nil {
		_ = res.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "not bank.example") {
		t.Errorf("a name that is not the listener's: %v", err)
	}
	// Both connections of an exchange are in its record, with what was presented.
	shown := 0
	for _, ex := range s.stored("channel:other-app~secure", 5) {
		for side, leg := range map[string]*proxy.Leg{"client": ex.ClientLeg, "server": ex.ServerLeg} {
			if leg == nil || leg.TLS == nil {
				continue
			}
			if leg.TLS.Version != "TLS 1.3" || len(leg.TLS.Server) == 0 || !strings.Contains(leg.TLS.Server[0].Issuer, "fhirwire servers") {
				t.Errorf("%s's connection: %+v", side, leg.TLS)
			}
			shown++
		}
	}
	if shown < 3 {
		t.Errorf("TLS on %d connections", shown)
	}
}

// TestHostsFollowSystems: the local CA may issue for what is registered, as long as it is.
func TestHostsFollowSystems(t *testing.T) {
	s := startServe(t, t.TempDir())
	has := func(host string, want bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			ca, err := localca.Load(caDir(s.data), localca.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(ca.Hosts(), host) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: permitted hosts are %v", host, ca.Hosts())
			}
		}
	}
	has("localhost", true)
	status, body, _ := s.do(http.DefaultClient, http.MethodPost, s.dashboard+"/api/v1/systems", "application/json",
		`{"slug":"payer","name":"Payer","roles":["server"],"base_url":"https://Payer.example:9443/fhir","options":{"auxiliary":[{"name":"auth","url":"https://auth.example/oauth2"},{"name":"files","url":"http://clear.example"}]}}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	has("payer.example", true)
	has("auth.example", true)
	has("clear.example", false)
	if status, body, _ := s.do(http.DefaultClient, http.MethodDelete, s.dashboard+"/api/v1/systems/"+made.ID, "", ""); status >= 300 {
		t.Fatalf("%d %s", status, body)
	}
	has("payer.example", false)
	has("auth.example", false)
}

func TestLoopOverTLS(t *testing.T) {
	s := startServe(t, t.TempDir())
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.at, "https://"))
	s.channel("a", "one", "https://127.0.0.1:"+port+"/b~two")
	s.channel("b", "two", "https://localhost:"+port+"/a~one")
	for _, base := range []string{s.at, s.proxy} {
		if status, body, _ := s.do(s.client(true), http.MethodGet, base+"/a~one/fhir/metadata", "", ""); status != http.StatusLoopDetected {
			t.Errorf("%s: %d %s", base, status, body)
		}
	}
}

// authority issues client certificates that fhirwire's own CA did not.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Event CA"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.BasicConstraintsValid, c.SerialNumber = true, big.NewInt(time.Now().UnixNano())
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = c.NotAfter.Add(-24 * time.Hour)
	}
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out, key
}

func (a *authority) issue(name string, change func(*x509.Certificate)) tls.Certificate {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name + ".example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	out, key := a.sign(c)
	return tls.Certificate{Certificate: [][]byte{out.Raw}, PrivateKey: key, Leaf: out}
}

// listEntry writes a directory entry for a certificate.
func listEntry(t *testing.T, data, name, npi string, ca *authority, cert tls.Certificate) {
	t.Helper()
	const profiles = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
	type obj = map[string]any
	type arr = []any
	object := base64.StdEncoding.EncodeToString(cert.Certificate[0])
	issuer := base64.StdEncoding.EncodeToString(ca.cert.Raw)
	part := func(url, key string, v any) obj { return obj{"url": url, key: v} }
	code := func(system, code string) obj {
		return obj{"coding": arr{obj{"system": "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/" + system, "code": code}}}
	}
	organization := func(id, typ string) obj {
		return obj{
			"resourceType": "Organization", "id": id, "active": true, "name": name + " " + id, "type": arr{code("OrgTypeCS", typ)},
			"identifier": arr{obj{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}}, "endpoint": arr{obj{"reference": "Endpoint/e"}},
			"telecom": arr{obj{"system": "url", "value": "https://www." + name + ".example/"}},
		}
	}
	entry := func(r obj) obj {
		return obj{"fullUrl": "https://" + name + ".example/fhir/" + r["resourceType"].(string) + "/" + r["id"].(string), "resource": r}
	}
	bundle := obj{
		"resourceType": "Bundle", "meta": obj{"profile": arr{profiles + "mtls-bundle"}}, "type": "collection", "timestamp": "2026-02-03T09:00:00Z",
		"signature": obj{
			"type": arr{obj{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}}, "when": "2026-02-03T09:00:00Z",
			"who": obj{"reference": "Organization/plan"}, "sigFormat": "application/x-x509-ca-cert", "data": issuer,
		},
		"entry": arr{entry(organization("plan", "payer")), entry(organization("operator", "bus")), entry(obj{
			"resourceType": "Endpoint", "id": "e", "status": "active", "address": "https://" + name + ".example/gateway",
			"connectionType":       obj{"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
			"managingOrganization": obj{"reference": "Organization/operator"}, "payloadType": arr{code("EndpointPayloadTypeCS", "NA")},
			"extension": arr{
				obj{"url": profiles + "pdex-mtls-signedobject-extension", "extension": arr{part("ObjectType", "valueCodeableConcept", code("MtlsObjectCodeCS", "MTLS")), part("Object", "valueBase64Binary", object)}},
				obj{"url": profiles + "base-ext-trustFramework", "extension": arr{
					part("trustFrameworkType", "valueCodeableConcept", code("TrustFrameworkTypeCS", "PayerToPayer")),
					part("signedArtifact", "valueBase64Binary", object), part("publicCertificate", "valueBase64Binary", issuer),
				}},
			},
		})},
	}
	raw, err := json.MarshalIndent(bundle, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(data, "directory")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := said(t, "directory", "check", filepath.Join(dir, name+".json")); code != exitFine {
		t.Fatalf("the entry is not valid:\n%s", out)
	}
}

// said runs a command and returns all it says.
func said(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }, now: time.Now}
	code := runMain(t.Context(), p, args)
	return code, out.String()
}

const registration = `{"client_name":"test","grant_types":["client_credentials"],"response_types":[],"token_endpoint_auth_method":"client_secret_post","scope":"patient/*.rs system/*.rs"}`

// TestCertificateFile: a certificate of one's own, replaced while serve runs.
func TestCertificateFile(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	cert, key := filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key")
	write := func(c tls.Certificate) {
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := openCertificateFile(cert, key, time.Now, nil); err == nil {
		t.Error("missing files are no error")
	}
	first, second := ca.issue("public", nil), ca.issue("public", nil)
	write(first)
	now := time.Now()
	var log lockedBuffer
	f, err := openCertificateFile(cert, key, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := &serverCertificates{file: f, names: []string{"*.localhost", "127.0.0.1", "localhost"}}
	if s.ca, err = localca.Open(filepath.Join(dir, "ca"), localca.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.ca.Permit(s.names); err != nil {
		t.Fatal(err)
	}
	issued := func(name string) string {
		c, err := s.forName(name)
		if err != nil {
			t.Fatal(err)
		}
		if chain := s.presents(name); len(chain) == 0 || !chain[0].Equal(c.Leaf) {
			t.Errorf("%s: the record says %v", name, chain)
		}
		return c.Leaf.Issuer.CommonName + " " + c.Leaf.SerialNumber.String()
	}
	if got := issued("public.example"); !strings.HasSuffix(got, first.Leaf.SerialNumber.String()) {
		t.Errorf("its name: %s", got)
	}
	if got := issued("elsewhere.example"); !strings.HasSuffix(got, first.Leaf.SerialNumber.String()) {
		t.Errorf("an unknown name: %s", got)
	}
	if got := issued("localhost"); !strings.HasPrefix(got, "fhirwire servers") {
		t.Errorf("a loopback name: %s", got)
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(10 * time.Second)
	if got := issued("public.example"); !strings.HasSuffix(got, first.Leaf.SerialNumber.String()) || !strings.Contains(log.String(), "stays in use") {
		t.Errorf("while it is written: %s, log %s", got, log.String())
	}
	write(second)
	now = now.Add(10 * time.Second)
	if got := issued("public.example"); !strings.HasSuffix(got, second.Leaf.SerialNumber.String()) {
		t.Errorf("after the change: %s", got)
	}
}

// TestACMECertificate: the names of --acme-hosts are served from what ACME brought, and from nothing else; ACME is asked for no
// other name.
func TestACMECertificate(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	// Far from its end: nothing is renewed, and nobody asked, while the test runs.
	cert := ca.issue("public", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 89)
	})
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", cert.PrivateKey)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	held := append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...)
	if err := os.WriteFile(filepath.Join(dir, "public.example"), held, 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := localca.Open(filepath.Join(dir, "ca"), localca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Permit([]string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	s := &serverCertificates{ca: own, names: []string{"localhost"}}
	s.acme = newACME([]string{"public.example"}, acmeOptions{dir: dir, clock: time.Now, logger: slog.New(slog.DiscardHandler)})
	if !slices.Contains(s.config().NextProtos, "acme-tls/1") {
		t.Error("the challenge's protocol is not offered")
	}
	hello := func(name string) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{
			ServerName: name, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			SupportedCurves: []tls.CurveID{tls.CurveP256}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		}
	}
	if c, err := s.get(hello("public.example")); err != nil || c.Leaf.DNSNames[0] != "localhost" {
		t.Errorf("before it is looked at: %v", err)
	}
	s.acme.get(t.Context(), "public.example")
	got, err := s.get(hello("public.example"))
	if err != nil || !got.Leaf.Equal(cert.Leaf) {
		t.Fatalf("%v", err)
	}
	for _, name := range []string{"localhost", "elsewhere.example"} {
		if c, err := s.get(hello(name)); err != nil || c.Leaf.DNSNames[0] != "localhost" {
			t.Errorf("%s: %v", name, err)
		}
	}
	challenge := hello("elsewhere.example")
	challenge.SupportedProtos = []string{"acme-tls/1"}
	if _, err := s.get(challenge); err == nil {
		t.Error("a challenge for another name is answered")
	}
	if s.presents("public.example") != nil {
		t.Error("the record guesses ACME's certificate")
	}
}
