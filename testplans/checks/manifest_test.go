package checks_test

import (
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

const exported = `-- 1.request --
GET /fhir/Patient/$export?_type=Patient&_since=2025-01-01T00:00:00Z
-- 1.response --
HTTP/1.1 202 Accepted
Content-Location: http://payer.example/bulk/1
-- 2.request --
GET /bulk/1
-- 2.response --
HTTP/1.1 200 OK
Content-Type: application/json

{"transactionTime":"2025-01-15T12:00:00Z","request":"http://payer.example/fhir/Patient/$export?_since=2025-01-01T00:00:00Z&_type=Patient","output":[{"type":"Patient","url":"http://payer.example/files/1"}]}
-- 3.request --
GET /files/1
-- 3.response --
HTTP/1.1 200 OK
Content-Type: application/fhir+ndjson

{"resourceType":"Patient","id":"1","meta":{"lastUpdated":"2025-01-15T12:00:00.5Z"}}
{"resourceType":"Patient","id":"2","meta":{"lastUpdated":"2025-01-14T12:00:00Z"}}
`

func TestManifestAndFiles(t *testing.T) {
	asked := testplans.Check{Pointer: &testplans.PointerCheck{On: testplans.OnResponse, At: "/request", Asked: "kickoff"}}
	timely := testplans.Check{File: &testplans.FileCheck{Manifest: "manifest", Rule: testplans.FileTime}}
	form := testplans.Check{File: &testplans.FileCheck{Manifest: "manifest", Rule: testplans.FileForm}}
	since := testplans.Check{File: &testplans.FileCheck{Manifest: "manifest", Rule: testplans.FileSince}}
	asks := "$export?_since=2025-01-01T00:00:00Z&_type=Patient\""
	lines := testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnResponse, Expr: "id.exists()", Lines: true}}
	first := `{"resourceType":"Patient","id":"1"`
	for _, tt := range []struct {
		name, was, is string
		at            int
		check         testplans.Check
		want          testplans.Verdict
		message       string
	}{
		{"the request in another order", "", "", 1, asked, testplans.Pass, ""},
		{"another request", "&_type=Patient\"", "&_type=Group\"", 1, asked, testplans.Fail, "what was asked for is http://payer.example/fhir/Patient/$export?_type=Patient"},
		{"no request", `"request"`, `"asked"`, 1, asked, testplans.NotShown, "there is no /request"},
		{"an export that nobody saw asked for", "/bulk/1\n-- 2", "/bulk/9\n-- 2", 1, asked, testplans.NotShown, "no request of the step kickoff led here"},
		{"changed in the second of the manifest", "", "", 2, timely, testplans.Pass, ""},
		{"changed later", "12:00:00.5Z", "12:00:02Z", 2, timely, testplans.Fail, "line 1 was changed at 2025-01-15T12:00:02Z, after transactionTime"},
		{"no times", "lastUpdated", "versionId", 2, timely, testplans.Pass, ""}, // the second line has one
		{"a file without a line", exported[strings.Index(exported, first):], "", 2, timely, testplans.NotShown, "the file has no lines"},
		{"lines without times", exported[strings.Index(exported, first):], first + "}\n", 2, timely, testplans.NotShown, "no line says when"},
		{"outcomes and deletions", exported[strings.Index(exported, first):], `{"resourceType":"OperationOutcome"}` + "\n" + `{"resourceType":"Bundle"}` + "\n", 2, timely, testplans.NotApplicable, "nothing but outcomes"},
		{"a line that is not JSON", first, `{"resourceType" "Patient","id":"1"`, 2, timely, testplans.NotChecked, "line 1 is not JSON"},
		{"a manifest without a time", "2025-01-15T12:00:00Z", "now", 2, timely, testplans.NotShown, "no transactionTime"},
		{"changed since then", "", "", 2, since, testplans.Pass, ""},
		{"changed in the second of _since", asks, "$export?_since=2025-01-14T12:00:00.5Z\"", 2, since, testplans.Pass, ""},
		{"changed earlier", "2025-01-14T12", "2024-01-14T12", 2, since, testplans.Fail, "line 2 was changed at 2024-01-14T12:00:00Z, before _since 2025-01-01T00:00:00Z"},
		{"its own manifest counts", asks, "$export?_since=2025-01-15T00:00:00Z\"", 2, since, testplans.Fail, "line 2 was changed at 2025-01-14T12:00:00Z, before _since 2025-01-15T00:00:00Z"},
		{"another zone", asks, "$export?_since=2025-01-14T13:00:01+01:00\"", 2, since, testplans.Fail, "before _since 2025-01-14T13:00:01+01:00"},
		{"another zone, escaped", asks, "$export?_since=2025-01-14T13%3A00%3A01%2B01%3A00\"", 2, since, testplans.Fail, "before _since 2025-01-14T13:00:01+01:00"},
		{"a request without _since", asks, "$export\"", 2, since, testplans.NotShown, "no _since"},
		{"a request that is no URL", asks, "$export%zz?_since=2025-01-01T00:00:00Z\"", 2, since, testplans.NotShown, "no _since"},
		{"_since is a day", asks, "$export?_since=2025-01-15\"", 2, since, testplans.NotShown, "no instant"},
		{"lines without times since then", exported[strings.Index(exported, first):], first + "}\n", 2, since, testplans.NotShown, "no line says when"},
		{"plain lines", "", "", 2, form, testplans.Pass, ""},
		{"a byte order mark", first, "\ufeff" + first, 2, form, testplans.Fail, "byte order mark"},
		{"a blank line", "\n" + `{"resourceType":"Patient","id":"2"`, "\n\n" + `{"resourceType":"Patient","id":"2"`, 2, form, testplans.Fail, "line 2 is blank"},
		{"a blank first line", first, "\n" + first, 2, form, testplans.Fail, "line 1 is blank"},
		{"carriage returns", ".5Z\"}}\n", ".5Z\"}}\r\n", 2, form, testplans.Fail, "line 1 has a carriage return"},
		{"an empty file", exported[strings.Index(exported, first):], "", 2, lines, testplans.NotShown, "the file has no lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := exported
			if tt.was != "" {
				if text = strings.Replace(text, tt.was, tt.is, 1); text == exported {
					t.Fatal("nothing was replaced")
				}
			}
			items := archive(t, text)
			c := checks.Case{
				Desk: checks.NewDesk(nil), Check: &tt.check, Attempt: items[tt.at],
				Steps: map[string][]checks.Item{"kickoff": items[:1], "manifest": items[1:2]},
			}
			out, err := checks.NewTable(nil).Ask(t.Context(), &c)
			if err != nil {
				t.Fatal(err)
			}
			if out.Verdict != tt.want || !strings.Contains(out.Message, tt.message) {
				t.Errorf("got %s %q", out.Verdict, out.Message)
			}
		})
	}
}

