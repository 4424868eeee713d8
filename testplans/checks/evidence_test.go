package checks_test

import (
	"strings"
	"sync"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

const handshakes = `-- 1.request --
GET /fhir/Patient/1
-- 1.clientleg --
{"address":"192.0.2.7:1","tls":{"version":"TLS 1.2","cipher":"x","trust":"directory","client":[{"subject":"CN=payer-a","issuer":"CN=CA","serial":"1","names":["https://payer-a.example/"],"notBefore":"2024-01-01T00:00:00Z","notAfter":"2026-01-01T00:00:00Z","fingerprint":"aa"}]}}
-- 1.serverleg --
{"tls":{"version":"TLS 1.1","cipher":"x","trust":"refused","detail":"unknown authority","server":[{"subject":"CN=s","issuer":"CN=s","serial":"1","names":["*.example"],"notBefore":"2020-01-01T00:00:00Z","notAfter":"2021-01-01T00:00:00Z","fingerprint":"bb"}]}}
-- 2.request --
GET /fhir/Patient/1
-- 2.clientleg --
{"address":"192.0.2.7:1"}
-- 2.serverleg --
{"tls":{"version":"TLS 1.3","cipher":"x","resumed":true}}
-- 3.request --
GET /fhir/Patient/1
-- 3.serverleg --
{"tls":{"version":"SSL 3","cipher":"x","trust":"public","server":[{"subject":"CN=s","issuer":"CN=c","serial":"1","names":["other.example"],"notBefore":"2020-01-01T00:00:00Z","notAfter":"2031-01-01T00:00:00Z","fingerprint":"bb"}]}}
-- 4.request --
GET /fhir/Patient/1
-- 4.serverleg --
{"tls":{"version":"TLS 1.3","cipher":"x","asked":true}}
`

func TestConnection(t *testing.T) {
	items := archive(t, handshakes)
	for _, tt := range []struct {
		name    string
		at      int
		check   testplans.ConnectionCheck
		want    testplans.Verdict
		message string
	}{
		{"version", 1, testplans.ConnectionCheck{Leg: "client", TLS: "1.2"}, testplans.Pass, ""},
		{"old version", 1, testplans.ConnectionCheck{Leg: "server", TLS: "1.2"}, testplans.Fail, "the version is TLS 1.1"},
		{"client certificate", 1, testplans.ConnectionCheck{Leg: "client", Presented: "client", Issued: true, Dated: true, Names: "^https://payer-a"}, testplans.Pass, ""},
		{"another name", 1, testplans.ConnectionCheck{Leg: "client", Names: "^https://payer-b"}, testplans.Fail, "no name of the certificate matches"},
		{"none at the other side", 1, testplans.ConnectionCheck{Leg: "server", Presented: "client"}, testplans.Fail, "the client presented no certificate"},
		{"asked, and there was none to present", 4, testplans.ConnectionCheck{Leg: "server", Presented: "client"}, testplans.NotShown, "there was none to present"},
		{"trusted", 1, testplans.ConnectionCheck{Leg: "client", Trust: []proxy.Trust{proxy.TrustEventCA, proxy.TrustDirectory}}, testplans.Pass, ""},
		{"refused", 1, testplans.ConnectionCheck{Leg: "server", Trust: []proxy.Trust{proxy.TrustPublic}}, testplans.Fail, "not accepted: unknown authority"},
		{"self-signed", 1, testplans.ConnectionCheck{Leg: "server", Issued: true}, testplans.Fail, "self-signed"},
		{"expired", 1, testplans.ConnectionCheck{Leg: "server", Dated: true}, testplans.Fail, "valid from 2020-01-01 to 2021-01-01"},
		{"wildcard host", 1, testplans.ConnectionCheck{Leg: "server", Host: true}, testplans.Pass, ""},
		{"in clear", 2, testplans.ConnectionCheck{Leg: "client", TLS: "1.2"}, testplans.Fail, "in clear"},
		{"no handshake", 2, testplans.ConnectionCheck{Leg: "client", Presented: "client"}, testplans.NotShown, "in clear"},
		{"resumed", 2, testplans.ConnectionCheck{Leg: "server", Presented: "server"}, testplans.NotChecked, "resumed"},
		{"trust not recorded", 2, testplans.ConnectionCheck{Leg: "server", Trust: []proxy.Trust{proxy.TrustPublic}}, testplans.NotChecked, "not recorded"},
		{"no leg", 3, testplans.ConnectionCheck{Leg: "client", TLS: "1.2"}, testplans.NotChecked, "nothing was recorded"},
		{"unknown version", 3, testplans.ConnectionCheck{Leg: "server", TLS: "1.2"}, testplans.NotChecked, "SSL 3"},
		{"another host", 3, testplans.ConnectionCheck{Leg: "server", Host: true}, testplans.Fail, "is the host of http://payer.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask(t, checks.Table{}, &testplans.Check{Connection: &tt.check}, items, tt.at, nil, tt.want, tt.message)
		})
	}
}

