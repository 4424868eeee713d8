package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

var start = time.Date(2026, 9, 12, 10, 41, 2, 18_000_000, time.UTC)

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>javascript:`

func newServer(t testing.TB, store *apitest.Store, o Options) *Server {
	t.Helper()
	n := 0
	if o.Clock == nil {
		o.Clock = func() time.Time { return start.Add(4 * time.Minute) }
	}
	if o.NewID == nil {
		o.NewID = func() string { n++; return fmt.Sprintf("new-%d", n) }
	}
	s, err := New(store.Deps(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// get asks for a page as a browser on the same machine does.
func get(t testing.TB, s *Server, path string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, s, http.MethodGet, path, "", nil)
}

func do(t testing.TB, s *Server, method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if h := header["Host"]; h != "" {
		r.Host = h
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// addPair registers two systems and a channel.
func addPair(t testing.TB, store *apitest.Store, client, server string, simulated bool) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	slug := func(s string) string { return strings.ToLower(strings.Fields(s)[0]) }
	c := &proxy.System{ID: "s-" + slug(client), Slug: slug(client), Name: client, Roles: []proxy.Role{proxy.RoleClient}}
	s := &proxy.System{ID: "s-" + slug(server), Slug: slug(server), Name: server, Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "https://p2p." + slug(server) + ".example/fhir", Simulated: simulated}
	ch := &proxy.Channel{ID: "c-" + slug(client), Name: proxy.ChannelName(c, s), ClientID: c.ID, ServerID: s.ID, ServerURL: s.BaseURL, Options: proxy.ChannelOptions{Track: "Payer to payer"}}
	for _, err := range []error{store.SaveSystem(ctx, c), store.SaveSystem(ctx, s), store.SaveChannel(ctx, ch)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return ch.Name
}

type spec struct {
	method, path, channel string
	kind                  proxy.Interaction
	status                int
	request, response     []byte
	encoding              string
	contentType           string
	ms                    int
	failure               *proxy.Failure
	edits                 []proxy.Edit
	header                proxy.Header
}

func addExchange(store *apitest.Store, id string, at time.Duration, x spec) *proxy.Exchange {
	if x.method == "" {
		x.method = "GET"
	}
	if x.contentType == "" {
		x.contentType = "application/fhir+json"
	}
	e := &proxy.Exchange{ID: id, Channel: x.channel, Matched: "channel URL", Mode: proxy.ModeReverse, ClientAddr: "127.0.0.1:50412", Interaction: x.kind, Failure: x.failure, Edits: x.edits}
	e.Request = proxy.Request{Method: x.method, URL: "http://127.0.0.1:8081/" + x.channel + x.path, Target: "https://p2p.cedar.example" + x.path}
	e.Request.Proto = "HTTP/1.1"
	e.Request.Header = append(proxy.Header{{Name: "Accept", Value: "application/fhir+json"}, {Name: "Authorization", Value: "Bearer hmac:5f1c9a20b7d41e88"}}, x.header...)
	if x.request != nil {
		e.Request.Body = store.AddBody(x.request)
		e.Request.Header = append(e.Request.Header, proxy.Field{Name: "Content-Type", Value: "application/fhir+json"})
	}
	if x.status > 0 {
		e.Response = &proxy.Response{Status: x.status}
		e.Response.Proto = "HTTP/1.1"
		e.Response.Header = proxy.Header{{Name: "Content-Type", Value: x.contentType}}
		if x.encoding != "" {
			e.Response.Header = append(e.Response.Header, proxy.Field{Name: "Content-Encoding", Value: x.encoding})
		}
		if x.response != nil {
			e.Response.Body = store.AddBody(x.response)
		} else {
			e.Response.Body.Complete = true
		}
	}
	t0 := start.Add(at)
	ms := time.Duration(x.ms) * time.Millisecond
	e.Timing = proxy.Timing{Start: t0, Connected: t0.Add(ms / 10), RequestDone: t0.Add(ms / 8), FirstByte: t0.Add(ms / 2), End: t0.Add(ms)}
	store.AddExchange(e)
	return e
}

func addReport(store *apitest.Store, id string, resources []validators.ResourceResult, issues ...validators.Issue) *validators.Report {
	r := &validators.Report{
		Subject: id, Resources: resources, Issues: issues, Checked: len(resources), At: start.Add(time.Minute),
		Context: validators.Context{Guides: []string{"hl7.fhir.us.davinci-pdex#2.0.0", "hl7.fhir.us.core#3.1.1", "hl7.fhir.us.davinci-hrex#1.0.0"}, Rules: 1, Terminology: "offline"},
		Summary: validators.Summarize(issues),
	}
	store.AddReport(r)
	return r
}

const everything = `{"resourceType":"Bundle","id":"ev-90417-p1","type":"searchset","total":143,"link":[{"relation":"self","url":"https://p2p.cedar.example/fhir/Patient/pt-90417/$everything?_count=50"},{"relation":"next","url":"https://p2p.cedar.example/fhir/page/2"}],"entry":[{"fullUrl":"https://p2p.cedar.example/fhir/Patient/pt-90417","resource":{"resourceType":"Patient","id":"pt-90417","meta":{"lastUpdated":"2026-09-11T08:00:00Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1"]},"identifier":[{"type":{"coding":[{"code":"UMB"}]},"system":"https://cedarmesa.example/umb","value":"cmu-90417"},{"type":{"coding":[{"code":"MB"}]},"value":"CM-778812-01"}],"name":[{"family":"Brannigan-Reyes","given":["Odalys"]}],"gender":"female","birthDate":"1979-04-18"}},{"fullUrl":"https://p2p.cedar.example/fhir/Coverage/cov-778812","resource":{"resourceType":"Coverage","id":"cov-778812","status":"active","relationship":{"coding":[{"code":"dependent"}]}}}]}`

func issueAt(body, at string, is validators.Issue) validators.Issue {
	is.Offset = strings.Index(body, at)
	is.Line, is.Column = 1, is.Offset+1
	is.Part, is.Side = validators.PartResponseBody, validators.SideServer
	return is
}

// demo is a pair with a bit of everything.
func demo(t testing.TB, store *apitest.Store) {
	ch := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	op := func(name string) proxy.Interaction {
		return proxy.Interaction{Kind: proxy.KindOperation, Operation: name, ResourceType: "Patient"}
	}
	patient := []validators.ResourceResult{{ResourceType: "Patient", ID: "pt-90417", Profiles: []validators.ProfileChoice{{URL: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1", Why: "claimed in meta.profile"}}}}
	small := []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","diagnostics":"Consent parameter is required","expression":["Parameters.parameter"]}]}`)

	addExchange(store, "x1", 0, spec{path: "/.well-known/smart-configuration", channel: ch, kind: proxy.Interaction{Kind: proxy.KindSMARTConfig}, status: 200, response: []byte(`{"token_endpoint":"https://auth.cedar.example/token"}`), contentType: "application/json", ms: 38})
	addReport(store, "x1", nil)
	addExchange(store, "x2", time.Second, spec{method: "POST", path: "/oauth/register", channel: ch, kind: proxy.Interaction{Kind: proxy.KindRegister}, status: 201, response: []byte(`{"client_id":"c1","client_secret":"hmac:0011223344556677"}`), contentType: "application/json", ms: 212})
	addReport(store, "x2", nil)
	addExchange(store, "x3", 4*time.Second, spec{method: "POST", path: "/fhir/Patient/$member-match", channel: ch, kind: op("$member-match"), status: 422, request: []byte(`{"resourceType":"Parameters","parameter":[{"name":"MemberPatient"},{"name":"CoverageToMatch"}]}`), response: small, ms: 143})
	addReport(store, "x3", nil, validators.Issue{Severity: validators.SeverityError, Code: validators.CodeRequired, MessageID: "member-match-consent", Message: "The match request carries no Consent", Expected: "the parameters MemberPatient, CoverageToMatch and Consent", Found: "MemberPatient and CoverageToMatch", DoNext: "Add Consent and send it again.", Requirement: "P2P-MM-104", Side: validators.SideClient, Part: validators.PartRequestBody, Position: validators.Position{Offset: 28, Line: 1, Column: 29}, Expression: "Parameters.parameter"})
	addExchange(store, "x4", 2*time.Minute, spec{path: "/fhir/Patient?identifier=cmu-90417", channel: ch, kind: proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}, status: 200, response: []byte(`{"resourceType":"Bundle","type":"searchset","total":1}`), ms: 61})
	addReport(store, "x4", patient)
	addExchange(store, "x5", 140*time.Second, spec{
		path: "/fhir/Patient/pt-90417/$everything?_count=50", channel: ch, kind: op("$everything"), status: 200, response: []byte(everything), ms: 412,
		edits: []proxy.Edit{{Where: "response body", At: "/link/0/url", From: "https://p2p.cedar.example/fhir/Patient/pt-90417/$everything?_count=50", To: "http://127.0.0.1:8081/harborlight~cedar/fhir/Patient/pt-90417/$everything?_count=50"}},
	})
	addReport(store, "x5", patient,
		issueAt(everything, `{"type":{"coding":[{"code":"MB"`, validators.Issue{Severity: validators.SeverityError, Code: validators.CodeRequired, MessageID: "cardinality-min", Message: "Patient.identifier[1].system is missing", Expected: "1 system on every identifier", Found: "none on the second identifier", DoNext: "Add the URI that names your member number.", Expression: "Bundle.entry[0].resource.identifier[1]", Profile: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1", Requirement: "SHALL"}),
		issueAt(everything, `"dependent"`, validators.Issue{Severity: validators.SeverityWarning, Code: validators.CodeCodeInvalid, MessageID: "code-not-in-valueset", Message: `Code "dependent" is not in the expected list`, Expected: "a code of Subscriber Relationship, if one fits (extensible)", DoNext: "Use child, spouse or other.", Expression: "Bundle.entry[1].resource.relationship.coding[0].code", Profile: "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-coverage|1.0.0"}),
		issueAt(everything, `"active"`, validators.Issue{Severity: validators.SeverityInformation, NotChecked: true, Code: validators.CodeNotSupported, MessageID: "terminology-offline", Message: "3 SNOMED CT codes could not be checked", Expression: "Bundle.entry[1].resource.status"}),
	)
	addExchange(store, "x6", 141*time.Second, spec{path: "/fhir/page/2", channel: ch, kind: op("$everything"), status: 200, response: []byte(everything), ms: 398})
	addReport(store, "x6", patient, validators.Issue{Severity: validators.SeverityWarning, Message: "Resources have no narrative", MessageID: "dom-6", Side: validators.SideServer})
	cut := addExchange(store, "x7", 142*time.Second, spec{path: "/fhir/page/3", channel: ch, kind: op("$everything"), status: 502, response: []byte(everything[:700]), ms: 5003, failure: &proxy.Failure{Reason: proxy.ReasonUpstreamReset, Side: "server", Detail: "connection reset"}})
	cut.Response.Body.Complete = false
	addReport(store, "x7", nil).Summary.Unjudged = "Cut off, so nothing in it was judged."
	addExchange(store, "x8", 3*time.Minute, spec{path: "/fhir/Patient/$export", channel: ch, kind: proxy.Interaction{Kind: proxy.KindBulkKickoff, Operation: "$export", ResourceType: "Patient"}, status: 202, ms: 77})
	addReport(store, "x8", nil)
	addExchange(store, "x9", 190*time.Second, spec{path: "/fhir/metadata", channel: ch, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, failure: &proxy.Failure{Reason: proxy.ReasonUpstreamDown, Side: "server", Detail: "connection refused"}, ms: 3})
	addReport(store, "x9", nil).Summary.Unjudged = "No response."
	addExchange(store, "x10", 200*time.Second, spec{path: "/fhir/Patient/1", channel: ch, kind: proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}, status: 200, response: []byte(`{"resourceType":"Patient","id":"1"}`), ms: 20})
	addReport(store, "x10", patient).Summary.ToolError = "the disk is full"
	addExchange(store, "x11", 210*time.Second, spec{path: "/fhir/bulk/1/files/ExplanationOfBenefit.ndjson", channel: ch, kind: proxy.Interaction{Kind: proxy.KindBulkFile}, status: 200, response: gz([]byte("{\"resourceType\":\"ExplanationOfBenefit\",\"id\":\"1\"}\n{\"resourceType\":\"ExplanationOfBenefit\",\"id\":\"2\",\"status\":\"active\"}\n")), encoding: "gzip", contentType: "application/fhir+ndjson", ms: 2140})
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}
