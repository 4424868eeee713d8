//go:build e2e

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// oauthClient is a client that knows the channel's base URL and follows discovery from there.
type oauthClient struct {
	t      *testing.T
	base   string // FHIR base behind the proxy
	method string // token_endpoint_auth_method
	// audience is what assertions name; empty: the token URL that discovery gave.
	audience string
	key      *ecdsa.PrivateKey
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// assertion is a client assertion, signed with ES384.
func (c *oauthClient) assertion(id, audience string) string {
	head := b64([]byte(`{"alg":"ES384","kid":"k1","typ":"JWT"}`))
	claims, _ := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": audience, "exp": time.Now().Add(2 * time.Minute).Unix(), "jti": rand.Text()})
	text := head + "." + b64(claims)
	sum := sha512.Sum384([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, sum[:])
	if err != nil {
		c.t.Fatal(err)
	}
	return text + "." + b64(append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...))
}

func (c *oauthClient) jwks() any {
	point, err := c.key.PublicKey.Bytes()
	if err != nil {
		c.t.Fatal(err)
	}
	return map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-384", "kid": "k1", "alg": "ES384", "use": "sig", "x": b64(point[1:49]), "y": b64(point[49:])}}}
}

func (c *oauthClient) send(method, to, contentType, authorization string, body []byte, into any) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if into != nil && res.StatusCode/100 == 2 {
		if err := json.Unmarshal(raw, into); err != nil {
			c.t.Fatalf("%s %s: %v: %.200s", method, to, err, raw)
		}
	}
	return res.StatusCode
}

// run discovers, registers, asks for a token and, with one, for data. It returns the token URL and the two statuses.
func (c *oauthClient) run() (tokenURL string, token, data int) {
	c.t.Helper()
	var at struct {
		Token    string `json:"token_endpoint"`
		Register string `json:"registration_endpoint"`
	}
	if s := c.send("GET", c.base+"/.well-known/smart-configuration", "", "", nil, &at); s != 200 {
		c.t.Fatalf("discovery: %d", s)
	}
	registration := map[string]any{"client_name": "e2e", "token_endpoint_auth_method": c.method, "grant_types": []string{"client_credentials"}, "scope": "system/*.rs"}
	if c.method == "private_key_jwt" {
		registration["jwks"] = c.jwks()
	}
	body, err := json.Marshal(registration)
	if err != nil {
		c.t.Fatal(err)
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if s := c.send("POST", at.Register, "application/json", "", body, &client); s != 201 {
		c.t.Fatalf("registration: %d", s)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}}
	authorization := ""
	switch c.method {
	case "client_secret_post":
		form.Set("client_id", client.ID)
		form.Set("client_secret", client.Secret)
	case "client_secret_basic":
		authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client.ID)+":"+url.QueryEscape(client.Secret)))
	case "private_key_jwt":
		audience := c.audience
		if audience == "" {
			audience = at.Token
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", c.assertion(client.ID, audience))
	}
	var got struct {
		AccessToken string `json:"access_token"`
	}
	token = c.send("POST", at.Token, "application/x-www-form-urlencoded", authorization, []byte(form.Encode()), &got)
	if token != 200 {
		return at.Token, token, 0
	}
	return at.Token, token, c.send("GET", c.base+"/Patient?_count=1", "", "Bearer "+got.AccessToken, nil, nil)
}

