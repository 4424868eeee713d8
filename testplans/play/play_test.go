package play_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/testplans"
	"fhirwire/testplans/play"
)

// server is a small server of everything that acts do. It remembers what it was asked.
type server struct {
	t    *testing.T
	http *httptest.Server

	mu    sync.Mutex
	asked []string // METHOD path authorization
	keys  jose.JSONWebKeySet
	polls int
	hung  func() // called when a request hangs, if not nil
}

func start(t *testing.T) *server {
	s := &server{t: t}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	auth := r.Header.Get("Authorization")
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+auth))
	body, _ := io.ReadAll(r.Body)
	at := s.http.URL
	answer := func(status int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/fhir"); path {
	case "/.well-known/smart-configuration":
		answer(200, fmt.Sprintf(`{"token_endpoint":"%s/token","registration_endpoint":"%s/register"}`, at, at))
	case "/register":
		var m struct {
			JWKS jose.JSONWebKeySet `json:"jwks"`
			Name string             `json:"client_name"`
		}
		if err := json.Unmarshal(body, &m); err != nil || m.Name != "Runner" {
			answer(400, "{}")
			return
		}
		s.keys = m.JWKS
		answer(201, `{"client_id":"c1"}`)
	case "/token":
		if err := s.assertion(string(body), at+"/token"); err != nil {
			answer(401, `{"error":"invalid_client"}`)
			return
		}
		answer(200, `{"access_token":"t1","token_type":"bearer","expires_in":300}`)
	case "/Patient":
		next := ""
		if r.URL.Query().Get("page") == "" {
			next = fmt.Sprintf(`,"link":[{"relation":"next","url":"%s/fhir/Patient?page=2"}]`, at)
		}
		answer(200, `{"resourceType":"Bundle","id":"found"`+next+`}`)
	case "/$export":
		w.Header().Set("Content-Location", at+"/status")
		w.WriteHeader(http.StatusAccepted)
	case "/status":
		s.polls++
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusAccepted)
		case s.polls == 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusAccepted)
		case s.polls == 2:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			answer(200, `{"transactionTime":"2025-01-15T12:00:00Z","requiresAccessToken":false,"output":[{"type":"Patient","url":"/file"}],"error":[{"url":"/errors"}]}`)
		}
	case "/file", "/errors":
		answer(200, `{"resourceType":"Patient"}`)
	case "/moved":
		http.Redirect(w, r, "/fhir/Patient?page=3", http.StatusTemporaryRedirect)
	case "/hang":
		if s.hung != nil {
			s.hung()
		}
		<-r.Context().Done()
	default:
		answer(404, "{}")
	}
}

// assertion checks a token request by private_key_jwt.
func (s *server) assertion(form, audience string) error {
	values := strings.Split(form, "&")
	at := slices.IndexFunc(values, func(v string) bool { return strings.HasPrefix(v, "client_assertion=") })
	if at < 0 || len(s.keys.Keys) == 0 {
		return errors.New("no assertion")
	}
	token, err := jwt.ParseSigned(strings.TrimPrefix(values[at], "client_assertion="), []jose.SignatureAlgorithm{jose.ES384})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := token.Claims(s.keys.Keys[0].Key, &claims); err != nil {
		return err
	}
	return claims.ValidateWithLeeway(jwt.Expected{Issuer: "c1", Subject: "c1", AnyAudience: jwt.Audience{audience}, Time: now}, 0)
}

var now = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

// members reads captures from the members of a JSON object.
type members struct{}

func (members) Values(_ context.Context, c *testplans.Capture, body []byte) ([]string, error) {
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	if v, ok := m[strings.TrimPrefix(c.Pointer, "/")].(string); ok {
		return []string{v}, nil
	}
	return nil, nil
}

// clock is a time that goes on only by waiting.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.waits = c.now.Add(d), append(c.waits, d)
	return ctx.Err()
}

