package httprules_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/httprules"
)

// message is half an exchange in short: header lines, a blank line, the body.
type message string

func (m message) parts() (proxy.Header, []byte) {
	head, body, _ := strings.Cut(string(m), "\n\n")
	var h proxy.Header
	for line := range strings.SplitSeq(head, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h = append(h, proxy.Field{Name: name, Value: value})
		}
	}
	return h, []byte(body)
}

func (m message) content() (proxy.Message, httprules.Content) {
	h, body := m.parts()
	mt, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	c := httprules.Content{MediaType: mt, Size: int64(len(body)), Read: true}
	if len(body) > 0 && body[0] == '{' {
		c.Doc = fhirjson.Parse(body)
	} else if mt == "application/x-www-form-urlencoded" {
		c.Form, _ = url.ParseQuery(string(body))
	}
	return proxy.Message{Header: h, Body: proxy.Body{Size: c.Size}}, c
}

type exchange struct {
	in       proxy.Interaction
	method   string
	path     string
	request  message
	status   int
	response message
	failure  *proxy.Failure
	edits    []proxy.Edit
	server   *proxy.Leg
}

func (e exchange) issues(t *testing.T) []string {
	t.Helper()
	c := &httprules.Case{ServerBase: "http://payer.example/fhir"}
	x := &proxy.Exchange{Interaction: e.in, Failure: e.failure, Edits: e.edits, ServerLeg: e.server}
	x.Timing.End = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	x.Request.Method, x.Request.Target = e.method, "http://payer.example/fhir"+e.path
	x.Request.URL = "http://127.0.0.1:8081/a~b/fhir" + e.path
	x.Request.Message, c.Request = e.request.content()
	if e.status != 0 {
		x.Response = &proxy.Response{Status: e.status}
		x.Response.Message, c.Response = e.response.content()
	}
	c.Exchange = x
	var ids []string
	for _, is := range httprules.NewChecker().Check(c) {
		if is.Message == "" || is.Part == "" || is.Side == "" || is.Severity == "" || is.Code == "" || is.Resource != -1 {
			t.Errorf("%s: a field is missing in %+v", is.MessageID, is)
		}
		ids = append(ids, is.MessageID)
	}
	return ids
}

var (
	read     = proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}
	search   = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}
	kickoff  = proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "Patient", Operation: "$export"}
	poll     = proxy.Interaction{Kind: proxy.KindBulkStatus}
	token    = proxy.Interaction{Kind: proxy.KindToken}
	register = proxy.Interaction{Kind: proxy.KindRegister}
	match    = proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}
)

const (
	fhir     = "Content-Type: application/fhir+json; charset=utf-8\n"
	patient  = `{"resourceType":"Patient","id":"1"}`
	outcome  = `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}`
	page     = `{"resourceType":"Bundle","type":"searchset","total":1,"link":[{"relation":"self","url":"http://payer.example/fhir/Patient?name=x"}],"entry":[{"resource":{"resourceType":"Patient"},"search":{"mode":"match"}}]}`
	manifest = `{"transactionTime":"2026-01-31T11:00:00Z","request":"http://payer.example/fhir/Patient/$export","requiresAccessToken":false,"output":[{"type":"Patient","url":"http://payer.example/f/1"}],"error":[]}`
	running  = "Retry-After: 2\nX-Progress: half\n\n"
	finished = "Content-Type: application/json\nExpires: Sun, 01 Feb 2026 12:00:00 GMT\n\n"
	params   = `{"resourceType":"Parameters","parameter":[{"name":"MemberIdentifier","valueIdentifier":{"value":"1"}}]}`
	granted  = `{"access_token":"hmac:0","token_type":"bearer","expires_in":300}`
	smart    = `{"token_endpoint":"http://payer.example/token","grant_types_supported":["client_credentials"],"code_challenge_methods_supported":["S256"],"capabilities":["permission-v2"]}`
)

// masked is what the record has in place of an assertion.
func masked(aud string) string {
	return `hmac:0123456789abcdef jwt{\"alg\":\"ES384\",\"iss\":\"c\",\"aud\":\"` + aud + `\"}`
}

