package play_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/testplans"
	"fhirwire/testplans/play"
)

const clientURI = "https://harborlight.example/fhir"

// clientCertificate is a certificate that names its owner by URIs.
func clientCertificate(t *testing.T, uris ...string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "harborlight"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0)}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// payer answers registrations and token requests, and keeps their bodies; the rest it answers from files.
type payer struct {
	http *httptest.Server

	mu     sync.Mutex
	bodies []string // PATH body
	files  map[string]string
	bare   int // requests marked as without certificate
}

func startPayer(t *testing.T) *payer {
	p := &payer{files: map[string]string{}}
	p.http = httptest.NewServer(p)
	t.Cleanup(p.http.Close)
	p.files["/fhir/.well-known/smart-configuration"] = fmt.Sprintf(`{"token_endpoint":"%s/token","registration_endpoint":"%s/register"}`, p.http.URL, p.http.URL)
	return p
}

func (p *payer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	p.bodies = append(p.bodies, r.URL.Path+" "+string(body))
	switch file, ok := p.files[r.URL.Path]; {
	case ok:
		_, _ = io.WriteString(w, file)
	case r.URL.Path == "/register":
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"client_id":"c9"}`)
	case r.URL.Path == "/token":
		_, _ = io.WriteString(w, `{"access_token":"t9","token_type":"bearer","expires_in":300}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// to are the bodies that were sent to a path.
func (p *payer) to(path string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, b := range p.bodies {
		if rest, ok := strings.CutPrefix(b, path+" "); ok {
			out = append(out, rest)
		}
	}
	return out
}

type bareKey struct{}

// marked counts the requests whose context says that no certificate is to be presented.
type marked struct{ p *payer }

func (m marked) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(bareKey{}) != nil {
		m.p.mu.Lock()
		m.p.bare++
		m.p.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (p *payer) play(t *testing.T, cert *tls.Certificate, inputs map[string]string, acts ...testplans.Act) []play.Outcome {
	t.Helper()
	rec := record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir()})
	serial := 0
	player := play.New(rec, marked{p}, members{}, play.Options{
		Clock: func() time.Time { return now }, Unique: func() string { serial++; return fmt.Sprint("u", serial) }, Timeout: time.Minute, Certificate: cert,
		Bare: func(ctx context.Context) context.Context { return context.WithValue(ctx, bareKey{}, true) },
	})
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: acts, Inputs: []testplans.Input{{Name: "directory"}}}}
	out, err := player.Run(t.Context(), plan, play.Target{Base: p.http.URL + "/fhir", Channel: "a~b", Inputs: inputs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out
}

// byCertificate checks a JWT by the certificate in its x5c and gives its claims.
func byCertificate(t *testing.T, text string, cert *tls.Certificate) map[string]any {
	t.Helper()
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	x5c, _ := token.Headers[0].ExtraHeaders["x5c"].([]any)
	if len(x5c) == 0 { // go-jose reads the chain itself where it can
		if chain, err := token.Headers[0].Certificates(x509.VerifyOptions{Roots: pool(t, cert), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil || len(chain) == 0 {
			t.Errorf("no chain in x5c: %v", err)
		}
	} else if x5c[0] != base64.StdEncoding.EncodeToString(cert.Certificate[0]) {
		t.Error("x5c has another certificate")
	}
	claims := map[string]any{}
	if err := token.Claims(cert.PrivateKey.(*ecdsa.PrivateKey).Public(), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func pool(t *testing.T, cert *tls.Certificate) *x509.CertPool {
	t.Helper()
	c, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	out := x509.NewCertPool()
	out.AddCert(c)
	return out
}

func states(out []play.Outcome) string {
	var all []string
	for _, o := range out {
		all = append(all, fmt.Sprintf("%s %s %s", o.Act, o.State, o.Why))
	}
	return strings.Join(all, "; ")
}

func TestUDAPActs(t *testing.T) { // P2P-DCR-142 to 147
	p, cert := startPayer(t), clientCertificate(t, clientURI)
	out := p.play(t, cert, nil, discovery(),
		testplans.Act{Name: "register", Register: &testplans.PlayRegister{Method: "udap", Scope: "system/*.rs"}},
		testplans.Act{Name: "token", Token: &testplans.PlayToken{Scope: "system/*.rs"}})
	if got, want := states(out), "discovery played ; register played ; token played "; got != want {
		t.Fatal(got)
	}
	var form struct {
		Statement      string   `json:"software_statement"`
		Certifications []string `json:"certifications"`
		UDAP           string   `json:"udap"`
	}
	if err := json.Unmarshal([]byte(p.to("/register")[0]), &form); err != nil || form.UDAP != "1" || form.Certifications == nil {
		t.Fatalf("%+v, %v", form, err)
	}
	claims := byCertificate(t, form.Statement, cert)
	if claims["iss"] != clientURI || claims["sub"] != clientURI || claims["aud"] != p.http.URL+"/register" || claims["jti"] == "" || claims["scope"] != "system/*.rs" ||
		claims["token_endpoint_auth_method"] != "private_key_jwt" || claims["exp"].(float64)-claims["iat"].(float64) > 300 || !strings.HasPrefix(claims["contacts"].([]any)[0].(string), "mailto:") {
		t.Errorf("%v", claims)
	}
	asked, err := url.ParseQuery(p.to("/token")[0])
	if err != nil || asked.Get("udap") != "1" || asked.Get("grant_type") != "client_credentials" || asked.Has("client_id") {
		t.Fatalf("%v, %v", asked, err)
	}
	claims = byCertificate(t, asked.Get("client_assertion"), cert)
	b2b, _ := claims["extensions"].(map[string]any)["hl7-b2b"].(map[string]any)
	if claims["iss"] != "c9" || claims["sub"] != "c9" || claims["aud"] != p.http.URL+"/token" || claims["iat"] == nil || b2b["version"] != "1" || b2b["organization_id"] != clientURI || len(b2b["purpose_of_use"].([]any)) == 0 {
		t.Errorf("%v", claims)
	}
}

// TestUDAPNeedsACertificate: who has none by a URI does not register by UDAP, and sends nothing.
func TestUDAPNeedsACertificate(t *testing.T) {
	for name, cert := range map[string]*tls.Certificate{"none": nil, "no URI": clientCertificate(t)} {
		p := startPayer(t)
		out := p.play(t, cert, nil, discovery(), testplans.Act{Name: "register", Register: &testplans.PlayRegister{Method: "udap"}})
		if out[1].State != play.Skipped || !strings.Contains(out[1].Why, "UDAP needs a client certificate") || len(p.to("/register")) > 0 {
			t.Errorf("%s: %s", name, states(out))
		}
	}
}

// TestMemberAct: the member is named in an assertion of its own, beside the one by which the client authenticates (P2P-TOK-20, form F1).
func TestMemberAct(t *testing.T) {
	p := startPayer(t)
	out := p.play(t, nil, nil, discovery(),
		testplans.Act{Name: "register", Register: &testplans.PlayRegister{Method: "private_key_jwt", Grants: []string{"client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"}}},
		testplans.Act{Name: "token", Token: &testplans.PlayToken{Scope: "patient/*.rs", Member: "member-${unique}", Wrong: "member"}},
		testplans.Act{Name: "stranger", Token: &testplans.PlayToken{Scope: "patient/*.rs", Member: "${nobody}"}})
	if got, want := states(out), "discovery played ; register played ; token played ; stranger skipped there is no value for nobody"; got != want {
		t.Fatal(got)
	}
	var m struct {
		Grants []string           `json:"grant_types"`
		JWKS   jose.JSONWebKeySet `json:"jwks"`
	}
	if err := json.Unmarshal([]byte(p.to("/register")[0]), &m); err != nil || len(m.Grants) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	asked, err := url.ParseQuery(p.to("/token")[0])
	if err != nil || asked.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Fatalf("%v, %v", asked, err)
	}
	ids := map[string]bool{}
	for name, subject := range map[string]string{"assertion": "member-u1", "client_assertion": "c9"} {
		token, err := jwt.ParseSigned(asked.Get(name), []jose.SignatureAlgorithm{jose.ES384})
		if err != nil {
			t.Fatal(err)
		}
		var c jwt.Claims
		if err := token.Claims(m.JWKS.Keys[0].Key, &c); err != nil || c.Issuer != "c9" || c.Subject != subject {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		ids[c.ID] = true
	}
	if len(ids) != 2 {
		t.Error("both have one jti")
	}
}

func TestWithoutCertificate(t *testing.T) {
	p := startPayer(t)
	body := testplans.PlayRequest{Method: "POST", URL: "${registrationEndpoint}", Body: "{}"}
	bare := body
	bare.Certificate = "none"
	unlisted := body
	unlisted.Certificate = "unlisted"
	out := p.play(t, clientCertificate(t), nil, discovery(), testplans.Act{Name: "with", Request: &body}, testplans.Act{Name: "without", Request: &bare}, testplans.Act{Name: "stranger", Request: &unlisted})
	if p.bare != 1 || len(p.to("/register")) != 2 {
		t.Errorf("%d of %d without", p.bare, len(p.to("/register")))
	}
	if out[3].State != play.Skipped {
		t.Errorf("there is no certificate of a stranger, and it is presented: %+v", out[3])
	}
}

func entryOf(address, server string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","id":"found","entry":[{"resource":{"resourceType":"Organization"}},{"resource":{"resourceType":"Endpoint","address":%q,
		"extension":[{"url":"http://x/base-ext-associatedServers","extension":[{"url":"serverURL","valueString":%q}]}]}}]}`, address, server)
}

func TestDirectoryAct(t *testing.T) { // P2P-DIR-04, 06
	look := testplans.Act{
		Name: "look", Directory: &testplans.PlayDirectory{URL: "${directory}"},
		Capture: []testplans.Capture{{Name: "clientId", From: testplans.OnResponse, Pointer: "/id"}},
	}
	const elsewhere = "https://elsewhere.example"
	for _, tt := range []struct {
		name  string
		files func(here string) map[string]string
		state play.State
		why   string
		asked int
	}{
		{"an index", func(here string) map[string]string {
			return map[string]string{"/d": `{"bundles":[{"url":"a.json"},{"url":"b.json"},{"url":"gone.json"}]}`, "/a.json": entryOf(elsewhere, ""), "/b.json": entryOf(elsewhere, here+"/x")}
		}, play.Played, "", 4},
		{"one Bundle", func(here string) map[string]string { return map[string]string{"/d": entryOf(here, "")} }, play.Played, "", 1},
		{"an entry of somebody else", func(string) map[string]string { return map[string]string{"/d": entryOf(elsewhere, "")} }, play.Broken, "no entry of the directory leads to", 1},
		{"an index that leads away", func(string) map[string]string {
			return map[string]string{"/d": `{"bundles":[{"url":"https://elsewhere.example/a.json"}]}`}
		}, play.Broken, "another host", 1},
		{"no JSON", func(string) map[string]string { return map[string]string{"/d": "<html>"} }, play.Broken, "is no JSON", 1},
		{"nothing there", func(string) map[string]string { return nil }, play.Broken, "was answered 404", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPayer(t)
			p.files = tt.files(p.http.URL)
			out := p.play(t, nil, map[string]string{"directory": p.http.URL + "/d"}, look)
			if out[0].State != tt.state || !strings.Contains(out[0].Why, tt.why) || out[0].Requests != tt.asked {
				t.Errorf("%+v", out[0])
			}
		})
	}
	p := startPayer(t)
	if out := p.play(t, nil, nil, look); out[0].State != play.Skipped || out[0].Requests != 0 {
		t.Errorf("without a directory: %+v", out[0])
	}
}
