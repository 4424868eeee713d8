package reverse_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

// BenchmarkProxy compares the recording proxy with a bare ReverseProxy, with 16 clients at once.
func BenchmarkProxy(b *testing.B) {
	bundle := func(base string) string {
		var s strings.Builder
		s.WriteString(`{"resourceType":"Bundle","entry":[`)
		for i := range 50 {
			fmt.Fprintf(&s, `{"fullUrl":"%s/fhir/Patient/%d","resource":{"resourceType":"Patient","id":"%d","name":[{"family":"Shaw","given":["Amy"]}]}},`, base, i, i)
		}
		return s.String() + `{}]}`
	}
	bodies := map[string]string{}
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(w, bodies[r.URL.Path])
	}))
	defer back.Close()
	bodies["/fhir/read"] = `{"resourceType":"Patient","id":"1","name":[{"family":"Shaw"}]}`
	bodies["/fhir/search"] = bundle(back.URL)

	to, err := url.Parse(back.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, "/a~b")
		},
		Transport: reverse.NewTransport(reverse.Options{DialTimeout: 1e9}),
	})
	defer bare.Close()
	rec := record.New(none{}, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: b.TempDir()})
	full := httptest.NewServer(reverse.New(channels{"a~b": {Name: "a~b", ServerURL: back.URL + "/fhir"}}, rec, reverse.Options{}))
	defer full.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	for _, front := range []struct{ name, url string }{{"bare", bare.URL}, {"recording", full.URL}} {
		for _, what := range []string{"read", "search"} {
			b.Run(front.name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						req, err := http.NewRequestWithContext(b.Context(), "GET", front.url+"/a~b/fhir/"+what, nil)
						if err != nil {
							b.Error(err)
							return
						}
						res, err := client.Do(req)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				})
			})
		}
	}
}

type none struct{}

func (none) Put(context.Context, *proxy.Exchange, proxy.Bodies) error { return nil }
