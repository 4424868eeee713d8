package smartauth

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func base64Std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unsignedJWT(t testing.TB, claims object) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","kid":"k1","typ":"JWT"}`)) + "." + enc.EncodeToString(payload) + "."
}

func TestTokenByAssertion(t *testing.T) { // AUTH-06 to AUTH-11, P2P-TOK-08, P2P-DCR-148
	w := newWorld(t, Options{})
	for name, tt := range map[string]struct {
		key crypto.Signer
		alg jose.SignatureAlgorithm
	}{"ES384": {p384(t), jose.ES384}, "RS384": {rsaKey(t, 2048), jose.RS384}} {
		t.Run(name, func(t *testing.T) {
			p := &party{w: w, key: tt.key, alg: tt.alg, kid: "k"}
			p.register(Metadata{GrantTypes: []string{grantClientCredentials}, AuthMethod: authJWT, JWKS: jwks(t, "k", tt.key.Public()), Scope: "system/*.rs " + MemberMatch})
			a := w.send(formRequest(t, TokenPath, p.form(MemberMatch, nil)))
			if a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || a.text("token_type") != "bearer" ||
				a.body["expires_in"] != 300.0 || a.text("scope") != MemberMatch || a.body["refresh_token"] != nil {
				t.Fatalf("%d %v %v", a.StatusCode, a.Header, a.body)
			}
			if got := a.Header.Get(AudienceHeader); got != "direct "+origin+"/oauth/token" {
				t.Errorf("audience %q", got)
			}
			jws, err := jose.ParseSignedCompact(a.text("access_token"), []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(w.public.Key); err != nil {
				t.Error(err)
			}
			c := decode(t, a.text("access_token"))
			if c["iss"] != origin+"/oauth" || c["aud"] != origin+"/fhir" || c["client_id"] != p.id || c["scope"] != MemberMatch || c["exp"] != float64(w.now.Unix()+300) || c["client_assertion_aud_kind"] != "direct" {
				t.Errorf("claims %v", c)
			}
			var row tokenRow
			if err := w.store.db.Read.Raw("SELECT * FROM oauth_token").Scan(&row).Error; err != nil || row.Hash == a.text("access_token") {
				t.Errorf("stored %v, %v", row, err)
			}
		})
	}
}

func TestAudienceOfTheProxy(t *testing.T) {
	const shown = "http://127.0.0.1:8081/acme~payer/oauth/token"
	w := newWorld(t, Options{Audiences: func(*http.Request) []string { return []string{"http://other", shown} }})
	p := w.newParty()
	a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {p.jwt(nil, object{"aud": []string{"x", shown}})}})))
	if a.StatusCode != http.StatusOK || a.Header.Get(AudienceHeader) != "proxied "+shown {
		t.Fatalf("%d %v %v", a.StatusCode, a.Header, a.body)
	}
	if c := decode(t, a.text("access_token")); c["client_assertion_aud"] != shown || c["client_assertion_aud_kind"] != "proxied" {
		t.Errorf("%v", c)
	}
}