// assertedBy is a token request with an assertion.
func assertedBy(member, aud string) message {
	return message("Content-Type: application/x-www-form-urlencoded\n\ngrant_type=client_credentials&" + member + "=" + url.QueryEscape(strings.ReplaceAll(masked(aud), `\`, "")))
}

// bound carries a token for the certificate with the fingerprint 00ff.
const bound = "Authorization: Bearer hmac:0123456789abcdef jwt{\"alg\":\"ES384\",\"cnf\":{\"x5t#S256\":\"AP8\"}}\n\n"

// presenting is a connection on which the proxy showed the server a certificate.
func presenting(fingerprint string) *proxy.Leg {
	return &proxy.Leg{TLS: &proxy.TLS{Client: []proxy.Certificate{{Fingerprint: fingerprint}}}}
}

// clean exchanges break no rule.
var clean = map[string]exchange{
	"read":           {in: read, method: "GET", path: "/Patient/1", status: 200, response: fhir + "\n" + patient},
	"read not found": {in: read, method: "GET", path: "/Patient/1", status: 404, response: fhir + "\n" + outcome},
	"search":         {in: search, method: "GET", path: "/Patient?name=x&_count=5", status: 200, response: fhir + "\n" + page},
	"create": {
		in: proxy.Interaction{Kind: proxy.KindCreate, ResourceType: "Patient"}, method: "POST", path: "/Patient", request: fhir + "\n" + patient, status: 201,
		response: "Location: http://payer.example/fhir/Patient/1/_history/1\n\n",
	},
	"kick-off": {
		in: kickoff, method: "GET", path: "/Patient/$export?_since=2026-01-01T00:00:00%2B01:00", request: "Accept: application/fhir+json\nPrefer: handling=lenient, respond-async\n\n",
		status: 202, response: "Content-Location: http://payer.example/fhir/bulk/1/status\n\n",
	},
	"poll":         {in: poll, method: "GET", path: "/bulk/1/status", status: 202, response: running},
	"manifest":     {in: poll, method: "GET", path: "/bulk/1/status", status: 200, response: finished + manifest},
	"failed job":   {in: poll, method: "GET", path: "/bulk/1/status", status: 500, response: fhir + "\n" + outcome},
	"file":         {in: proxy.Interaction{Kind: proxy.KindBulkFile}, method: "GET", path: "/f/1", status: 200, response: "Content-Type: application/fhir+ndjson\n\n" + patient},
	"token":        {in: token, method: "POST", path: "/token", request: "Content-Type: application/x-www-form-urlencoded\n\ngrant_type=client_credentials", status: 200, response: "Cache-Control: no-store\n\n" + granted},
	"signed token": {in: token, method: "POST", path: "/token", request: assertedBy("client_assertion", "http://payer.example/fhir/token"), status: 200, response: "Cache-Control: no-store\n\n" + granted},
	"statement":    {in: register, method: "POST", path: "/register", request: message("\n\n" + `{"software_statement":"` + masked("http://payer.example/fhir/register") + `"}`), status: 201, response: "Cache-Control: no-store\n\n{\"client_id\":\"x\"}"},
	"bound token":  {in: read, method: "GET", path: "/Patient/1", request: bound, status: 200, response: fhir + "\n" + patient, server: presenting("00ff")},
	"register":     {in: register, method: "POST", path: "/register", request: "\n\n{\"client_name\":\"x\"}", status: 201, response: "Cache-Control: no-store\n\n{\"client_id\":\"x\",\"client_secret\":\"hmac:0\",\"client_secret_expires_at\":0}"},
	"smart":        {in: proxy.Interaction{Kind: proxy.KindSMARTConfig}, method: "GET", path: "/.well-known/smart-configuration", status: 200, response: "\n\n" + smart},
	"match":        {in: match, method: "POST", path: "/Patient/$member-match", request: fhir + "\n" + params, status: 200, response: fhir + "\n" + params},
	"bytes": {
		in: proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Binary", ResourceID: "1"}, method: "GET", path: "/Binary/1",
		request: "Accept: application/pdf\n\n", status: 200, response: "Content-Type: application/pdf\n\n%PDF-1.7",
	},
	"match refused":  {in: match, method: "POST", path: "/Patient/$member-match", request: fhir + "\n" + params, status: 422, response: fhir + "\n" + outcome},
	"metadata":       {in: proxy.Interaction{Kind: proxy.KindCapabilities}, method: "GET", path: "/metadata", status: 200, response: fhir + "\n" + `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}`},
	"something else": {in: proxy.Interaction{Kind: proxy.KindOther}, method: "GET", path: "/x", status: 200, response: "Content-Type: text/html\n\n<p>"},
}

func TestCleanExchanges(t *testing.T) {
	for name, e := range clean {
		if ids := e.issues(t); len(ids) > 0 {
			t.Errorf("%s: %q", name, ids)
		}
	}
}

// broken has, for each rule, a clean exchange with one change that breaks it and nothing else.
var broken = []struct {
	rule, base string
	change     func(*exchange)
}{
	{"http-response-type", "read", func(e *exchange) { e.response = "Content-Type: text/plain\n\n" + patient }},
	{"http-response-type", "read", func(e *exchange) { e.response = "Content-Type: application/json\n\n" + patient }},
	{"http-response-type", "read", func(e *exchange) { e.response = "\n\n" + patient }},
	{"http-request-type", "create", func(e *exchange) { e.request = "Content-Type: text/xml\n\n" + patient }},
	{"http-request-type", "match", func(e *exchange) { e.request = "Content-Type: application/json\n\n" + params }},
	{"http-body-missing", "read", func(e *exchange) { e.response = "Content-Type: application/fhir+json\n\n" }},
	{"http-not-fhir", "search", func(e *exchange) { e.response = "Content-Type: text/html\n\n<html>" }},
	{"http-not-fhir", "bytes", func(e *exchange) { e.response = "Content-Type: text/html\n\n<h1>Sign in</h1>" }},
	{"http-bundle-expected", "search", func(e *exchange) { e.response = fhir + "\n" + patient }},
	{"http-bundle-expected", "read", func(e *exchange) { e.response = fhir + "\n" + `{"resourceType":"Group"}` }},
	{"http-status", "kick-off", func(e *exchange) { e.status = 200 }},
	{"http-status", "create", func(e *exchange) { e.status = 204 }},
	{"http-server-error", "read not found", func(e *exchange) { e.status = 500 }},
	{"http-redirect", "read", func(e *exchange) { e.status, e.response = 302, "Location: http://payer.example/\n\n" }},
	{"http-create-location", "create", func(e *exchange) { e.response = "\n\n" }},
	{"http-create-location", "create", func(e *exchange) { e.response = "Location: http://payer.example/x\n\n" }},
	{"http-www-authenticate", "read not found", func(e *exchange) { e.status = 401 }},
	{"http-failure", "read", func(e *exchange) {
		e.failure, e.status = &proxy.Failure{Reason: proxy.ReasonUpstreamDown, Side: "server", Detail: "connection refused"}, 0
	}},
	{"http-error-outcome", "read not found", func(e *exchange) { e.response = "Content-Type: text/html\n\n<h1>" }},
	{"http-error-outcome", "kick-off", func(e *exchange) { e.status = 400 }},
	{"http-outcome-in-success", "match", func(e *exchange) {
		e.in = proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$everything"}
		e.response = fhir + "\n" + outcome
	}},
	{"search-bundle-type", "search", swapResponse(`"searchset"`, `"collection"`)},
	{"search-self-link", "search", swapResponse(`"self"`, `"first"`)},
	{"search-parameter-ignored", "search", func(e *exchange) { e.path += "&gender=male" }},
	{"search-entry-type", "search", swapResponse(`{"resourceType":"Patient"}`, `{"resourceType":"Group"}`)},
	{"search-total", "search", swapResponse(`"total":1`, `"total":0`)},
	{"paging-next-loop", "search", swapResponse(`"link":[`, `"link":[{"relation":"next","url":"http://payer.example/fhir/Patient?name=x"},`)},
	{"paging-foreign-link", "search", swapResponse(`"link":[`, `"link":[{"relation":"next","url":"http://10.0.0.1:8080/fhir/Patient?p=2"},`)},
	{"paging-relative-link", "search", swapResponse(`"link":[`, `"link":[{"relation":"next","url":"Patient?p=2"},`)},
	{"bulk-kickoff-method", "kick-off", func(e *exchange) { e.method = "PUT" }},
	{"bulk-kickoff-prefer", "kick-off", func(e *exchange) { e.request = "Accept: application/fhir+json\n\n" }},
	{"bulk-kickoff-accept", "kick-off", func(e *exchange) { e.request = "Prefer: respond-async\n\n" }},
	{"bulk-kickoff-since", "kick-off", func(e *exchange) { e.path = "/Patient/$export?_since=2026-01-01T00:00:00+01:00" }},
	{"bulk-content-location", "kick-off", func(e *exchange) { e.response = "\n\n" }},
	{"bulk-content-location", "kick-off", func(e *exchange) { e.response = "Content-Location: /fhir/bulk/1/status\n\n" }},
	{"bulk-kickoff-body", "kick-off", func(e *exchange) { e.response += `{"jobId":"1"}` }},
	{"bulk-progress", "poll", func(e *exchange) {
		e.response = message("Retry-After: 2\nX-Progress: " + strings.Repeat("x", 100) + "\n\n")
	}},
	{"bulk-retry-after", "poll", func(e *exchange) { e.response = "\n\n" }},
	{"bulk-retry-after", "poll", func(e *exchange) { e.response = "Retry-After: Sun, 01 Feb 2026 12:00:00 GMT\n\n" }},
	{"bulk-manifest-type", "manifest", swapResponse("application/json", "application/fhir+json")},
	{"bulk-manifest", "manifest", swapResponse(`,"error":[]`, "")},
	{"bulk-manifest", "manifest", swapResponse(`"requiresAccessToken":false`, `"requiresAccessToken":"false"`)},
	{"bulk-manifest", "manifest", func(e *exchange) { e.response = finished }},
	{"bulk-manifest-url", "manifest", swapResponse("http://payer.example/f/1", "/f/1")},
	{"bulk-manifest-time", "manifest", swapResponse("2026-01-31T11", "2026-01-31T13")},
	{"bulk-manifest-time", "manifest", swapResponse("2026-01-31T11:00:00Z", "2026-01-31")},
	{"bulk-manifest-expires", "manifest", swapResponse("Expires", "X-Expires")},
	{"bulk-manifest-expires", "manifest", swapResponse("Sun, 01 Feb 2026", "Sun, 01 Feb 2025")},
	{"bulk-file-type", "file", swapResponse("application/fhir+ndjson", "application/octet-stream")},
	{"oauth-token-answer", "token", swapResponse(`"token_type":"bearer",`, "")},
	{"oauth-token-answer", "token", func(e *exchange) { e.response = "Cache-Control: no-store\n\n<p>" }},
	{"oauth-token-error", "token", func(e *exchange) {
		e.status, e.response = 400, `Content-Type: application/json`+"\n\n"+`{"error":"nope"}`
	}},
	{"oauth-no-store", "token", swapResponse("no-store", "private")},
	{"oauth-token-request", "token", func(e *exchange) { e.request = "Content-Type: application/json\n\n{}" }},
	{"oauth-token-request", "token", func(e *exchange) { e.method = "GET" }},
	{"oauth-assertion-audience", "signed token", func(e *exchange) { e.request = assertedBy("client_assertion", "http://127.0.0.1:8081/a~b/fhir/token") }},
	{"oauth-assertion-audience", "signed token", func(e *exchange) { e.request = assertedBy("client_assertion", "http://payer.example/fhir") }},
	{"oauth-assertion-audience", "statement", func(e *exchange) {
		e.request = message("\n\n" + `{"software_statement":"` + masked("http://127.0.0.1:8081/a~b/fhir/register") + `"}`)
	}},
	{"oauth-token-in-query", "search", func(e *exchange) { e.path += "&access_token=hmac:0123456789abcdef" }},
	{"oauth-token-binding", "bound token", func(e *exchange) { e.server = presenting("11ff") }},
	{"oauth-token-binding", "bound token", func(e *exchange) { e.server = &proxy.Leg{} }},
	{"oauth-token-binding", "bound token", func(e *exchange) { e.server, e.status = presenting("11ff"), 401 }},
	{"discovery-escape", "smart", func(e *exchange) {
		e.edits = []proxy.Edit{{Where: "response body", At: "/token_endpoint", From: "http://x.example", To: "http://x.example", Why: proxy.WhyEscape}}
	}},
	{"discovery-escape", "smart", func(e *exchange) {
		e.edits = []proxy.Edit{{Where: "response body", At: "/signed_metadata", From: "x", To: "x", Why: proxy.WhySigned}}
	}},
	{"discovery-escape", "metadata", func(e *exchange) {
		e.edits = []proxy.Edit{{Where: "response body", From: "application/fhir+xml", To: "application/fhir+xml", Why: proxy.WhyForm}}
	}},
	{"oauth-registration-answer", "register", swapResponse(`,"client_secret_expires_at":0`, "")},
	{"oauth-registration-error", "register", func(e *exchange) { e.status, e.response = 400, "\n\n"+`{"message":"no"}` }},
	{"oauth-registration-request", "register", func(e *exchange) { e.request = "\n\n" + `{"jwks":{"keys":[]},"jwks_uri":"https://x"}` }},
	{"smart-configuration", "smart", swapResponse(`["S256"]`, `["plain"]`)},
	{"member-match-method", "match", func(e *exchange) { e.method = "GET" }},
	{"member-match-method", "match", func(e *exchange) { e.in.ResourceID, e.path = "1", "/Patient/1/$member-match" }},
	{"member-match-answer", "match", swapResponse("MemberIdentifier", "Somebody")},
	{"member-match-answer", "match", func(e *exchange) { e.response = fhir + "\n" + patient }},
	{"member-match-leak", "match refused", func(e *exchange) { e.response = fhir + "\n" + params }},
	{"metadata-fhir-version", "metadata", swapResponse("4.0.1", "5.0.0")},
}

func swapResponse(from, to string) func(*exchange) {
	return func(e *exchange) {
		swapped := message(strings.Replace(string(e.response), from, to, 1))
		if swapped == e.response {
			panic("nothing to replace: " + from)
		}
		e.response = swapped
	}
}

func TestBrokenExchanges(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range broken {
		e := clean[b.base]
		b.change(&e)
		ids := e.issues(t)
		if !slices.Contains(ids, b.rule) {
			t.Errorf("%s is not found in %s with its change; found %q", b.rule, b.base, ids)
		}
		seen[b.rule] = true
	}
	for _, r := range httprules.Table() {
		if !seen[r.ID] {
			t.Errorf("rule %s has no example that breaks it", r.ID)
		}
		if r.Title == "" || r.Source.Guide == "" || r.Severity == "" {
			t.Errorf("rule %s lacks a title, source or severity", r.ID)
		}
	}
}

// TestAssertionAudience: what the finding says depends on whose URL was named and on what the server made of it.
func TestAssertionAudience(t *testing.T) {
	const proxied = "http://127.0.0.1:8081/a~b/fhir/token"
	for _, c := range []struct {
		aud    string
		status int
		want   validators.Severity
		words  string
	}{
		{proxied, 200, validators.SeverityInformation, "the proxy's URL"},
		{proxied, 401, validators.SeverityWarning, "the proxy's URL"},
		{"https://elsewhere.example/token", 401, validators.SeverityWarning, "not the URL under which"},
	} {
		e := exchange{in: token, method: "POST", path: "/token", request: assertedBy("client_assertion", c.aud), status: c.status, response: "Cache-Control: no-store\n\n" + granted}
		x := &proxy.Exchange{Interaction: e.in, Response: &proxy.Response{Status: c.status}}
		x.Request.Method, x.Request.Target, x.Request.URL = "POST", "http://payer.example/fhir/token", proxied
		cs := &httprules.Case{Exchange: x}
		x.Request.Message, cs.Request = e.request.content()
		x.Response.Message, cs.Response = e.response.content()
		issues := httprules.NewChecker().Check(cs)
		i := slices.IndexFunc(issues, func(is validators.Issue) bool { return is.MessageID == "oauth-assertion-audience" })
		if i < 0 || issues[i].Severity != c.want || !strings.Contains(issues[i].Message, c.words) || issues[i].Found != c.aud {
			t.Errorf("%s answered %d: %+v", c.aud, c.status, issues)
		}
	}
}

func TestABodyThatWasNotReadIsNotJudged(t *testing.T) {
	c := &httprules.Case{Exchange: &proxy.Exchange{Interaction: read, Response: &proxy.Response{Status: 200}}}
	c.Response = httprules.Content{MediaType: "application/fhir+json", Size: 10}
	if got := httprules.NewChecker().Check(c); len(got) > 0 {
		t.Errorf("issues %+v", got)
	}
}

func TestRuleIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range httprules.Table() {
		if seen[r.ID] {
			t.Errorf("rule id %s is used twice", r.ID)
		}
		seen[r.ID] = true
	}
}