func ask(t *testing.T, table checks.Table, check *testplans.Check, items []checks.Item, at int, steps map[string][]checks.Item, want testplans.Verdict, message string) {
	t.Helper()
	table.Kinds = checks.NewTable(nil).Kinds
	k := &checks.Case{Desk: checks.NewDesk(table.Model), Check: check, Attempts: items, Steps: steps}
	if at > 0 {
		k.Attempt = items[at-1]
	}
	out, err := table.Ask(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if out.Verdict != want || !strings.Contains(out.Message, message) || (out.Message == "") != (out.Verdict == testplans.Pass) {
		t.Errorf("%s: %q, want %s: %q", out.Verdict, out.Message, want, message)
	}
}

// The exchanges of proxytest begin at 2025-01-15T12:00:00Z, 1736942400.
const tokens = `-- 1.request --
POST /oauth/token
Content-Type: application/x-www-form-urlencoded
Authorization: Bearer hmac:11 jwt{"alg":"RS384","client_id":"a"}

grant_type=client_credentials&client_assertion=hmac%3A22+jwt%7B%22alg%22%3A%22RS384%22%2C%22kid%22%3A%22k%22%2C%22iss%22%3A%22a%22%2C%22sub%22%3A%22a%22%2C%22aud%22%3A%22http%3A%2F%2Fpayer.example%2Foauth%2Ftoken%22%2C%22exp%22%3A1736942600%2C%22jti%22%3A%22hmac%3A1%22%7D
-- 2.request --
POST /oauth/token
Content-Type: application/x-www-form-urlencoded

client_assertion=hmac%3A23+jwt%7B%22alg%22%3A%22HS256%22%2C%22iss%22%3A%22a%22%2C%22sub%22%3A%22b%22%2C%22aud%22%3A%5B%22https%3A%2F%2Felse.example%2Ftoken%22%5D%2C%22exp%22%3A1736949999%2C%22jti%22%3A%22hmac%3A1%22%7D
-- 3.request --
POST /oauth/token
Content-Type: application/x-www-form-urlencoded

client_assertion=hmac%3A24
-- 4.request --
POST /oauth/token
Content-Type: application/x-www-form-urlencoded

client_assertion=hmac%3A25+jwt%7B%22iss%22%3A%22z%22%2C%22exp%22%3A1736942000%2C%22jti%22%3A%22hmac%3A1%22%7D
-- 5.request --
POST /oauth/register
Content-Type: application/json

{"software_statement":"hmac:26 jwt{\"iss\":\"https://x.example\"}"}
`

func TestJWT(t *testing.T) {
	items := archive(t, tokens)
	for _, tt := range []struct {
		name    string
		at      int
		check   testplans.JWTCheck
		want    testplans.Verdict
		message string
	}{
		{"members", 1, testplans.JWTCheck{Has: []string{"kid", "iss", "exp", "jti"}, Same: []string{"iss", "sub"}, Algorithms: []string{"RS384"}}, testplans.Pass, ""},
		{"lifetime and audience", 1, testplans.JWTCheck{Lifetime: 300, Audience: true}, testplans.Pass, ""},
		{"bearer", 1, testplans.JWTCheck{In: "bearer", Has: []string{"client_id"}}, testplans.Pass, ""},
		{"no kid", 2, testplans.JWTCheck{Has: []string{"kid"}}, testplans.Fail, "has no kid"},
		{"iss and sub differ", 2, testplans.JWTCheck{Same: []string{"iss", "sub"}}, testplans.Fail, "not the same"},
		{"algorithm", 2, testplans.JWTCheck{Algorithms: []string{"RS384", "ES384"}}, testplans.Fail, `alg is "HS256"`},
		{"too long", 2, testplans.JWTCheck{Lifetime: 300}, testplans.Fail, "300 seconds are the most"},
		{"expired", 4, testplans.JWTCheck{Lifetime: 300}, testplans.Fail, "before the request"},
		{"audience", 2, testplans.JWTCheck{Audience: true}, testplans.Fail, "the request went to"},
		{"no JWT", 3, testplans.JWTCheck{Has: []string{"iss"}}, testplans.NotChecked, "may be no JWT"},
		{"none", 2, testplans.JWTCheck{In: "bearer", Has: []string{"iss"}}, testplans.Fail, "no bearer token"},
		{"software statement", 5, testplans.JWTCheck{In: "software_statement", Has: []string{"iss"}}, testplans.Pass, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.check.In == "" {
				tt.check.In = "client_assertion"
			}
			ask(t, checks.Table{}, &testplans.Check{JWT: &tt.check}, items, tt.at, nil, tt.want, tt.message)
		})
	}
	once := &testplans.Check{Once: &testplans.OnceCheck{In: "client_assertion"}}
	ask(t, checks.Table{}, once, items, 0, nil, testplans.Fail, "used twice")
	ask(t, checks.Table{}, once, items[1:4], 0, nil, testplans.Pass, "") // of two issuers
	ask(t, checks.Table{}, once, items[2:3], 0, nil, testplans.NotChecked, "may be no JWT")
	ask(t, checks.Table{}, once, items[4:], 0, nil, testplans.NotShown, "no client assertion")
}

