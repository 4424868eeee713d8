package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

// tokenLedger is an api.Tokens that knows what it is told.
type tokenLedger struct {
	ledger        validators.Ledger
	authorization validators.Authorization
	err           error
}

func (l *tokenLedger) Ledger(_ context.Context, channel string) (*validators.Ledger, error) {
	out := l.ledger
	out.Channel = channel
	return &out, l.err
}

func (l *tokenLedger) Authorization(context.Context, *proxy.Exchange) (*validators.Authorization, error) {
	return &l.authorization, l.err
}

// choices is an api.Settings.
type choices struct {
	guides []api.Guide
	certs  []string
}

func (c choices) Guides() []api.Guide { return c.guides }

func (c choices) ClientCertificates() []string { return c.certs }

func channelServer(t testing.TB, store *apitest.Store, tokens api.Tokens, settings api.Settings) *Server {
	t.Helper()
	d := store.Deps()
	d.Tokens, d.Settings = tokens, settings
	s, err := New(d, Options{Clock: func() time.Time { return start.Add(4 * time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func ref(n int64) validators.Ref {
	return validators.Ref{ID: "x" + string(rune('0'+n)), Number: n, At: start.Add(time.Duration(n) * time.Second)}
}

// fullLedger has a token that was used well and badly, a refused request and a token from elsewhere, with text as what systems sent.
func fullLedger(text string) validators.Ledger {
	registered := ref(1)
	return validators.Ledger{
		Grants: []validators.Grant{
			{Request: ref(5), Client: text, Type: "client_credentials", Method: "client_secret_basic", Asked: []string{text}, Status: 400, Error: "invalid_scope"},
			{
				Request: ref(2), Client: "app-1", Registered: &registered, Type: "client_credentials", Method: "private_key_jwt", Audience: []string{"https://p2p.cedar.example/token"},
				Asked: []string{"system/*.rs", text}, Scopes: []string{"system/Patient.rs", text}, Patient: "p1", Status: 200, Token: "hmac:00000000000000aa", Expires: start.Add(3 * time.Minute), UseCount: 45,
				Uses: []validators.TokenUse{
					{Ref: ref(3), Channel: "harborlight~cedar", What: "read Patient " + text, Status: 200, Needs: "Patient.r", Enough: validators.EnoughYes},
					{Ref: ref(4), Channel: "other~cedar", What: "search Group", Status: 403, Needs: "Group.s", Enough: validators.EnoughNo},
				},
			},
		},
		Unknown: []validators.Grant{{Token: "hmac:00000000000000bb", UseCount: 1, Uses: []validators.TokenUse{{Ref: ref(6), Channel: "harborlight~cedar", What: "read Patient"}}}},
		Findings: []validators.TokenFinding{{
			Issue: validators.Issue{
				MessageID: "token-expired", Severity: validators.SeverityError, Side: validators.SideServer, Message: "The server accepted a token that had expired. " + text,
				Expected: "401", Found: text, DoNext: "Check the expiry of tokens on every request.", Requirement: "P2P-TOK-04",
			},
			Token: "hmac:00000000000000aa", Exchange: ref(3), Times: 3,
		}},
		FindingCount: 3, Without: 2, Partial: true,
	}
}

func TestChannelPages(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	settings := choices{guides: []api.Guide{{ID: "hl7.fhir.us.core#6.1.0", Active: true}, {ID: "hl7.terminology.r4#7.0.1"}}, certs: []string{"harborlight"}}
	use := fullLedger("system/Group.rs").Grants[1]
	for _, c := range []struct {
		name, path string
		tokens     *tokenLedger
		settings   api.Settings
	}{
		{"channel-settings", "/channels/c-harborlight", nil, settings},
		{"channel-settings-plain", "/channels/c-harborlight", nil, nil},
		{"channel-auth", "/channels/c-harborlight/auth", &tokenLedger{ledger: fullLedger("system/Group.rs")}, nil},
		{"channel-auth-empty", "/channels/c-harborlight/auth", &tokenLedger{}, nil},
		{"exchange-auth", "/exchanges/x5/auth", &tokenLedger{authorization: validators.Authorization{
			Use: &use.Uses[1], Scheme: "Bearer", Token: use.Token, Grant: &use, Findings: fullLedger("x").Findings,
		}}, nil},
		{"exchange-auth-unknown", "/exchanges/x5/auth", &tokenLedger{authorization: validators.Authorization{
			Use: &use.Uses[0], Scheme: "Bearer", Token: "hmac:1", Grant: &validators.Grant{Token: "hmac:1"},
		}}, nil},
		{"exchange-auth-issued", "/exchanges/x5/auth", &tokenLedger{authorization: validators.Authorization{Scheme: "Basic", Issued: &use}}, nil},
		{"exchange-auth-none", "/exchanges/x5/auth", &tokenLedger{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tokens api.Tokens
			if c.tokens != nil {
				tokens = c.tokens
			}
			w := get(t, channelServer(t, store, tokens, c.settings), c.path)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %.300s", w.Code, w.Body)
			}
			checkPage(t, c.name+".html", w.Body.String())
		})
	}
	if w := get(t, channelServer(t, store, nil, nil), "/channels/c-harborlight/auth"); w.Code != http.StatusNotImplemented {
		t.Errorf("without a ledger: %d", w.Code)
	}
	if w := get(t, channelServer(t, store, &tokenLedger{err: errors.New("disk: secret detail")}, nil), "/channels/c-harborlight/auth"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret detail") {
		t.Errorf("failing ledger: %d", w.Code)
	}
	if w := get(t, channelServer(t, store, nil, nil), "/channels/nobody"); w.Code != http.StatusNotFound {
		t.Errorf("unknown channel: %d", w.Code)
	}
}

func TestHostileTokens(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	l := fullLedger(hostile)
	s := channelServer(t, store, &tokenLedger{ledger: l, authorization: validators.Authorization{
		Scheme: hostile, Token: hostile, Use: &l.Grants[1].Uses[0], Grant: &l.Grants[1], Issued: &l.Grants[1], Findings: l.Findings,
	}}, choices{guides: []api.Guide{{ID: hostile}}, certs: []string{hostile}})
	for _, path := range []string{"/channels/c-harborlight/auth", "/channels/c-harborlight", "/exchanges/x5/auth"} {
		w := get(t, s, path)
		if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: status %d, or markup of a system in the page", path, w.Code)
		}
	}
	w := do(t, s, http.MethodPost, "/channels/c-harborlight", url.Values{"track": {hostile}, "base_path": {hostile}, "profiles": {hostile}, "client_cert": {"x" + hostile}, "discovery": {hostile}}.Encode(), nil)
	if body := w.Body.String(); w.Code != http.StatusUnprocessableEntity || strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
		t.Errorf("hostile form: status %d, or markup in the page", w.Code)
	}
}

func TestChannelForm(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	s := channelServer(t, store, nil, choices{guides: []api.Guide{{ID: "hl7.fhir.us.core#6.1.0", Active: true}}, certs: []string{"harborlight"}})
	good := url.Values{
		"track": {" Payer "}, "base_path": {"/r4"}, "guides": {"hl7.fhir.us.core#6.1.0"}, "profiles": {"Patient http://x.example/p\r\n\r\nCoverage http://x.example/c"},
		"discovery": {"rewrite-except-token"}, "client_cert": {"harborlight"}, "require_client_cert": {"on"}, "passthrough": {"on"},
	}
	w := do(t, s, http.MethodPost, "/channels/c-harborlight", good.Encode(), nil)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/channels/c-harborlight?done=changed" {
		t.Fatalf("status %d: %.300s", w.Code, w.Body)
	}
	ch, err := store.Channel(t.Context(), "c-harborlight")
	if err != nil {
		t.Fatal(err)
	}
	o := ch.Options
	if o.Track != "Payer" || o.BasePath != "/r4" || !slices.Equal(o.Guides, []string{"hl7.fhir.us.core#6.1.0"}) || o.Profiles["Coverage"] != "http://x.example/c" || len(o.Profiles) != 2 ||
		o.Discovery != proxy.DiscoveryKeepToken || o.ClientCert != "harborlight" || !o.RequireClientCert || !o.Passthrough {
		t.Errorf("stored %+v", o)
	}
	for _, c := range []struct{ field, value, want string }{
		{"base_path", "r4/", "start with /"},
		{"guides", "nobody#1", "not among the guides"},
		{"profiles", "Patient", "on each line"},
		{"profiles", "Patient nonsense", "resource type and a profile"},
		{"profiles", "Patient http://a/b\nPatient http://c/d", "once"},
		{"discovery", "upside-down", "no mode"},
		{"client_cert", "nobody", "no certificate is called"},
	} {
		f := maps.Clone(good)
		f.Set(c.field, c.value)
		w := do(t, s, http.MethodPost, "/channels/c-harborlight", f.Encode(), nil)
		if body := w.Body.String(); w.Code != http.StatusUnprocessableEntity || !strings.Contains(body, `id="`+c.field+`-e"`) || !strings.Contains(body, c.want) {
			t.Errorf("%s %q: status %d, or no word beside the field", c.field, c.value, w.Code)
		}
	}
	if after, _ := store.Channel(t.Context(), "c-harborlight"); after.Options.BasePath != "/r4" {
		t.Error("a refused form was stored")
	}
	w = do(t, s, http.MethodPost, "/channels/c-harborlight", good.Encode(), map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
	if w.Code != http.StatusForbidden {
		t.Errorf("another site's form: %d", w.Code)
	}
}

func testCertificate(t *testing.T) (text, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "a test CA"}, NotBefore: start, NotAfter: start.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), proxy.CertificateOf(c).Fingerprint
}

