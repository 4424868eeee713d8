package fhirjson_test

import (
	"strings"
	"testing"

	"fhirwire/validators/fhirjson"
)

func BenchmarkParse(b *testing.B) {
	src := []byte(`{"resourceType":"Patient","id":"p1","meta":{"profile":["http://example.org/p"]},"text":{"status":"generated","div":"<div xmlns=\"x\">` +
		strings.Repeat(`<p class=\"c\">some text of a narrative</p>`, 12) + `</div>"},"identifier":[{"system":"http://example.org/members","value":"12345"}],
		"name":[{"family":"Moss","given":["Ada","B."],"_given":[null,{"id":"g"}]}],"telecom":[{"system":"phone","value":"555-0100","use":"home"}],
		"gender":"female","birthDate":"1980-02-29","address":[{"line":["1 Elm St"],"city":"Salem","state":"OR","postalCode":"97301"}]}`)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		fhirjson.Parse(src).Release()
	}
}
