package checks_test

import (
	"fmt"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
)

const (
	tokenOne = "hmac:00aa11bb22cc33dd"
	tokenTwo = "hmac:00aa11bb22cc44ee"
)

// tokenTraffic is a token request by certificate and uses of its token: the second is that of another certificate, 30 seconds later.
func tokenTraffic(answer string) string {
	const leg = `{"tls":{"version":"TLS 1.3","cipher":"x","client":[{"subject":"CN=a","issuer":"CN=ca","serial":"1","notBefore":"2024-01-01T00:00:00Z","notAfter":"2026-01-01T00:00:00Z","fingerprint":"%s"}]}}` + "\n"
	var b strings.Builder
	exchange := func(n int, fingerprint, request, response string) {
		fmt.Fprintf(&b, "-- %d.request --\n%s\n", n, request)
		if fingerprint != "" {
			fmt.Fprintf(&b, "-- %d.clientleg --\n"+leg, n, fingerprint)
		}
		fmt.Fprintf(&b, "-- %d.response --\n%s\n", n, response)
	}
	get := func(path, token string) string {
		return "GET /fhir/" + path + "\nAuthorization: Bearer " + token + "\n"
	}
	const json = "HTTP/1.1 200 OK\nContent-Type: application/fhir+json\n\n"
	exchange(1, "aa", "POST /oauth/token\nContent-Type: application/x-www-form-urlencoded\n\ngrant_type=client_credentials&client_id=c&scope=system%2FPatient.rs",
		"HTTP/1.1 200 OK\nContent-Type: application/json\n\n"+answer)
	exchange(2, "aa", get("Patient/p1", tokenOne), json+`{"resourceType":"Patient","id":"p1"}`)
	exchange(3, "bb", get("Patient/p2", tokenOne), json+`{"resourceType":"Patient","id":"p2"}`)
	exchange(4, "", get("Condition?patient=p1", tokenOne), json+`{"resourceType":"Bundle","type":"searchset"}`)
	exchange(5, "aa", get("Condition?patient=p1", tokenOne), json+`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Condition"}}]}`)
	exchange(6, "aa", get("Patient/p1", tokenOne), "HTTP/1.1 401 Unauthorized\n\n")
	exchange(7, "aa", get("Patient/p1", tokenTwo), json+`{"resourceType":"Patient","id":"p1"}`)
	exchange(8, "aa", "GET /fhir/Patient/p1\n", "HTTP/1.1 401 Unauthorized\n\n")
	exchange(40, "aa", get("Patient/p1", tokenOne), json+`{"resourceType":"Patient","id":"p1"}`)
	exchange(41, "aa", get("Patient/p1", tokenOne), "HTTP/1.1 401 Unauthorized\n\n")
	return b.String()
}

