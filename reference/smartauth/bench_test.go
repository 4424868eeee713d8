package smartauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func BenchmarkToken(b *testing.B) {
	w := newWorld(b, Options{})
	p := w.newParty()
	basic := &party{w: w}
	basic.register(Metadata{GrantTypes: []string{grantClientCredentials}, Scope: "system/*.rs"})
	b.Run("private_key_jwt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			r := formRequest(b, TokenPath, p.form("system/*.rs", nil))
			b.StartTimer()
			if a := w.send(r); a.StatusCode != http.StatusOK {
				b.Fatal(a.body)
			}
		}
	})
	b.Run("client_secret_basic", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := formRequest(b, TokenPath, url.Values{"grant_type": {grantClientCredentials}, "scope": {"system/*.rs"}})
			r.SetBasicAuth(basic.id, basic.secret)
			if a := w.send(r); a.StatusCode != http.StatusOK {
				b.Fatal(a.body)
			}
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	w := newWorld(b, Options{})
	token := w.newParty().token("system/*.rs", nil)
	r := withBearer(b, "/fhir/Observation/1", token)
	need := Need{{{Type: "Observation", Rights: Read}}}
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Authorize(r, need); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("from the database", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.generation.Add(1)
			if _, err := w.Authorize(r, need); err != nil {
				b.Fatal(err)
			}
		}
	})
	h := w.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ProtectOptions{Mode: Required})
	b.Run("protect", func(b *testing.B) {
		b.ReportAllocs()
		rec := httptest.NewRecorder()
		for b.Loop() {
			h.ServeHTTP(rec, r)
		}
	})
}
