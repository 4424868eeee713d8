package reverse_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

func sequence(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }

// TestGateway: what a gateway says of the client's certificate counts when it is one that is believed, is evidence with its source, and
// never reaches the server unasked.
func TestGateway(t *testing.T) {
	event, foreign := proxytest.NewCA(t, "Event CA"), proxytest.NewCA(t, "Foreign CA")
	good, stranger := event.Client(t, "acme"), foreign.Client(t, "stranger")
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	leaf, root := sequence(good.Certificate[0]), sequence(event.Cert.Raw)
	for _, tt := range []struct {
		name     string
		gateways []netip.Prefix
		header   []string // names and values
		tell     bool
		status   int
		trust    proxy.Trust
		detail   string
		chain    int
		told     []string // the server's fields
	}{
		{"believed", loopback, []string{"Client-Cert", leaf}, false, 200, proxy.TrustEventCA, "", 1, nil},
		{"with its chain", loopback, []string{"Client-Cert", leaf, "Client-Cert-Chain", root}, false, 200, proxy.TrustEventCA, "", 2, nil},
		{"passed on where that is asked for", loopback, []string{"Client-Cert", leaf, "Client-Cert-Chain", root, "X-Forwarded-Client-Cert", "Hash=1"}, true, 200, proxy.TrustEventCA, "", 2, []string{leaf, root, ""}},
		{"of another CA", loopback, []string{"Client-Cert", sequence(stranger.Certificate[0])}, true, 403, proxy.TrustRefused, "Foreign CA", 1, nil},
		{"none", loopback, nil, false, 403, proxy.TrustNone, "no client certificate was presented", 0, nil},
		{"twice", loopback, []string{"Client-Cert", leaf, "Client-Cert", leaf}, false, 403, proxy.TrustRefused, "there are 2 Client-Cert fields", 0, nil},
		{"chain alone", loopback, []string{"Client-Cert-Chain", root}, false, 403, proxy.TrustRefused, "there are 0 Client-Cert fields", 0, nil},
		{"no byte sequence", loopback, []string{"Client-Cert", strings.Trim(leaf, ":")}, false, 403, proxy.TrustRefused, "is not :BASE64:", 0, nil},
		{"no base64", loopback, []string{"Client-Cert", ":***:"}, false, 403, proxy.TrustRefused, "not in base64", 0, nil},
		{"no certificate", loopback, []string{"Client-Cert", sequence([]byte("no"))}, false, 403, proxy.TrustRefused, "certificate 1", 0, nil},
		{"too many", loopback, []string{"Client-Cert", leaf, "Client-Cert-Chain", strings.TrimSuffix(strings.Repeat(root+", ", 20), ", ")}, false, 403, proxy.TrustRefused, "21 certificates", 0, nil},
		{"not believed", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, []string{"Client-Cert", leaf}, true, 403, "", "", 0, nil},
		{"nobody is believed", nil, []string{"Client-Cert", leaf, "X-Forwarded-Client-Cert", "Hash=1"}, true, 403, "", "", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var got http.Header
			back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				got = r.Header
			}))
			defer back.Close()
			sink := &proxytest.Sink{}
			rec := record.New(sink, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: t.TempDir()})
			ch := &proxy.Channel{Name: "a~b", ClientID: "1", ServerURL: back.URL, Options: proxy.ChannelOptions{RequireClientCert: true, TellClientCert: tt.tell}}
			front := httptest.NewServer(reverse.New(channels{"a~b": ch}, rec, reverse.Options{
				DialTimeout: 5 * time.Minute,
				Gateways:    tt.gateways, Peers: peers.New(peers.Options{EventCA: event.Pool(), Systems: oneSystem{{ID: "1", Slug: "a", Roles: []proxy.Role{proxy.RoleClient}}}}),
			}))
			defer front.Close()
			for n, required := range []bool{true, false} { // without the requirement it passes, and nothing untrue reaches the server
				ch.Options.RequireClientCert = required
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/a~b/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i+1 < len(tt.header); i += 2 {
					req.Header.Add(tt.header[i], tt.header[i+1])
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				status := tt.status
				if !required {
					status = http.StatusOK
				}
				if res.StatusCode != status {
					t.Errorf("status %d, want %d", res.StatusCode, status)
				}
				e := sink.Wait(t, n+1)[n]
				if tt.trust == "" {
					if e.ClientLeg.TLS != nil {
						t.Errorf("somebody's word is evidence: %+v", e.ClientLeg.TLS)
					}
				} else if leg := e.ClientLeg.TLS; leg == nil || leg.Gateway != "127.0.0.1" || leg.Trust != tt.trust || (required || tt.chain > 0) && !strings.Contains(leg.Detail, tt.detail) || len(leg.Client) != tt.chain || leg.Version != "" {
					t.Errorf("leg %+v", leg)
				}
				if required && tt.status != 200 {
					if e.Failure == nil || e.Failure.Reason != proxy.ReasonClientTLS || got != nil {
						t.Errorf("failure %+v, server got %v", e.Failure, got)
					}
					continue
				}
				mu.Lock()
				for i, name := range []string{"Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert"} {
					want := ""
					if tt.told != nil {
						want = tt.told[i]
					}
					if strings.Join(got[name], "|") != want {
						t.Errorf("the server is told %s: %q, want %q", name, got[name], want)
					}
				}
				got = nil
				mu.Unlock()
				if taken := len(tt.header) / 2; len(e.Edits) < taken {
					t.Errorf("%d edits for %d fields: %+v", len(e.Edits), taken, e.Edits)
				}
				for i := 0; i+1 < len(tt.header); i += 2 {
					if e.Request.Header.Get(tt.header[i]) == "" {
						t.Errorf("the record has no %s as it came", tt.header[i])
					}
				}
			}
		})
	}
}

// TestTellServer: the certificate that the client showed the proxy itself, where the channel asks for it.
func TestTellServer(t *testing.T) {
	s := newSecured(t, true)
	told := make(chan string, 1)
	s.back.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- fmt.Sprint(r.Header["Client-Cert"]) })
	cert := s.event.Client(t, "acme-client")
	c := s.client(t, true, &cert)
	for _, tell := range []bool{false, true} {
		s.channel.Options.TellClientCert = tell
		if status, body := s.get(t, c, http.Header{"Client-Cert": {"of my own"}}); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		want := "[]"
		if tell {
			want = "[" + sequence(cert.Certificate[0]) + "]"
		}
		if got := <-told; got != want {
			t.Errorf("tell %v: %s", tell, got)
		}
	}
}