func TestCountOfOneURL(t *testing.T) {
	items := archive(t, "-- 1.request --\nGET /a\n-- 2.request --\nGET /a\n-- 3.request --\nGET /b\n-- 4.request --\nDELETE /a\n-- 5.request --\nGET /a\n")
	start := time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)
	for i, after := range []time.Duration{0, 5, 6, 7, 60} {
		items[i].Exchange.Timing.Start = start.Add(after * time.Second)
	}
	for _, tt := range []struct {
		name  string
		count testplans.CountCheck
		want  testplans.Verdict
	}{
		{"three of one URL", testplans.CountCheck{Max: 3, PerURL: true}, testplans.Pass},
		{"one too many of one URL", testplans.CountCheck{Max: 2, PerURL: true}, testplans.Fail},
		{"not so many within ten seconds", testplans.CountCheck{Max: 2, PerURL: true, Within: 10}, testplans.Pass},
		{"too many within ten seconds", testplans.CountCheck{Max: 1, PerURL: true, Within: 10}, testplans.Fail},
		{"four of any URL within ten seconds", testplans.CountCheck{Max: 3, Within: 10}, testplans.Fail},
		{"not as often as expected", testplans.CountCheck{Min: 4, PerURL: true}, testplans.NotShown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := checks.Case{Desk: checks.NewDesk(nil), Check: &testplans.Check{Count: &tt.count}, Attempts: items}
			out, err := checks.NewTable(nil).Ask(t.Context(), &c)
			if err != nil || out.Verdict != tt.want {
				t.Errorf("got %s %q, %v", out.Verdict, out.Message, err)
			}
		})
	}
}
