package forward_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"fhirwire/proxy"
)

// BenchmarkIntercepted is one client's requests of 2 KB through an open tunnel, beside a bare TLS reverse proxy and no proxy at all.
func BenchmarkIntercepted(b *testing.B) {
	body := strings.Repeat("x", 2048)
	r := newRig(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	r.sink.Before = func(context.Context, *proxy.Exchange) error { return proxy.ErrConflict } // keeps nothing
	run := func(name string, c *http.Client, base string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, got, err := r.get(c, base+"/Patient/1"); err != nil || len(got) != len(body) {
					b.Fatal(err)
				}
			}
		})
	}
	trusting := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(public())}, ForceAttemptHTTP2: true}
	to, err := url.Parse("https://" + r.addr())
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }, Transport: trusting})
	bare.EnableHTTP2 = true
	bare.StartTLS()
	b.Cleanup(bare.Close)

	run("HTTP1", r.client(nil, false), r.base())
	run("HTTP2", r.client(nil, true), r.base())
	run("bare-HTTP2", bare.Client(), bare.URL+"/fhir")
	run("direct-HTTP2", &http.Client{Transport: trusting}, r.base())
}

// BenchmarkConnect is the opening of a tunnel: CONNECT, TLS handshake, one request.
func BenchmarkConnect(b *testing.B) {
	r := newRig(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	r.sink.Before = func(context.Context, *proxy.Exchange) error { return proxy.ErrConflict }
	b.ReportAllocs()
	for b.Loop() {
		c := r.client(nil, true)
		if _, _, err := r.get(c, r.base()); err != nil {
			b.Fatal(err)
		}
		c.CloseIdleConnections()
	}
}
