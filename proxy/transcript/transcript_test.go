package transcript_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"fhirwire/proxy"
	"fhirwire/proxy/transcript"
)

func TestRead(t *testing.T) {
	list, bodies, err := transcript.Read(txtar.Parse([]byte(`A poll that waits, a whole URL and a failure.
-- 7.request --
GET /fhir/job/1
x-own: a
-- 7.response --
299
Retry-After: 120

{"resourceType":"Bundle"}
-- 7.clientleg --
{"address":"192.0.2.7:1","tls":{"version":"TLS 1.3","cipher":"x"}}
-- 127.request --
GET https://files.example/1.ndjson
-- 127.failure --
upstream-down server connection refused
`)).Files)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Status() != 299 || list[0].Request.Target != transcript.Server+"/fhir/job/1" || list[0].Request.Header.Get("X-Own") != "a" || list[0].ClientLeg.TLS.Version != "TLS 1.3" {
		t.Fatalf("got %+v", list)
	}
	if wait := list[1].Timing.Start.Sub(list[0].Timing.Start); wait != 2*time.Minute {
		t.Errorf("exchange 127 begins %v after exchange 7", wait)
	}
	if ex := list[1]; ex.Request.Target != "https://files.example/1.ndjson" || ex.Mode != proxy.ModeForward || ex.Failure.Detail != "connection refused" {
		t.Errorf("got %+v", ex)
	}
	r, err := bodies.OpenBody(t.Context(), list[0].Response.Body.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != `{"resourceType":"Bundle"}` {
		t.Errorf("body %q, %v", text, err)
	}
	if _, err := bodies.OpenBody(t.Context(), "nothing"); err == nil {
		t.Error("a body that is not there opens")
	}
}

func TestReadFaults(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no number", "-- x.request --\n", `file "x.request": not NUMBER.request`},
		{"a number past all ids", "-- 65536.request --\nGET /\n", `file "65536.request": not NUMBER.request`},
		{"no request before", "-- 1.response --\n200\n", `file "1.response": its request must come first`},
		{"no path", "-- 1.request --\nGET\n", `file "1.request": request line "GET": want a method and a path`},
		{"no status", "-- 1.request --\nGET /\n-- 1.response --\nOK\n", `file "1.response": status line "OK": no such status`},
		{"a status beyond all", "-- 1.request --\nGET /\n-- 1.response --\n999\n", `no such status`},
		{"an empty answer", "-- 1.request --\nGET /\n-- 1.response --\n", `want a status`},
		{"no header", "-- 1.request --\nGET /\nnocolon\n", `header line "nocolon" has no colon`},
		{"half a failure", "-- 1.request --\nGET /\n-- 1.failure --\nupstream-down\n", `want a reason, a side and a detail`},
		{"an unknown member of a leg", "-- 1.request --\nGET /\n-- 1.clientleg --\n{\"addrss\":\"x\"}\n", `unknown field "addrss"`},
		{"an unknown half", "-- 1.request --\nGET /\n-- 1.answer --\n200\n", `not request, response`},
	} {
		if _, _, err := transcript.Read(txtar.Parse([]byte(tt.text)).Files); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
