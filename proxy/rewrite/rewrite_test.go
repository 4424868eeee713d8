package rewrite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"fhirwire/proxy"
	"fhirwire/proxy/rewrite"
)

const pathBase = "http://127.0.0.1:8081/a~b"

func mapper(t testing.TB, server, base, client string) *rewrite.Map {
	t.Helper()
	m, err := rewrite.NewMap(&proxy.Channel{Name: "a~b", ServerURL: server, Options: proxy.ChannelOptions{BasePath: base}}, client)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestURL(t *testing.T) {
	const host = "http://a~b.localhost:8081"
	for _, c := range []struct{ name, server, base, client, in, want string }{
		{"absolute", "http://s.example/fhir", "", pathBase, "http://s.example/fhir/Patient/1?x=1#f", pathBase + "/fhir/Patient/1?x=1#f"},
		{"default port and case", "http://s.example/fhir", "", pathBase, "HTTP://S.Example:80/fhir", pathBase + "/fhir"},
		{"https default port", "https://s.example:443/fhir", "", pathBase, "https://s.example/fhir", pathBase + "/fhir"},
		{"outside the base stays with the proxy", "http://s.example/fhir", "", pathBase, "http://s.example/oauth/token", pathBase + "/oauth/token"},
		{"root", "http://s.example", "", pathBase, "http://s.example", pathBase},
		{"other host", "http://s.example/fhir", "", pathBase, "http://t.example/fhir", "http://t.example/fhir"},
		{"other port", "http://s.example/fhir", "", pathBase, "http://s.example:81/fhir", "http://s.example:81/fhir"},
		{"other scheme", "http://s.example/fhir", "", pathBase, "https://s.example/fhir", "https://s.example/fhir"},
		{"host prefix trap", "http://s.example/fhir", "", pathBase, "http://s.example.evil/fhir", "http://s.example.evil/fhir"},
		{"user information trap", "http://s.example/fhir", "", pathBase, "http://s.example@evil/fhir", "http://s.example@evil/fhir"},
		{"base path", "http://s.example/fhir", "/custom/x", pathBase, "http://s.example/fhir/Patient", pathBase + "/custom/x/Patient"},
		{"would not come back", "http://s.example/fhir", "/custom/x", pathBase, "http://s.example/custom/x/a", "http://s.example/custom/x/a"},
		{"root relative", "http://s.example/fhir", "", pathBase, "/fhir/jobs/1", pathBase + "/fhir/jobs/1"},
		{"root relative, own host", "http://s.example/fhir", "", host, "/fhir/jobs/1", "/fhir/jobs/1"},
		{"root relative, own host, base path", "http://s.example/fhir", "/r4", host, "/fhir/jobs/1", host + "/r4/jobs/1"},
		{"network path", "http://s.example/fhir", "", pathBase, "//s.example/fhir/1", pathBase + "/fhir/1"},
		{"document relative", "http://s.example/fhir", "", pathBase, "Patient/1/_history/1", "Patient/1/_history/1"},
		{"urn", "http://s.example/fhir", "", pathBase, "urn:uuid:1", "urn:uuid:1"},
		{"IPv6", "http://[::1]:80/fhir", "", pathBase, "http://[::1]/fhir", pathBase + "/fhir"},
		{"escapes kept", "http://s.example/fhir", "", pathBase, "http://s.example/fhir?a=b%7Cc|d&e", pathBase + "/fhir?a=b%7Cc|d&e"},
		{"empty", "http://s.example/fhir", "", pathBase, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, changed := mapper(t, c.server, c.base, c.client).URL(c.in)
			if got != c.want || changed != (c.in != c.want) {
				t.Errorf("URL(%q) = %q, %v; want %q", c.in, got, changed, c.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	m := mapper(t, "http://s.example/fhir", "", pathBase)
	in := map[string][]string{
		"Content-Location": {"http://s.example/fhir/jobs/1"},
		"Link":             {`<http://s.example/fhir?p=2>; rel="next"; title="<http://s.example/no>", <http://o.example/>; rel=self`},
		"Etag":             {`W/"1"`},
	}
	out, edits := m.Headers(in)
	want := map[string][]string{
		"Content-Location": {pathBase + "/fhir/jobs/1"},
		"Link":             {`<` + pathBase + `/fhir?p=2>; rel="next"; title="<http://s.example/no>", <http://o.example/>; rel=self`},
		"Etag":             {`W/"1"`},
	}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got %v\nwant %v", out, want)
	}
	if in["Content-Location"][0] != "http://s.example/fhir/jobs/1" {
		t.Error("the argument was changed")
	}
	if len(edits) != 2 || edits[0].At != "Content-Location" || edits[1].At != "Link" {
		t.Errorf("edits %v", edits)
	}
}

func TestJSON(t *testing.T) {
	m := mapper(t, "http://s.example/fhir", "", pathBase)
	for _, c := range []struct{ name, in, want, at string }{
		{
			"bundle",
			`{ "resourceType":"Bundle","link":[{"relation":"self","url":"http://s.example/fhir/Patient?x=\u0031"}], "entry" : [ {"fullUrl":"http:\/\/s.example/fhir/Patient/1","resource":{"resourceType":"Patient","link":[{"url":"http://s.example/fhir/a"}],"fullUrl":"http://s.example/fhir"},"response":{"location":"http://s.example/fhir/Patient/1"}} , {"response":{"location":"Patient/1"}}] }`,
			`{ "resourceType":"Bundle","link":[{"relation":"self","url":"` + pathBase + `/fhir/Patient?x=1"}], "entry" : [ {"fullUrl":"` + pathBase + `/fhir/Patient/1","resource":{"resourceType":"Patient","link":[{"url":"http://s.example/fhir/a"}],"fullUrl":"http://s.example/fhir"},"response":{"location":"` + pathBase + `/fhir/Patient/1"}} , {"response":{"location":"Patient/1"}}] }`,
			"/link/0/url /entry/0/fullUrl /entry/0/response/location",
		},
		{
			"type after the links",
			`{"link":[{"url":"x"},{"url":"http://s.example/fhir?a=1&b=<2>"}],"resourceType":"Bundle"}`,
			`{"link":[{"url":"x"},{"url":"` + pathBase + `/fhir?a=1&b=<2>"}],"resourceType":"Bundle"}`,
			"/link/1/url",
		},
		{
			"manifest",
			`{"output":[{"type":"Patient","url":"http://s.example/fhir/f/1"}],"transactionTime":"2024-01-01T00:00:00Z","request":"http://s.example/fhir/$export","error":[{"url":"http://s.example/fhir/e"}],"deleted":[{"url":"http://s.example/fhir/d"}],"link":[{"url":"http://s.example/fhir/n"}]}`,
			`{"output":[{"type":"Patient","url":"` + pathBase + `/fhir/f/1"}],"transactionTime":"2024-01-01T00:00:00Z","request":"` + pathBase + `/fhir/$export","error":[{"url":"` + pathBase + `/fhir/e"}],"deleted":[{"url":"` + pathBase + `/fhir/d"}],"link":[{"url":"` + pathBase + `/fhir/n"}]}`,
			"/output/0/url /request /error/0/url /deleted/0/url /link/0/url",
		},
		{"other resource", `{"resourceType":"Basic","link":[{"url":"http://s.example/fhir"}]}`, "", ""},
		{"no type", `{"link":[{"url":"http://s.example/fhir"}]}`, "", ""},
		{"array", `[{"link":[{"url":"http://s.example/fhir"}]}]`, "", ""},
		{"not JSON", `<html>"http://s.example/fhir"`, "", ""},
		{"broken off", `{"resourceType":"Bundle","link":[{"url":"http://s.example/fh`, "", ""},
		{"unbalanced", `}}]]{"resourceType":"Bundle","link":]{"url":"http://s.example/fhir"`, "", ""},
		{"quotes and backslashes", `{"resourceType":"Bundle","id":"a\\\"\\","link":[{"url":"http://t.example/\\"}]}`, "", ""},
		{"no Unicode harm", "{\"resourceType\":\"Bundle\",\"id\":\"\xff\u2028\",\"n\":1.50}", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.in
			}
			got, edits, err := m.JSON([]byte(c.in), rewrite.Unknown)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			var at []string
			for _, e := range edits {
				if !e.Left() {
					at = append(at, e.At)
				}
			}
			if s := strings.Join(at, " "); s != c.at {
				t.Errorf("edits at %q, want %q", s, c.at)
			}
			// One byte at a time gives the same.
			slow, err := io.ReadAll(m.Reader(iotest.OneByteReader(strings.NewReader(c.in)), rewrite.Detect([]byte(c.in), true)))
			if err != nil {
				t.Fatal(err)
			}
			if string(slow) != c.want {
				t.Errorf("byte by byte %s", slow)
			}
		})
	}
}

func TestReaderBounds(t *testing.T) {
	m := mapper(t, "http://s.example/fhir", "", pathBase)
	long := `{"link":[{"url":"http://s.example/` + strings.Repeat("x", rewrite.MaxURL) + `"}]}`
	if _, err := io.ReadAll(m.Reader(strings.NewReader(long), rewrite.Bundle)); !errors.Is(err, rewrite.ErrLongString) {
		t.Errorf("long URL: %v", err)
	}
	var b strings.Builder
	b.WriteString(`{"entry":[`)
	for i := range rewrite.MaxEdits + 5 {
		fmt.Fprintf(&b, `{"fullUrl":"http://s.example/fhir/Patient/%d"},`, i)
	}
	r := m.Reader(strings.NewReader(b.String()), rewrite.Bundle)
	out, err := io.ReadAll(r)
	if err != nil || bytes.Contains(out, []byte("s.example")) {
		t.Errorf("not all rewritten, %v", err)
	}
	e := r.Edits()
	if len(e) != rewrite.MaxEdits+1 || e[len(e)-1].To != "5 more URLs of the same places" {
		t.Errorf("%d edits, last %v", len(e), e[len(e)-1])
	}
	deep := strings.Repeat("[", 100000) + strings.Repeat("]", 100000)
	if out, err := io.ReadAll(m.Reader(strings.NewReader(deep), rewrite.Unknown)); err != nil || string(out) != deep {
		t.Errorf("deep nesting: %v", err)
	}
	failing := io.MultiReader(strings.NewReader(`{"a":"b`), iotest.ErrReader(io.ErrUnexpectedEOF))
	if out, err := io.ReadAll(m.Reader(failing, rewrite.Bundle)); string(out) != `{"a":"b` || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken source: %q, %v", out, err)
	}
}

func TestEligible(t *testing.T) {
	for in, want := range map[string]bool{
		"application/fhir+json; charset=utf-8": true, "application/json": true, "Application/JSON": true, "application/fhir+ndjson": false,
		"application/ndjson": false, "text/html": false, "": false, "application/json+fhir": true,
	} {
		if got := rewrite.Eligible(in); got != want {
			t.Errorf("Eligible(%q) = %v", in, got)
		}
	}
}

// FuzzReader: without a URL of the server in it, any text passes unchanged, however it is cut into reads.
func FuzzReader(f *testing.F) {
	for _, s := range []string{`{"resourceType":"Bundle","link":[{"url":"http://s.example/fhir"}]}`, `{"a":"\\\""}`, `[}`, `{"link":["`, "\"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := rewrite.NewMap(&proxy.Channel{ServerURL: "http://s.example/fhir"}, pathBase)
		if err != nil {
			t.Fatal(err)
		}
		r := m.Reader(bytes.NewReader(in), rewrite.Unknown)
		out, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Edits()) == 0 && !bytes.Equal(in, out) {
			t.Errorf("%q became %q", in, out)
		}
		slow, err := io.ReadAll(m.Reader(iotest.OneByteReader(bytes.NewReader(in)), rewrite.Unknown))
		if err != nil || !bytes.Equal(slow, out) {
			t.Errorf("%q: cut differently %q, want %q, %v", in, slow, out, err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	m, err := rewrite.NewMap(&proxy.Channel{ServerURL: "http://s.example/fhir"}, pathBase)
	if err != nil {
		b.Fatal(err)
	}
	var doc bytes.Buffer
	doc.WriteString(`{"resourceType":"Bundle","entry":[`)
	for i := range 2000 {
		fmt.Fprintf(&doc, `{"fullUrl":"http://s.example/fhir/Patient/%d","resource":{"resourceType":"Patient","id":"%d","name":[{"family":"Shaw","given":["Amy","V."]}],"birthDate":"1987-02-20","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">some words of narrative</div>"}}},`, i, i)
	}
	doc.WriteString(`]}`)
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.Copy(io.Discard, m.Reader(bytes.NewReader(doc.Bytes()), rewrite.Bundle)); err != nil {
			b.Fatal(err)
		}
	}
}