func TestAssertionsRefused(t *testing.T) {
	w := newWorld(t, Options{})
	p, stranger := w.newParty(), w.newParty()
	now := w.now.Unix()
	used := p.jwt(nil, nil)
	if a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {used}}))); a.StatusCode != http.StatusOK {
		t.Fatal(a.body)
	}
	with := func(claims object) string { return p.jwt(nil, claims) }
	tampered := strings.Split(p.jwt(nil, nil), ".")
	tampered[1] = strings.Split(p.jwt(nil, object{"jti": "else"}), ".")[1]
	for _, tt := range []struct {
		name, id, jwt, says string
	}{
		{"replayed", "AUTH-09", used, "already used"},
		{"alg none", "AUTH-09", unsignedJWT(t, p.claims(nil)), "alg 'none'"},
		{"symmetric alg", "AUTH-09", hs256(t, p.claims(nil)), "alg 'HS256'"},
		{"no jwt", "TOK-112", "abc", "no JWT"},
		{"tampered", "AUTH-09", strings.Join(tampered, "."), "signature"},
		{"another's key", "AUTH-09", signWith(t, stranger.key, jose.ES384, object{"kid": "k1"}, p.claims(nil)), "signature"},
		{"unknown kid", "TOK-112", p.jwt(object{"kid": "other"}, nil), "kid"},
		{"no kid", "AUTH-07", p.jwt(object{"kid": nil}, nil), "no kid"},
		{"foreign jku", "AUTH-07", p.jwt(object{"jku": "https://evil.example/jwks"}, nil), "jku"},
		{"access token as assertion", "AUTH-07", p.jwt(object{"typ": "at+jwt"}, nil), "typ 'at+jwt'"},
		{"other aud", "TOK-112", with(object{"aud": "https://else.example/oauth/token"}), "aud"},
		{"aud with slash", "AUTH-07", with(object{"aud": origin + TokenPath + "/"}), "aud"},
		{"no aud", "AUTH-07", with(object{"aud": nil}), "aud"},
		{"aud of wrong type", "AUTH-07", with(object{"aud": 7}), "wrong JSON type"},
		{"expired", "AUTH-09", with(object{"exp": now}), "expired"},
		{"no exp", "AUTH-07", with(object{"exp": nil}), "no exp"},
		{"exp too far", "AUTH-07", with(object{"exp": now + 331}), "longer than 300"},
		{"exp beyond numbers", "AUTH-07", with(object{"exp": 1e300}), "longer than 300"},
		{"iat in the future", "RFC 7523", with(object{"iat": now + 31}), "issued in the future"},
		{"nbf in the future", "RFC 7523", with(object{"nbf": now + 31}), "not valid yet"},
		{"no jti", "AUTH-07", with(object{"jti": nil}), "no jti"},
		{"unknown iss", "AUTH-09", with(object{"iss": "nobody", "sub": "nobody"}), "no registered client"},
		{"no iss", "AUTH-07", with(object{"iss": nil}), "no iss"},
		{"other sub", "AUTH-07", with(object{"sub": stranger.id}), "sub"},
		{"no sub", "AUTH-07", with(object{"sub": nil}), "sub"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {tt.jwt}})))
			if a.StatusCode != http.StatusUnauthorized || a.text("error") != "invalid_client" || !strings.Contains(a.text("error_description"), tt.says) {
				t.Errorf("%s: %d %v, want invalid_client saying %q", tt.id, a.StatusCode, a.body, tt.says)
			}
			if a.Header.Get("Cache-Control") != "no-store" || strings.Contains(a.text("error_description"), tt.jwt) && len(tt.jwt) > 10 {
				t.Errorf("leaks: %v %v", a.Header, a.body)
			}
		})
	}
	// A small difference of clocks is forgiven.
	if a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {with(object{"iat": now + 30, "exp": now + 330})}}))); a.StatusCode != http.StatusOK {
		t.Errorf("30 s ahead: %v", a.body)
	}
}

