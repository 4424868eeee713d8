package smartauth

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestRegister(t *testing.T) { // P2P-DCR-121, 24
	w := newWorld(t, Options{})
	a := w.postJSON(RegisterPath, object{
		"client_name": "Harborlight", "grant_types": []string{"client_credentials"}, "scope": MemberMatch + " patient/*.rs launch nonsense", "unknown": object{"x": 1},
		"contacts": []string{"mailto:ops@harborlight.example"}, "software_id": "hl",
	})
	if a.StatusCode != http.StatusCreated || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	secret := a.text("client_secret")
	if len(secret) != 43 || a.body["client_secret_expires_at"] != 0.0 || a.text("client_id") == "" || a.text("token_endpoint_auth_method") != "client_secret_basic" ||
		a.text("scope") != MemberMatch+" patient/*.rs" || fmt.Sprint(a.body["response_types"]) != "[]" || a.body["client_id_issued_at"] != float64(w.now.Unix()) || a.body["unknown"] != nil {
		t.Errorf("%v", a.body)
	}
	var stored string
	if err := w.store.db.Read.Raw("SELECT secret || metadata FROM oauth_client").Scan(&stored).Error; err != nil || strings.Contains(stored, secret) || !strings.Contains(stored, digest(secret)) {
		t.Errorf("stored %s, error %v", stored, err)
	}
}

