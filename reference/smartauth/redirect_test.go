package smartauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A registered key set cannot send the server on to somewhere else.
func TestKeySetsAreNotFetchedBehindRedirects(t *testing.T) {
	asked := 0
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; http.Error(w, "{}", http.StatusOK) }))
	defer inside.Close()
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	w := newWorld(t, Options{HTTP: http.DefaultClient})
	p := &party{w: w, key: p384(t), alg: jose.ES384, kid: "k1"}
	p.register(Metadata{GrantTypes: []string{grantClientCredentials}, AuthMethod: authJWT, JWKSURI: outside.URL, Scope: "system/*.rs"})
	a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", url.Values{})))
	if text, err := json.Marshal(a.body); err != nil || a.StatusCode != http.StatusUnauthorized || a.text("error") != "invalid_client" || asked != 0 {
		t.Errorf("%d %s, asked inside %d times", a.StatusCode, text, asked)
	}
}