const answers = `-- 1.request --
GET /fhir/Immunization?patient=p1&status=http://x%7Ca,b
-- 1.response --
200
Content-Type: application/fhir+json

{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Immunization","id":"i1","status":"completed","patient":{"reference":"Patient/p1"}}}]}
-- 2.request --
POST /fhir/Immunization/_search
Content-Type: application/x-www-form-urlencoded

status=b,a&patient=Patient/p1&_format=json
-- 2.response --
200
Content-Type: application/fhir+json

{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Immunization","id":"i1"}},{"resource":{"resourceType":"Immunization","id":"i2"}}]}
-- 3.request --
GET /fhir/Immunization?patient=p2
-- 3.response --
200
Content-Type: application/fhir+json

{"resourceType":"Bundle"}
-- 4.request --
GET /fhir/bulk/1
-- 4.response --
200

{"transactionTime":"2025-01-15T12:00:00Z"}
-- 5.request --
GET /fhir/bulk/1
-- 5.response --
200

{"transactionTime":"2025-01-15T12:00:01Z"}
`

func TestAgreesAndStable(t *testing.T) {
	items := archive(t, answers)
	for i := range items {
		items[i].Exchange.Interaction = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Immunization"}
	}
	steps := map[string][]checks.Item{"get": items[:1], "same": items[:2]}
	same := func(step, expr string) *testplans.Check {
		return &testplans.Check{Agrees: &testplans.AgreesCheck{Step: step, Expr: expr}}
	}
	table := checks.NewTable(nil)
	ask(t, table, same("get", "entry.resource.resourceType.distinct()"), items[:3], 0, steps, testplans.Pass, "")
	ask(t, table, same("same", "entry.resource.resourceType.distinct()"), items[:3], 0, steps, testplans.Pass, "")
	ask(t, table, same("get", "entry.count()"), items[:3], 0, steps, testplans.Fail, "entry.count() is 2 here and 1 in")
	ask(t, table, same("get", "entry.count()"), items[2:3], 0, steps, testplans.NotShown, "the same was not asked")
	at := func(p string) *testplans.Check { return &testplans.Check{Stable: &testplans.StableCheck{At: p}} }
	ask(t, table, at("/transactionTime"), items, 0, nil, testplans.Fail, "/transactionTime was")
	ask(t, table, at("/transactionTime"), items[:4], 0, nil, testplans.NotShown, "no URL was asked for twice")
	lines := func(expr string) *testplans.Check {
		return &testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnResponse, Expr: expr}}
	}
	ask(t, table, lines("entry.resource.patient.reference = 'Patient/' + %`id-patient`"), items, 1, nil, testplans.Pass, "")
	ask(t, table, lines("%`code-status` = ('a' | 'b') and %`param-patient` = 'p1' and %`param-_id`.empty()"), items, 1, nil, testplans.Pass, "")
	ask(t, table, lines("entry.resource.status in %`code-status`"), items, 1, nil, testplans.Fail, "does not hold")
}