// connect registers a client and a server and opens a channel in a discovery mode.
func (p *program) connect(t *testing.T, name, serverURL, mode, options string) (channelID, channel string) {
	t.Helper()
	var client, server, ch struct{ ID, Name string }
	p.post(t, "/api/v1/systems", fmt.Sprintf(`{"name":"c %s","slug":"c-%s","roles":["client"]}`, name, name), &client)
	p.post(t, "/api/v1/systems", fmt.Sprintf(`{"name":"s %s","slug":"s-%s","roles":["server"],"base_url":%q%s}`, name, name, serverURL, options), &server)
	p.post(t, "/api/v1/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q,"options":{"discovery":%q}}`, client.ID, server.ID, mode), &ch)
	return ch.ID, ch.Name
}

// issuesOf are the findings of an exchange as "messageId severity".
func (p *program) issuesOf(t *testing.T, id string) []string {
	t.Helper()
	var report struct {
		Issues []struct {
			MessageID string `json:"messageId"`
			Severity  string `json:"severity"`
		} `json:"issues"`
	}
	getJSON(t, p.dashboard+"/api/v1/exchanges/"+id+"/report", &report)
	var out []string
	for _, is := range report.Issues {
		out = append(out, is.MessageID+" "+is.Severity)
	}
	return out
}

// TestFindingDiscoveryModes: OAuth by secret and by private_key_jwt in every discovery mode, with a server that knows the proxy's
// URLs (our own reference payer) and with one that does not (another process's). What works works, and what cannot says why.
func TestFindingDiscoveryModes(t *testing.T) {
	p, foreign := start(t), start(t)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const audience = "oauth-assertion-audience"
	for i, c := range []struct {
		server, method, mode string
		auxiliary            bool
		signsFor             string // "real": the server's own URL, however discovery spells it
		token                int
		recorded             bool   // the token request went through the proxy
		finding              string // on the token exchange; "" for none about the audience
	}{
		{"own", "client_secret_basic", "rewrite", false, "", 200, true, ""},
		{"own", "client_secret_basic", "rewrite-except-token", false, "", 200, false, ""},
		{"own", "client_secret_basic", "pass", false, "", 200, false, ""},
		{"own", "private_key_jwt", "rewrite", false, "", 200, true, audience + " information"},
		{"own", "private_key_jwt", "rewrite-except-token", false, "", 200, false, ""},
		{"foreign", "client_secret_post", "rewrite", false, "", 200, true, ""},
		{"foreign", "client_secret_basic", "rewrite", true, "", 200, true, ""},
		{"foreign", "private_key_jwt", "rewrite", false, "", 401, true, audience + " warning"},
		{"foreign", "private_key_jwt", "rewrite", true, "", 401, true, audience + " warning"},
		{"foreign", "private_key_jwt", "rewrite", false, "real", 200, true, ""},
		{"foreign", "private_key_jwt", "rewrite-except-token", false, "", 200, false, ""},
		{"foreign", "private_key_jwt", "pass", false, "", 200, false, ""},
	} {
		name := strings.Join([]string{c.server, c.method, c.mode, fmt.Sprint(c.auxiliary), c.signsFor}, " ")
		t.Run(name, func(t *testing.T) {
			origin := p.reference
			if c.server == "foreign" {
				origin = foreign.reference
			}
			origin = strings.TrimSuffix(origin, "/fhir")
			options := ""
			if c.auxiliary {
				options = fmt.Sprintf(`,"options":{"auxiliary":[{"name":"auth","url":%q}]}`, origin+"/oauth")
			}
			id, channel := p.connect(t, fmt.Sprint("n", i), origin+"/fhir", c.mode, options)
			client := oauthClient{t: t, base: p.proxy + "/" + channel + "/fhir", method: c.method, key: key}
			if c.signsFor == "real" {
				client.audience = origin + "/oauth/token"
			}
			tokenURL, token, data := client.run()
			if token != c.token || token == 200 && data != 200 {
				t.Errorf("token request at %s: %d, want %d; data: %d", tokenURL, token, c.token, data)
			}
			where := origin
			if c.mode == "rewrite" {
				where = p.proxy + "/" + channel
			}
			want := where + "/oauth/token"
			if c.auxiliary {
				want = where + "/@auth/token"
			}
			if tokenURL != want {
				t.Errorf("discovery says %s, want %s", tokenURL, want)
			}

			n := 1 // discovery
			for _, through := range []bool{c.mode != "pass", c.recorded, data != 0} {
				if through {
					n++
				}
			}
			recorded := p.exchanges(t, url.QueryEscape("channel:"+channel), n)
			if len(recorded) != n {
				t.Errorf("%d exchanges, want %d", len(recorded), n)
			}
			for _, e := range recorded {
				found := slices.DeleteFunc(p.issuesOf(t, e.ID), func(s string) bool { return !strings.HasPrefix(s, audience) })
				if got := strings.Join(found, ", "); e.Interaction.Kind == "oauth-token" && got != c.finding {
					t.Errorf("findings of the token exchange %q, want %q", got, c.finding)
				}
			}
			var ledger struct {
				Grants []struct {
					Method   string `json:"auth_method"`
					Token    string `json:"token"`
					UseCount int    `json:"use_count"`
				} `json:"grants"`
				Unknown []struct{} `json:"unknown"`
			}
			getJSON(t, p.dashboard+"/api/v1/channels/"+id+"/auth", &ledger)
			switch {
			case c.recorded && (len(ledger.Grants) != 1 || ledger.Grants[0].Method != c.method || (ledger.Grants[0].Token != "") != (c.token == 200) || c.token == 200 && ledger.Grants[0].UseCount != 1):
				t.Errorf("ledger %+v", ledger)
			case !c.recorded && (len(ledger.Grants) != 0 || len(ledger.Unknown) != 1):
				t.Errorf("ledger of a token that went past the proxy: %+v", ledger)
			}
		})
	}
}
