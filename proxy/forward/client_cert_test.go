package forward_test

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/forward"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/proxytest"
)

// TestWordsOfAClientCertificate: what a client says of its certificate in a header does not reach a server that may believe the proxy;
// what it showed in the handshake does where the channel says so, and nothing that was not accepted.
func TestWordsOfAClientCertificate(t *testing.T) {
	event, foreign := proxytest.NewCA(t, "Event CA"), proxytest.NewCA(t, "Foreign CA")
	good, stranger := event.Client(t, "acme"), foreign.Client(t, "stranger")
	var got seen
	r := newRig(t, watching(&got), func(o *forward.Options) { o.Peers = peers.New(peers.Options{EventCA: event.Pool()}) })
	said := http.Header{
		"Client-Cert": {"of my own"}, "Client-Cert-Chain": {"too"}, "X-Forwarded-Client-Cert": {"Hash=1"},
		"Client_cert": {"by another spelling"}, "X-Forwarded_client-Cert": {"and another"}, "X-Client-Certain": {"is another field"},
	}
	n := 0
	for _, tt := range []struct {
		name, base string
		cert       []int // 0 good, 1 stranger
		tell       bool
		want       string
	}{
		{"nothing is told", r.base(), []int{0}, false, ""},
		{"what was accepted is told", r.base(), []int{0}, true, ":" + base64.StdEncoding.EncodeToString(good.Certificate[0]) + ":"},
		{"what was not accepted is not", r.base(), []int{1}, true, ""},
		{"nothing was shown", r.base(), nil, true, ""},
		{"in clear", "http://" + r.clearAddr() + "/fhir", nil, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ch := range r.hosts.channels {
				ch.Options.TellClientCert = tt.tell
			}
			c := r.client(nil, true)
			for _, which := range tt.cert {
				conf := c.Transport.(*http.Transport).TLSClientConfig
				conf.Certificates = append(conf.Certificates, []tls.Certificate{good, stranger}[which])
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.base, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = said.Clone()
			if res, body, err := r.do(c, req); err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, body, err)
			}
			if value := strings.Join(got.header["Client-Cert"], "|"); value != tt.want {
				t.Errorf("the server is told %q, want %q", value, tt.want)
			}
			for name := range said {
				if name != "Client-Cert" && (len(got.header[name]) > 0) != (name == "X-Client-Certain") {
					t.Errorf("the server got %s: %q", name, got.header[name])
				}
			}
			n++
			e := r.sink.Wait(t, n)[n-1]
			taken := slices.DeleteFunc(slices.Clone(e.Edits), func(e proxy.Edit) bool { return e.From == "" || e.To != "" || e.Where != "request header" })
			if len(taken) != 5 || (tt.want != "") != (len(e.Edits) == 6) || e.Request.Header.Get("Client-Cert") != "of my own" {
				t.Errorf("edits %+v of %v", e.Edits, e.Request.Header)
			}
		})
	}
}
