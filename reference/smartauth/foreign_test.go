package smartauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestForeignTokens: where foreign tokens count as none, an altered one of ours is refused on whichever listener it is shown.
func TestForeignTokens(t *testing.T) {
	w := newWorld(t, Options{Origin: func(r *http.Request) string {
		if r.Host == "tls.example" {
			return "https://tls.example"
		}
		return ""
	}})
	p := w.newParty()
	token := p.token("system/Patient.rs", nil)
	parts := strings.Split(token, ".")
	with := func(name, value string) string {
		claims := decode(t, token)
		claims[name] = value
		raw, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw) + "." + parts[2]
	}
	h := w.Protect(http.HandlerFunc(echo), ProtectOptions{Mode: Optional, ForeignTokens: true})
	for _, tt := range []struct {
		name, token string
		status      int
	}{
		{"good", token, 200},
		{"altered signature", parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), 401},
		{"altered scope", with("scope", "system/*.rs"), 401},
		{"of another issuer for a client of ours", with("iss", "https://elsewhere.example/token"), 200},
		{"of ours for nobody", with("client_id", "nobody"), 401},
		{"no JWT", "opaque", 200},
	} {
		for _, host := range []string{"", "tls.example"} {
			r := withBearer(t, "/fhir/Patient/1", tt.token)
			if host != "" {
				r.Host = host
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			want := tt.status
			if host != "" && tt.name == "of ours for nobody" {
				want = 200 // nothing says that it was ours
			}
			if rec.Code != want {
				t.Errorf("%s on %q: %d, want %d", tt.name, host, rec.Code, want)
			}
		}
	}
}