var testKey = proxy.NewFingerprintKey([]byte("0123456789abcdef0123456789abcdef"))

// run plays acts against a server.
func run(t *testing.T, s *server, p *testplans.Play, inputs map[string]string) ([]play.Outcome, *proxytest.Sink, *clock) {
	t.Helper()
	sink, c := &proxytest.Sink{}, &clock{now: now}
	rec := record.New(sink, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	player := play.New(rec, &http.Transport{DisableCompression: true}, members{}, play.Options{Clock: c.Now, Wait: c.Wait, Unique: func() string { return "u1" }, Timeout: time.Minute})
	out, err := player.Run(t.Context(), &testplans.Plan{ID: "p", Play: p}, play.Target{Base: s.http.URL + "/fhir/", Channel: "a~b", Inputs: inputs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out, sink, c
}

func get(name, url string) testplans.Act {
	return testplans.Act{Name: name, Request: &testplans.PlayRequest{URL: url}}
}

func discovery() testplans.Act {
	a := get("discovery", "/.well-known/smart-configuration")
	a.Capture = []testplans.Capture{
		{Name: "tokenEndpoint", From: testplans.OnResponse, Pointer: "/token_endpoint"},
		{Name: "registrationEndpoint", From: testplans.OnResponse, Pointer: "/registration_endpoint"},
	}
	return a
}

// diff says where two lists differ first, "" where nowhere.
func diff[T comparable](want, got []T) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			return fmt.Sprintf("%d: %v is too much", i, got[i:])
		case i >= len(got):
			return fmt.Sprintf("%d: %v is missing", i, want[i:])
		case want[i] != got[i]:
			return fmt.Sprintf("%d: got %v, want %v", i, got[i], want[i])
		}
	}
	return ""
}

