package record

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

var testKey = proxy.NewFingerprintKey([]byte("0123456789abcdef0123456789abcdef"))

// plant is marked so that nothing of it may be found again; numbered, so that a finding names its place.
func plant(n int) string { return fmt.Sprintf("PLANTED%dSECRET", n) }

func plantJWT(n int, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS384","kid":"k1"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte(plant(n)))
}

// exchange passes one request and response through a Recorder, without a network, and returns what the Sink got.
func exchange(t testing.TB, rec *Recorder, req *http.Request, res *http.Response) *Pending {
	t.Helper()
	req, p := rec.Begin(req, Arrival{Mode: proxy.ModeReverse, Channel: "a~b", URL: "http://proxy.test" + req.URL.RequestURI()})
	send := rec.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		res.Request = r
		return res, nil
	}))
	out := req.Clone(req.Context())
	out.URL, _ = url.Parse("http://server.test" + req.URL.RequestURI())
	got, err := send.RoundTrip(out)
	if err != nil {
		p.Fail(p.Classify(err))
		return p
	}
	p.Deliver(got)
	if _, err := io.Copy(io.Discard, got.Body); err != nil {
		t.Error(err)
	}
	if err := got.Body.Close(); err != nil {
		t.Error(err)
	}
	return p
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(header http.Header, body []byte) *http.Response {
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
}

func zip(b string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, b)
	_ = w.Close()
	return out.Bytes()
}

