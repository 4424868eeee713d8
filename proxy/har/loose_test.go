package har_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"fhirwire/proxy/har"
)

// entryOf is an entry of a HAR, with what a test changes of it.
func entryOf(url string, change func(e, request, response map[string]any)) map[string]any {
	request := map[string]any{"method": "GET", "url": url, "httpVersion": "http/2.0", "headers": []any{map[string]any{"name": ":authority", "value": "payer.example"}, map[string]any{"name": "accept", "value": "application/fhir+json"}}, "bodySize": 0}
	response := map[string]any{
		"status": 200, "httpVersion": "http/2.0", "headers": []any{map[string]any{"name": "content-type", "value": "application/fhir+json"}, map[string]any{"name": "content-encoding", "value": "br"}},
		"content": map[string]any{"size": 2, "mimeType": "application/fhir+json", "text": "{}"}, "_transferSize": 10,
	}
	e := map[string]any{"startedDateTime": "2025-01-15T12:00:00.000Z", "time": 12.5, "timings": map[string]any{"blocked": -1, "send": 0.1, "wait": 5, "receive": 1, "_blocked_queueing": 0.5}, "_resourceType": "fetch", "request": request, "response": response}
	if change != nil {
		change(e, request, response)
	}
	return e
}

func decodeAll(t *testing.T, entries ...map[string]any) ([]har.Entry, error) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "creator": map[string]any{"name": "x"}, "entries": entries}})
	if err != nil {
		t.Fatal(err)
	}
	var out []har.Entry
	for e, err := range har.NewDecoder(bytes.NewReader(text)).Entries() {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestToolsDialects: what browsers and proxies write beyond the standard, or not as it says.
func TestToolsDialects(t *testing.T) {
	const url = "https://payer.example/fhir/Patient/p1"
	content := func(v map[string]any) func(e, request, response map[string]any) {
		return func(_, _, response map[string]any) { response["content"] = v }
	}
	packed := gzipped(t, `{"a":1}`)
	for _, tt := range []struct {
		name   string
		change func(e, request, response map[string]any)
		check  func(e har.Entry) bool
	}{
		{"pseudo headers, decoded text of a coded body", nil, func(e har.Entry) bool {
			h := e.Exchange.Response.Header
			return string(e.Response) == "{}" && !h.Has("Content-Encoding") && e.Exchange.Request.Header.Get("Accept") != "" && len(e.Exchange.Request.Header) == 1
		}},
		{"no time, no timings", func(e, _, _ map[string]any) { e["time"], e["timings"] = -1, nil }, func(e har.Entry) bool {
			return e.Exchange.Timing.End.Equal(e.Exchange.Timing.Start)
		}},
		{"a zone without colon", func(e, _, _ map[string]any) { e["startedDateTime"] = "2025-01-15T13:00:00.000+0100" }, func(e har.Entry) bool {
			return e.Exchange.Timing.Start.UTC().Hour() == 12
		}},
		{"a response body of which only the size is there", content(map[string]any{"size": 512, "text": nil}), func(e har.Entry) bool {
			b := e.Exchange.Response.Body
			return b.Withheld != "" && b.Size == 512 && b.Stored == 0 && b.Digest == ""
		}},
		{"a request body of which only the size is there", func(_, request, _ map[string]any) { request["method"], request["bodySize"] = "POST", 9 }, func(e har.Entry) bool {
			return e.Exchange.Request.Body.Withheld != "" && e.Exchange.Request.Body.Size == 9
		}},
		{"the answer to HEAD has none", func(_, request, response map[string]any) {
			request["method"], response["content"] = "HEAD", map[string]any{"size": 512}
		}, func(e har.Entry) bool {
			return e.Exchange.Response.Body.Empty() && e.Exchange.Response.Body.Withheld == ""
		}},
		{"base64", content(map[string]any{"size": 7, "encoding": "base64", "text": base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))}), func(e har.Entry) bool { return string(e.Response) == `{"a":1}` }},
		{"a body that is still coded", func(_, _, response map[string]any) {
			response["headers"] = []any{map[string]any{"name": "Content-Encoding", "value": "gzip"}}
			response["content"] = map[string]any{"size": 7, "encoding": "base64", "text": base64.StdEncoding.EncodeToString(packed)}
		}, func(e har.Entry) bool {
			return bytes.Equal(e.Response, packed) && e.Exchange.Response.Header.Get("Content-Encoding") == "gzip"
		}},
		{"a picture that was coded", func(_, _, response map[string]any) {
			response["headers"] = []any{map[string]any{"name": "Content-Encoding", "value": "gzip"}, map[string]any{"name": "Content-Type", "value": "image/png"}}
			response["content"] = map[string]any{"size": 4, "encoding": "base64", "text": base64.StdEncoding.EncodeToString([]byte("\x89PNG"))}
		}, func(e har.Entry) bool { return !e.Exchange.Response.Header.Has("Content-Encoding") }},
		{"text in brotli, which cannot be told by its bytes", func(_, _, response map[string]any) {
			response["content"] = map[string]any{"size": 4, "encoding": "base64", "text": base64.StdEncoding.EncodeToString([]byte("\x8b\x00\x80{}\x03"))}
		}, func(e har.Entry) bool { return e.Exchange.Response.Header.Get("Content-Encoding") == "br" }},
		{"no response, with the browser's reason", func(_, _, response map[string]any) {
			response["status"], response["_error"] = 0, "net::ERR_CONNECTION_REFUSED"
		}, func(e har.Entry) bool {
			return e.Exchange.Response == nil && strings.Contains(e.Exchange.Failure.Detail, "net::ERR_CONNECTION_REFUSED")
		}},
		{"params in place of text", func(_, request, _ map[string]any) {
			request["postData"] = map[string]any{"mimeType": "application/x-www-form-urlencoded", "params": []any{map[string]any{"name": "a b", "value": "c&d"}}}
		}, func(e har.Entry) bool { return string(e.Request) == "a+b=c%26d" }},
	} {
		got, err := decodeAll(t, entryOf(url, tt.change))
		if err != nil || len(got) != 1 || !tt.check(got[0]) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestNoExchangesOverHTTP: what a browser read from itself, and web sockets, are no exchanges.
func TestNoExchangesOverHTTP(t *testing.T) {
	got, err := decodeAll(t, entryOf("data:text/plain,hi", nil), entryOf("blob:https://payer.example/1", nil), entryOf("wss://payer.example/ws", func(e, _, _ map[string]any) {
		e["_webSocketMessages"] = []any{map[string]any{"type": "send", "data": "x"}}
	}), entryOf("chrome-extension://abc/x.js", nil), entryOf("HTTPS://payer.example/fhir/metadata", nil))
	if err != nil || len(got) != 1 || got[0].Exchange.Request.URL != "HTTPS://payer.example/fhir/metadata" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNotUTF8: text that reading would change is refused, with the place.
func TestNotUTF8(t *testing.T) {
	text := `{"log":{"entries":[{"startedDateTime":"2025-01-15T12:00:00Z","time":1,"request":{"method":"GET","url":"https://a/fhir/Patient/1"},"response":{"status":200,"content":{"text":"M` + "\xfc" + `ller"}}}]}}`
	for _, err := range har.NewDecoder(strings.NewReader(text)).Entries() {
		if err == nil || !strings.Contains(err.Error(), "entry 1: its text is not UTF-8") || !strings.Contains(err.Error(), `M\xfc`) {
			t.Errorf("got %v", err)
		}
	}
}

// TestFolderOfCodedMessages: messages as they are on the wire may be coded and in chunks.
func TestFolderOfCodedMessages(t *testing.T) {
	packed := gzipped(t, `{"resourceType":"Patient"}`)
	dir := fstest.MapFS{
		"1.request":  {Data: []byte("GET https://payer.example/fhir/Patient/1 HTTP/1.1\r\n\r\n")},
		"1.response": {Data: append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Encoding: gzip\r\n\r\n"), packed...)},
		"2.request":  {Data: []byte("GET https://payer.example/fhir/Patient/2 HTTP/1.1\r\n\r\n")},
		"2.response": {Data: []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n")},
		"3.request":  {Data: []byte("GET https://payer.example/fhir/Patient/3 HTTP/1.1\r\n\r\n")},
		"3.response": {Data: []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{\"a\":1}")},
	}
	var got []har.Entry
	for e, err := range har.Folder(dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 3 || !bytes.Equal(got[0].Response, packed) || got[0].Exchange.Response.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("got %+v", got)
	}
	for _, e := range got[1:] {
		if string(e.Response) != `{"a":1}` || e.Exchange.Response.Header.Has("Transfer-Encoding") {
			t.Errorf("%s: %q", e.Exchange.Request.URL, e.Response)
		}
	}
}