func TestRegisterRefuses(t *testing.T) { // P2P-DCR-122, 131
	w := newWorld(t, Options{})
	good := func(change object) object {
		o := object{"grant_types": []string{"client_credentials"}, "scope": "system/*.rs"}
		for k, v := range change {
			if v == nil {
				delete(o, k)
			} else {
				o[k] = v
			}
		}
		return o
	}
	ec := p384(t)
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ec, KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	public := jwks(t, "k", ec.Public())
	twice := json.RawMessage(strings.Replace(string(public), "[", "["+strings.TrimSuffix(strings.TrimPrefix(string(public), `{"keys":[`), "]}")+",", 1))
	for _, tt := range []struct {
		name, id string
		body     any
		code     string
		says     string
	}{
		{"not json", "DCR-20", "{", "invalid_client_metadata", "no valid JSON"},
		{"no object", "DCR-132", "[]", "invalid_client_metadata", "no JSON object"},
		{"wrong type", "DCR-132", good(object{"contacts": "me"}), "invalid_client_metadata", "contacts must not be a string"},
		{"no grant types", "DCR-102", good(object{"grant_types": nil}), "invalid_client_metadata", "grant_types is missing"},
		{"other grant type", "DCR-132", good(object{"grant_types": []string{"password"}}), "invalid_client_metadata", "'password' is not offered"},
		{"code without redirect", "DCR-131", good(object{"grant_types": []string{"authorization_code"}}), "invalid_redirect_uri", "without redirect_uris"},
		{"http redirect", "DCR-131", good(object{"redirect_uris": []string{"http://a.example/cb"}}), "invalid_redirect_uri", "http://a.example/cb"},
		{"fragment redirect", "DCR-131", good(object{"redirect_uris": []string{"https://a.example/cb#x"}}), "invalid_redirect_uri", "fragment"},
		{"response types", "DCR-103", good(object{"response_types": []string{"code"}}), "invalid_client_metadata", "response_types"},
		{"method none", "DCR-105", good(object{"token_endpoint_auth_method": "none"}), "invalid_client_metadata", "'none' is not offered"},
		{"both key sets", "DCR-106", good(object{"jwks": public, "jwks_uri": "https://a.example/jwks"}), "invalid_client_metadata", "mutually exclusive"},
		{"no keys", "DCR-132", good(object{"token_endpoint_auth_method": "private_key_jwt"}), "invalid_client_metadata", "needs jwks_uri or jwks"},
		{"private key", "AUTH-05", good(object{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(private)}), "invalid_client_metadata", "private or symmetric"},
		{"symmetric key", "DCR-132", good(object{"token_endpoint_auth_method": "private_key_jwt", "jwks": object{"keys": []object{{"kty": "oct", "kid": "s", "k": "AAAA"}}}}), "invalid_client_metadata", "symmetric"},
		{"no kid", "AUTH-05", good(object{"jwks": jwks(t, "", ec.Public())}), "invalid_client_metadata", "has no kid"},
		{"kid twice", "AUTH-05", good(object{"jwks": twice}), "invalid_client_metadata", "kid of an earlier one"},
		{"short rsa", "DCR-132", good(object{"jwks": jwks(t, "r", rsaKey(t, 1024).Public())}), "invalid_client_metadata", "shorter than 2048"},
		{"only strange keys", "DCR-132", good(object{"jwks": object{"keys": []object{{"kty": "OKP", "kid": "o", "crv": "Ed25519", "x": "AA"}}}}), "invalid_client_metadata", "no usable key"},
		{"link-local jwks_uri", "AUTH-04", good(object{"jwks_uri": "https://169.254.169.254/jwks"}), "invalid_client_metadata", "no client has"},
		{"link-local jwks_uri as IPv6", "AUTH-04", good(object{"jwks_uri": "https://[::ffff:169.254.169.254]/jwks"}), "invalid_client_metadata", "no client has"},
		{"jwks_uri of nobody", "AUTH-04", good(object{"jwks_uri": "http://0.0.0.0:8080/jwks"}), "invalid_client_metadata", "no client has"},
		{"jwks_uri of another scheme", "AUTH-04", good(object{"jwks_uri": "gopher://a.example/jwks"}), "invalid_client_metadata", "not https"},
		{"http jwks_uri", "AUTH-04", good(object{"jwks_uri": "http://a.example/jwks"}), "invalid_client_metadata", "not https"},
		{"jwt-bearer without keys", "DCR-132", good(object{"grant_types": []string{grantJWTBearer}}), "invalid_client_metadata", "needs jwks_uri or jwks"},
		{"tls without subject", "DCR-112", good(object{"token_endpoint_auth_method": "tls_client_auth"}), "invalid_client_metadata", "there are 0"},
		{"tls with two", "DCR-112", good(object{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": "a:b", "tls_client_auth_san_dns": "a"}), "invalid_client_metadata", "there are 2"},
		{"foreign scope", "DCR-22", good(object{"scope": "launch openid user/*.rs"}), "invalid_client_metadata", "scopes_supported"},
		{"oversize", "DCR-20", `{"client_name":"` + strings.Repeat("x", maxMetadata) + `"}`, "invalid_client_metadata", "larger than"},
		{"statement no jwt", "DCR-133", good(object{"software_statement": "x"}), "invalid_software_statement", "no JWT"},
		{"udap without statement", "DCR-142", object{"udap": "1"}, "invalid_software_statement", "consists of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.postJSON(RegisterPath, tt.body)
			if a.StatusCode != http.StatusBadRequest || a.text("error") != tt.code || !strings.Contains(a.text("error_description"), tt.says) {
				t.Errorf("%s: %d %v, want %s saying %q", tt.id, a.StatusCode, a.body, tt.code, tt.says)
			}
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Error("the refusal may be cached")
			}
		})
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, RegisterPath, strings.NewReader("{}"))
	r.Header.Set("Content-Type", "text/plain")
	if a := w.send(r); a.StatusCode != http.StatusBadRequest || a.text("error") != "invalid_client_metadata" {
		t.Errorf("P2P-DCR-20: %d %v", a.StatusCode, a.body)
	}
	if a := w.send(withBearer(t, RegisterPath, "")); a.StatusCode != http.StatusMethodNotAllowed || !strings.HasPrefix(a.Header.Get("Allow"), "POST") {
		t.Errorf("P2P-DCR-20: GET %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
	var n int
	if err := w.store.db.Read.Raw("SELECT count(*) FROM oauth_client").Scan(&n).Error; err != nil || n != 0 {
		t.Errorf("%d clients were created, error %v", n, err)
	}
}

func TestRegistrationsAreCounted(t *testing.T) { // P2P-DCR-26
	w := newWorld(t, Options{RegistrationsPerMinute: 2})
	body := object{"grant_types": []string{"client_credentials"}}
	want := []int{201, 201, 429}
	for i, status := range want {
		a := w.postJSON(RegisterPath, body)
		if a.StatusCode != status {
			t.Fatalf("registration %d: %d", i, a.StatusCode)
		}
		if status == 429 && a.Header.Get("Retry-After") != "30" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
	}
	w.now = w.now.Add(30 * time.Second)
	if a := w.postJSON(RegisterPath, body); a.StatusCode != http.StatusCreated || a.text("scope") != MemberMatch { // P2P-DCR-22: the default scope
		t.Errorf("after the wait: %d %v", a.StatusCode, a.body)
	}
}

func (w *world) registerOver(leaf *x509.Certificate, body object) reply {
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, RegisterPath, strings.NewReader(string(raw)))
	r.Header.Set("Content-Type", "application/json")
	return w.send(over(r, leaf))
}

func TestRegisterOverMutualTLS(t *testing.T) { // P2P-DCR-21, 23, 132
	listed, _, _ := certificate(t, 7, "https://p2p.harborlight.example/")
	stranger, _, _ := certificate(t, 8, "https://p2p.gullwing.example/")
	w := newWorld(t, Options{RequireTLS: true, Identify: func(_ context.Context, chain []*x509.Certificate) (Identity, error) {
		if chain[0].Equal(listed) {
			return Identity{Entry: "harborlight.json", Organization: "1000007314"}, nil
		}
		return Identity{}, ErrNotListed
	}})
	body := object{"grant_types": []string{"client_credentials"}, "software_id": "hl", "scope": "system/*.rs"}
	if a := w.postJSON(RegisterPath, body); a.StatusCode != http.StatusUnauthorized || a.text("error") != "access_denied" {
		t.Errorf("without certificate: %d %v", a.StatusCode, a.body)
	}
	if a := w.registerOver(stranger, body); a.StatusCode != http.StatusForbidden || a.text("error") != "access_denied" {
		t.Errorf("unlisted: %d %v", a.StatusCode, a.body)
	}
	first, second := w.registerOver(listed, body), w.registerOver(listed, body)
	if first.StatusCode != http.StatusCreated || second.StatusCode != http.StatusOK || first.text("client_id") != second.text("client_id") || first.text("client_secret") == second.text("client_secret") {
		t.Errorf("again: %v then %v", first.body, second.body)
	}
	ask := func(secret string, leaf *x509.Certificate) reply {
		r := formRequest(t, TokenPath, map[string][]string{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}})
		r.SetBasicAuth(first.text("client_id"), secret)
		if leaf != nil {
			over(r, leaf)
		}
		return w.send(r)
	}
	for _, tt := range []struct {
		name   string
		secret string
		leaf   *x509.Certificate
		status int
	}{
		{"new secret", second.text("client_secret"), listed, http.StatusOK},
		{"old secret", first.text("client_secret"), listed, http.StatusUnauthorized},
		{"no certificate (TLS-21)", second.text("client_secret"), nil, http.StatusUnauthorized},
		{"other certificate (TLS-21)", second.text("client_secret"), stranger, http.StatusUnauthorized},
	} {
		if a := ask(tt.secret, tt.leaf); a.StatusCode != tt.status {
			t.Errorf("%s: %d %v", tt.name, a.StatusCode, a.body)
		}
	}
	if a := w.registerOver(listed, object{"grant_types": []string{"client_credentials"}, "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": "https://other.example/"}); a.text("error") != "invalid_client_metadata" {
		t.Errorf("other SAN: %v", a.body)
	}
}

func TestSoftwareStatements(t *testing.T) { // P2P-DCR-111, 133, 134
	issuer, client := p384(t), p384(t)
	leaf, leafKey, roots := certificate(t, 7, "https://p2p.harborlight.example/")
	_, _, otherRoots := certificate(t, 9, "https://x.example/")
	claims := func(w *world, change object) object {
		o := object{
			"iss": "https://issuer.example", "exp": w.now.Unix() + 100, "client_name": "From the statement", "grant_types": []string{"client_credentials"},
			"scope": "system/*.rs", "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(t, "c", client.Public()),
		}
		for k, v := range change {
			if v == nil {
				delete(o, k)
			} else {
				o[k] = v
			}
		}
		return o
	}
	x5c := object{"x5c": []string{base64Std(leaf.Raw)}}
	listed := Options{StatementIssuers: map[string][]byte{"https://issuer.example": jwks(t, "i", issuer.Public())}}
	for _, tt := range []struct {
		name    string
		options Options
		token   func(*world) string
		status  int
		code    string
	}{
		{"its own key, no trust list", Options{}, func(w *world) string { return signWith(t, client, jose.ES384, object{"kid": "c"}, claims(w, nil)) }, 201, ""},
		{"another key, no trust list", Options{}, func(w *world) string { return signWith(t, issuer, jose.ES384, object{"kid": "c"}, claims(w, nil)) }, 400, "invalid_software_statement"},
		{"no key at all", Options{}, func(w *world) string {
			return signWith(t, client, jose.ES384, nil, claims(w, object{"jwks": nil, "token_endpoint_auth_method": nil}))
		}, 400, "unapproved_software_statement"},
		{"listed issuer", listed, func(w *world) string { return signWith(t, issuer, jose.ES384, object{"kid": "i"}, claims(w, nil)) }, 201, ""},
		{"listed issuer, bad signature", listed, func(w *world) string { return signWith(t, client, jose.ES384, object{"kid": "i"}, claims(w, nil)) }, 400, "invalid_software_statement"},
		{"unlisted issuer", listed, func(w *world) string {
			return signWith(t, client, jose.ES384, object{"kid": "c"}, claims(w, object{"iss": "https://else.example"}))
		}, 400, "unapproved_software_statement"},
		{"certificate of a listed CA", Options{StatementRoots: roots}, func(w *world) string { return signWith(t, leafKey, jose.ES384, x5c, claims(w, nil)) }, 201, ""},
		{"certificate of a strange CA", Options{StatementRoots: otherRoots}, func(w *world) string { return signWith(t, leafKey, jose.ES384, x5c, claims(w, nil)) }, 400, "unapproved_software_statement"},
		{"certificate of another key", Options{StatementRoots: roots}, func(w *world) string { return signWith(t, client, jose.ES384, x5c, claims(w, nil)) }, 400, "invalid_software_statement"},
		{"expired", listed, func(w *world) string {
			return signWith(t, issuer, jose.ES384, object{"kid": "i"}, claims(w, object{"exp": w.now.Unix()}))
		}, 400, "invalid_software_statement"},
		{"for another server", listed, func(w *world) string {
			return signWith(t, issuer, jose.ES384, object{"kid": "i"}, claims(w, object{"aud": "https://else.example/register"}))
		}, 400, "invalid_software_statement"},
		{"no iss", listed, func(w *world) string {
			return signWith(t, issuer, jose.ES384, object{"kid": "i"}, claims(w, object{"iss": nil}))
		}, 400, "invalid_software_statement"},
		{"alg none", Options{}, func(w *world) string { return unsignedJWT(t, claims(w, nil)) }, 400, "invalid_software_statement"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.options)
			token := tt.token(w)
			a := w.postJSON(RegisterPath, object{"client_name": "Plain", "software_statement": token})
			if a.StatusCode != tt.status || a.text("error") != tt.code {
				t.Fatalf("%d %v", a.StatusCode, a.body)
			}
			if tt.status == 201 && (a.text("client_name") != "From the statement" || a.text("software_statement") != token) {
				t.Errorf("%v", a.body)
			}
		})
	}
}