func TestNoSecretReachesTheSink(t *testing.T) {
	jsonType := http.Header{"Content-Type": {"application/json"}}
	gz := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	tokenJSON := func(n int) string {
		return fmt.Sprintf(`{"access_token":"%s","refresh_token":"%s","id_token":"%s","scope":"system/*.rs","patient":"p1"}`, plant(n), plant(n+1), plantJWT(n+2, `{"iss":"i"}`))
	}
	big := strings.Repeat(`{"resourceType":"Basic","id":"x"},`, 60000)
	for _, c := range []struct {
		name           string
		method, target string
		header         http.Header
		body           []byte
		resHeader      http.Header
		resBody        []byte
		keep           []string // what must still be readable
	}{
		{
			"headers", "GET", "/fhir/Patient",
			http.Header{
				"Authorization": {"Bearer " + plant(1)}, "Proxy-Authorization": {"Digest username=u, response=" + plant(2)},
				"Cookie": {"a=" + plant(3) + "; b=" + plant(4)}, "X-Api-Key": {plant(5)}, "X-Auth-Token": {plant(6)},
				"Referer": {"https://app.test/cb?code=" + plant(7) + "&state=1#access_token=" + plant(8)}, "X-Other": {"see " + plantJWT(9, `{}`) + "!"},
				"Dpop": {plantJWT(10, `{"jti":"`+plant(11)+`"}`)}, "Ocp-Apim-Subscription-Key": {plant(12)}, "Origin": {"https://u:" + plant(13) + "@h"},
			},
			nil,
			http.Header{"Set-Cookie": {"sid=" + plant(14) + "; Path=/; HttpOnly"}, "Location": {"https://app.test/cb?state=x&code=" + plant(15)}, "Link": {"<https://s3.test/f?X-Amz-Signature=" + plant(16) + "&X-Amz-Credential=" + plant(17) + ">; rel=next"}},
			nil,
			[]string{"Bearer hmac:", "Path=/; HttpOnly", "RS384", "state=1"},
		},
		{
			"basic", "GET", "/fhir/Patient",
			http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("my-app:"+plant(1)))}},
			nil, nil, nil,
			[]string{`Basic ` + string(testKey.Of(plant(1))) + ` {\"client_id\":\"my-app\"}`},
		},
		{
			"query", "GET", "/cb?a=b%7cc&code=" + plant(1) + "&access_token=" + plant(2) + "&client_secret=%50LANTED3SECRET&sig=" + plant(4) + "&X-Amz-Security-Token=" + plant(5) + "&ACCESS%5FTOKEN=" + plant(6) + "&u=" + url.QueryEscape("http://x/?token="+plant(7)) + "&j=" + plantJWT(8, `{}`),
			nil, nil, nil, nil,
			[]string{"a=b%7cc", string(testKey.Of(plant(3)))},
		},
		{"JWT in the path", "GET", "/fhir/x/" + plantJWT(1, `{}`) + "/y", nil, nil, nil, nil, []string{"/fhir/x/hmac:"}},
		{"a FHIR code is none", "GET", "/fhir/Observation?code=http://loinc.org|1234-5&patient=1", nil, nil, nil, nil, []string{"code=http://loinc.org|1234-5"}},
		{
			"token request", "POST", "/oauth/token", form, []byte("grant_type=authorization_code&code=" + plant(1) + "&client_secret=" + plant(2) + "&code_verifier=" + plant(3) +
				"&client_assertion=" + plantJWT(4, `{"iss":"my-app","sub":"my-app","aud":["https://s/token"],"exp":1700000000,"jti":"`+plant(5)+`","secret":"`+plant(6)+`"}`) + "&scope=system/*.rs"),
			jsonType, []byte(tokenJSON(7)),
			[]string{"scope=system/*.rs", "my-app", "1700000000", `system/*.rs`, `\"patient\":\"p1\"`},
		},
		{"token response elsewhere", "POST", "/custom", nil, nil, jsonType, []byte(tokenJSON(1)), []string{"patient"}},
		{"token response, no content type", "POST", "/custom", nil, nil, nil, []byte(tokenJSON(1)), nil},
		{"token response as text", "POST", "/custom", nil, nil, http.Header{"Content-Type": {"text/plain"}}, []byte("access_token=" + plant(1)), nil},
		{"token response, gzip", "POST", "/token", nil, nil, gz, zip(tokenJSON(1)), nil},
		{"token response, truncated gzip", "POST", "/token", nil, nil, gz, zip(tokenJSON(1))[:60], []string{"content coding not readable"}},
		{"token response, brotli", "POST", "/token", nil, nil, http.Header{"Content-Encoding": {"br"}}, []byte(plant(1)), []string{"content coding not readable"}},
		{"token response, gzip bomb", "POST", "/token", nil, nil, gz, zip(`{"access_token":"` + plant(1) + `","x":"` + strings.Repeat("x", 9<<20) + `"}`), nil},
		{"token response, malformed", "POST", "/token", nil, nil, jsonType, []byte(`{access_token: "` + plant(1) + `"}`), nil},
		{"token response, plain", "POST", "/token", nil, nil, http.Header{"Content-Type": {"text/plain"}}, []byte(plant(1)), []string{"secrets are likely"}},
		{"escaped member", "POST", "/custom", nil, nil, jsonType, []byte(`{"access\u005ftoken":"` + plant(1) + `"}`), nil},
		{"secrets as list", "POST", "/custom", nil, nil, jsonType, []byte(`{"access_token":["` + plant(1) + `"],"client_secret":{"v":"` + plant(2) + `"}}`), nil},
		{"registration", "POST", "/oauth2/register", jsonType, []byte(`{"software_statement":"` + plantJWT(1, `{"iss":"x"}`) + `"}`), jsonType, []byte(`{"client_id":"c1","client_secret":"` + plant(2) + `","registration_access_token":"` + plant(3) + `"}`), []string{"c1"}},
		{"introspection", "POST", "/oauth/introspect", form, []byte("token=" + plant(1) + "&token_type_hint=access_token"), jsonType, []byte(`{"active":true,"client_id":"c1"}`), []string{"active"}},
		{"form without type", "POST", "/token", nil, []byte("code=" + plant(1)), jsonType, []byte(`{}`), nil},
		{"login page", "GET", "/authorize?client_id=c&state=1", nil, nil, http.Header{"Content-Type": {"text/html"}}, []byte(`<input name=id_token value="` + plant(1) + `">`), nil},
		{"manifest of pre-signed files", "GET", "/fhir/job/1", nil, nil, jsonType, []byte(`{"transactionTime":"t","output":[{"type":"Patient","url":"https://s3.test/f?X-Amz-Signature=` + plant(1) + `\u0026x=1"}]}`), []string{"Patient", "s3.test/f"}},
		{"large JSON", "POST", "/custom", nil, nil, jsonType, []byte(`{"x":[` + big + `{}],"access_token":"` + plant(1) + `"}`), []string{"resourceType"}},
		{"large JSON, gzip", "POST", "/custom", nil, nil, gz, zip(`{"x":[` + big + `{}],"access_token":"` + plant(1) + `"}`), nil},
		{"large form", "POST", "/custom", form, []byte("x=" + strings.Repeat("x", 2<<20) + "&client_secret=" + plant(1)), nil, nil, []string{"too long to be searched"}},
		{"large at the token endpoint", "POST", "/token", nil, nil, jsonType, []byte(`{"access_token":"` + plant(1) + strings.Repeat("x", 2<<20) + `"}`), []string{"too long to be searched"}},
		{"NDJSON", "POST", "/custom", nil, nil, http.Header{"Content-Type": {"application/fhir+ndjson"}}, []byte("{\"a\":1}\n{\"access_token\":\"" + plant(1) + "\"}\n"), nil},
		{
			"what gateways add", "GET", "/fhir/Patient",
			http.Header{
				"X-Forwarded-Authorization": {"Bearer " + plant(1)}, "X-Original-Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("app:"+plant(2)))},
				"X-Forwarded-Access-Token": {plant(3)}, "X-Amzn-Oidc-Data": {plantJWT(4, `{"sub":"u"}`)}, "X-Amzn-Oidc-Accesstoken": {plant(5)},
				"X-Original-Url": {"/fhir/Patient?access_token=" + plant(6)}, "X-Functions-Key": {plant(7)}, "Cf-Access-Jwt-Assertion": {plantJWT(8, `{}`)},
			},
			nil,
			http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}},
			nil,
			[]string{`Bearer error="invalid_token"`, "Bearer hmac:", `client_id`},
		},
		{
			"subprotocols of WebSockets", "GET", "/fhir/ws",
			http.Header{"Sec-Websocket-Protocol": {"fhir, access_token, " + plant(1), "base64url.bearer.authorization.k8s.io." + plant(2), plantJWT(3, `{}`), "graphql-ws, " + plant(4) + strings.Repeat("x", 30)}},
			nil, nil, nil,
			[]string{"fhir, access_token, hmac:", "graphql-ws", "k8s.io.hmac:"},
		},
		{"a token as user name of a URL", "GET", "/fhir/Patient", http.Header{"Referer": {"https://" + plant(1) + "abcdefghijk@git.test/x"}}, nil, nil, nil, []string{"***@git.test"}},
		{"Subscription", "POST", "/fhir/Subscription", jsonType, []byte(`{"resourceType":"Subscription","channel":{"header":["Authorization: Bearer ` + plant(1) + `","X: y"]}}`), nil, nil, []string{"Subscription", "X: y"}},
		{"diagnostics", "GET", "/fhir/Patient", nil, nil, http.Header{"Content-Type": {"application/fhir+json"}}, []byte(`{"resourceType":"OperationOutcome","issue":[{"diagnostics":"token expired: Bearer ` + plant(1) + `abcdef"}]}`), []string{"token expired"}},
		{"device code elsewhere", "POST", "/login/device/code", nil, nil, jsonType, []byte(`{"device_code":"` + plant(1) + `","user_code":"` + plant(2) + `","verification_uri":"https://s"}`), []string{"https://s"}},
		{"initial access token", "POST", "/custom", jsonType, []byte(`{"initial_access_token":"` + plant(1) + `","accessToken":"` + plant(2) + `","clientSecret":"` + plant(3) + `"}`), nil, nil, nil},
		{"JWT under another name", "POST", "/custom", jsonType, []byte(`{"jwt":"` + plantJWT(1, `{"iss":"my-app"}`) + `"}`), nil, nil, []string{"my-app"}},
		{"UDAP registration", "POST", "/udap/register", jsonType, []byte(`{"software_statement":"` + plantJWT(1, `{"iss":"x"}`) + `","certifications":["` + plantJWT(2, `{"iss":"y"}`) + `"],"udap":"1"}`), jsonType, []byte(`{"client_id":"c","software_statement":"` + plantJWT(3, `{}`) + `"}`), []string{"udap"}},
		{"pushed authorization request", "POST", "/par", form, []byte("client_assertion=" + plantJWT(1, `{"iss":"my-app"}`) + "&request=" + plantJWT(2, `{"aud":"https://s"}`) + "&code_challenge=c&client_secret=" + plant(3)), jsonType, []byte(`{"request_uri":"urn:x","expires_in":60}`), []string{"my-app", "code_challenge=c", "urn:x"}},
		{"form in parts", "POST", "/token", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, []byte("--b\r\nContent-Disposition: form-data; name=\"device_code\"\r\n\r\n" + plant(1) + "\r\n--b--\r\n"), nil, nil, []string{"secrets are likely"}},
		{"form in parts elsewhere", "POST", "/custom", http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, []byte("--b\r\nContent-Disposition: form-data; name=\"client_secret\"\r\n\r\n" + plant(1) + "\r\n--b--\r\n"), nil, nil, nil},
		{"page that posts itself", "GET", "/authorize?client_id=c", nil, nil, http.Header{"Content-Type": {"text/html"}}, []byte(`<form method=post><input type=hidden name="code" value="` + plant(1) + `"></form>`), []string{"secrets are likely"}},
		{
			"what an answer repeats", "POST", "/fhir/echo?api_key=" + plant(1) + "&x=1",
			http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("app:"+plant(2)))}, "X-Api-Key": {plant(3)}, "Cookie": {"sid=" + plant(4)}, "Content-Type": {"application/x-www-form-urlencoded"}},
			[]byte("password=" + plant(5)),
			http.Header{"Content-Type": {"text/plain"}, "X-Debug": {"key " + plant(3)}},
			[]byte("POST /fhir/echo api_key " + plant(1) + " Basic " + base64.StdEncoding.EncodeToString([]byte("app:"+plant(2))) + " " + plant(2) + " " + plant(3) + " " + plant(4) + " " + plant(5) + " thanks"),
			[]string{"thanks", "POST /fhir/echo"},
		},
		{"echo of the header", "GET", "/fhir/echo", http.Header{"Authorization": {"Bearer " + plant(1)}}, nil, jsonType, []byte(`{"headers":{"authorization":"Bearer ` + plant(1) + `"},"more":{"Authorization":["Basic ` + plant(2) + `"]}}`), []string{"headers", "more"}},
		{"TRACE", "TRACE", "/fhir/x", http.Header{"Authorization": {"Bearer " + plant(1)}}, nil, http.Header{"Content-Type": {"message/http"}}, []byte("TRACE /fhir/x HTTP/1.1\r\nAuthorization: Bearer " + plant(1) + "\r\nX-A: b\r\n"), []string{"TRACE /fhir/x"}},
		{"declared trailer", "POST", "/fhir/Patient", http.Header{"X-Trailer": {"1"}}, []byte("{}"), nil, nil, []string{"X-Auth-Token"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &proxytest.Sink{}
			dir := t.TempDir()
			rec := New(sink, testKey, Options{SpoolDir: dir, MemoryBody: 64 << 10, HoldFor: time.Hour})
			req := httptest.NewRequest(c.method, "http://proxy.test/a", bytes.NewReader(c.body))
			req.URL, _ = url.Parse(c.target)
			if req.Header = c.header; req.Header == nil {
				req.Header = http.Header{}
			}
			if c.body == nil {
				req.Body, req.ContentLength = http.NoBody, 0
			}
			if c.header.Get("X-Trailer") != "" {
				req.Trailer = http.Header{"X-Auth-Token": {plant(1)}, "Authorization": {"Bearer " + plant(2)}}
			}
			exchange(t, rec, req, response(c.resHeader, c.resBody)) //nolint:bodyclose // exchange closes it
			ex := sink.Wait(t, 1)[0]
			text, err := json.Marshal(ex)
			if err != nil {
				t.Fatal(err)
			}
			all := string(text)
			for _, b := range []struct {
				body proxy.Body
				h    proxy.Header
			}{{ex.Request.Body, ex.Request.Header}, {ex.Response.Body, ex.Response.Header}} {
				plain, err := decode(sink.Body(b.body), b.h.Get("Content-Encoding"))
				if err != nil && b.body.Stored > 0 {
					t.Errorf("stored copy is not what its header says: %v", err)
				}
				quoted, _ := json.Marshal(string(plain))
				all += string(quoted)
			}
			if i := strings.Index(all, "PLANTED"); i >= 0 {
				t.Errorf("secret in the record: …%s", all[max(0, i-100):min(len(all), i+60)])
			}
			enc := base64.RawURLEncoding.EncodeToString([]byte("PLANTED"))[:8]
			if i := strings.Index(all, enc); i >= 0 {
				t.Errorf("secret signature in the record: …%s", all[max(0, i-100):min(len(all), i+60)])
			}
			for _, k := range c.keep {
				quoted, _ := json.Marshal(k)
				if !strings.Contains(all, k) && !strings.Contains(all, strings.Trim(string(quoted), `"`)) {
					t.Errorf("%q is gone from %.900s", k, all)
				}
			}
			if n := len(c.resBody); ex.Response.Body.Size != int64(n) || n > 0 && ex.Response.Body.Digest != proxytest.Describe(c.resBody).Digest {
				t.Errorf("size and digest are not the original's: %+v", ex.Response.Body)
			}
			if err := rec.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("left in the spool: %v", left)
			}
			if rec.memory.Load() != 0 {
				t.Errorf("%d bytes of memory not given back", rec.memory.Load())
			}
		})
	}
}

