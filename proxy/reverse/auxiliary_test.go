package reverse_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"fhirwire/proxy"
)

// TestAuxiliary follows discovery from the FHIR server to its authorization server, both behind one channel.
func TestAuxiliary(t *testing.T) {
	for _, form := range []string{"path", "host"} {
		t.Run(form, func(t *testing.T) {
			var asked []string
			auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.RequestURI)
				switch r.URL.Path {
				case "/oauth2/authorize":
					http.Redirect(w, r, "/oauth2/login?x=%7C", http.StatusFound)
				case "/.well-known/oauth-authorization-server/oauth2":
					w.Header().Set("Content-Type", "application/json")
					_, _ = fmt.Fprintf(w, `{"issuer":"http://%s/oauth2"}`, r.Host)
				default:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"access_token":"secret-1","token_type":"bearer"}`)
				}
			}))
			defer auth.Close()
			r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"token_endpoint":"%s/oauth2/token","x_endpoint":"https://away.example/x","fhir_uri":"http://%s/fhir"}`, auth.URL, r.Host)
			}))
			r.chans["a~b"].Server.Auxiliary = []proxy.Auxiliary{{Name: "auth", URL: auth.URL + "/oauth2"}}
			addr := r.front.Listener.Addr().String()
			_, port, _ := strings.Cut(addr, ":")
			host, prefix := addr, "/a~b"
			if form == "host" {
				host, prefix = "a~b.localhost:"+port, ""
			}
			ask := func(method, path string) (answer, string) {
				return r.raw(addr, method+" "+path+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			base := "http://" + host + prefix

			_, body := ask("GET", prefix+"/fhir/.well-known/smart-configuration")
			want := fmt.Sprintf(`{"token_endpoint":"%s/@auth/token","x_endpoint":"https://away.example/x","fhir_uri":"%s/fhir"}`, base, base)
			if body != want {
				t.Errorf("discovery %s\nwant      %s", body, want)
			}
			if _, body := ask("POST", prefix+"/@auth/token"); !strings.Contains(body, "secret-1") {
				t.Errorf("token: %s", body)
			}
			res, _ := ask("GET", prefix+"/@auth/authorize?response_type=code&aud="+strings.ReplaceAll(base, ":", "%3A")+"/fhir&redirect_uri="+base+"/cb&aud=https://x.example")
			if got, want := res.Header.Get("Location"), base+"/@auth/login?x=%7C"; got != want {
				t.Errorf("Location %q, want %q", got, want)
			}
			// A client puts the metadata path before the issuer's own (RFC 8414 3.1).
			if _, body := ask("GET", "/.well-known/oauth-authorization-server"+prefix+"/@auth"); body != fmt.Sprintf(`{"issuer":"%s/@auth"}`, base) {
				t.Errorf("metadata of the issuer: %s", body)
			}
			if res, body := ask("POST", prefix+"/@other/token"); res.StatusCode != http.StatusNotFound || !strings.Contains(body, "auxiliary server") {
				t.Errorf("undeclared: %d %s", res.StatusCode, body)
			}

			real := strings.NewReplacer(":", "%3A", "/", "%2F").Replace(r.back.URL + "/fhir")
			if want := "GET /oauth2/authorize?response_type=code&aud=" + real + "&redirect_uri=" + base + "/cb&aud=https://x.example"; !slices.Contains(asked, want) {
				t.Errorf("the authorization server got %q\nwant %q among them", asked, want)
			}
			if slices.ContainsFunc(asked, func(s string) bool { return strings.Contains(s, "other") }) {
				t.Error("a request for an undeclared server was forwarded")
			}
			exs := r.sink.Exchanges()
			first := exs[0]
			if len(first.Edits) != 3 && len(first.Edits) != 4 { // Content-Length may change too
				t.Errorf("edits %+v", first.Edits)
			}
			if i := slices.IndexFunc(first.Edits, proxy.Edit.Left); i < 0 || first.Edits[i].Why != proxy.WhyEscape || first.Edits[i].From != "https://away.example/x" {
				t.Errorf("no note of the escape: %+v", first.Edits)
			}
			if exs[1].Request.Target != auth.URL+"/oauth2/token" || exs[1].Channel != "a~b" {
				t.Errorf("token exchange %+v", exs[1].Request)
			}
		})
	}
}

// TestUnreadDiscovery: a CapabilityStatement in XML passes as it is, and the record says what that means.
func TestUnreadDiscovery(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+xml")
		_, _ = io.WriteString(w, "<CapabilityStatement/>")
	}))
	if _, body := r.get("/fhir/metadata"); body != "<CapabilityStatement/>" {
		t.Errorf("got %s", body)
	}
	if e := r.sink.Exchanges()[0].Edits; len(e) != 1 || e[0].Why != proxy.WhyForm || !e[0].Left() {
		t.Errorf("edits %+v", e)
	}
}

// TestCookiePaths: a login at an auxiliary server works in a browser, which sends cookies back by path.
func TestCookiePaths(t *testing.T) {
	r := newRig(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{
			"a=1; Path=/oauth; HttpOnly", "b=2; path=/; Domain=auth.example; Secure", "c=3", "d=4; Path=relative", "fhirwire_x=5; Path=/",
		}
	}))
	r.chans["a~b"].Server.Auxiliary = []proxy.Auxiliary{{Name: "auth", URL: r.back.URL + "/oauth"}}
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/@auth/login", []string{"a=1; Path=/a~b/@auth; HttpOnly", "b=2; Path=/a~b/; Secure", "c=3", "d=4; Path=relative"}},
		{"/fhir/x", []string{"a=1; Path=/a~b/@auth; HttpOnly", "b=2; Path=/a~b/; Secure", "c=3", "d=4; Path=relative"}},
	} {
		if res, _ := r.get(c.path); !slices.Equal(res.Header["Set-Cookie"], c.want) {
			t.Errorf("%s: %q\nwant %q", c.path, res.Header["Set-Cookie"], c.want)
		}
	}
	for _, ex := range r.sink.Exchanges() {
		if len(ex.Edits) != 3 {
			t.Errorf("edits %+v", ex.Edits)
		}
	}
}
