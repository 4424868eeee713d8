package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/api/apitest"
)

// TestLegs: an exchange carries both connections; a list only says which servers were not verified.
func TestLegs(t *testing.T) {
	store := apitest.NewStore()
	ends := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	e := &proxy.Exchange{
		ID: "x1", Request: proxy.Request{Method: "GET", URL: "https://p/a~b/fhir/Patient"},
		ClientLeg: &proxy.Leg{Address: "192.0.2.7:1", TLS: &proxy.TLS{
			Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "p", Protocol: "h2", Trust: proxy.TrustPinned, Detail: "on record",
			Client: []proxy.Certificate{{Subject: "CN=acme", Issuer: "CN=CA", Serial: "1", Names: []string{"acme.example"}, NotAfter: ends, Fingerprint: "ab"}},
		}},
		ServerLeg: &proxy.Leg{Address: "192.0.2.9:443", TLS: &proxy.TLS{Version: "TLS 1.2", Trust: proxy.TrustInsecure, Asked: true, Resumed: true}},
	}
	store.AddExchange(e)
	store.AddExchange(&proxy.Exchange{ID: "x2", Mode: proxy.ModeTunnel, ClientLeg: &proxy.Leg{Tunnel: &proxy.Tunnel{ServerName: "p", Protocols: []string{"h2"}, Sent: 5, Received: 7}}})
	r := router(t, store.Deps())
	var got struct {
		Insecure  bool `json:"insecure"`
		ClientLeg struct {
			Address string
			TLS     struct {
				ServerName string `json:"server_name"`
				Trust      string
				Client     []struct {
					Subject  string
					SHA256   string    `json:"sha256"`
					NotAfter time.Time `json:"not_after"`
				} `json:"client_certificates"`
			}
		} `json:"client_leg"`
		ServerLeg struct {
			TLS struct {
				Resumed bool
				Asked   bool `json:"client_certificate_asked"`
				Trust   string
			}
		} `json:"server_leg"`
	}
	body := call(t, r, "GET", "/exchanges/x1", "").Body.Bytes()
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	c, s := got.ClientLeg, got.ServerLeg.TLS
	if c.Address != "192.0.2.7:1" || c.TLS.ServerName != "p" || c.TLS.Trust != "pinned" || len(c.TLS.Client) != 1 ||
		c.TLS.Client[0].Subject != "CN=acme" || c.TLS.Client[0].SHA256 != "ab" || !c.TLS.Client[0].NotAfter.Equal(ends) {
		t.Errorf("client's leg: %s", body)
	}
	if !got.Insecure || !s.Resumed || !s.Asked || s.Trust != "insecure" {
		t.Errorf("server's leg: %s", body)
	}
	if body := call(t, r, "GET", "/exchanges/x2", "").Body.String(); !strings.Contains(body, `"tunnel":{"server_name":"p","protocols":["h2"],"sent":5,"received":7}`) {
		t.Errorf("tunnel: %s", body)
	}
	if list := call(t, r, "GET", "/exchanges", "").Body.String(); !strings.Contains(list, `"insecure":true`) || strings.Contains(list, "client_leg") {
		t.Errorf("list: %s", list)
	}
}