func TestWholePlay(t *testing.T) {
	s := start(t)
	p := &testplans.Play{
		Inputs: []testplans.Input{{Name: "name", Default: "A&B ${today}"}},
		Acts: []testplans.Act{
			discovery(),
			{Name: "register", Register: &testplans.PlayRegister{Method: "private_key_jwt", Scope: "system/*.rs", With: map[string]string{"client_name": "Runner"}}},
			{Name: "stale", Token: &testplans.PlayToken{Wrong: "expired"}},
			{Name: "other key", Token: &testplans.PlayToken{Wrong: "secret"}},
			{Name: "elsewhere", Token: &testplans.PlayToken{Wrong: "audience"}},
			{Name: "token", Token: &testplans.PlayToken{Scope: "system/*.rs"}},
			{Name: "search", Request: &testplans.PlayRequest{URL: "/Patient?name=${name}", Pages: 5}},
			{Name: "nobody", Request: &testplans.PlayRequest{URL: "/Patient", Auth: testplans.AuthNone}},
			{Name: "stranger", Request: &testplans.PlayRequest{URL: "/Patient", Auth: testplans.AuthInvalid}},
			get("moved", "/moved"),
			{Name: "export", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}}, Capture: []testplans.Capture{{Name: "then", From: testplans.OnResponse, Pointer: "/transactionTime"}}},
			{Name: "each", Each: &testplans.Each{As: "x", Of: []string{"1", "${then}"}}, Request: &testplans.PlayRequest{URL: "/Basic/${x}"}},
			{Name: "cancel", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}, Cancel: true}},
			get("lacking", "/${nothing}"),
			{Name: "writes", Request: &testplans.PlayRequest{URL: "/Patient", Body: "{}"}},
		},
	}
	outcomes, sink, c := run(t, s, p, nil)
	var states []string
	for _, o := range outcomes {
		states = append(states, fmt.Sprintf("%s %s %d", o.Act, o.State, o.Requests))
	}
	if d := diff([]string{
		"discovery played 1", "register played 1", "stale played 1", "other key played 1", "elsewhere played 1", "token played 1", "search played 2",
		"nobody played 1", "stranger played 1", "moved played 2", "export played 6", "each played 2", "cancel played 3", "lacking skipped 0", "writes broken 0",
	}, states); d != "" {
		t.Error(d)
	}
	if d := diff([]string{
		"GET /fhir/.well-known/smart-configuration", "POST /register", "POST /token", "POST /token", "POST /token", "POST /token",
		"GET /fhir/Patient?name=A%26B+2025-01-15 Bearer t1", "GET /fhir/Patient?page=2 Bearer t1",
		"GET /fhir/Patient", "GET /fhir/Patient Bearer fhirwire-no-such-token",
		"GET /fhir/moved Bearer t1", "GET /fhir/Patient?page=3 Bearer t1",
		"GET /fhir/$export Bearer t1", "GET /status Bearer t1", "GET /status Bearer t1", "GET /status Bearer t1", "GET /file", "GET /errors",
		"GET /fhir/Basic/1 Bearer t1", "GET /fhir/Basic/2025-01-15T12:00:00Z Bearer t1",
		"GET /fhir/$export Bearer t1", "DELETE /status Bearer t1", "GET /status Bearer t1",
	}, s.asked); d != "" {
		t.Error(d)
	}
	if d := diff([]time.Duration{7 * time.Second, 3 * time.Second}, c.waits); d != "" {
		t.Error(d)
	}
	got := sink.Exchanges()
	if len(got) != len(s.asked) {
		t.Fatalf("%d exchanges recorded, %d requests came", len(got), len(s.asked))
	}
	refused := 0
	for _, ex := range got {
		if ex.Mode != proxy.ModePlayed || ex.Channel != "a~b" || ex.Response == nil || ex.Failure != nil || ex.Request.URL != ex.Request.Target {
			t.Errorf("recorded %+v", ex)
		}
		if strings.HasSuffix(ex.Request.URL, "/token") && ex.Response.Status == 401 {
			refused++
		}
		for _, m := range []*proxy.Message{&ex.Request.Message, &ex.Response.Message} {
			if strings.Contains(fmt.Sprint(m.Header)+string(sink.Body(m.Body)), "t1\"") {
				t.Errorf("%s %s has a token in clear", ex.Request.Method, ex.Request.URL)
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d wrong token requests were refused, want 3", refused)
	}
}

func TestGivenCredentials(t *testing.T) {
	s := start(t)
	p := &testplans.Play{Acts: []testplans.Act{
		discovery(),
		{Name: "register", Register: &testplans.PlayRegister{Method: "client_secret_basic"}},
		{Name: "token", Token: &testplans.PlayToken{}},
		get("read", "/Patient"),
	}}
	outcomes, _, _ := run(t, s, p, map[string]string{"accessToken": "mine"})
	if outcomes[1].State != play.Skipped || outcomes[2].State != play.Skipped || outcomes[2].Why != "an accessToken was given" {
		t.Errorf("got %+v", outcomes)
	}
	if last := s.asked[len(s.asked)-1]; last != "GET /fhir/Patient Bearer mine" || len(s.asked) != 2 {
		t.Errorf("asked %q", s.asked)
	}
	s.asked = nil
	run(t, s, p, map[string]string{"clientId": "c9", "clientSecret": "pass word"})
	if want := "POST /token Basic Yzk6cGFzcyt3b3Jk"; len(s.asked) != 3 || s.asked[1] != want {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
}

func TestStopped(t *testing.T) {
	s := start(t)
	sink := &proxytest.Sink{}
	rec := record.New(sink, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	player := play.New(rec, &http.Transport{DisableCompression: true}, members{}, play.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: []testplans.Act{get("first", "/Patient"), get("second", "/hang"), get("third", "/Patient")}}}
	s.hung = cancel
	outcomes, err := player.Run(ctx, plan, play.Target{Base: s.http.URL + "/fhir"}, nil)
	if !errors.Is(err, context.Canceled) || len(outcomes) != 2 || outcomes[1].State != play.Broken {
		t.Errorf("%+v, %v", outcomes, err)
	}
	if got := sink.Wait(t, 2); len(got) != 2 || got[1].Failure == nil {
		t.Errorf("recorded %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t)
	rec := record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	player := play.New(rec, &http.Transport{DisableCompression: true}, members{}, play.Options{})
	for _, tt := range []struct {
		name string
		plan testplans.Plan
		to   play.Target
		want string
	}{
		{"no script", testplans.Plan{ID: "p"}, play.Target{Base: s.http.URL}, "p says nothing of how to play it"},
		{"unknown input", testplans.Plan{Play: &testplans.Play{Inputs: []testplans.Input{{Name: "a"}}}}, play.Target{Inputs: map[string]string{"b": "x"}}, "it has no input b"},
	} {
		if _, err := player.Run(t.Context(), &tt.plan, tt.to, nil); !errors.Is(err, play.ErrNotPlayable) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	down := s.http.URL
	s.http.Close()
	out, err := player.Run(t.Context(), &testplans.Plan{Play: &testplans.Play{Acts: []testplans.Act{get("read", "/Patient")}}}, play.Target{Base: down}, nil)
	if err != nil || out[0].State != play.Broken || !strings.Contains(out[0].Why, "refused") {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestDescribe(t *testing.T) {
	s := start(t)
	rec := record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
	player := play.New(rec, http.DefaultTransport, nil, play.Options{Unique: func() string { return "u1" }})
	lines, err := player.Describe(&testplans.Plan{Play: &testplans.Play{
		Writes: true, Inputs: []testplans.Input{{Name: "pin", Secret: true, Default: "1234"}},
		Acts: []testplans.Act{
			discovery(),
			{Name: "register", Register: &testplans.PlayRegister{Method: "client_secret_basic"}},
			{Name: "token", Token: &testplans.PlayToken{Scope: "a b", Form: map[string]string{"pin": "${pin}"}}},
			{Name: "each", Each: &testplans.Each{As: "x", Of: []string{"A", "B"}}, Request: &testplans.PlayRequest{URL: "/${x}?p=${patient}&q=${x}"}},
			{Name: "write", Request: &testplans.PlayRequest{Method: "PUT", URL: "/Basic/1", Body: `{"id":"${patient}"}`}},
			{Name: "export", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}}},
		},
	}}, play.Target{Base: "https://payer.example/fhir"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %t %s", l.Method, l.URL, l.Body, l.Writes, l.Then)))
	}
	if d := diff([]string{
		"GET https://payer.example/fhir/.well-known/smart-configuration  false",
		`POST ${registrationEndpoint} {"client_name":"fhirwire","grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_basic"} false`,
		"POST ${tokenEndpoint} grant_type=client_credentials&pin=${pin}&scope=a+b false with the client's credentials",
		"GET https://payer.example/fhir/A?p=${patient}&q=A  false", "GET https://payer.example/fhir/B?p=${patient}&q=B  false",
		`PUT https://payer.example/fhir/Basic/1 {"id":"${patient}"} true`,
		"GET https://payer.example/fhir/$export  false GET at the Content-Location of the answer until it is complete; GET each file of the manifest",
	}, got); d != "" {
		t.Error(d)
	}
	if len(s.asked) > 0 {
		t.Errorf("a description sent %q", s.asked)
	}
}

func TestReadKey(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "neither a JWK nor PEM"},
		{"a public key", `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`, "a private key is needed"},
		{"broken", `{"kty":`, "client key: "},
	} {
		if _, err := play.ReadKey([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	key, err := play.ReadKey([]byte(`{"kty":"EC","crv":"P-256","kid":"k1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`))
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.Public()
	if err != nil || !strings.Contains(string(public), `"kid":"k1"`) || !strings.Contains(string(public), `"alg":"ES256"`) || strings.Contains(string(public), `"d":`) {
		t.Errorf("%s, %v", public, err)
	}
}
