package checks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

// archive reads exchanges "N.request" and "N.response" as evidence.
func archive(t *testing.T, text string) []checks.Item {
	t.Helper()
	list, bodies, err := proxytest.FromTxtar([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]checks.Item, len(list))
	for i, ex := range list {
		out[i] = checks.Item{Exchange: ex, Bodies: bodies}
	}
	return out
}

const one = `-- 1.request --
POST /fhir/Group/g1/$export?_type=Patient&x=1
Accept: application/fhir+json, */*;q=0.1
Prefer: respond-async, handling=lenient
Content-Type: application/fhir+json; charset=utf-8

{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/p1"}},{"name":"_since","valueInstant":"2025-01-15T12:00:00Z"}]}
-- 1.response --
HTTP/1.1 200 OK
Content-Type: application/json
Cache-Control: no-cache, no-store

{"time":"2025-01-15T12:00:00Z","n":3,"yes":true,"none":[],"list":[{"url":"https://a/x"},{"url":"/y"}],"o":{}}
`

func TestChecksOfOneExchange(t *testing.T) {
	it := archive(t, one)[0]
	req, res := testplans.OnRequest, testplans.OnResponse
	header := func(h testplans.HeaderCheck) testplans.Check { return testplans.Check{Header: &h} }
	pointer := func(p testplans.PointerCheck) testplans.Check { p.On = res; return testplans.Check{Pointer: &p} }
	param := func(p testplans.ParameterCheck) testplans.Check { return testplans.Check{Parameter: &p} }
	for _, tt := range []struct {
		name    string
		check   testplans.Check
		want    testplans.Verdict
		message string
	}{
		{"status", testplans.Check{Status: []string{"201", "2xx"}}, testplans.Pass, ""},
		{"another status", testplans.Check{Status: []string{"201", "4xx"}}, testplans.Fail, "the status is 200, where 201 or 4xx is expected"},
		{"header", header(testplans.HeaderCheck{On: req, Name: "accept"}), testplans.Pass, ""},
		{"part of a list", header(testplans.HeaderCheck{On: req, Name: "Prefer", Is: []string{"Respond-Async"}}), testplans.Pass, ""},
		{"second part of a list", header(testplans.HeaderCheck{On: res, Name: "Cache-Control", Is: []string{"no-store"}}), testplans.Pass, ""},
		{"without parameters", header(testplans.HeaderCheck{On: req, Name: "Content-Type", Is: []string{"application/fhir+json"}}), testplans.Pass, ""},
		{"another value", header(testplans.HeaderCheck{On: res, Name: "Content-Type", Is: []string{"application/fhir+json"}}), testplans.Fail, `is "application/json", where application/fhir+json is expected`},
		{"no header", header(testplans.HeaderCheck{On: res, Name: "Expires"}), testplans.Fail, "the response has no header Expires"},
		{"absent", header(testplans.HeaderCheck{On: res, Name: "Expires", Absent: true}), testplans.Pass, ""},
		{"not absent", header(testplans.HeaderCheck{On: res, Name: "Content-Type", Absent: true}), testplans.Fail, "has the header Content-Type"},
		{"absent value", header(testplans.HeaderCheck{On: res, Name: "Content-Type", Is: []string{"text/html"}, Absent: true}), testplans.Pass, ""},
		{"matches", header(testplans.HeaderCheck{On: req, Name: "Accept", Matches: "^application/"}), testplans.Pass, ""},
		{"does not match", header(testplans.HeaderCheck{On: req, Name: "Accept", Matches: "^text/"}), testplans.Fail, "does not match ^text/"},
		{"unknown variable", header(testplans.HeaderCheck{On: req, Name: "Accept", Matches: "${nobody}"}), testplans.NotShown, "nobody has not been seen"},
		{"query", param(testplans.ParameterCheck{Name: "_type", Is: []string{"Patient"}}), testplans.Pass, ""},
		{"body parameter, by id", param(testplans.ParameterCheck{Name: "patient", Is: []string{"p1"}}), testplans.Pass, ""},
		{"body parameter, another", param(testplans.ParameterCheck{Name: "patient", Is: []string{"p2"}}), testplans.Fail, `is "Patient/p1", where p2 is expected`},
		{"instant", param(testplans.ParameterCheck{Name: "_since", Type: "instant"}), testplans.Pass, ""},
		{"no instant", param(testplans.ParameterCheck{Name: "x", Type: "instant"}), testplans.Fail, "no instant"},
		{"no parameter", param(testplans.ParameterCheck{Name: "y"}), testplans.Fail, "no parameter y"},
		{"absent parameter", param(testplans.ParameterCheck{Name: "y", Absent: true}), testplans.Pass, ""},
		{"present parameter", param(testplans.ParameterCheck{Name: "x", Absent: true}), testplans.Fail, "x=1"},
		{"pointer", pointer(testplans.PointerCheck{At: "/time", Type: "instant"}), testplans.Pass, ""},
		{"number", pointer(testplans.PointerCheck{At: "/n", Type: "number"}), testplans.Pass, ""},
		{"number as string", pointer(testplans.PointerCheck{At: "/n", Type: "string"}), testplans.Fail, "/n is 3, which is no string"},
		{"boolean", pointer(testplans.PointerCheck{At: "/yes", Type: "boolean"}), testplans.Pass, ""},
		{"object as array", pointer(testplans.PointerCheck{At: "/o", Type: "array"}), testplans.Fail, "which is no array"},
		{"value", pointer(testplans.PointerCheck{At: "/n", Is: []string{"2", "3"}}), testplans.Pass, ""},
		{"missing", pointer(testplans.PointerCheck{At: "/no"}), testplans.Fail, "/no is missing"},
		{"missing and absent", pointer(testplans.PointerCheck{At: "/no", Absent: true}), testplans.Pass, ""},
		{"there and absent", pointer(testplans.PointerCheck{At: "/n", Absent: true}), testplans.Fail, "/n is there: 3"},
		{"each of none", pointer(testplans.PointerCheck{At: "/none/*/url", Type: "url"}), testplans.Pass, ""},
		{"each", pointer(testplans.PointerCheck{At: "/list/*/url", Type: "url"}), testplans.Fail, `/list/1/url is "/y", which is no absolute URL`},
		{"each of what is no array", pointer(testplans.PointerCheck{At: "/o/*/url"}), testplans.NotShown, "there is no array /o to look at"},
		{"plain JSON by FHIRPath", testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: res, Expr: "list.url.count() = 2 and yes"}}, testplans.Pass, ""},
		{"FHIRPath that fails", testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: res, Expr: "n > 5"}}, testplans.Fail, "this does not hold: n > 5"},
		{"FHIRPath that cannot be evaluated", testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: res, Expr: "list.url = list.url.single()"}}, testplans.NotChecked, "could not be evaluated"},
		{"not inspected", testplans.Check{Findings: &testplans.FindingsCheck{}}, testplans.NotChecked, "not inspected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := checks.NewTable(fhirpathtest.Small()).Ask(t.Context(), &checks.Case{Desk: checks.NewDesk(fhirpathtest.Small()), Check: &tt.check, Attempt: it})
			if err != nil {
				t.Fatal(err)
			}
			if out.Verdict != tt.want || !strings.Contains(out.Message, tt.message) || (out.Message == "") != (out.Verdict == testplans.Pass) {
				t.Errorf("%s: %q, want %s: %q", out.Verdict, out.Message, tt.want, tt.message)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	issue := func(s validators.Severity, id string, p validators.Part) validators.Issue {
		return validators.Issue{Severity: s, MessageID: id, Message: "m", Part: p}
	}
	bad := issue(validators.SeverityError, "a", validators.PartResponseBody)
	warn := issue(validators.SeverityWarning, "b", validators.PartRequestBody)
	open := issue(validators.SeverityInformation, "c", validators.PartResponseBody)
	open.NotChecked = true
	for i, tt := range []struct {
		report validators.Report
		check  testplans.FindingsCheck
		want   testplans.Verdict
	}{
		{validators.Report{}, testplans.FindingsCheck{}, testplans.Pass},
		{validators.Report{Issues: []validators.Issue{bad}}, testplans.FindingsCheck{}, testplans.Fail},
		{validators.Report{Issues: []validators.Issue{bad}}, testplans.FindingsCheck{On: testplans.OnRequest}, testplans.Pass},
		{validators.Report{Issues: []validators.Issue{bad}}, testplans.FindingsCheck{Rules: []string{"x"}}, testplans.Pass},
		{validators.Report{Issues: []validators.Issue{bad}}, testplans.FindingsCheck{Rules: []string{"x", "a"}}, testplans.Fail},
		{validators.Report{Issues: []validators.Issue{warn}}, testplans.FindingsCheck{}, testplans.PassNotes},
		{validators.Report{Issues: []validators.Issue{warn}}, testplans.FindingsCheck{Below: validators.SeverityWarning}, testplans.Fail},
		{validators.Report{Issues: []validators.Issue{open}}, testplans.FindingsCheck{}, testplans.PassNotes},
		{validators.Report{Summary: validators.Summary{Unjudged: "encrypted"}}, testplans.FindingsCheck{}, testplans.NotChecked},
		{validators.Report{Summary: validators.Summary{ToolError: "disk"}}, testplans.FindingsCheck{}, testplans.ToolError},
		{validators.Report{IssuesCut: 3, Summary: validators.Summary{Errors: 2}}, testplans.FindingsCheck{}, testplans.NotChecked},
	} {
		it := archive(t, one)[0]
		it.Report = &tt.report
		out, err := checks.NewTable(nil).Ask(t.Context(), &checks.Case{Desk: checks.NewDesk(nil), Check: &testplans.Check{Findings: &tt.check}, Attempt: it})
		if err != nil || out.Verdict != tt.want {
			t.Errorf("%d: %s %s, %v; want %s", i, out.Verdict, out.Message, err, tt.want)
		}
	}
}

func TestRelations(t *testing.T) {
	list := archive(t, `-- 1.request --
POST /oauth/register
-- 1.response --
201
Content-Type: application/json

{"client_id":"app"}
-- 2.request --
POST /oauth/token
Authorization: Basic hmac:01 {"client_id":"app"}
Content-Type: application/x-www-form-urlencoded

grant_type=client_credentials
-- 2.response --
200
Content-Type: application/json

{"access_token":"hmac:aa jwt{\"exp\":1}"}
-- 3.request --
GET /fhir/Patient/$export?b=2&a=1
Authorization: Bearer hmac:aa jwt{"sub":"other"}
-- 3.response --
202
Content-Location: bulk/1/status?token=hmac:77
-- 4.request --
GET /fhir/Patient/bulk/1/status?token=hmac:88
Authorization: bearer hmac:bb
-- 4.response --
200
Content-Type: application/json

{"output":[{"url":"http://PAYER.example:80/files/a%2Eb"}],"link":[{"relation":"next","url":"http://payer.example/next"},{"relation":"self","url":"http://payer.example/self"}]}
-- 5.request --
GET /files/a.b
-- 6.request --
GET /next
-- 7.request --
GET /self
-- 8.request --
GET /fhir/Observation?patient=Patient/p1,Patient/p2
-- 9.request --
DELETE /fhir/Patient/bulk/1/status
`)
	d := checks.NewDesk(nil)
	d.Set("patient", []string{"p2"})
	d.Set("nobody", nil)
	for _, tt := range []struct {
		by            testplans.Relation
		later, before int
		variable      string
		want          bool
	}{
		{testplans.ByClient, 2, 1, "", true},
		{testplans.ByClient, 3, 1, "", false},
		{testplans.ByToken, 3, 2, "", true},
		{testplans.ByToken, 4, 2, "", false},
		{testplans.ByToken, 5, 2, "", false},
		{testplans.ByURL, 4, 3, "", true},
		{testplans.ByURL, 5, 4, "", true},
		{testplans.ByURL, 6, 4, "", true},
		{testplans.ByURL, 7, 4, "", false},
		{testplans.ByURL, 5, 6, "", false},
		{testplans.BySame, 9, 4, "", true},
		{testplans.BySame, 5, 4, "", false},
		{testplans.ByOrder, 5, 4, "", true},
		{testplans.ByOrder, 4, 5, "", false},
		{testplans.ByID, 8, 1, "patient", true},
		{testplans.ByID, 5, 1, "patient", false},
		{testplans.ByID, 8, 1, "nobody", false},
	} {
		got, why, err := d.Related(t.Context(), &testplans.Follows{By: tt.by, Variable: tt.variable}, list[tt.later-1], list[tt.before-1])
		if err != nil || got != tt.want || why != "" {
			t.Errorf("%d %s %d: %v %q %v, want %v", tt.later, tt.by, tt.before, got, why, err, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	start := time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)
	poll := func(n int, after time.Duration, wait string) checks.Item {
		ex := proxytest.Exchange(proxytest.Bodies{}, n, "GET", "/status", 202, "")
		ex.Timing = proxy.Timing{Start: start.Add(after), End: start.Add(after)}
		if wait != "" {
			ex.Response.Header = append(ex.Response.Header, proxy.Field{Name: "Retry-After", Value: wait})
		}
		return checks.Item{Exchange: ex}
	}
	for i, tt := range []struct {
		polls     []checks.Item
		tolerance int
		want      testplans.Verdict
	}{
		{[]checks.Item{poll(1, 0, "10")}, 0, testplans.NotShown},
		{[]checks.Item{poll(1, 0, ""), poll(2, time.Millisecond, "10")}, 0, testplans.NotShown},
		{[]checks.Item{poll(1, 0, "10"), poll(2, 10*time.Second, "")}, 0, testplans.Pass},
		{[]checks.Item{poll(1, 0, "10"), poll(2, 9*time.Second, "")}, 0, testplans.Pass},
		{[]checks.Item{poll(1, 0, "10"), poll(2, 8*time.Second, "")}, 0, testplans.Fail},
		{[]checks.Item{poll(1, 0, "10"), poll(2, 8*time.Second, "")}, 20, testplans.Pass},
		{[]checks.Item{poll(1, 0, "Wed, 15 Jan 2025 12:00:30 GMT"), poll(2, 10*time.Second, "")}, 0, testplans.Fail},
		{[]checks.Item{poll(1, 0, "Wed, 15 Jan 2025 12:00:30 GMT"), poll(2, 30*time.Second, "")}, 0, testplans.Pass},
		{[]checks.Item{poll(1, 0, "soon"), poll(2, time.Second, "")}, 0, testplans.NotShown},
	} {
		c := &checks.Case{Desk: checks.NewDesk(nil), Check: &testplans.Check{RetryAfter: &testplans.RetryAfterCheck{TolerancePercent: tt.tolerance}}, Attempts: tt.polls}
		out, err := checks.NewTable(nil).Ask(t.Context(), c)
		if err != nil || out.Verdict != tt.want {
			t.Errorf("%d: %s %s, %v; want %s", i, out.Verdict, out.Message, err, tt.want)
		}
	}
}

func TestControlAndCount(t *testing.T) {
	for v, want := range map[testplans.Verdict]testplans.Verdict{
		testplans.Pass: testplans.Pass, testplans.PassNotes: testplans.Pass, testplans.Fail: testplans.Fail, "": testplans.PassNotes,
		testplans.NotShown: testplans.PassNotes, testplans.NotChecked: testplans.NotChecked, testplans.ToolError: testplans.NotChecked,
	} {
		c := &checks.Case{Check: &testplans.Check{Control: &testplans.ControlCheck{Step: "s"}}, Verdicts: map[string]testplans.Verdict{"s": v}}
		if out, err := checks.NewTable(nil).Ask(t.Context(), c); err != nil || out.Verdict != want {
			t.Errorf("control %q: %s, %v; want %s", v, out.Verdict, err, want)
		}
	}
	for n, want := range []testplans.Verdict{testplans.NotShown, testplans.NotShown, testplans.Pass, testplans.Pass, testplans.Fail} {
		c := &checks.Case{Check: &testplans.Check{Count: &testplans.CountCheck{Min: 2, Max: 3}}, Attempts: make([]checks.Item, n)}
		if out, err := checks.NewTable(nil).Ask(t.Context(), c); err != nil || out.Verdict != want {
			t.Errorf("%s of 2 to 3: %s, %v; want %s", fmt.Sprint(n), out.Verdict, err, want)
		}
	}
}

func TestAnUnvettedCheckIsAnError(t *testing.T) {
	for _, c := range []testplans.Check{{}, {Status: []string{"200"}, Count: &testplans.CountCheck{}}} {
		if _, err := checks.NewTable(nil).Ask(t.Context(), &checks.Case{Check: &c}); err == nil {
			t.Errorf("%+v was asked", c)
		}
	}
}

// TestBodyThatDidNotPass: a request whose answer came before its body is not one without a body, and one without a body is.
func TestBodyThatDidNotPass(t *testing.T) {
	asks := testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnRequest, Expr: "$this is Parameters"}}
	for _, tt := range []struct {
		name     string
		complete bool
		header   string
		want     testplans.Verdict
	}{
		{"nothing announced", true, "X-Nothing: 1", testplans.Fail},
		{"announced by its length", false, "Content-Length: 20", testplans.NotChecked},
		{"announced in chunks", false, "Transfer-Encoding: chunked", testplans.NotChecked},
		{"announced by its type", false, "Content-Type: application/fhir+json", testplans.NotChecked},
		{"no length", false, "Content-Length: 0", testplans.Fail},
		{"whole and empty", true, "Content-Type: application/fhir+json", testplans.Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			items := archive(t, "-- 1.request --\nPOST /fhir/Patient/$member-match\n"+tt.header+"\n-- 1.response --\nHTTP/1.1 401 Unauthorized\n")
			items[0].Exchange.Request.Body.Complete = tt.complete
			c := checks.Case{Desk: checks.NewDesk(nil), Check: &asks, Attempt: items[0], Attempts: items}
			out, err := checks.NewTable(nil).Ask(t.Context(), &c)
			if err != nil || out.Verdict != tt.want {
				t.Errorf("got %s %q, %v", out.Verdict, out.Message, err)
			}
		})
	}
}