func hs256(t testing.TB, claims object) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sign(s, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenRequestsRefused(t *testing.T) { // P2P-TOK-02, 111 to 116; AUTH-12
	w := newWorld(t, Options{})
	p := w.newParty()
	basic := &party{w: w}
	basic.register(Metadata{GrantTypes: []string{grantClientCredentials}, Scope: "system/Patient.rs"})
	for _, tt := range []struct {
		name   string
		change url.Values
		edit   func(*http.Request)
		status int
		code   string
	}{
		{"no grant type", url.Values{"grant_type": nil}, nil, 400, "invalid_request"},
		{"other grant type", url.Values{"grant_type": {"password"}}, nil, 400, "unsupported_grant_type"},
		{"given twice", url.Values{"scope": {"system/*.rs", "system/*.rs"}}, nil, 400, "invalid_request"},
		{"other assertion type", url.Values{"client_assertion_type": {"x"}}, nil, 400, "invalid_request"},
		{"no assertion", url.Values{"client_assertion": nil}, nil, 400, "invalid_request"},
		{"no assertion type", url.Values{"client_assertion_type": nil}, nil, 400, "invalid_request"},
		{"two ways", nil, func(r *http.Request) { r.SetBasicAuth(basic.id, basic.secret) }, 400, "invalid_request"},
		{"two ways in the form", url.Values{"client_secret": {"x"}}, nil, 400, "invalid_request"},
		{"other client_id", url.Values{"client_id": {basic.id}}, nil, 401, "invalid_client"},
		{"no authentication", url.Values{"client_assertion": nil, "client_assertion_type": nil}, nil, 401, "invalid_client"},
		{"parameters in the URL", nil, func(r *http.Request) { r.URL.RawQuery = "scope=x" }, 400, "invalid_request"},
		{"JSON", nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request"},
		{"oversize", url.Values{"x": {strings.Repeat("x", maxForm)}}, nil, 400, "invalid_request"},
		{"no scope", url.Values{"scope": nil}, nil, 400, "invalid_scope"},
		{"foreign scope", url.Values{"scope": {"launch"}}, nil, 400, "invalid_scope"},
		{"more rights than registered", url.Values{"scope": {"system/*.cruds"}}, nil, 400, "invalid_scope"},
		{"scope with a query", url.Values{"scope": {"system/Observation.rs?category=laboratory"}}, nil, 400, "invalid_scope"},
		{"patient scope without member", url.Values{"scope": {"patient/*.rs"}}, nil, 400, "invalid_scope"},
		{"assertion with client_credentials", url.Values{"assertion": {"x"}}, nil, 400, "invalid_request"},
		{"wrong secret", url.Values{"client_assertion": nil, "client_assertion_type": nil}, func(r *http.Request) { r.SetBasicAuth(basic.id, "x") }, 401, "invalid_client"},
		{"secret of a client without one", url.Values{"client_assertion": nil, "client_assertion_type": nil}, func(r *http.Request) { r.SetBasicAuth(p.id, "") }, 401, "invalid_client"},
		{"not registered for the grant", url.Values{"client_assertion": nil, "client_assertion_type": nil, "grant_type": {grantJWTBearer}}, func(r *http.Request) { r.SetBasicAuth(basic.id, basic.secret) }, 400, "unauthorized_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := formRequest(t, TokenPath, p.form("system/*.rs", tt.change))
			if tt.edit != nil {
				tt.edit(r)
			}
			a := w.send(r)
			if a.StatusCode != tt.status || a.text("error") != tt.code || a.text("error_description") == "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %v", a.StatusCode, a.body, a.Header)
			}
			if usesBasic := strings.HasPrefix(r.Header.Get("Authorization"), "Basic"); usesBasic && tt.status == 401 && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
		})
	}
	if a := w.send(withBearer(t, TokenPath, "")); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.StatusCode)
	}
}

func TestTokenBySecret(t *testing.T) { // P2P-TOK-106
	w := newWorld(t, Options{})
	p := &party{w: w}
	p.register(Metadata{GrantTypes: []string{grantClientCredentials}, AuthMethod: authPost, Scope: "system/Patient.rs system/Group.rs"})
	form := url.Values{"grant_type": {grantClientCredentials}, "scope": {"system/*.rs system/*.cud"}}
	r := formRequest(t, TokenPath, form)
	r.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret))
	if a := w.send(r); a.StatusCode != http.StatusOK || a.text("scope") != "system/Patient.rs system/Group.rs" { // P2P-TOK-03: narrower
		t.Errorf("basic: %d %v", a.StatusCode, a.body)
	}
	form.Set("client_id", p.id)
	form.Set("client_secret", p.secret)
	if a := w.send(formRequest(t, TokenPath, form)); a.StatusCode != http.StatusOK || a.Header.Get(AudienceHeader) != "" {
		t.Errorf("post: %d %v", a.StatusCode, a.body)
	}
	p.register(Metadata{GrantTypes: []string{grantClientCredentials}, AuthMethod: authBasic, Scope: "system/Patient.rs"})
	form.Set("client_id", p.id)
	form.Set("client_secret", p.secret)
	if a := w.send(formRequest(t, TokenPath, form)); a.text("error") != "invalid_client" {
		t.Errorf("post for a client of basic: %d %v", a.StatusCode, a.body)
	}
}

func TestTokenByCertificateIsBound(t *testing.T) { // P2P-TLS-04, 05, 08; P2P-TOK-05; RFC 8705
	w := newWorld(t, Options{})
	leaf, _, _ := certificate(t, 7, "https://p2p.harborlight.example/")
	other, _, _ := certificate(t, 8, "https://p2p.gullwing.example/")
	for _, m := range []Metadata{
		{SANURI: "https://p2p.harborlight.example/"}, {SANDNS: "P2P.harborlight.example"}, {SubjectDN: "CN=p2p.harborlight.example, O=Harborlight"},
	} {
		p := &party{w: w}
		m.GrantTypes, m.AuthMethod, m.Scope = []string{grantClientCredentials}, authTLS, "system/*.rs"
		p.register(m)
		form := url.Values{"grant_type": {grantClientCredentials}, "scope": {"system/*.rs"}, "client_id": {p.id}}
		if a := w.send(formRequest(t, TokenPath, form)); a.text("error") != "invalid_client" {
			t.Errorf("without certificate: %v", a.body)
		}
		if a := w.send(over(formRequest(t, TokenPath, form), other)); a.text("error") != "invalid_client" {
			t.Errorf("other certificate: %v", a.body)
		}
		a := w.send(over(formRequest(t, TokenPath, form), leaf))
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%+v: %v", m, a.body)
		}
		token := a.text("access_token")
		if c, _ := decode(t, token)["cnf"].(object); c["x5t#S256"] != thumbprint(peer(over(withBearer(t, "/", ""), leaf))) {
			t.Errorf("cnf %v", c)
		}
		if _, err := w.Authorize(over(withBearer(t, "/fhir/Patient/1", token), leaf), nil); err != nil {
			t.Errorf("with its certificate: %v", err)
		}
		for name, r := range map[string]*http.Request{"without": withBearer(t, "/fhir/Patient/1", token), "other": over(withBearer(t, "/fhir/Patient/1", token), other)} {
			_, err := w.Authorize(r, nil)
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusUnauthorized || e.Code != "invalid_token" {
				t.Errorf("%s certificate: %v", name, err)
			}
		}
	}
}

func TestKeySetsByURL(t *testing.T) { // AUTH-04, P2P-DCR-05
	keys := []crypto.Signer{p384(t), p384(t)}
	fetched, status, cache := 0, http.StatusOK, "max-age=600"
	current := 0
	w := newWorld(t, Options{HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
		fetched++
		if r.URL.String() != "https://hl.example/jwks" {
			t.Errorf("fetched %s", r.URL)
		}
		return jsonResponse(status, http.Header{"Cache-Control": {cache}}, string(jwks(t, "k"+string(rune('0'+current)), keys[current].Public()))), nil
	})})
	p := &party{w: w, key: keys[0], alg: jose.ES384, kid: "k0"}
	p.register(Metadata{GrantTypes: []string{grantClientCredentials}, AuthMethod: authJWT, JWKSURI: "https://hl.example/jwks", Scope: "system/*.rs"})
	step := func(name string, wantStatus, wantFetched int) {
		t.Helper()
		a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {p.jwt(object{"jku": "https://hl.example/jwks"}, nil)}})))
		if a.StatusCode != wantStatus || fetched != wantFetched {
			t.Errorf("%s: %d %v after %d fetches, want %d after %d", name, a.StatusCode, a.body, fetched, wantStatus, wantFetched)
		}
	}
	step("first", 200, 1)
	step("kept", 200, 1)
	current, p.key, p.kid = 1, keys[1], "k1"
	w.now = w.now.Add(3 * time.Second)
	step("rolled keys", 200, 2)
	p.key, p.kid = keys[0], "k9"
	step("unknown kid does not fetch at once again", 401, 2)
	p.key, p.kid = keys[1], "k1"
	w.now = w.now.Add(601 * time.Second)
	cache = "no-store"
	step("over", 200, 3)
	step("not to be kept", 200, 4)
	status = http.StatusNotFound
	step("gone", 401, 5)
}

func TestMemberGrants(t *testing.T) { // P2P-TOK-16 to 21, 113
	w := newWorld(t, Options{})
	p, stranger := w.newParty(), w.newParty()
	match := Match{Client: p.id, Patient: "pt-90417", Identifier: "cmu-90417", Start: w.now.Add(-time.Hour), End: w.now.Add(100 * time.Second), Sensitive: true}
	if err := w.RecordMatch(t.Context(), match); err != nil {
		t.Fatal(err)
	}
	f1 := func(claims object) url.Values {
		return p.form("patient/*.rs", url.Values{"grant_type": {grantJWTBearer}, "assertion": {p.jwt(nil, claims)}})
	}
	for _, tt := range []struct {
		name string
		form url.Values
		code string
	}{
		{"F1 by id", f1(object{"sub": "pt-90417"}), ""},
		{"F1 by identifier", f1(object{"sub": "cmu-90417"}), ""},
		{"F2", p.form("patient/*.rs", url.Values{"client_assertion": {p.jwt(nil, object{"sub": "pt-90417"})}}), ""},
		{"F3", p.form("patient/*.rs system/*.rs", url.Values{"patient": {"pt-90417"}}), ""},
		{"F1 unknown member", f1(object{"sub": "pt-1"}), "invalid_grant"},
		{"F2 unknown member", p.form("patient/*.rs", url.Values{"client_assertion": {p.jwt(nil, object{"sub": "pt-1"})}}), "invalid_grant"},
		{"F1 without member", f1(nil), "invalid_grant"},
		{"F1 without assertion", p.form("patient/*.rs", url.Values{"grant_type": {grantJWTBearer}}), "invalid_request"},
		{"F1 expired", f1(object{"sub": "pt-90417", "exp": w.now.Unix() - 1}), "invalid_grant"},
		{"F1 other aud", f1(object{"sub": "pt-90417", "aud": "https://else.example"}), "invalid_grant"},
		{"F1 of another client", p.form("patient/*.rs", url.Values{"grant_type": {grantJWTBearer}, "assertion": {stranger.jwt(nil, object{"sub": "pt-90417"})}}), "invalid_grant"},
		{"another client's member", stranger.form("patient/*.rs", url.Values{"patient": {"pt-90417"}}), "invalid_grant"},
		{"no member scope", p.form("system/*.rs", url.Values{"patient": {"pt-90417"}}), "invalid_scope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send(formRequest(t, TokenPath, tt.form))
			if a.text("error") != tt.code {
				t.Fatalf("%d %v", a.StatusCode, a.body)
			}
			if tt.code != "" {
				return
			}
			if a.text("patient") != "pt-90417" || a.text("scope") != "patient/*.rs" || a.body["expires_in"] != 100.0 {
				t.Errorf("%v", a.body)
			}
			if c := decode(t, a.text("access_token")); c["patient"] != "pt-90417" {
				t.Errorf("claims %v", c)
			}
		})
	}
	again := f1(object{"sub": "pt-90417"})
	w.send(formRequest(t, TokenPath, again))
	again.Set("client_assertion", p.jwt(nil, nil))
	if a := w.send(formRequest(t, TokenPath, again)); a.text("error") != "invalid_grant" || !strings.Contains(a.text("error_description"), "already used") {
		t.Errorf("replayed: %v", a.body)
	}

	token := p.token("patient/*.rs", url.Values{"patient": {"pt-90417"}})
	g, err := w.Authorize(withBearer(t, "/fhir/Patient/pt-90417", token), nil)
	if err != nil || g.Patient != "pt-90417" || !g.Sensitive {
		t.Fatalf("%+v, %v", g, err)
	}
	if ok, err := w.MatchedSince(t.Context(), p.id, "pt-90417", w.now.Add(-time.Minute)); !ok || err != nil {
		t.Errorf("matched %v, %v", ok, err)
	}
	if err := w.Withdraw(t.Context(), p.id, "pt-90417"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Authorize(withBearer(t, "/fhir/Patient/pt-90417", token), nil); err == nil {
		t.Error("a withdrawn consent left its token valid")
	}
	if a := w.send(formRequest(t, TokenPath, p.form("patient/*.rs", url.Values{"patient": {"pt-90417"}}))); a.text("error") != "invalid_grant" {
		t.Errorf("withdrawn: %v", a.body)
	}
	if err := w.RecordMatch(t.Context(), match); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(100 * time.Second)
	if a := w.send(formRequest(t, TokenPath, p.form("patient/*.rs", url.Values{"patient": {"pt-90417"}}))); a.text("error") != "invalid_grant" {
		t.Errorf("consent over: %v", a.body)
	}
}

func TestRefuseMemberSubject(t *testing.T) { // C-08
	w := newWorld(t, Options{RefuseMemberSubject: true})
	p := w.newParty()
	if a := w.send(formRequest(t, TokenPath, p.form("patient/*.rs", url.Values{"client_assertion": {p.jwt(nil, object{"sub": "pt-1"})}}))); a.text("error") != "invalid_client" {
		t.Errorf("%v", a.body)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	w := newWorld(t, Options{})
	p := w.newParty()
	used := p.jwt(nil, nil)
	token := p.token("system/*.rs", url.Values{"client_assertion": {used}})
	if err := w.RecordMatch(t.Context(), Match{Client: p.id, Patient: "pt-1"}); err != nil {
		t.Fatal(err)
	}
	w.open(Options{})
	if g, err := w.Authorize(withBearer(t, "/fhir/Patient", token), nil); err != nil || g.Client != p.id {
		t.Errorf("token: %v, %v", g, err)
	}
	if a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{"client_assertion": {used}}))); a.text("error") != "invalid_client" {
		t.Errorf("replay after a restart: %d %v", a.StatusCode, a.body)
	}
	p.token("patient/*.rs", url.Values{"patient": {"pt-1"}})
}

func TestIntrospectAndRevoke(t *testing.T) { // P2P-DSC-111, RFC 7662, RFC 7009
	w := newWorld(t, Options{})
	p, stranger := w.newParty(), w.newParty()
	token := p.token("system/*.rs", nil)
	ask := func(path string, by *party) reply {
		return w.send(formRequest(t, path, by.form("", url.Values{"grant_type": nil, "scope": nil, "token": {token}})))
	}
	if a := ask(IntrospectPath, p); a.body["active"] != true || a.text("scope") != "system/*.rs" || a.text("client_id") != p.id || a.body["exp"] != float64(w.now.Unix()+300) {
		t.Errorf("own token: %v", a.body)
	}
	if a := ask(IntrospectPath, stranger); a.StatusCode != http.StatusOK || len(a.body) != 1 || a.body["active"] != false {
		t.Errorf("another's token: %v", a.body)
	}
	if a := w.send(formRequest(t, IntrospectPath, url.Values{"token": {token}})); a.text("error") != "invalid_client" {
		t.Errorf("without authentication: %v", a.body)
	}
	if a := ask(RevokePath, stranger); a.StatusCode != http.StatusOK {
		t.Errorf("revoke another's: %d", a.StatusCode)
	}
	if _, err := w.Authorize(withBearer(t, "/fhir/Patient", token), nil); err != nil {
		t.Errorf("a stranger revoked it: %v", err)
	}
	if a := ask(RevokePath, p); a.StatusCode != http.StatusOK {
		t.Errorf("revoke: %d", a.StatusCode)
	}
	if _, err := w.Authorize(withBearer(t, "/fhir/Patient", token), nil); err == nil {
		t.Error("revoked and still valid")
	}
	if a := ask(IntrospectPath, p); a.body["active"] != false {
		t.Errorf("revoked token: %v", a.body)
	}
}

func TestExpiredRowsAreForgotten(t *testing.T) {
	w := newWorld(t, Options{})
	p := w.newParty()
	p.token("system/*.rs", nil)
	w.now = w.now.Add(25 * time.Hour)
	p.token("system/*.rs", nil)
	for _, table := range []string{"oauth_token", "oauth_jti"} {
		var n int
		if err := w.store.db.Read.Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil || n != 1 {
			t.Errorf("%s has %d rows, error %v", table, n, err)
		}
	}
}

func TestOneOfManyReplaysWins(t *testing.T) { // AUTH-09
	w := newWorld(t, Options{})
	p := w.newParty()
	form := p.form("system/*.rs", nil)
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, formRequest(t, TokenPath, form))
			if rec.Code == http.StatusOK {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 16 requests with one assertion got a token", good.Load())
	}
}