func TestOptionsForm(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	s := channelServer(t, store, nil, nil)
	text, fingerprint := testCertificate(t)
	post := func(system string, f url.Values) (int, string) {
		w := do(t, s, http.MethodPost, "/systems/"+system+"/options", f.Encode(), nil)
		return w.Code, w.Body.String()
	}
	if code, body := post("s-cedar", url.Values{"auxiliary": {"auth https://auth.example/oauth2/\r\nfiles https://files.example"}, "ca": {text}, "insecure_hours": {"4"}}); code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", code, body)
	}
	sys, err := store.System(t.Context(), "s-cedar")
	if err != nil {
		t.Fatal(err)
	}
	o := sys.Options
	if len(o.Auxiliary) != 2 || o.Auxiliary[0] != (proxy.Auxiliary{Name: "auth", URL: "https://auth.example/oauth2"}) || !strings.HasPrefix(o.CA, "-----BEGIN") {
		t.Errorf("stored %+v", o)
	}
	if want := start.Add(4 * time.Minute).Add(4 * time.Hour); o.InsecureUntil.Sub(want).Abs() > time.Second {
		t.Errorf("not verified until %v, want %v", o.InsecureUntil, want)
	}
	page := get(t, s, "/systems/s-cedar").Body.String()
	for _, want := range []string{"is not verified", "Certificate not verified until 14:45:02", "CN=a test CA", "auth https://auth.example/oauth2\nfiles https://files.example", `value="keep" selected`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if code, _ := post("s-cedar", url.Values{"insecure_hours": {"keep"}}); code != http.StatusSeeOther {
		t.Errorf("status %d", code)
	}
	if sys, _ := store.System(t.Context(), "s-cedar"); !sys.Options.InsecureUntil.Equal(o.InsecureUntil) || sys.Options.CA != "" || len(sys.Options.Auxiliary) != 0 || sys.Name == "" {
		t.Errorf("kept %+v", sys.Options)
	}
	if _, _ = post("s-cedar", url.Values{}); true {
		if sys, _ := store.System(t.Context(), "s-cedar"); !sys.Options.InsecureUntil.IsZero() {
			t.Error("verification did not come back")
		}
	}

	colons := strings.ToUpper(fingerprint[:2])
	for i := 2; i < len(fingerprint); i += 2 {
		colons += ":" + strings.ToUpper(fingerprint[i:i+2])
	}
	other := strings.Repeat("ab", 32)
	if code, body := post("s-harborlight", url.Values{"client_pins": {other + "\r\n" + text + "\r\n" + colons}}); code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", code, body)
	}
	if sys, _ := store.System(t.Context(), "s-harborlight"); len(sys.Options.ClientPins) != 2 || !slices.Contains(sys.Options.ClientPins, fingerprint) || !slices.Contains(sys.Options.ClientPins, other) {
		t.Errorf("pins %v", sys.Options.ClientPins)
	}

	for _, c := range []struct{ system, field, value, mark, want string }{
		{"s-cedar", "auxiliary", "auth", "auxiliary", "on each line"},
		{"s-cedar", "auxiliary", "Auth! https://a.example", "auxiliary", "lower-case"},
		{"s-cedar", "auxiliary", "auth nonsense", "auxiliary", "http"},
		{"s-cedar", "ca", "not PEM", "ca", "PEM"},
		{"s-cedar", "insecure_hours", "8000", "insecure_hours", "choose one"},
		{"s-harborlight", "client_pins", "abc", "client_pins", "64 hexadecimal"},
		{"s-harborlight", "client_pins", "-----BEGIN CERTIFICATE-----\nabc", "client_pins", "cut off"},
		{"s-harborlight", "client_pins", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "client_pins", "certificates only"},
	} {
		code, body := post(c.system, url.Values{c.field: {c.value}})
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, `id="`+c.mark+`-e"`) || !strings.Contains(body, c.want) {
			t.Errorf("%s %q: status %d, or no word beside the field", c.field, c.value, code)
		}
	}
	escape := func(from string) proxy.Edit {
		return proxy.Edit{Where: "response body", At: "/token_endpoint", From: from, To: from, Why: proxy.WhyEscape}
	}
	e := addExchange(store, "escape", 0, spec{path: "/fhir/.well-known/smart-configuration", channel: "harborlight~cedar", status: 200, kind: proxy.Interaction{Kind: proxy.KindSMARTConfig}})
	e.Edits = []proxy.Edit{escape("https://login.example/oauth2/token"), escape("https://login.example/other"), escape("https://" + hostile)}
	addReport(store, "escape", nil, validators.Issue{MessageID: "discovery-escape", Severity: validators.SeverityInformation, Message: "x", Part: validators.PartResponseBody})
	if page := get(t, s, "/systems/s-cedar").Body.String(); strings.Count(page, "https://login.example") != 1 || !strings.Contains(page, "/exchanges/escape/changes") || strings.Contains(page, "<script>alert") {
		t.Errorf("the page does not offer the server that discovery led to, once and as text: %d times, its exchange: %v", strings.Count(page, "https://login.example"), strings.Contains(page, "/exchanges/escape/changes"))
	}
	if code, _ := post("s-cedar", url.Values{"auxiliary": {"auth https://login.example/oauth2"}}); code != http.StatusSeeOther || strings.Contains(get(t, s, "/systems/s-cedar").Body.String(), "https://login.example/oauth2/token") {
		t.Error("a declared server is still offered")
	}
	if code, body := post("s-cedar", url.Values{"auxiliary": {hostile}, "ca": {hostile}}); code != http.StatusUnprocessableEntity || strings.Contains(body, "<script>alert") {
		t.Errorf("hostile options: %d", code)
	}
}
