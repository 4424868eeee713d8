package har_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"iter"
	"reflect"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/har"
	"fhirwire/proxy/proxytest"
)

func each(list ...*proxy.Exchange) iter.Seq2[*proxy.Exchange, error] {
	return func(yield func(*proxy.Exchange, error) bool) {
		for _, ex := range list {
			if !yield(ex, nil) {
				return
			}
		}
	}
}

func sample(t testing.TB) ([]*proxy.Exchange, proxytest.Bodies) {
	t.Helper()
	bodies := proxytest.Bodies{}
	plain := proxytest.Exchange(bodies, 1, "GET", "/fhir/Patient?name=%C3%A9&_count=5", 200, `{"resourceType":"Bundle","x":"<&>é"}`)
	plain.Number = 7
	plain.Edits = []proxy.Edit{{Where: "response header", At: "Location", From: "a", To: "b"}}

	plain.ClientLeg = &proxy.Leg{Address: "192.0.2.7:5000", TLS: &proxy.TLS{Version: "TLS 1.3", Trust: proxy.TrustPinned, Client: []proxy.Certificate{{Subject: "CN=acme", Fingerprint: "ab"}}}}
	plain.ServerLeg = &proxy.Leg{Address: "[2001:db8::1]:443", TLS: &proxy.TLS{Version: "TLS 1.2", Trust: proxy.TrustInsecure, Detail: "not verified", Asked: true}}

	coded := proxytest.Exchange(bodies, 2, "POST", "/fhir/Patient", 201, "")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte(`{"resourceType":"Patient"}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	coded.Response.Header = append(coded.Response.Header, proxy.Field{Name: "Content-Encoding", Value: "gzip"})
	coded.Response.Body = bodies.Add(z.Bytes())
	coded.Request.Body = bodies.Add([]byte{0xff, 0xfe, 0})
	coded.Response.Trailer = proxy.Header{{Name: "X-End", Value: "1"}}

	secret := proxytest.Exchange(bodies, 3, "POST", "/oauth/token", 200, `{"access_token":"hmac:00aa jwt{}"}`)
	secret.Response.Body.Redacted = true
	secret.Response.Body.Size, secret.Response.Body.Digest = 900, "feed"
	bodies["feed"] = []byte(`{"access_token":"hmac:00aa jwt{}"}`)
	secret.Request.Header = append(secret.Request.Header, proxy.Field{Name: "Authorization", Value: "Basic hmac:11"})

	failed := proxytest.Exchange(bodies, 4, "GET", "/fhir/metadata", 200, "")
	failed.Response, failed.Failure = nil, &proxy.Failure{Reason: proxy.ReasonUpstreamDown, Side: "server", Detail: "connection refused"}
	return []*proxy.Exchange{plain, coded, secret, failed}, bodies
}

func TestRoundTrip(t *testing.T) {
	list, bodies := sample(t)
	channel := &proxy.Channel{Name: "acme-ehr~diamond-payer", ServerURL: "http://payer.example/fhir", Options: proxy.ChannelOptions{Guides: []string{"hl7.fhir.us.core#3.1.1"}}}
	var out bytes.Buffer
	if err := har.Encode(t.Context(), &out, each(list...), bodies, har.Options{Version: "test", Channels: []*proxy.Channel{channel}}); err != nil {
		t.Fatal(err)
	}
	standard(t, out.Bytes())
	if !bytes.Contains(out.Bytes(), []byte(`"serverIPAddress":"2001:db8::1"`)) {
		t.Error("the server's address is not where other tools look for it")
	}
	d := har.NewDecoder(&out)
	n := 0
	for e, err := range d.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		want := *list[n]
		want.Mode = proxy.ModeImported
		if !reflect.DeepEqual(e.Exchange, &want) {
			t.Errorf("entry %d: got\n%+v\nwant\n%+v", n, e.Exchange, &want)
		}
		if e.Clear {
			t.Errorf("entry %d is said to have secrets in clear", n)
		}
		if !bytes.Equal(e.Request, bodies[want.Request.Body.Digest]) {
			t.Errorf("entry %d: request body %q", n, e.Request)
		}
		if want.Response != nil && !bytes.Equal(e.Response, bodies[want.Response.Body.Digest]) {
			t.Errorf("entry %d: response body %q", n, e.Response)
		}
		n++
	}
	if n != len(list) {
		t.Errorf("%d entries, want %d", n, len(list))
	}
	if c := d.Channels(); len(c) != 1 || !reflect.DeepEqual(c[0], channel) {
		t.Errorf("channels %+v", c)
	}
}

// standard checks what the format asks of every reader's file: members that HAR 1.2 has as required, and decoded text.
func standard(t *testing.T, text []byte) {
	t.Helper()
	var f struct {
		Log struct {
			Version string
			Creator struct{ Name, Version string }
			Entries []map[string]any
		}
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if f.Log.Version != "1.2" || f.Log.Creator.Name != "fhirwire" || len(f.Log.Entries) != 4 {
		t.Fatalf("log %+v", f.Log)
	}
	for i, e := range f.Log.Entries {
		for _, name := range []string{"startedDateTime", "time", "request", "response", "cache", "timings"} {
			if e[name] == nil {
				t.Errorf("entry %d has no %s", i, name)
			}
		}
		for half, names := range map[string][]string{
			"request":  {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"},
			"response": {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize"},
		} {
			m, _ := e[half].(map[string]any)
			for _, name := range names {
				if m[name] == nil {
					t.Errorf("entry %d: %s has no %s", i, half, name)
				}
			}
		}
	}
	content := f.Log.Entries[1]["response"].(map[string]any)["content"].(map[string]any)
	if content["text"] != `{"resourceType":"Patient"}` {
		t.Errorf("the text of a compressed body is %q", content["text"])
	}
}

const foreign = `{"log":{"version":"1.2","creator":{"name":"Other","version":"1"},"pages":[{"id":"p"}],"entries":[
{"startedDateTime":"2025-01-15T12:00:00.5Z","time":12.5,"_priority":"High","cache":{},
 "request":{"method":"POST","url":"https://payer.example/oauth/token","httpVersion":"h2","headers":[{"name":":method","value":"POST"},{"name":"content-type","value":"application/x-www-form-urlencoded"},{"name":"authorization","value":"Basic c2VjcmV0"}],
  "queryString":[],"cookies":[],"headersSize":-1,"bodySize":10,"postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"grant_type","value":"client credentials"},{"name":"a","value":"b&c"}]}},
 "response":{"status":200,"statusText":"","httpVersion":"h2","headers":[{"name":"content-type","value":"application/json"},{"name":"content-encoding","value":"br"}],"cookies":[],"content":{"size":2,"mimeType":"application/json","text":"e30=","encoding":"base64"},"redirectURL":"","headersSize":-1,"bodySize":6.0},
 "timings":{"blocked":1,"dns":-1,"connect":-1,"send":0.5,"wait":10,"receive":1}},
{"startedDateTime":"2025-01-15T12:00:01+01:00","time":0,"cache":{},"request":{"method":"GET","url":"https://payer.example/fhir/metadata","httpVersion":"","headers":[]},"response":{"status":0,"headers":[],"content":{}},"timings":{}}
]}}`

func TestDecodeOfOthers(t *testing.T) {
	read := func() []har.Entry {
		var out []har.Entry
		for e, err := range har.NewDecoder(strings.NewReader(foreign)).Entries() {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
		return out
	}
	got := read()
	if len(got) != 2 {
		t.Fatalf("%d entries", len(got))
	}
	e := got[0]
	if !e.Clear || e.Exchange.Mode != proxy.ModeImported || e.Exchange.Request.Header.Has(":method") || e.Exchange.Request.Header.Get("Content-Type") == "" {
		t.Errorf("got %+v", e.Exchange)
	}
	if string(e.Request) != "grant_type=client+credentials&a=b%26c" || string(e.Response) != "{}" {
		t.Errorf("bodies %q, %q", e.Request, e.Response)
	}
	if e.Exchange.Response.Header.Has("Content-Encoding") || e.Exchange.Response.Body.Size != 2 {
		t.Errorf("a decoded body is still said to be coded: %+v", e.Exchange.Response)
	}
	if d := e.Exchange.Timing.Duration(); d.Milliseconds() != 12 || e.Exchange.Timing.FirstByte.Sub(e.Exchange.Timing.Start).Microseconds() != 11500 {
		t.Errorf("timing %+v", e.Exchange.Timing)
	}
	if got[1].Exchange.Response != nil || got[1].Exchange.Failure == nil {
		t.Errorf("without a response: %+v", got[1].Exchange)
	}
	again := read()
	if e.Exchange.ID != again[0].Exchange.ID || e.Exchange.ID == got[1].Exchange.ID || e.Exchange.ID[14] != '7' {
		t.Errorf("ids %s, %s, %s", e.Exchange.ID, again[0].Exchange.ID, got[1].Exchange.ID)
	}
}

func TestDecodeFaults(t *testing.T) {
	list, bodies := sample(t)
	var out bytes.Buffer
	if err := har.Encode(t.Context(), &out, each(list[0]), bodies, har.Options{}); err != nil {
		t.Fatal(err)
	}
	ours := out.String()
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "unexpected EOF"},
		{"a list", "[]", `expected "{"`},
		{"cut off", ours[:len(ours)-10], "EOF"},
		{"a changed body", strings.Replace(ours, `\"resourceType\"`, `\"resourceTyqe\"`, 1), "the file was changed"},
		{"a longer body", strings.Replace(ours, `{\"resourceType\"`, `{ \"resourceType\"`, 1), "the file was changed"},
		{"no request", `{"log":{"entries":[{}]}}`, "entry 1: it has no request"},
		{"a relative URL", `{"log":{"entries":[{"request":{"method":"GET","url":"/x"}}]}}`, "no absolute URL"},
		{"no time", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/"},"startedDateTime":"yesterday"}]}}`, "no time with a zone"},
		{"an unknown encoding", strings.Replace(foreign, `"base64"`, `"rot13"`, 1), `the encoding "rot13" is not known`},
		{"broken base64", strings.Replace(foreign, "e30=", "e3", 1), "illegal base64"},
	} {
		err := last(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func last(text string) error {
	for _, err := range har.NewDecoder(strings.NewReader(text)).Entries() {
		if err != nil {
			return err
		}
	}
	return nil
}

func FuzzDecode(f *testing.F) {
	list, bodies := sample(f)
	var out bytes.Buffer
	if err := har.Encode(f.Context(), &out, each(list...), bodies, har.Options{}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.String())
	f.Add(foreign)
	f.Add(`{"log":{"entries":[]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for e, err := range har.NewDecoder(strings.NewReader(text)).Entries() {
			if err == nil && (e.Exchange.ID == "" || e.Exchange.Request.URL == "" || e.Exchange.Timing.Start.IsZero()) {
				t.Errorf("an entry without id, URL or time: %+v", e.Exchange)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	list, bodies := sample(b)
	var out bytes.Buffer
	if err := har.Encode(b.Context(), &out, each(list...), bodies, har.Options{}); err != nil {
		b.Fatal(err)
	}
	text := out.String()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := last(text); err != nil {
			b.Fatal(err)
		}
	}
}
