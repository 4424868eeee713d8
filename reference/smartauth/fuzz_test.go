package smartauth

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

func FuzzMetadata(f *testing.F) {
	for _, s := range []string{
		`{"grant_types":["client_credentials"],"scope":"system/*.rs"}`, `{"grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`,
		`{"jwks":null,"redirect_uris":["https://a/b#"]}`, `[]`, `{"tls_client_auth_san_uri":"x","token_endpoint_auth_method":"tls_client_auth","grant_types":["client_credentials"]}`, "",
		`{"grant_types":["client_credentials"],"scope":"system.Group.u?code=http://hl7.org/fhir/us/davinci-pdex/x|match"}`,
	} {
		f.Add([]byte(s))
	}
	allowed := ParseScopes(strings.Join(DefaultScopes(), " "))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, e := parseMetadata(body)
		if e == nil {
			e = m.normalize(allowed)
		}
		if e != nil {
			if e.Status != 400 || e.Code == "" || e.Description == "" || strings.ContainsAny(e.text(), "\"\\\n") {
				t.Fatalf("%+v", e)
			}
			return
		}
		// What is accepted stays as it is, stored and read back, and grants nothing beyond the allowed scopes.
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, e := parseMetadata(raw)
		if e == nil {
			e = again.normalize(allowed)
		}
		second, err := json.Marshal(again)
		if e != nil || err != nil || string(second) != string(raw) {
			t.Fatalf("%s\nbecame %s: %v %v", raw, second, e, err)
		}
		for _, s := range ParseScopes(m.Scope) {
			if !allowed.Covers(s) {
				t.Fatalf("granted %s", s)
			}
		}
	})
}

func FuzzJWT(f *testing.F) {
	w := newWorld(f, Options{})
	p := w.newParty()
	for _, s := range []string{p.jwt(nil, nil), p.jwt(object{"x5c": []string{"AA=="}}, object{"aud": []string{"a", "b"}}), unsignedJWT(f, p.claims(nil)), hs256(f, p.claims(nil)), "..", "a.b", "e30.e30.AA"} {
		f.Add(s)
	}
	stranger := []key{{id: "k1", public: p384(f).Public()}}
	f.Fuzz(func(t *testing.T, s string) {
		jwt, err := parseJWT(s)
		if err != nil {
			if jwt != nil {
				t.Fatal("a token and an error")
			}
			return
		}
		if _, ok := jwt.verifiedBy(stranger); ok {
			t.Fatalf("%q verifies with a strange key", s)
		}
		_, _ = jwt.chain()
		if jwt.checkTimes(time.Unix(1_800_000_000, 0), time.Second, time.Minute) == nil && jwt.Exp == nil {
			t.Fatal("no exp and still accepted")
		}
	})
}

func FuzzProtectedPath(f *testing.F) {
	f.Add("GET", "/Observation/o2", "patient=p2")
	f.Add("POST", "/Patient/_search", "_id=p1")
	f.Add("GET", "/Patient/p1/$everything", "_type=Observation")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		params, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q := readRequest(method, path, params)
		_ = q.need()
		if err := q.limit(t.Context(), "p1", ProtectOptions{}); err != nil || !q.search {
			return
		}
		// A search that a member's token may make is about that member, or about shared data.
		param, ok := memberSearch[q.typ]
		if !ok {
			return
		}
		for _, v := range q.params[param] {
			if onlyPatient([]string{v}, "p1") {
				return
			}
		}
		t.Fatalf("%s %s?%s passed as %v", method, path, query, q.params)
	})
}
