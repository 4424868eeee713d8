package instance_test

import (
	"bytes"
	"fmt"
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

// benchmark validates resources one after the other, parsing included; an op is one resource.
func benchmark(b *testing.B, v *instance.Validator, srcs [][]byte) {
	total := 0
	for _, src := range srcs {
		total += len(src)
		doc := fhirjson.Parse(src)
		if _, err := v.Validate(b.Context(), doc.Root()); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(total / len(srcs)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		doc := fhirjson.Parse(srcs[i%len(srcs)])
		if _, err := v.Validate(b.Context(), doc.Root()); err != nil {
			b.Fatal(err)
		}
		doc.Release()
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}

func BenchmarkValidateUSCore311(b *testing.B) {
	srcs := lines(b, shared(b, "conformance", "ig-examples", "us-core-3.1.1.ndjson"))
	benchmark(b, validator(b, instance.Options{}, "hl7.fhir.us.core#3.1.1"), srcs)
}

func BenchmarkValidateUSCore610(b *testing.B) {
	srcs := lines(b, shared(b, "conformance", "ig-examples", "us-core-6.1.0.ndjson"))
	benchmark(b, validator(b, instance.Options{}, "hl7.fhir.us.core#6.1.0"), srcs)
}

func BenchmarkValidatePatient(b *testing.B) {
	benchmark(b, validator(b, instance.Options{}, "hl7.fhir.us.core#6.1.0"), [][]byte{[]byte(goodPatient)})
}

const goodPatient = `{
	"resourceType": "Patient", "id": "p1", "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},
	"text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Ada Moss</p></div>"},
	"extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [
		{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3", "display": "White"}},
		{"url": "text", "valueString": "White"}]}],
	"identifier": [{"system": "http://example.org/members", "value": "12345"}],
	"name": [{"family": "Moss", "given": ["Ada"]}], "telecom": [{"system": "phone", "value": "555-0100", "use": "home"}],
	"gender": "female", "birthDate": "1980-02-29", "address": [{"line": ["1 Elm St"], "city": "Salem", "state": "OR", "postalCode": "97301"}]}`

// bundleOf puts resources into a Bundle of at least size bytes.
func bundleOf(srcs [][]byte, size int) []byte {
	b := []byte(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := 0; len(b) < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"fullUrl":"http://example.org/fhir/x/%d","resource":%s}`, i, srcs[i%len(srcs)])
	}
	return append(b, "]}"...)
}

func BenchmarkBundleWhole(b *testing.B) {
	src := bundleOf(lines(b, shared(b, "conformance", "ig-examples", "us-core-6.1.0.ndjson")), 8<<20)
	v := validator(b, instance.Options{}, "hl7.fhir.us.core#6.1.0")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		doc := fhirjson.Parse(src)
		if _, err := v.ValidateDocument(b.Context(), doc); err != nil {
			b.Fatal(err)
		}
		doc.Release()
	}
}

func BenchmarkBundleStreamed(b *testing.B) {
	src := bundleOf(lines(b, shared(b, "conformance", "ig-examples", "us-core-6.1.0.ndjson")), 8<<20)
	v := validator(b, instance.Options{}, "hl7.fhir.us.core#6.1.0")
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.ValidateBundle(b.Context(), bytes.NewReader(src), instance.StreamOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
