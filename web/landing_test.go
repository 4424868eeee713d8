package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

func TestPointerOffset(t *testing.T) {
	const src = ` {"a":[1,{"b/c":"x"}], "d~":{"e":[]}, "\u0066":true} `
	for pointer, want := range map[string]string{
		"": `{"a"`, "/a": "[1", "/a/1": `{"b/c"`, "/a/1/b~1c": `"x"`, "/d~0/e": "[]", "/f": "true", "/a/7": "[1", "/a/1/none": `{"b/c"`, "/nope/x": `{"a"`,
	} {
		at, ok := pointerOffset([]byte(src), pointer)
		if !ok || !strings.HasPrefix(src[at:], want) {
			t.Errorf("%q: at %d, %q", pointer, at, src[at:])
		}
	}
	for _, broken := range []string{"", " ", "{", `{"a"`, `{"a":`, `{"a":{`, `{"a" 1}`, "[1,", `{"a`} {
		pointerOffset([]byte(broken), "/a/b") // ends, and does not look past the end
	}
}

func TestFormLayout(t *testing.T) {
	l, fields := formLayout([]byte(`grant_type=client_credentials&client_assertion_type=urn%3Ax&client_assertion=hmac:1efe668db6e6d201+jwt%7B%22alg%22:%22RS384%22%2C%22aud%22:%5B%22https:%2F%2Fa.example%22%5D%7D&&broken=%zz`))
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	if want := []string{"grant_type", "client_assertion_type", "client_assertion", "alg", "aud", "", "broken"}; !slices.Equal(names, want) {
		t.Errorf("the lines are %q", names)
	}
	text := func(line int) (out string) {
		for _, s := range l.lines[line].spans {
			out += s.Text
		}
		return out
	}
	if got := text(2); got != "client_assertion=hmac:1efe668db6e6d201" {
		t.Errorf("the token is shown as %q", got)
	}
	if got := text(4); got != `  aud: ["https://a.example"]` {
		t.Errorf("the audience is shown as %q", got)
	}
	if got := text(6); got != "broken=%zz" {
		t.Errorf("what cannot be decoded is shown as %q", got)
	}
	for message, want := range map[string]int{
		"The audience of client_assertion is the proxy's URL.": 4, "client_assertion is expired": 2, "client_assertion_type is missing": 1, "grant_type: unknown": 0, "The scope is empty.": -1,
	} {
		if got := formLine(fields, &validators.Issue{Message: message}); got != want {
			t.Errorf("%q is on line %d, want %d", message, got, want)
		}
	}
}

func TestHeaderOf(t *testing.T) {
	h := proxy.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Progress", Value: "…"}}
	for _, tt := range []struct {
		issue validators.Issue
		want  string
	}{
		{validators.Issue{Expected: "Content-Type: application/fhir+json"}, "Content-Type"},
		{validators.Issue{Message: "The 201 has no Location header."}, "Location"},
		{validators.Issue{Message: "X-Progress has 140 characters.", Expected: "fewer than 100"}, "X-Progress"},
		{validators.Issue{Message: "The answer is odd."}, ""},
	} {
		if got := headerOf(&tt.issue, h); got != tt.want {
			t.Errorf("%q is about %q, want %q", tt.issue.Message, got, tt.want)
		}
	}
}

// TestFindingsLand follows a finding of every kind to where it is, as the list of findings does.
func TestFindingsLand(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight", "Cedar Mesa", false)
	form := "grant_type=client_credentials&client_assertion=hmac:1efe668db6e6d201+jwt%7B%22aud%22:%22https:%2F%2Fproxy.example%22%7D"
	e := addExchange(store, "x1", 0, spec{
		method: "POST", path: "/oauth/token", channel: ch, kind: proxy.Interaction{Kind: proxy.KindToken}, status: 200, request: []byte(form),
		response: []byte(`{"access_token":"hmac:0011223344556677","expires_in":"300"}`), contentType: "application/json",
	})
	e.Request.Header[len(e.Request.Header)-1].Value = "application/x-www-form-urlencoded"
	e.Request.Body.Redacted, e.Response.Body.Redacted = true, true
	at := validators.Position{Offset: 900, Line: 1, Column: 901} // of the original, which was longer
	addReport(store, "x1", nil,
		validators.Issue{Severity: validators.SeverityError, Message: "The audience of client_assertion is not the server.", Part: validators.PartRequestBody, Side: validators.SideClient, Requirement: "P2P-TOK-104"},
		validators.Issue{Severity: validators.SeverityError, Message: "In expires_in: expected integer, but got string.", Part: validators.PartResponseBody, Side: validators.SideServer, Position: at, Expression: "expires_in", Pointer: "/expires_in", Requirement: "P2P-TOK-3"},
		validators.Issue{Severity: validators.SeverityWarning, Message: "The answer may be cached.", Expected: "Cache-Control: no-store", Part: validators.PartResponseHeader, Side: validators.SideServer, Requirement: "P2P-TOK-4"},
		validators.Issue{Severity: validators.SeverityWarning, Message: "The type is odd.", Expected: "Content-Type: application/json", Part: validators.PartResponseHeader, Side: validators.SideServer},
	)
	lines := "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\",\"gender\":\"nope\"}\n"
	addExchange(store, "x2", time.Second, spec{path: "/fhir/files/1", channel: ch, kind: proxy.Interaction{Kind: proxy.KindBulkFile}, status: 200, response: []byte(lines), contentType: "application/fhir+ndjson"})
	var many []validators.Issue
	for i := range 9 {
		many = append(many, validators.Issue{Severity: validators.SeverityError, Message: fmt.Sprintf("mistake %d", i), Part: validators.PartResponseBody, Position: validators.Position{Offset: strings.Index(lines, `"nope"`), Line: 2, Column: 1}})
	}
	addReport(store, "x2", nil, many...)
	s := newServer(t, store, Options{})

	for path, want := range map[string][]string{
		"/exchanges/x1/findings":           {`href="/exchanges/x1/request#L3" data-finding="f0">Line 3<`, `href="/exchanges/x1/response#L3" data-finding="f1">Line 3<`, `href="/exchanges/x1/response#f2" data-finding="f2">Header Cache-Control<`},
		"/exchanges/x1/request?finding=0":  {`id="L3"`, `<u class="s">&#34;https://proxy.example&#34;</u>`, "P2P-TOK-104"},
		"/exchanges/x1/response?finding=1": {`id="L3"`, `<u class="s">&#34;300&#34;</u>`, "P2P-TOK-3"},
		"/exchanges/x1/response?finding=2": {`<details class="headers" open`, "not sent", "Cache-Control", `class="marked sev-warning"`, "P2P-TOK-4"},
		"/exchanges/x2/response?finding=8": {`id="f8"`, "4 more findings on this line", "Record 2, line "},
	} {
		body := get(t, s, path).Body.String()
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s: without %q", path, text)
			}
		}
	}
	for _, view := range []string{"raw", "hex", "pretty"} {
		if body := get(t, s, "/exchanges/x1/request?view="+view).Body.String(); !strings.Contains(body, `id="f0"`) {
			t.Errorf("%s: the finding is not there", view)
		}
	}
}
