package har_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fhirwire/proxy/har"
)

const newmanReport = `{"collection":{"info":{"name":"x"}},"run":{"stats":{},"timings":{"started":1736942400000,"completed":1736942401000},"executions":[
{"item":{"name":"token"},"request":{"url":{"protocol":"https","host":["payer","example"],"port":"8443","path":["oauth","token"],"query":[]},"header":[{"key":"Accept","value":"application/json"},{"key":"X","value":"y","disabled":true}],"method":"POST","body":{"mode":"urlencoded","urlencoded":[{"key":"grant_type","value":"client_credentials"},{"key":"scope","value":"system/*.rs"},{"key":"no","value":"no","disabled":true}]}},
 "response":{"code":200,"status":"OK","header":[{"key":"Content-Type","value":"application/json"}],"stream":{"type":"Buffer","data":[123,125]},"responseTime":12}},
{"item":{"name":"skipped"}},
{"item":{"name":"match"},"request":{"url":"https://payer.example/fhir/Patient/$member-match","header":[],"method":"POST","body":{"mode":"raw","raw":"{}"}},"requestError":{"code":"ECONNREFUSED","message":"refused"}},
{"item":{"name":"search"},"request":{"url":{"protocol":"https","host":["payer","example"],"path":["fhir","Patient"],"query":[{"key":"name","value":"a b"},{"key":"x","value":"y","disabled":true}]},"header":[],"method":"GET"},"response":{"code":404,"status":"Not Found","header":[],"stream":null,"responseTime":3}}
],"failures":[]}}`

func TestNewman(t *testing.T) {
	var got []har.Entry
	for e, err := range har.Newman(strings.NewReader(newmanReport)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 3 {
		t.Fatalf("%d exchanges, want 3", len(got))
	}
	first := got[0]
	if ex := first.Exchange; ex.Request.URL != "https://payer.example:8443/oauth/token" || ex.Status() != 200 || ex.Request.Header.Get("X") != "" || !ex.Timing.Start.Equal(time.UnixMilli(1736942400000)) {
		t.Errorf("got %+v", ex)
	}
	if string(first.Request) != "grant_type=client_credentials&scope=system%2F%2A.rs" || string(first.Response) != "{}" || !first.Clear {
		t.Errorf("bodies %q, %q, clear %t", first.Request, first.Response, first.Clear)
	}
	if f := got[1].Exchange; f.Response != nil || f.Failure == nil || string(got[1].Request) != "{}" {
		t.Errorf("without a response: %+v", f)
	}
	if u := got[2].Exchange.Request.URL; u != "https://payer.example/fhir/Patient?name=a%20b" {
		t.Errorf("URL %s", u)
	}
	if !slices.IsSortedFunc(got, func(a, b har.Entry) int { return a.Exchange.Timing.Start.Compare(b.Exchange.Timing.Start) }) || got[0].Exchange.ID >= got[2].Exchange.ID {
		t.Error("not in order of time")
	}
	for _, bad := range []string{"", "[]", `{"run":{"executions":{}}}`, `{"run":{"executions":[{"request":{"method":"GET","url":{"host":5}}}]}}`, `{"run":{"executions":[{"request":{"url":"https://a/"}}]}}`} {
		failed := false
		for _, err := range har.Newman(strings.NewReader(bad)) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%q is read without an error", bad)
		}
	}
	for _, err := range har.Newman(strings.NewReader(newmanReport)) {
		if err != nil {
			t.Error(err)
		}
		break // a reader may have enough
	}
}

// TestNewmanWithoutBytes: a body that newman does not report is not empty, and does not keep the others from being read.
func TestNewmanWithoutBytes(t *testing.T) {
	const report = `{"run":{"executions":[{"request":{"method":"POST","url":"https://a/fhir/Binary","header":[{"key":"Content-Length","value":"161"}],"body":{"mode":"formdata","formdata":[{"key":"a","value":"b"}]}},"response":{"code":201}},
{"request":{"method":"POST","url":"https://a/fhir/$graphql","body":{"mode":"graphql"}},"response":{"code":200}},{"request":{"method":"GET","url":"https://a/fhir/Binary/1"},"response":{"code":200}}]}}`
	var got []string
	for e, err := range har.Newman(strings.NewReader(report)) {
		if err != nil {
			t.Fatal(err)
		}
		b := e.Exchange.Request.Body
		got = append(got, fmt.Sprintf("%d %s", b.Size, b.Withheld))
	}
	const why = "newman does not report the bytes of a body of the mode "
	if want := []string{"161 " + why + "formdata", "1 " + why + "graphql", "0 "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFolder(t *testing.T) {
	old := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), ModTime: old} }
	dir := fstest.MapFS{
		"10-search.request":    file("GET /fhir/Patient?name=x HTTP/1.1\r\nHost: payer.example\r\nAuthorization: Bearer secret\r\n\r\n"),
		"10-search.response":   file("HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 2\r\n\r\n{}\n"),
		"2-register.request":   file("POST https://payer.example/register\nContent-Type: application/json\n\n{\"a\":1}"),
		"2-register.response":  file("201 Created\n\n"),
		"11-alone.request":     file("GET https://payer.example/x\n"),
		"notes.txt":            file("not a message"),
		".hidden-request":      file("x"),
		"deeper/1.request":     file("x"),
		"deeper/1.response":    file("x"),
		"ignored-folder/a.txt": file("x"),
	}
	var got []har.Entry
	for e, err := range har.Folder(dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 3 {
		t.Fatalf("%d exchanges, want 3", len(got))
	}
	if u := got[0].Exchange.Request.URL; u != "https://payer.example/register" || string(got[0].Request) != `{"a":1}` || got[0].Exchange.Status() != 201 {
		t.Errorf("first: %s %q", u, got[0].Request)
	}
	if u := got[1].Exchange.Request.URL; u != "https://payer.example/fhir/Patient?name=x" || string(got[1].Response) != "{}" || !got[1].Clear {
		t.Errorf("second: %s %q", u, got[1].Response)
	}
	if got[2].Exchange.Response != nil || got[2].Exchange.Failure == nil {
		t.Error("the request without an answer has one")
	}
	if !got[1].Exchange.Timing.Start.After(got[0].Exchange.Timing.Start) {
		t.Error("files of one time come at one time")
	}
	for name, dir := range map[string]fstest.MapFS{
		"nothing":          {"a.txt": file("x")},
		"a response alone": {"1.response": file("200\n")},
		"no URL":           {"1.request": file("GET\n")},
		"no host":          {"1.request": file("GET /x\n")},
		"no colon":         {"1.request": file("GET https://a/\nnonsense\n")},
		"no status":        {"1.request": file("GET https://a/\n"), "1.response": file("HTTP/1.1 fine\n")},
	} {
		failed := false
		for _, err := range har.Folder(dir) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func FuzzNewman(f *testing.F) {
	f.Add([]byte(newmanReport))
	f.Fuzz(func(t *testing.T, src []byte) {
		for e, err := range har.Newman(strings.NewReader(string(src))) {
			if err == nil && (e.Exchange == nil || e.Exchange.Request.Method == "") {
				t.Errorf("an entry without a request: %+v", e)
			}
		}
	})
}
