//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFindingOAuth: the demo client discovers, registers and gets tokens through the proxy. Those exchanges are recorded,
// classified and judged, and nothing that is secret is in the data folder.
func TestFindingOAuth(t *testing.T) {
	data := t.TempDir()
	p := start(t, "--demo", "--data", data)
	p.demo(t)
	kinds := map[string]int{}
	for _, e := range p.all(t, url.QueryEscape("channel:demo-client~reference"), 25) {
		kinds[e.Interaction.Kind]++
		want := []string{"pass", "pass-notes"}
		if e.Status == 422 {
			want = []string{"fail"}
		}
		if !slices.Contains(want, e.Verdict) {
			t.Errorf("%s %s (%d): verdict %s, want one of %s: %s", e.Method, e.URL, e.Status, e.Verdict, want, p.findings(t, e.ID))
		}
	}
	for kind, want := range map[string]int{"smart-config": 1, "oauth-dcr": 1, "oauth-token": 2} {
		if kinds[kind] != want {
			t.Errorf("%d exchanges of kind %s, want %d: %v", kinds[kind], kind, want, kinds)
		}
	}

	// What the demo client was given is nowhere to be read, so this test gets a secret and a token of its own.
	base := p.proxy + "/demo-client~reference"
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	const scope = "system/*.rs"
	ask(t, "POST", base+"/oauth/register", "", "application/json",
		`{"client_name":"e2e","token_endpoint_auth_method":"client_secret_post","grant_types":["client_credentials"],"scope":"`+scope+`"}`, &client)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client.ID}, "client_secret": {client.Secret}, "scope": {scope}}
	ask(t, "POST", base+"/oauth/token", "", "application/x-www-form-urlencoded", form.Encode(), &token)
	ask(t, "GET", base+"/fhir/Patient?_count=1", "Bearer "+token.AccessToken, "", "", &struct{}{})
	if len(client.Secret) < 16 || len(token.AccessToken) < 16 {
		t.Fatalf("secret of %d, token of %d characters", len(client.Secret), len(token.AccessToken))
	}
	signature := token.AccessToken[strings.LastIndexByte(token.AccessToken, '.')+1:]
	hidden := []string{client.Secret, signature}
	for _, e := range p.exchanges(t, url.QueryEscape("channel:demo-client~reference"), 28) {
		for _, half := range []string{"request", "response"} {
			for _, part := range []string{"", "/" + half + "/body"} {
				if found := containsAny(fetchBytes(t, p.dashboard+"/api/v1/exchanges/"+e.ID+part), hidden); found != "" {
					t.Errorf("%s %s %s%s shows %s", e.Method, e.URL, half, part, found)
				}
			}
		}
	}
	var channels struct {
		Items []struct{ ID, Name string }
	}
	getJSON(t, p.dashboard+"/api/v1/channels", &channels)
	for _, ch := range channels.Items {
		for _, path := range []string{"/api/v1/channels/" + ch.ID + "/auth", "/channels/" + ch.ID + "/auth", "/channels/" + ch.ID} {
			body := fetchBytes(t, p.dashboard+path)
			if found := containsAny(body, hidden); found != "" {
				t.Errorf("%s shows %s", path, found)
			}
			if ch.Name == "demo-client~reference" && strings.HasSuffix(path, "/auth") && !bytes.Contains(body, []byte(client.ID)) {
				t.Errorf("%s does not show the client", path)
			}
		}
	}
	p.stop(t)
	files := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		body, err := os.ReadFile(path)
		if found := containsAny(body, hidden); found != "" {
			t.Errorf("%s holds %s", filepath.Base(path), found)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files looked at, %v", files, err)
	}
}

// containsAny names the secret that is in b, by its place in the list.
func containsAny(b []byte, secrets []string) string {
	for i, s := range secrets {
		if bytes.Contains(b, []byte(s)) {
			return fmt.Sprintf("secret %d", i)
		}
	}
	return ""
}

func fetchBytes(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func ask(t *testing.T, method, url, authorization, contentType, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %v %s", method, url, res.StatusCode, err, raw)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
