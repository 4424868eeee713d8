package smartauth

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func (w *world) get(target string) reply {
	w.t.Helper()
	return w.send(httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, target, nil))
}

func TestUDAPConfiguration(t *testing.T) { // P2P-DCR-141, 148
	const base = origin + "/fhir"
	leaf, key, _ := certificate(t, 11, base)
	cert := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	w := newWorld(t, Options{UDAP: func(at string) (*tls.Certificate, error) {
		if at != base {
			return nil, nil
		}
		return cert, nil
	}})
	for _, path := range []string{UDAPWellKnown, "/fhir" + UDAPWellKnown} {
		a := w.get(path)
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || a.text("registration_endpoint") != origin+RegisterPath || a.text("token_endpoint") != origin+TokenPath {
			t.Fatalf("%s: %d %v", path, a.StatusCode, a.body)
		}
		st, err := parseJWT(a.text("signed_metadata"))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := st.chain()
		if err != nil || len(chain) != 1 || !chain[0].Equal(leaf) {
			t.Fatalf("x5c: %v, %v", chain, err)
		}
		if _, err := st.jws.Verify(chain[0].PublicKey); err != nil {
			t.Error("the signed metadata does not verify with its own certificate")
		}
		if st.Iss != base || st.Sub != base || st.Jti == "" || st.Iat == nil || *st.Exp-*st.Iat != signedMetadataLife.Seconds() || st.header.Alg != string(jose.ES384) {
			t.Errorf("%s", st.payload)
		}
	}
	w.o.FHIRPath = "/else"
	if a := w.get(UDAPWellKnown); a.StatusCode != http.StatusNotFound {
		t.Errorf("a base without a certificate: %d %v", a.StatusCode, a.body)
	}
	w.o.UDAP = func(string) (*tls.Certificate, error) { return cert, nil }
	if a := w.get(UDAPWellKnown); a.StatusCode != http.StatusInternalServerError {
		t.Errorf("a certificate that does not name the base: %d %v", a.StatusCode, a.body)
	}
	w.o.UDAP = func(string) (*tls.Certificate, error) { return nil, errors.New("no disk") }
	if a := w.get(UDAPWellKnown); a.StatusCode != http.StatusInternalServerError || a.text("error_description") == "no disk" {
		t.Errorf("a failure: %d %v", a.StatusCode, a.body)
	}
	if a := newWorld(t, Options{}).get(UDAPWellKnown); a.StatusCode != http.StatusNotFound {
		t.Errorf("without UDAP: %d %v", a.StatusCode, a.body)
	}
}

func TestInitialAccessToken(t *testing.T) { // P2P-DCR-123
	metadata := `{"grant_types":["client_credentials"],"client_name":"x"}`
	for _, tt := range []struct {
		name      string
		o         Options
		header    []string
		status    int
		challenge string
	}{
		{"none asked for, none given", Options{}, nil, 201, ""},
		{"none asked for, any given", Options{}, []string{"Bearer other"}, 201, ""},
		{"known", Options{InitialTokens: []string{"a", "b"}}, []string{"Bearer b"}, 201, ""},
		{"not needed", Options{InitialTokens: []string{"a"}}, nil, 201, ""},
		{"unknown", Options{InitialTokens: []string{"a", "b"}}, []string{"Bearer c"}, 401, `Bearer realm="fhirwire", error="invalid_token", error_description="The initial access token is not known."`},
		{"of another scheme", Options{InitialTokens: []string{"a"}}, []string{"Basic a"}, 401, `Bearer realm="fhirwire", error="invalid_token", error_description="The initial access token is not known."`},
		{"twice", Options{InitialTokens: []string{"a"}}, []string{"Bearer a", "Bearer a"}, 401, `Bearer realm="fhirwire", error="invalid_token", error_description="The initial access token is not known."`},
		{"needed", Options{InitialTokens: []string{"a"}, RequireInitialToken: true}, nil, 401, `Bearer realm="fhirwire"`},
		{"needed and given", Options{InitialTokens: []string{"a"}, RequireInitialToken: true}, []string{"bearer a"}, 201, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.o)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, RegisterPath, strings.NewReader(metadata))
			r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": tt.header}
			a := w.send(r)
			if a.StatusCode != tt.status || a.Header.Get("WWW-Authenticate") != tt.challenge || (a.text("client_id") == "") != (tt.status != 201) {
				t.Errorf("%d %q %v", a.StatusCode, a.Header.Get("WWW-Authenticate"), a.body)
			}
		})
	}
}

func TestUDAPVersion(t *testing.T) { // P2P-DCR-147
	w := newWorld(t, Options{})
	p := w.newParty()
	if a := w.send(formRequest(t, TokenPath, p.form("system/*.rs", map[string][]string{"udap": {"2"}}))); a.StatusCode != http.StatusBadRequest || a.text("error") != "invalid_request" {
		t.Errorf("%d %v", a.StatusCode, a.body)
	}
}
