package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// pems are a certificate and its key as files have them.
func pems(t *testing.T, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// post sends JSON to the dashboard's API and reads the id that comes back.
func (s *served) post(path string, body any) (id string) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	status, answer, _ := s.do(http.DefaultClient, http.MethodPost, s.dashboard+"/api/v1"+path, "application/json", string(raw))
	var out struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &out); err != nil || status != http.StatusCreated {
		s.t.Fatalf("%s: %d %s", path, status, answer)
	}
	return out.ID
}

// findingsOf are the message ids with severity of an exchange, once it is judged.
func (s *served) findingsOf(filter string) string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, page, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/api/v1/exchanges?limit=1&filter="+url.QueryEscape(filter), "", "")
		var list struct {
			Items []struct{ ID, State string }
		}
		if err := json.Unmarshal([]byte(page), &list); err != nil {
			s.t.Fatal(err)
		}
		if len(list.Items) == 0 || list.Items[0].State != "done" {
			continue
		}
		_, text, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/api/v1/exchanges/"+list.Items[0].ID+"/report", "", "")
		var report struct {
			Issues []struct{ MessageID, Severity string }
		}
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			s.t.Fatal(err)
		}
		var out []string
		for _, is := range report.Issues {
			out = append(out, is.MessageID+" "+is.Severity)
		}
		return strings.Join(out, ", ")
	}
	s.t.Fatalf("no judged exchange for %s", filter)
	return ""
}

// TestBoundTokensThroughChannel: TLS ends at the proxy, so a token is bound to the certificate that the channel presents. That works
// where the token request goes through the channel too, and is explained where it does not (P2P-TLS-08, 31).
func TestBoundTokensThroughChannel(t *testing.T) {
	theirs, ours, ca := t.TempDir(), t.TempDir(), newAuthority(t)
	channelCert, clientCert := ca.issue("channel", nil), ca.issue("client", nil)
	listEntry(t, theirs, "channel", "1000008429", ca, channelCert)
	listEntry(t, theirs, "client", "1000009534", ca, clientCert)
	payer := startServe(t, theirs, "--reference-mtls", "required", "--reference-auth", "required")
	s := startServe(t, ours)
	certPEM, keyPEM := pems(t, channelCert)
	if _, err := s.ca.Import("channel", certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	server := s.post("/systems", map[string]any{
		"slug": "payer", "name": "Payer", "roles": []string{"server"}, "base_url": payer.at + "/fhir", "options": map[string]any{"ca": string(payer.ca.RootPEM())},
	})
	direct := payer.client(true, clientCert)
	for _, c := range []struct {
		mode string
		// register and token say how the client reaches these endpoints: "channel" or "server".
		register, token string
		tokenStatus     int
		dataStatus      int
		finding         string
	}{
		{"rewrite", "channel", "channel", 200, 200, ""},
		{"rewrite-except-token", "channel", "server", 401, 0, ""}, // registered with the channel's certificate, asks with its own
		{"pass", "server", "server", 200, 401, "oauth-token-binding warning"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			slug := "c-" + c.mode
			client := s.post("/systems", map[string]any{"slug": slug, "name": slug, "roles": []string{"client"}})
			s.post("/channels", map[string]any{"client_id": client, "server_id": server, "options": map[string]any{"discovery": c.mode, "client_cert": "channel"}})
			behind := s.proxy + "/" + slug + "~payer"
			var at struct {
				Token    string `json:"token_endpoint"`
				Register string `json:"registration_endpoint"`
			}
			status, body, _ := s.do(http.DefaultClient, http.MethodGet, behind+"/fhir/.well-known/smart-configuration", "", "")
			if err := json.Unmarshal([]byte(body), &at); err != nil || status != http.StatusOK {
				t.Fatalf("discovery: %d %s", status, body)
			}
			via := func(where, target string) *http.Client {
				t.Helper()
				if want := map[string]string{"channel": behind, "server": payer.at}[where]; !strings.HasPrefix(target, want+"/") {
					t.Errorf("discovery names %s, want it on the %s", target, where)
				}
				if where == "server" {
					return direct
				}
				return http.DefaultClient
			}
			status, body, _ = s.do(via(c.register, at.Register), http.MethodPost, at.Register, "application/json", registration)
			var known struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			}
			if err := json.Unmarshal([]byte(body), &known); err != nil || status != http.StatusCreated {
				t.Fatalf("register: %d %s", status, body)
			}
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {known.ID}, "client_secret": {known.Secret}, "scope": {"system/*.rs"}}.Encode()
			status, body, _ = s.do(via(c.token, at.Token), http.MethodPost, at.Token, "application/x-www-form-urlencoded", form)
			if status != c.tokenStatus {
				t.Fatalf("token: %d, want %d: %s", status, c.tokenStatus, body)
			}
			if status != http.StatusOK {
				return
			}
			var granted struct {
				Token string `json:"access_token"`
			}
			if err := json.Unmarshal([]byte(body), &granted); err != nil {
				t.Fatal(err)
			}
			status, body, _ = s.do(http.DefaultClient, http.MethodGet, behind+"/fhir/Patient?_count=1", "", "", "Authorization", "Bearer "+granted.Token)
			if status != c.dataStatus {
				t.Errorf("data: %d, want %d: %.300s", status, c.dataStatus, body)
			}
			found := s.findingsOf(fmt.Sprintf("channel:%s~payer type:Patient", slug))
			if got := strings.Contains(found, "oauth-token-binding"); got != (c.finding != "") || !strings.Contains(found, c.finding) {
				t.Errorf("findings %q, want %q", found, c.finding)
			}
		})
	}
}