var set = sync.OnceValues(func() (*profile.Set, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	return lib.Set()
})

func TestCovers(t *testing.T) {
	s, err := set()
	if err != nil {
		t.Fatal(err)
	}
	items := archive(t, answers)[:3]
	table := checks.NewTable(s)
	of := func(profile, where string) *testplans.Check {
		return &testplans.Check{Covers: &testplans.CoversCheck{Profile: profile, Where: where}}
	}
	const immunization = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-immunization|3.1.1"
	ask(t, table, of(immunization, "status = 'completed'"), items, 0, nil, testplans.NotShown, "not seen in 1 resource: Immunization.")
	ask(t, table, of(immunization, "status = 'no'"), items, 0, nil, testplans.NotShown, "no resource of the profile came")
	ask(t, table, of("http://nowhere.example", ""), items, 0, nil, testplans.NotChecked, "not at hand")
	ask(t, checks.Table{}, of(immunization, ""), items, 0, nil, testplans.NotChecked, "no profiles")
	whole := archive(t, `-- 1.request --
GET /fhir/bulk/files/1
-- 1.response --
200
Content-Type: application/fhir+ndjson

{"resourceType":"Immunization","status":"completed","statusReason":{"coding":[{"code":"x"}]},"vaccineCode":{"text":"x"},"patient":{"reference":"Patient/1"},"occurrenceString":"x","primarySource":true}
{"resourceType":"Immunization","occurrenceDateTime":"2020"}
`)
	ask(t, table, of(immunization, ""), whole, 0, nil, testplans.Pass, "")
}

func TestFileUnique(t *testing.T) {
	files := archive(t, `-- 1.request --
GET /fhir/bulk/1/status
-- 1.response --
200

{"output":[{"type":"Patient","url":"http://payer.example/fhir/bulk/1/a.ndjson"},{"type":"Patient","url":"http://payer.example/fhir/bulk/1/b.ndjson"}]}
-- 2.request --
GET /fhir/bulk/1/a.ndjson
-- 2.response --
200

{"resourceType":"Patient","id":"1"}
{"resourceType":"Patient","id":"2"}
-- 3.request --
GET /fhir/bulk/1/b.ndjson
-- 3.response --
200

{"resourceType":"Patient","id":"1"}

{"resourceType":"Patient","id":"1"}
`)
	unique := &testplans.Check{File: &testplans.FileCheck{Manifest: "m", Rule: testplans.FileUnique}}
	steps := map[string][]checks.Item{"m": files[:1]}
	ask(t, checks.NewTable(nil), unique, files, 2, steps, testplans.Pass, "")
	ask(t, checks.NewTable(nil), unique, files, 3, steps, testplans.Fail, "lines 1 and 3 are both Patient/1")
}
