package checks_test

import (
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// TestSignedFiles: the signature of a file's URL stands in the manifest in clear and is not recorded where the file is asked for. Where
// nothing else tells files apart, nobody is accused.
func TestSignedFiles(t *testing.T) {
	files := archive(t, `-- 1.request --
GET /fhir/bulk/1/status
-- 1.response --
200

{"output":[{"type":"Patient","count":1,"url":"http://store.example/o?f=1&X-Amz-Signature=aa"},{"type":"Group","count":3,"url":"http://store.example/o?f=2&sig=bb"},
{"type":"Group","count":1,"url":"http://store.example/p?sig=cc"},{"type":"Patient","count":2,"url":"http://store.example/p?sig=dd"}]}
-- 2.request --
GET http://store.example/o?X-Amz-Signature=hmac:0123456789abcdef&f=1
-- 2.response --
200

{"resourceType":"Patient","id":"1"}
-- 3.request --
GET http://store.example/o?f=2&sig=hmac:0123456789abcdef
-- 3.response --
200

{"resourceType":"Group","id":"1"}
-- 4.request --
GET http://store.example/p?sig=hmac:0123456789abcdef
-- 4.response --
200

{"resourceType":"Patient","id":"1"}
`)
	count := &testplans.Check{File: &testplans.FileCheck{Manifest: "m", Rule: testplans.FileCount}}
	steps := map[string][]checks.Item{"m": files[:1]}
	ask(t, checks.NewTable(nil), count, files, 2, steps, testplans.Pass, "")
	ask(t, checks.NewTable(nil), count, files, 3, steps, testplans.Fail, "the file has 1 line, and the manifest says 3")
	ask(t, checks.NewTable(nil), count, files, 4, steps, testplans.NotChecked, "which of them this is cannot be told")
}
