package reverse_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"fhirwire/proxy"
)

// TestPostedAuthorization: aud and resource of authorization requests that are posted or pushed name the server, as they do in a URL; what
// is signed stays, and is told.
func TestPostedAuthorization(t *testing.T) {
	var mu sync.Mutex
	var got string
	auth := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = fmt.Sprintf("%s %d %v", body, r.ContentLength, err)
	}))
	defer auth.Close()
	r := newRig(t, http.NotFoundHandler())
	r.chans["a~b"].Server.Auxiliary = []proxy.Auxiliary{{Name: "auth", URL: auth.URL}}
	addr := r.front.Listener.Addr().String()
	mine, theirs := url.QueryEscape("http://"+addr+"/a~b/fhir"), url.QueryEscape(r.back.URL+"/fhir")
	callback := url.QueryEscape("http://" + addr + "/a~b/cb")
	jwt := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"aud":["http://`+addr+`/a~b/fhir","https://x.example"],"resource":1}`)) + ".c2ln"
	const form = "application/x-www-form-urlencoded"
	for n, tt := range []struct {
		name, method, path, kind, body, want string
		edited, left                         int
	}{
		{"posted", "POST", "authorize", form, "response_type=code&aud=" + mine + "&redirect_uri=" + callback, "response_type=code&aud=" + theirs + "&redirect_uri=" + callback, 1, 0},
		{"pushed", "POST", "par", form + "; charset=UTF-8", "client_id=x&resource=" + mine + "&response_type=code&resource=https%3A%2F%2Fx.example", "client_id=x&resource=" + theirs + "&response_type=code&resource=https%3A%2F%2Fx.example", 1, 0},
		{"signed", "POST", "par", form, "client_id=x&request=" + jwt, "client_id=x&request=" + jwt, 0, 1},
		{"no proxy in it", "POST", "par", form, "response_type=code&aud=https%3A%2F%2Fx.example", "response_type=code&aud=https%3A%2F%2Fx.example", 0, 0},
		{"token request", "POST", "token", form, "grant_type=client_credentials&resource=" + mine, "grant_type=client_credentials&resource=" + mine, 0, 0},
		{"JSON", "POST", "par", "application/json", `"response_type=code&aud=` + mine + `"`, `"response_type=code&aud=` + mine + `"`, 0, 0},
		{"too long", "POST", "par", form, "response_type=code&aud=" + mine + "&x=" + strings.Repeat("y", 70000), "response_type=code&aud=" + mine + "&x=" + strings.Repeat("y", 70000), 0, 0},
		{"broken escapes", "POST", "par", form, "response_type=code&aud=%zz&&=&" + mine, "response_type=code&aud=%zz&&=&" + mine, 0, 0},
		{"empty", "POST", "par", form, "", "", 0, 0},
	} {
		for k, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s chunked %v", tt.name, chunked), func(t *testing.T) {
				framing := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(tt.body), tt.body)
				length := len(tt.want)
				if chunked {
					framing, length = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(tt.body), tt.body), -1
					if tt.body == "" {
						framing = "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
					}
				}
				r.raw(addr, tt.method+" /a~b/@auth/"+tt.path+" HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\nContent-Type: "+tt.kind+"\r\n"+framing)
				mu.Lock()
				defer mu.Unlock()
				if want := fmt.Sprintf("%s %d <nil>", tt.want, length); got != want && !(tt.body == "" && strings.HasSuffix(got, "<nil>")) {
					t.Errorf("the server got %.300q\nwant %.300q", got, want)
				}
				e := r.sink.Wait(t, 2*n+k+1)[2*n+k]
				edited, left := 0, 0
				for _, edit := range e.Edits {
					switch {
					case edit.Where != "request body":
						t.Errorf("edit %+v", edit)
					case edit.Left():
						left++
					default:
						edited++
					}
				}
				if edited != tt.edited || left != tt.left {
					t.Errorf("edits %+v", e.Edits)
				}
				if e.Request.Body.Size != int64(len(tt.body)) || e.Failure != nil {
					t.Errorf("recorded %+v %+v", e.Request.Body, e.Failure)
				}
			})
		}
	}
}