func TestUDAPRegistration(t *testing.T) { // P2P-DCR-141 to 147
	const me = "https://p2p.harborlight.example/"
	leaf, key, roots := certificate(t, 7, me)
	header := object{"x5c": []string{base64Std(leaf.Raw)}}
	serial := 0
	statement := func(w *world, change object) object {
		serial++
		c := object{
			"iss": me, "sub": me, "aud": origin + RegisterPath, "iat": w.now.Unix(), "exp": w.now.Unix() + 240, "jti": fmt.Sprint(serial), "client_name": "Harborlight",
			"contacts": []string{"mailto:ops@harborlight.example"}, "grant_types": []string{"client_credentials"}, "token_endpoint_auth_method": "private_key_jwt", "scope": "system/*.rs",
		}
		for k, v := range change {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return object{"software_statement": signWith(t, key, jose.ES384, header, c), "udap": "1"}
	}
	w := newWorld(t, Options{StatementRoots: roots})
	for _, tt := range []struct {
		name   string
		change object
		code   string
	}{
		{"other iss", object{"iss": "https://else.example/", "sub": "https://else.example/"}, "invalid_software_statement"},
		{"no jti", object{"jti": nil}, "invalid_software_statement"},
		{"no iat", object{"iat": nil}, "invalid_software_statement"},
		{"too long", object{"exp": w.now.Unix() + 400}, "invalid_software_statement"},
		{"other aud", object{"aud": "https://else.example"}, "invalid_software_statement"},
		{"two grants", object{"grant_types": []string{"client_credentials", "refresh_token"}}, "invalid_client_metadata"},
		{"redirect", object{"redirect_uris": []string{"https://a.example"}}, "invalid_client_metadata"},
		{"no mailto", object{"contacts": []string{"x"}}, "invalid_client_metadata"},
	} {
		if a := w.postJSON(RegisterPath, statement(w, tt.change)); a.text("error") != tt.code {
			t.Errorf("%s: %d %v", tt.name, a.StatusCode, a.body)
		}
	}
	body := statement(w, nil)
	first := w.postJSON(RegisterPath, body)
	if first.StatusCode != http.StatusCreated || first.body["response_types"] != nil {
		t.Fatalf("%d %v", first.StatusCode, first.body)
	}
	if a := w.postJSON(RegisterPath, body); a.text("error") != "invalid_software_statement" {
		t.Errorf("replayed: %d %v", a.StatusCode, a.body)
	}
	if a := w.postJSON(RegisterPath, statement(w, nil)); a.StatusCode != http.StatusOK || a.text("client_id") != first.text("client_id") {
		t.Errorf("modified: %d %v", a.StatusCode, a.body)
	}
	p := &party{w: w, key: key, alg: jose.ES384, id: first.text("client_id")}
	b2b := object{"hl7-b2b": object{"version": "1", "organization_id": me, "purpose_of_use": []string{"urn:oid:2.16.840.1.113883.5.8#TREAT"}}}
	for _, tt := range []struct {
		claims object
		status int
	}{
		{object{"extensions": b2b, "iat": w.now.Unix()}, 200},
		{object{"iat": w.now.Unix()}, 400},
		{object{"extensions": b2b, "iat": nil}, 401},
	} {
		f := p.form("system/*.rs", map[string][]string{"udap": {"1"}, "client_assertion": {signWith(t, key, jose.ES384, header, p.claims(tt.claims))}})
		if a := w.send(formRequest(t, TokenPath, f)); a.StatusCode != tt.status {
			t.Errorf("token: %d %v, want %d", a.StatusCode, a.body, tt.status)
		}
	}
	if a := w.postJSON(RegisterPath, statement(w, object{"grant_types": []string{}})); a.StatusCode != http.StatusOK {
		t.Errorf("cancel: %d %v", a.StatusCode, a.body)
	}
	if c, err := w.store.client(t.Context(), "id", p.id); err != nil || c != nil {
		t.Errorf("cancelled client is still there: %v, %v", c, err)
	}
}