// TestSecretsStayOffTheDisk: while an OAuth body passes, no file has it.
func TestSecretsStayOffTheDisk(t *testing.T) {
	dir := t.TempDir()
	rec := New(&proxytest.Sink{}, testKey, Options{SpoolDir: dir, MemoryBody: 10, HoldFor: time.Hour})
	req := httptest.NewRequest("POST", "http://proxy.test/oauth/token", strings.NewReader("client_secret="+plant(1)+strings.Repeat("x", 1000)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req, p := rec.Begin(req, Arrival{URL: "http://proxy.test/oauth/token"})
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		t.Fatal(err)
	}
	if e, err := os.ReadDir(dir); err != nil || len(e) > 0 {
		t.Errorf("files %v, %v", e, err)
	}
	p.Fail(proxy.Failure{Reason: proxy.ReasonUpstreamDown})
}

func TestPaths(t *testing.T) {
	for u, want := range map[string]bool{
		"http://h/oauth/token": true, "http://h/a~b/token": true, "http://h/realms/x/protocol/openid-connect/token?x": true,
		"http://h/fhir/Patient": false, "http://token/fhir": false, "": false, "http://h": false, "http://h/fhir/Token/1": false,
	} {
		if got := oauthPath(u); got != want {
			t.Errorf("oauthPath(%q) = %v", u, got)
		}
	}
}

func BenchmarkMaskExchange(b *testing.B) {
	sink := discardSink{}
	rec := New(sink, testKey, Options{SpoolDir: b.TempDir()})
	body := []byte(`{"resourceType":"Bundle","entry":[` + strings.Repeat(`{"resource":{"resourceType":"Patient","id":"1","name":[{"family":"Shaw"}]}},`, 500) + `{}]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		req := httptest.NewRequest("GET", "/fhir/Patient?name=x", nil)
		req.Header.Set("Authorization", "Bearer abc")
		exchange(b, rec, req, response(http.Header{"Content-Type": {"application/fhir+json"}}, body)) //nolint:bodyclose // exchange closes it
	}
}

// TestEvidenceIsLeft: what only looks like a secret stays as it was received.
func TestEvidenceIsLeft(t *testing.T) {
	filler := `{"resourceType":"Basic","id":"x","text":"caf\u00e9 token=1 code=2"},`
	for _, body := range []string{
		`[` + filler + `{}]`,
		`[` + strings.Repeat(filler, 30000) + `{}]`, // past memory and past what is searched at once
		`{"resourceType":"Coding","code":"a","password":"b","token":"c"}`,
		`not JSON, about client_secret`,
	} {
		sink := &proxytest.Sink{}
		rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
		exchange(t, rec, get(), response(http.Header{"Content-Type": {"application/fhir+json"}, "Access-Control-Allow-Credentials": {"true"}}, []byte(body))) //nolint:bodyclose // exchange closes it
		ex := sink.Wait(t, 1)[0]
		if b := ex.Response.Body; b.Redacted || b.Stored != int64(len(body)) || string(sink.Body(b)) != body {
			t.Errorf("%.60s…: stored %+v", body, b)
		}
		if v := ex.Response.Header.Get("Access-Control-Allow-Credentials"); v != "true" {
			t.Errorf("header %q", v)
		}
	}
}

// TestErrorTextsQuoteLittle: a server's broken answer is quoted as far as it tells the protocol.
func TestErrorTextsQuoteLittle(t *testing.T) {
	for text, want := range map[string]string{
		`malformed HTTP response "SSH-2.0-OpenSSH_9"`:                       `malformed HTTP response "SSH-2.0-OpenSSH_…"`,
		`malformed HTTP response "{\"access_token\":\"` + plant(1) + `\"}"`: `malformed HTTP response "{\"access_token\":…"`,
		"malformed MIME header line: Set-Cookie sid=" + plant(2):            "malformed MIME header line: Set-Cookie sid=P…",
		`malformed HTTP version "short"`:                                    `malformed HTTP version "short"`,
	} {
		f := classify(errors.New(brokenHTTP1+text), phaseSent)
		if f.Reason != proxy.ReasonUpstreamInvalid || f.Detail != want {
			t.Errorf("%s: %+v", text, f)
		}
	}
}

// TestProseIsLeft: what only speaks of credentials stays.
func TestProseIsLeft(t *testing.T) {
	m := masker{key: testKey}
	for _, s := range []string{
		"bearer of insurance-identification-number", "Authorization: required", "the bearer token is missing", "Authorization: see Bearer", "mail me@example.org",
	} {
		if got := m.text(s, false); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	// A SMART Health Card is packed: clinical data, and no credential.
	card := `{"verifiableCredential":["eyJ6aXAiOiJERUYiLCJhbGciOiJFUzI1NiJ9.3ZJNb9swDIb_y.sig"]}`
	if m.hasJWT([]byte(card)) {
		t.Error("a health card is taken for a credential")
	}
}