// TestTokens: the use of a token is held against the request that issued it.
func TestTokens(t *testing.T) {
	full := `{"access_token":"` + tokenOne + `","token_type":"bearer","expires_in":5,"scope":"system/Patient.rs","patient":"p1"}`
	bare := `{"access_token":"` + tokenOne + `","token_type":"bearer"}`
	for _, tt := range []struct {
		name, answer string
		item         int
		rule         testplans.TokenRule
		side         validators.Side
		want         testplans.Verdict
		says         string
	}{
		{"in time", full, 1, testplans.TokenExpired, "server", testplans.Pass, ""},
		{"accepted late", full, 8, testplans.TokenExpired, "server", testplans.Fail, "accepted a token that had expired"},
		{"accepted late is not the client's", full, 8, testplans.TokenExpired, "client", testplans.Pass, ""},
		{"refused late", full, 9, testplans.TokenExpired, "server", testplans.Pass, ""},
		{"used late", full, 9, testplans.TokenExpired, "client", testplans.Fail, "used a token that had expired"},
		{"either side", full, 9, testplans.TokenExpired, "both", testplans.Fail, "used a token that had expired"},
		{"no end said", bare, 8, testplans.TokenExpired, "server", testplans.NotShown, "until when"},
		{"covered", full, 1, testplans.TokenScope, "server", testplans.Pass, ""},
		{"not covered", full, 4, testplans.TokenScope, "server", testplans.Fail, "Condition.s"},
		{"not covered and nothing found", full, 3, testplans.TokenScope, "server", testplans.Pass, "nothing came"},
		{"own record", full, 1, testplans.TokenPatient, "server", testplans.Pass, ""},
		{"another's record", full, 2, testplans.TokenPatient, "server", testplans.Fail, "a patient that the token is not for"},
		{"a token for nobody", bare, 2, testplans.TokenPatient, "server", testplans.NotShown, "not for one patient"},
		{"no record", full, 3, testplans.TokenPatient, "server", testplans.NotShown, "names none"},
		{"one certificate", full, 1, testplans.TokenCertificate, "client", testplans.Pass, ""},
		{"another certificate", full, 2, testplans.TokenCertificate, "client", testplans.Fail, "another certificate"},
		{"no certificate", full, 3, testplans.TokenCertificate, "client", testplans.NotShown, "no certificate was presented"},
		{"refused while valid", full, 5, testplans.TokenRefused, "server", testplans.Fail, "refused a token"},
		{"refused when it had ended", full, 9, testplans.TokenRefused, "server", testplans.Pass, ""},
		{"another token", full, 6, testplans.TokenExpired, "server", testplans.NotShown, "none that was issued in step token"},
		{"no token", full, 7, testplans.TokenExpired, "server", testplans.NotShown, "no access token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			items := classified(archive(t, tokenTraffic(tt.answer)))
			check := &testplans.Check{Side: tt.side, Tokens: &testplans.TokensCheck{Issued: "token", Rule: tt.rule}}
			kind, n := checks.NewTable(nil).Find(check)
			if n != 1 || kind.Step {
				t.Fatal(kind, n)
			}
			c := &checks.Case{Desk: checks.NewDesk(nil), Check: check, Attempt: items[tt.item], Steps: map[string][]checks.Item{"token": items[:1]}}
			for range 2 { // the second answer rests on what the first entered
				out, err := kind.Eval(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if out.Verdict != tt.want || !strings.Contains(out.Message, tt.says) || tt.says == "" && out.Message != "" {
					t.Errorf("got %s %q, want %s %q", out.Verdict, out.Message, tt.want, tt.says)
				}
				if out.Verdict == testplans.Fail && len(out.Items) != 2 {
					t.Errorf("%d exchanges show it, want the use and the token request", len(out.Items))
				}
			}
		})
	}
}

// TestTokensGrow: token requests that come later are entered too, in whatever order, and what is known is that of a new desk.
func TestTokensGrow(t *testing.T) {
	full := `{"access_token":"` + tokenOne + `","token_type":"bearer","expires_in":5}`
	items := classified(archive(t, tokenTraffic(full)))
	other := items[0]
	ex := *other.Exchange
	ex.ID = "0"
	ex.Timing.Start = ex.Timing.Start.Add(-1)
	other.Exchange = &ex
	check := &testplans.Check{Side: "server", Tokens: &testplans.TokensCheck{Issued: "token", Rule: testplans.TokenExpired}}
	kind, _ := checks.NewTable(nil).Find(check)
	desk := checks.NewDesk(nil)
	for _, tt := range []struct {
		issued []checks.Item
		want   testplans.Verdict
	}{{nil, testplans.NotShown}, {items[:1], testplans.Fail}, {items[:2], testplans.Fail}, {[]checks.Item{other, items[0]}, testplans.Fail}, {items[1:2], testplans.NotShown}} {
		for _, d := range []*checks.Desk{desk, checks.NewDesk(nil)} {
			out, err := kind.Eval(t.Context(), &checks.Case{Desk: d, Check: check, Attempt: items[8], Steps: map[string][]checks.Item{"token": tt.issued}})
			if err != nil || out.Verdict != tt.want {
				t.Errorf("after %d token requests: %s %s, %v", len(tt.issued), out.Verdict, out.Message, err)
			}
		}
	}
}

// classified says of exchanges what they are, as far as these tests need it.
func classified(items []checks.Item) []checks.Item {
	for _, it := range items {
		in := &it.Exchange.Interaction
		path := strings.TrimPrefix(it.Exchange.Request.URL[strings.LastIndex(it.Exchange.Request.URL, ".example")+len(".example"):], "/")
		_, path, _ = strings.Cut(path, "fhir/")
		path, query, search := strings.Cut(path, "?")
		in.ResourceType, in.ResourceID, _ = strings.Cut(path, "/")
		switch {
		case it.Exchange.Request.Method == "POST":
			*in = proxy.Interaction{Kind: proxy.KindToken}
		case search && query != "":
			in.Kind = proxy.KindSearchType
		default:
			in.Kind = proxy.KindRead
		}
	}
	return items
}
