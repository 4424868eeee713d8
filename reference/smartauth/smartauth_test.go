package smartauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"fhirwire/internal/sqldb"
)

const origin = "https://payer.example"

// world is a server with a clock that the test moves.
type world struct {
	*Server
	t   testing.TB
	now time.Time
	dir string
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 2, 17, 8, 0, 0, 0, time.UTC), dir: t.TempDir()}
	w.open(o)
	return w
}

// open starts the server over the world's database, as after a restart.
func (w *world) open(o Options) {
	w.t.Helper()
	db, err := sqldb.Open(w.t.Context(), sqldb.SQLiteDSN(filepath.Join(w.dir, "auth.db")), sqldb.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	o.Clock = func() time.Time { return w.now }
	if o.BaseURL == "" {
		o.BaseURL = origin
	}
	if w.Server, err = New(w.t.Context(), db, w.dir, o); err != nil {
		w.t.Fatal(err)
	}
}

type reply struct {
	*http.Response
	body map[string]any
}

func (w *world) send(r *http.Request) reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	out := reply{Response: rec.Result(), body: map[string]any{}}
	if b := rec.Body.Bytes(); len(b) > 0 {
		if err := json.Unmarshal(b, &out.body); err != nil {
			w.t.Fatalf("%s: %v", b, err)
		}
	}
	return out
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

func (w *world) postJSON(path string, v any) reply {
	w.t.Helper()
	body, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		body = string(raw)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return w.send(r)
}

func formRequest(t testing.TB, path string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// party is a client with a key.
type party struct {
	w      *world
	key    crypto.Signer
	alg    jose.SignatureAlgorithm
	kid    string
	id     string
	secret string
	serial int
}

func p384(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func jwks(t testing.TB, kid string, public crypto.PublicKey) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: kid, Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const everyScope = MemberMatch + " patient/*.rs system/*.rs"

func (w *world) newParty() *party {
	w.t.Helper()
	p := &party{w: w, key: p384(w.t), alg: jose.ES384, kid: "k1"}
	p.register(Metadata{
		ClientName: "Harborlight", GrantTypes: []string{grantClientCredentials, grantJWTBearer}, AuthMethod: authJWT,
		JWKS: jwks(w.t, p.kid, p.key.Public()), Scope: everyScope,
	})
	return p
}

func (p *party) register(m Metadata) {
	p.w.t.Helper()
	c, secret, err := p.w.Register(p.w.t.Context(), m)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.id, p.secret = c.ID, secret
}

type object = map[string]any

func (p *party) claims(extra object) object {
	p.serial++
	c := object{
		"iss": p.id, "sub": p.id, "aud": origin + TokenPath, "exp": p.w.now.Unix() + 240, "jti": base64.RawURLEncoding.EncodeToString([]byte{byte(p.serial), byte(p.serial >> 8)}),
	}
	for k, v := range extra {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func signWith(t testing.TB, key crypto.Signer, alg jose.SignatureAlgorithm, header, claims object) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for k, v := range header {
		if v != nil {
			o.ExtraHeaders[jose.HeaderKey(k)] = v
		}
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sign(s, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// jwt signs claims, changed by extra; a nil removes one.
func (p *party) jwt(header, extra object) string {
	h := object{"kid": p.kid, "typ": "JWT"}
	maps.Copy(h, header)
	return signWith(p.w.t, p.key, p.alg, h, p.claims(extra))
}

func (p *party) form(scope string, extra url.Values) url.Values {
	f := url.Values{
		"grant_type": {grantClientCredentials}, "scope": {scope}, "client_assertion_type": {assertionType}, "client_assertion": {p.jwt(nil, nil)},
	}
	for k, v := range extra {
		if v == nil {
			f.Del(k)
		} else {
			f[k] = v
		}
	}
	return f
}

func (p *party) token(scope string, extra url.Values) string {
	p.w.t.Helper()
	a := p.w.send(formRequest(p.w.t, TokenPath, p.form(scope, extra)))
	if a.StatusCode != http.StatusOK {
		p.w.t.Fatalf("token: %d %v", a.StatusCode, a.body)
	}
	return a.text("access_token")
}

func decode(t testing.TB, token string) object {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	out := object{}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// certificate makes a leaf below a new CA.
func certificate(t testing.TB, serial int64, uri string) (leaf *x509.Certificate, key *ecdsa.PrivateKey, roots *x509.CertPool) {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	caKey, leafKey := p384(t), p384(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: start, NotAfter: start.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: u.Host, Organization: []string{"Harborlight"}}, NotBefore: start, NotAfter: start.AddDate(1, 0, 0),
		URIs: []*url.URL{u}, DNSNames: []string{u.Host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err1 := x509.ParseCertificate(der)
	root, err2 := x509.ParseCertificate(caDER)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(root)
	return leaf, leafKey, roots
}

// over puts a request on a connection whose client certificate the listener has verified.
func over(r *http.Request, leaf *x509.Certificate) *http.Request {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	return r
}

func withBearer(t testing.TB, path, token string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) Do(r *http.Request) (*http.Response, error) { return f(r) }

func jsonResponse(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSigningKeyIsTheOwnersAndStays(t *testing.T) {
	w := newWorld(t, Options{})
	info, err := os.Stat(filepath.Join(w.dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, error %v", info.Mode(), err)
	}
	before := w.public.KeyID
	w.open(Options{})
	if w.public.KeyID != before {
		t.Error("a restart made another key")
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), keyFile+".") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestDiscovery(t *testing.T) { // P2P-DSC-101 to 112, AUTH-01 to AUTH-03
	w := newWorld(t, Options{})
	for _, path := range []string{"/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"} {
		r := withBearer(t, path, "")
		r.Header.Set("Accept", "application/fhir+json")
		a := w.send(r)
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.Header.Get("Content-Type"))
		}
		got, err := json.Marshal(a.body)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"token_endpoint":"` + origin + `/oauth/token"`, `"registration_endpoint":"` + origin + `/oauth/register"`, `"client_credentials"`,
			`"code_challenge_methods_supported":["S256"]`, `"client-confidential-asymmetric"`, `"private_key_jwt"`, `"RS384","ES384"`, `"system/*.rs"`, `"permission-v2"`,
		} {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s: no %s in %s", path, want, got)
			}
		}
	}
	if a := w.send(withBearer(t, JWKSPath, "")); !strings.Contains(a.Header.Get("Cache-Control"), "max-age") || len(a.body["keys"].([]any)) != 1 {
		t.Errorf("jwks %v", a.body)
	} else if k := a.body["keys"].([]any)[0].(object); k["d"] != nil || k["kid"] == "" {
		t.Errorf("jwks shows %v", k)
	}
}
