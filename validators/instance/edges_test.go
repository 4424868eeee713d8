package instance_test

import (
	"slices"
	"strings"
	"testing"

	"fhirwire/validators/instance"
)

// TestEdges: corners of the datatypes and of JSON, each with the whole list of its errors.
func TestEdges(t *testing.T) {
	v := validator(t, instance.Options{}, "hl7.fhir.us.core#6.1.0")
	for name, x := range map[string]struct {
		src  string
		want []string // messageId and expression of each error
	}{
		"minus zero is no unsignedInt": {
			`{"resourceType":"Bundle","type":"searchset","total":-0,"link":[{"relation":"self","url":"http://a.test/Patient"}]}`,
			[]string{"primitive-format Bundle.total"},
		},
		"minus zero is no integer": {
			`{"resourceType":"Patient","multipleBirthInteger":-0}`, []string{"primitive-format Patient.multipleBirthInteger"},
		},
		"minus zero is a decimal": {
			`{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":-0}}`, nil,
		},
		"a UUID in upper case": {
			`{"resourceType":"Patient","identifier":[{"system":"urn:uuid:6F9619FF-8B86-D011-B42D-00CF4FC964FF","value":"1"}]}`,
			[]string{"primitive-format Patient.identifier[0].system"},
		},
		"a UUID in lower case": {
			`{"resourceType":"Patient","identifier":[{"system":"urn:uuid:6f9619ff-8b86-d011-b42d-00cf4fc964ff","value":"1"}]}`, nil,
		},
		"a code with a hard space": {
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://a.test/c","code":"a` + "\u00a0" + `b"}]}}`,
			[]string{"primitive-format Observation.code.coding[0].code"},
		},
		"a code with letters beyond ASCII": {
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://a.test/c","code":"größe b"}]}}`, nil,
		},
		"a null beside a value": {
			`{"resourceType":"Patient","language":"en","_language":null}`, []string{"json-null Patient.language"},
		},
		"a null beside an array": {
			`{"resourceType":"Patient","name":[{"given":["Ada"],"_given":null}]}`, []string{"json-null Patient.name[0].given"},
		},
		"a div has no twin": {
			`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>","_div":{"id":"a"}}}`,
			[]string{"element-unknown Patient.text.div"},
		},
		"a required code is not explained away": {
			`{"resourceType":"Patient","_gender":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`,
			[]string{"binding-no-code Patient.gender"},
		},
		"a code beyond a binding is": {
			`{"resourceType":"Patient","_language":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`, nil,
		},
		"nor is a required concept": {
			`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"_code":{"extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}]}}`,
			[]string{"binding-no-code Condition.clinicalStatus"},
		},
		"an extensible concept is": {
			`{"resourceType":"Patient","maritalStatus":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`, nil,
		},
		"an expectation of a search parameter": {
			`{"resourceType":"SearchParameter","url":"http://a.test/s","name":"S","status":"draft","description":"s","code":"s","base":["Patient"],"type":"string",
				"multipleOr":true,"_multipleOr":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation","valueCode":"MAY"}]}}`, nil,
		},
		"an extension where R4 itself allows it": {
			`{"resourceType":"Observation","status":"final","code":{"text":"a","extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/bodySite","valueReference":{"reference":"BodyStructure/1"}}]}}`, nil,
		},
		"an extension where neither does": {
			`{"resourceType":"Observation","status":"final","code":{"text":"a","extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"x"}}]}}`,
			[]string{"extension-context Observation.code.extension[0]"},
		},
		"the URL of a definition": {
			`{"resourceType":"CodeSystem","url":"CodeSystem/x","status":"draft","content":"complete"}`, []string{"canonical-form CodeSystem.url"},
		},
		"the URL of a definition by UUID": {
			`{"resourceType":"CodeSystem","url":"urn:uuid:6f9619ff-8b86-d011-b42d-00cf4fc964ff","status":"draft","content":"complete"}`, nil,
		},
		"a URL that names nothing": {
			`{"resourceType":"Patient","photo":[{"contentType":"image/png","url":"Binary/1"}]}`, nil,
		},
		"an extension on the value of the one it belongs to": {
			`{"resourceType":"CodeSystem","url":"http://a.test/c","status":"draft","content":"complete","extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status","valueCode":"trial-use","_valueCode":{"extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-conformance-derivedFrom","valueCanonical":"http://a.test/i"}]}}]}`, nil,
		},
		"the same on another": {
			`{"resourceType":"CodeSystem","url":"http://a.test/c","status":"draft","content":"complete","extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg","valueCode":"fm","_valueCode":{"extension":[
				{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-conformance-derivedFrom","valueCanonical":"http://a.test/i"}]}}]}`,
			[]string{"extension-context CodeSystem.extension[0].valueCode.extension[0]"},
		},
		"a code of the value set without its system": {
			`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"code":"active"}]}}`,
			[]string{"binding-required Condition.clinicalStatus"},
		},
		"beside one with it": {
			`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"code":"active"},
				{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, nil,
		},
		"an extension of HL7 that is not at hand": {
			`{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/of-tomorrow","valueString":"x"}]}`, nil,
		},
		"a document that replaces another": {
			strings.Replace(document, `"title":"Note"`, `"title":"Note","relatesTo":[{"code":"replaces","targetReference":{"reference":"Composition/9"}}]`, 1), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, is := range errorsOf(validate(t, v, []byte(x.src))) {
				got = append(got, is.MessageID+" "+is.Expression)
			}
			slices.Sort(got)
			if !slices.Equal(got, x.want) {
				t.Errorf("%s\nwant %q\ngot  %q", x.src, x.want, got)
			}
		})
	}
}
