package reverse_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
	"fhirwire/proxy/upstream"
)

// BenchmarkTLS compares the recording proxy with a bare ReverseProxy, TLS and client certificates on both legs, 2 KB an answer: many
// requests on kept connections, and a handshake a request.
func BenchmarkTLS(b *testing.B) {
	ca := proxytest.NewCA(b, "CA")
	body := `{"resourceType":"Patient","id":"1","text":{"status":"generated","div":"<div>` + strings.Repeat("Amy Shaw ", 220) + `</div>"}}`
	serverCert, client := ca.Server(b, "127.0.0.1"), ca.Client(b, "acme")
	secure := func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientAuth: tls.RequestClientCert}
		s.StartTLS()
		b.Cleanup(s.Close)
		return s
	}
	back := secure(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, body)
	}))
	to, err := url.Parse(back.URL)
	if err != nil {
		b.Fatal(err)
	}
	conf := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{client}}
	bare := secure(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, "/a~b")
		},
		Transport: &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: 64},
	})
	rec := record.New(none{}, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: b.TempDir()})
	full := secure(reverse.New(channels{"a~b": {
		ID: "1", Name: "a~b", ServerURL: back.URL + "/fhir", Server: proxy.SystemOptions{CA: ca.PEM()},
		Options: proxy.ChannelOptions{ClientCert: "acme", RequireClientCert: true},
	}}, rec, reverse.Options{
		Transport: upstream.New(upstream.Options{Certificates: oneCertificate(client)}),
		Peers:     peers.New(peers.Options{EventCA: ca.Pool(), Systems: oneSystem{}}),
	}))
	for _, front := range []struct{ name, url string }{{"bare", bare.URL}, {"recording", full.URL}} {
		for _, fresh := range []bool{false, true} {
			b.Run(front.name+map[bool]string{false: "/request", true: "/handshake"}[fresh], func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(8)
				c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf.Clone(), MaxIdleConnsPerHost: 64, DisableKeepAlives: fresh}}
				defer c.CloseIdleConnections()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						req, err := http.NewRequestWithContext(b.Context(), "GET", front.url+"/a~b/fhir/Patient/1", nil)
						if err != nil {
							b.Error(err)
							return
						}
						res, err := c.Do(req)
						if err != nil {
							b.Error(err)
							return
						}
						n, _ := io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
						if int(n) != len(body) || res.StatusCode != http.StatusOK {
							b.Errorf("status %d, %d bytes", res.StatusCode, n)
							return
						}
					}
				})
			})
		}
	}
}
