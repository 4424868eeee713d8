package instance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

// Profiles that the examples of the rules are held against.
const (
	testPatientProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/patient","name":"P","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[
		{"id":"Patient","path":"Patient","constraint":[
			{"key":"t-1","severity":"error","human":"x","expression":"active.exists() or name.exists()"}]},
		{"id":"Patient.identifier.value","path":"Patient.identifier.value","maxLength":8},
		{"id":"Patient.name","path":"Patient.name","max":"2"},
		{"id":"Patient.telecom","path":"Patient.telecom","slicing":{"discriminator":[{"type":"value","path":"system"}],"ordered":true,"rules":"closed"}},
		{"id":"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone","min":1,"max":"2"},
		{"id":"Patient.telecom:phone.system","path":"Patient.telecom.system","min":1,"fixedCode":"phone"},
		{"id":"Patient.telecom:email","path":"Patient.telecom","sliceName":"email","min":0,"max":"1"},
		{"id":"Patient.telecom:email.system","path":"Patient.telecom.system","min":1,"patternCode":"email"},
		{"id":"Patient.birthDate","path":"Patient.birthDate","minValueDate":"1900-01-01","maxValueDate":"2020-12-31"},
		{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","patternCodeableConcept":{"text":"single"}},
		{"id":"Patient.address","path":"Patient.address","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}},
		{"id":"Patient.address:odd","path":"Patient.address","sliceName":"odd","min":0,"max":"1"},
		{"id":"Patient.managingOrganization","path":"Patient.managingOrganization","type":[{"code":"Reference","aggregation":["contained"],
			"targetProfile":["http://example.com/p/organization"]}]},
		{"id":"Patient.link.other","path":"Patient.link.other","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]},
		{"id":"Patient.contact.gender","path":"Patient.contact.gender","fixedCode":"female"},
		{"id":"Patient.contact.name","path":"Patient.contact.name","type":[{"code":"HumanName","profile":["http://example.com/p/full-name","http://example.com/p/text-name"]}]},
		{"id":"Patient.contained","path":"Patient.contained","type":[{"code":"Organization"}]}]}}`
	testBeyondProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/beyond","name":"B","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[{"id":"Patient","path":"Patient","constraint":[{"key":"t-2","severity":"error","human":"x","expression":"bogus()"}]}]}}`
	testFormProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/form","name":"F","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[
		{"id":"Patient.identifier.value","path":"Patient.identifier.value","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/regex","valueString":"[A-Z]+|1"}]}]}}`
	testLookProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/look","name":"L","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[
		{"id":"Patient.identifier.value","path":"Patient.identifier.value","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/regex","valueString":"(?=[A-Z]).*"}]}]}}`
	testSourceProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/source","name":"S","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[
		{"id":"Patient.text","path":"Patient.text","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/narrative-source-control","valueCode":"error"}]}]}}`
	testLanguageProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/language","name":"L","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[
		{"id":"Patient.text","path":"Patient.text","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/narrative-language-control","valueCode":"_yes"}]}]}}`
	testFaultyProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/faulty","name":"F","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
		"differential":{"element":[{"id":"Patient","path":"Patient","constraint":[{"key":"t-3","severity":"error","human":"x"}]}]}}`
	testOrganizationProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/organization","name":"O","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Organization","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Organization","derivation":"constraint",
		"differential":{"element":[{"id":"Organization.active","path":"Organization.active","min":1}]}}`
	testFullName = `{"resourceType":"StructureDefinition","url":"http://example.com/p/full-name","name":"F","status":"draft","fhirVersion":"4.0.1",
		"kind":"complex-type","abstract":false,"type":"HumanName","baseDefinition":"http://hl7.org/fhir/StructureDefinition/HumanName","derivation":"constraint",
		"differential":{"element":[{"id":"HumanName.family","path":"HumanName.family","min":1}]}}`
	testTextName = `{"resourceType":"StructureDefinition","url":"http://example.com/p/text-name","name":"T","status":"draft","fhirVersion":"4.0.1",
		"kind":"complex-type","abstract":false,"type":"HumanName","baseDefinition":"http://hl7.org/fhir/StructureDefinition/HumanName","derivation":"constraint",
		"differential":{"element":[{"id":"HumanName.text","path":"HumanName.text","min":1}]}}`
	testAgeProfile = `{"resourceType":"StructureDefinition","url":"http://example.com/p/observation","name":"A","status":"draft","fhirVersion":"4.0.1",
		"kind":"resource","abstract":false,"type":"Observation","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint",
		"differential":{"element":[
		{"id":"Observation.value[x]","path":"Observation.value[x]","type":[{"code":"Quantity"},{"code":"string"},{"code":"CodeableConcept"}],
			"minValueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}},
		{"id":"Observation.interpretation","path":"Observation.interpretation","binding":{"strength":"required","valueSet":"http://terminology.hl7.org/ValueSet/v3-ObservationInterpretation"}},
		{"id":"Observation.method","path":"Observation.method","binding":{"strength":"required","valueSet":"http://example.com/vs/nowhere"}},
		{"id":"Observation.bodySite","path":"Observation.bodySite","binding":{"strength":"preferred","valueSet":"http://example.com/vs/nowhere","extension":[
			{"url":"http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet","valueCanonical":"http://terminology.hl7.org/ValueSet/v3-ObservationInterpretation"}]}},
		{"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"exists","path":"dataAbsentReason"}],"rules":"openAtEnd"}},
		{"id":"Observation.component:absent","path":"Observation.component","sliceName":"absent","min":0,"max":"1"},
		{"id":"Observation.component:absent.dataAbsentReason","path":"Observation.component.dataAbsentReason","min":1},
		{"id":"Observation.component:absent2","path":"Observation.component","sliceName":"absent2","min":0,"max":"*"},
		{"id":"Observation.component:absent2.dataAbsentReason","path":"Observation.component.dataAbsentReason","min":1}]}}`
)

// Valid resources that the examples change at one place.
const (
	patient = `{"resourceType":"Patient","id":"p1","meta":{"profile":["http://example.com/p/patient"]},
		"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Ada <a href=\"#o1\">Moss</a></p></div>"},
		"contained":[{"resourceType":"Organization","id":"o1","name":"Payer","active":true}],
		"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],
		"identifier":[{"system":"http://example.com/members","value":"12345"}],"active":true,
		"name":[{"family":"Moss","given":["Ada"],"_given":[{"id":"g"}]}],
		"telecom":[{"system":"phone","value":"555-0100"},{"system":"email","value":"a@example.com"}],
		"gender":"female","birthDate":"1980-02-29","maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"S"}],"text":"single"},"multipleBirthInteger":2,
		"photo":[{"contentType":"image/png","data":"AAAA","size":3,"hash":"KeLc+7FvY7sCVN91haFbtvtekn0="}],
		"contact":[{"name":{"family":"Moss"},"gender":"female"}],
		"generalPractitioner":[{"reference":"Practitioner/1"}],"managingOrganization":{"reference":"#o1"}}`
	observation = `{"resourceType":"Observation","id":"o1","meta":{"profile":["http://example.com/p/observation"]},"status":"final",
		"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],
		"code":{"text":"weight"},"subject":{"reference":"Patient/1","type":"Patient"},"effectiveDateTime":"2020-01-01T10:00:00Z",
		"valueQuantity":{"value":70.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"},"interpretation":[{"coding":[
			{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}]}],
		"note":[{"text":"fine"}]}`
	parameter = `{"resourceType":"SearchParameter","url":"http://example.com/sp","name":"P","status":"draft","description":"names","code":"name","base":["Patient"],
		"derivedFrom":"http://hl7.org/fhir/SearchParameter/individual-family","type":"string","expression":"Patient.name.family"}`
	capabilities = `{"resourceType":"CapabilityStatement","status":"active","date":"2020-01-01","kind":"requirements","description":"x","fhirVersion":"4.0.1","format":["json"],"rest":[{"mode":"server",
		"resource":[{"type":"Patient","searchParam":[{"name":"family","definition":"http://hl7.org/fhir/SearchParameter/individual-family","type":"string"}]}]}]}`
	questions = `[
		{"linkId":"g","type":"group","item":[{"linkId":"s","type":"string","maxLength":5,"extension":[
			{"url":"http://hl7.org/fhir/StructureDefinition/minLength","valueInteger":2},{"url":"http://hl7.org/fhir/StructureDefinition/regex","valueString":"[a-z]*"}],
			"item":[{"linkId":"t","type":"boolean"}]}]},
		{"linkId":"c","type":"choice","required":true,"repeats":true,"answerOption":[{"valueInteger":1},
			{"valueInteger":2,"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive","valueBoolean":true}]}]},
		{"linkId":"d","type":"integer"},
		{"linkId":"e","type":"boolean","enableWhen":[{"question":"d","operator":"=","answerInteger":7}]},
		{"linkId":"f","type":"display","text":"thanks"},
		{"linkId":"n","text":"How many?","type":"decimal","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/maxDecimalPlaces","valueInteger":2},
			{"url":"http://hl7.org/fhir/StructureDefinition/maxValue","valueDecimal":9}]},
		{"linkId":"w","type":"quantity","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/minValue",
			"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}]}]`
	questionnaire = `{"resourceType":"Questionnaire","status":"active","item":` + questions + `}`
	answered      = `{"resourceType":"QuestionnaireResponse","contained":[{"resourceType":"Questionnaire","id":"q","status":"active","item":` + questions + `}],
		"questionnaire":"#q","status":"completed","item":[
		{"linkId":"g","item":[{"linkId":"s","answer":[{"valueString":"abc"}]}]},
		{"linkId":"c","answer":[{"valueInteger":1}]},{"linkId":"d","answer":[{"valueInteger":7}]},{"linkId":"e","answer":[{"valueBoolean":true}]},
		{"linkId":"n","answer":[{"valueDecimal":1.25}]},
		{"linkId":"w","answer":[{"valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"kg"}}]}]}`
	response  = `{"resourceType":"QuestionnaireResponse","status":"completed"}`
	searchset = `{"resourceType":"Bundle","type":"searchset","total":2,"link":[{"relation":"self","url":"http://example.com/fhir/Coverage?x=y"}],"entry":[
		{"fullUrl":"http://example.com/fhir/Patient/1","search":{"mode":"include"},"resource":{"resourceType":"Patient","id":"1"}},
		{"fullUrl":"http://example.com/fhir/Organization/2","search":{"mode":"include"},"resource":{"resourceType":"Organization","id":"2","name":"P"}},
		{"fullUrl":"http://example.com/fhir/Coverage/3","search":{"mode":"match"},"resource":{"resourceType":"Coverage","id":"3","status":"active",
			"beneficiary":{"reference":"Patient/1"},"payor":[{"reference":"Organization/2"}]}}]}`
	document = `{"resourceType":"Bundle","identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
		"type":"document","timestamp":"2020-01-01T10:00:00Z","entry":[
		{"fullUrl":"http://example.com/fhir/Composition/1","resource":{"resourceType":"Composition","id":"1","status":"final","type":{"text":"note"},
			"subject":{"reference":"Patient/2"},"date":"2020-01-01","author":[{"display":"Dr"}],"title":"Note"}},
		{"fullUrl":"http://example.com/fhir/Patient/2","resource":{"resourceType":"Patient","id":"2"}}]}`
)

// structure is a profile as an instance.
const structure = `{"resourceType":"StructureDefinition","url":"http://example.com/s/x","name":"X","status":"draft","fhirVersion":"4.0.1",
	"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
	"differential":{"element":[{"id":"Patient","path":"Patient","constraint":[{"key":"x-1","severity":"error","human":"named","expression":"name.exists()"}]},
	{"id":"Patient.identifier","path":"Patient.identifier","min":1,"slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
	{"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","min":0,"max":"1"},
	{"id":"Patient.identifier:a.system","path":"Patient.identifier.system","min":1,"fixedUri":"http://example.com/a"},
	{"id":"Patient.gender","path":"Patient.gender","max":"1"},
	{"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}]},
	{"id":"Patient.communication.language","path":"Patient.communication.language","min":1}]}}`

// restructure is a profile of a profile that slices.
const restructure = `{"resourceType":"StructureDefinition","url":"http://example.com/s/y","name":"Y","status":"draft","fhirVersion":"4.0.1",
	"kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://example.com/p/patient","derivation":"constraint",
	"differential":{"element":[
	{"id":"Patient.telecom","path":"Patient.telecom","slicing":{"discriminator":[{"type":"value","path":"system"}],"ordered":true,"rules":"closed"}},
	{"id":"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone","max":"1"},
	{"id":"Patient.address","path":"Patient.address","slicing":{"discriminator":[{"type":"value","path":"use"},{"type":"exists","path":"city"}],"rules":"closed"}},
	{"id":"Patient.address:more","path":"Patient.address","sliceName":"more","max":"1"},
	{"id":"Patient.address:more.use","path":"Patient.address.use","min":1,"fixedCode":"old"}]}}`

const codes = `{"resourceType":"ValueSet","url":"http://example.com/v/x","status":"draft","compose":{"include":[{"system":"http://hl7.org/fhir/administrative-gender",
	"concept":[{"code":"male"},{"code":"other"}]},{"system":"http://loinc.org","concept":[{"code":"1-8"}]}]}}`

const system = `{"resourceType":"CodeSystem","url":"http://example.com/c/x","status":"draft","content":"complete","count":3,
	"property":[{"code":"up","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}],
	"concept":[{"code":"a","concept":[{"code":"b"}]},{"code":"c","property":[{"code":"up","valueCode":"a"}]}]}`

const extensionDefinition = `{"resourceType":"StructureDefinition","url":"http://example.com/e/x","name":"X","status":"draft","fhirVersion":"4.0.1",
	"kind":"complex-type","abstract":false,"context":[{"type":"element","expression":"Patient.name"}],"contextInvariant":["exists()"],"type":"Extension",
	"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","derivation":"constraint","differential":{"element":[{"id":"Extension","path":"Extension"},
	{"id":"Extension.url","path":"Extension.url","fixedUri":"http://example.com/e/x"},
	{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"string"}]}]}}`

const operation = `{"resourceType":"OperationDefinition","url":"http://example.com/o/x","name":"X","status":"draft","kind":"operation","code":"x",
	"system":true,"type":false,"instance":false}`

const composite = `{"resourceType":"SearchParameter","url":"http://example.com/p/x","name":"X","status":"draft","description":"d","code":"x","base":["Patient"],
	"type":"composite","expression":"Patient","component":[{"definition":"http://hl7.org/fhir/SearchParameter/Patient-active","expression":"active"},
	{"definition":"http://hl7.org/fhir/SearchParameter/Patient-active","expression":"active"}]}`

// examples break one rule each: old in a valid resource becomes new.
var examples = []struct {
	rule, in, old, new string
}{
	{"json-syntax", patient, `"active":true,`, `"active":true` + "\x00"},
	{"json-form", patient, `"active":true,`, `"active":true,,`},
	{"json-comment", patient, `"active":true,`, `"active":true, /* sic */`},
	{"json-duplicate", patient, `"active":true,`, `"active":true,"active":true,`},
	{"json-type", patient, `"active":true,`, `"active":"true",`},
	{"json-type", patient, `"gender":"female"}]`, `"gender":"female","telecom":["x"]}]`},
	{"json-null", patient, `"gender":"female","birthDate"`, `"gender":null,"birthDate"`},
	{"json-null", patient, `"given":["Ada"]`, `"given":["Ada",null]`},
	{"json-array-expected", patient, `"contact":[{"name":{"family":"Moss"},"gender":"female"}]`, `"contact":{"gender":"female"}`},
	{"json-single-expected", patient, `"gender":"female","birthDate"`, `"gender":["female"],"birthDate"`},
	{"json-array-empty", patient, `"generalPractitioner":[{"reference":"Practitioner/1"}]`, `"generalPractitioner":[]`},
	{"json-object-empty", patient, `{"reference":"Practitioner/1"}`, `{}`},
	{"definition-element", structure, `"id":"Patient.gender","path":"Patient.gender"`, `"id":"Patient.gendre","path":"Patient.gendre"`},
	{"definition-cardinality", structure, `"path":"Patient.communication.language","min":1`, `"path":"Patient.communication.language","min":0`},
	{"definition-cardinality", structure, `"path":"Patient.gender","max":"1"`, `"path":"Patient.gender","max":"*"`},
	{"definition-type", structure, `{"code":"boolean"}`, `{"code":"string"}`},
	{"definition-value", structure, `"fixedUri":"http://example.com/a"`, `"fixedInteger":1`},
	{"definition-discriminator", structure, `"path":"system"}`, `"path":"systems"}`},
	{"definition-expression", structure, `"name.exists()"`, `"name.exists("`},
	{"definition-expression", structure, `"name.exists()"`, `"nome.exists()"`},
	{"definition-slicing", restructure, `"ordered":true,"rules":"closed"`, `"ordered":true,"rules":"open"`},
	{"definition-slicing", restructure, `"ordered":true`, `"ordered":false`},
	{"definition-slicing", restructure, `[{"type":"value","path":"system"}]`, `[{"type":"value","path":"use"}]`},
	{"definition-slicing", restructure, `"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone"`, `"Patient.telecom:fax","path":"Patient.telecom","sliceName":"fax"`},
	{"definition-type", structure, `"path":"Patient.gender","max":"1"`, `"path":"Patient.gender","max":"1","type":[{"code":"code","profile":["http://hl7.org/fhir/StructureDefinition/Address"]}]`},
	{"definition-type", structure, `"path":"Patient.communication.language","min":1}`, `"path":"Patient.communication.language","min":1},{"id":"Patient.managingOrganization","path":"Patient.managingOrganization",
		"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]}`},
	{"definition-slicing", structure, `"path":"Patient.gender","max":"1"`, `"path":"Patient.gender","slicing":{"discriminator":[{"type":"value","path":"$this"}],"rules":"open"},"max":"1"`},
	{"definition-slicing", structure, `{"id":"Patient.communication.language",`, `{"id":"Patient.contact:a","path":"Patient.contact","sliceName":"a"},{"id":"Patient.communication.language",`},
	{"definition-base", structure, `"kind":"resource"`, `"kind":"complex-type"`},
	{"definition-base", structure, `"derivation":"constraint",`, ``},
	{"definition-base", structure, `"derivation":"constraint"`, `"derivation":"specialization"`},
	{"definition-base", structure, `"type":"Patient"`, `"context":[{"type":"element","expression":"Patient"}],"type":"Patient"`},
	{"definition-base", extensionDefinition, `"fixedUri":"http://example.com/e/x"`, `"fixedUri":"http://example.com/e/y"`},
	{"definition-base", extensionDefinition, `"fixedUri":"http://example.com/e/x"`, `"min":1`},
	{"definition-base", extensionDefinition, `"expression":"Patient.name"`, `"expression":"Patient.nome"`},
	{"definition-base", extensionDefinition, `"expression":"Patient.name"`, `"expression":"Patience"`},
	{"definition-base", extensionDefinition, `"exists()"`, `"exists("`},
	{"definition-binding", structure, `"path":"Patient.gender","max":"1"`, `"path":"Patient.gender","max":"1","binding":{"strength":"extensible","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}`},
	{"definition-order", structure, `{"id":"Patient.deceased[x]",`, `{"id":"Patient.name","path":"Patient.name","min":1},{"id":"Patient.deceased[x]",`},
	{"operation-profile", operation, `"status"`, `"inputProfile":"http://example.com/none","status"`},
	{"operation-profile", operation, `"status"`, `"outputProfile":"http://hl7.org/fhir/StructureDefinition/Patient","status"`},
	{"search-parameter-expression", parameter, `"expression":"Patient.name.family"`, `"expression":"Patient.nome"`},
	{"search-parameter-expression", parameter, `"expression":"Patient.name.family"`, `"expression":"Patient.name.("`},
	{"search-parameter-component", composite, `{"definition":"http://hl7.org/fhir/SearchParameter/Patient-active","expression":"active"},`, ``},
	{"value-set-system", codes, `"system":"http://loinc.org","concept":[{"code":"1-8"}]`, `"system":"loinc"`},
	{"value-set-system", codes, `"system":"http://loinc.org","concept":[{"code":"1-8"}]`, `"system":"http://hl7.org/fhir/ValueSet/administrative-gender"`},
	{"value-set-filter", codes, `"concept":[{"code":"male"},{"code":"other"}]`, `"filter":[{"property":"concept","op":"is-a","value":"man"}]`},
	{"value-set-filter", codes, `"concept":[{"code":"male"},{"code":"other"}]`, `"filter":[{"property":"code","op":"in","value":"male, man"}]`},
	{"value-set-filter", codes, `"concept":[{"code":"male"},{"code":"other"}]`, `"filter":[{"property":"code","op":"regex","value":"("}]`},
	{"value-set-filter", codes, `"concept":[{"code":"male"},{"code":"other"}]`, `"filter":[{"property":"concept","op":"regex","value":"m.*"}]`},
	{"value-set-filter", codes, `"concept":[{"code":"male"},{"code":"other"}]`, `"filter":[{"property":"inactive","op":"exists","value":"yes"}]`},
	{"code-system-content", system, `"content"`, `"supplements":"http://example.com/c/z","content"`},
	{"code-system-property", system, `{"code":"b"`, `{"code":"b","property":[{"code":"weight","valueInteger":1}]`},
	{"code-system-property", system, `"valueCode":"a"`, `"valueString":"a"`},
	{"code-system-property", system, `"valueCode":"a"`, `"valueCode":"z"`},
	{"code-system-property", system, `"property":[{"code":"up"`, `"property":[{"code":"up","type":"code"},{"code":"up"`},
	{"code-system-property", system, `"property":[{"code":"up","uri"`, `"property":[{"code":"over","type":"code","uri":"http://hl7.org/fhir/concept-properties#parent"},{"code":"up","uri"`},
	{"code-system-property", system, `concept-properties#parent`, `concept-properties#comment`},
	{"value-set-code", codes, `"male"`, `"man"`},
	{"code-system-content", system, `"complete"`, `"not-present"`},
	{"code-system-content", system, `"complete"`, `"supplement"`},
	{"code-system-count", system, `"count":3`, `"count":2`},
	{"code-system-count", system, `"complete"`, `"fragment"`},
	{"identifier-system", patient, `"http://example.com/members"`, `"members"`},
	{"identifier-value", patient, `"http://example.com/members"`, `"urn:ietf:rfc:3986"`},
	{"canonical-target", patient, `"http://example.com/p/patient"`, `"http://hl7.org/fhir/ValueSet/administrative-gender"`},
	{"bundle-fullurl-missing", searchset, `"fullUrl":"http://example.com/fhir/Coverage/3",`, ``},
	{"resource-type-missing", patient, `"resourceType":"Patient",`, ``},
	{"resource-type-unknown", patient, `"resourceType":"Patient",`, `"resourceType":"Pationt",`},
	{"element-unknown", patient, `"active":true,`, `"active":true,"aktive":true,`},
	{"cardinality-min", observation, `"status":"final",`, ``},
	{"cardinality-max", patient, `"name":[`, `"name":[{"text":"a"},{"text":"b"},`},
	{"choice-two-values", patient, `"multipleBirthInteger":2,`, `"multipleBirthInteger":2,"multipleBirthBoolean":true,`},
	{"choice-type", patient, `"multipleBirthInteger":2,`, `"multipleBirthString":"2",`},
	{"choice-type", observation, `"valueQuantity":{"value":70.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}`, `"valueInteger":70`},
	{"primitive-empty", patient, `"birthDate":"1980-02-29",`, `"_birthDate":{"id":"x"},`},
	{"string-empty", patient, `"family":"Moss","given"`, `"family":"","given"`},
	{"string-blank", patient, `"family":"Moss","given"`, `"family":"  ","given"`},
	{"string-trim", patient, `"family":"Moss","given"`, `"family":"Moss ","given"`},
	{"string-long", patient, `"family":"Moss","given"`, `"family":"` + strings.Repeat("m", 1<<20+1) + `","given"`},
	{"primitive-format", patient, `"1980-02-29"`, `"1981-02-29"`},
	{"primitive-format", patient, `"id":"p1"`, `"id":"p_1"`},
	{"date-year", observation, `"2020-01-01T10:00:00Z"`, `"0202-01-01T10:00:00Z"`},
	{"base64-blanks", patient, `"data":"AAAA"`, `"data":"AA AA"`},
	{"max-length", patient, `"value":"12345"`, `"value":"123456789"`},
	{"min-value", patient, `"1980-02-29"`, `"1880-02-29"`},
	{"min-value", observation, `"value":70.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"`, `"value":70.5,"unit":"g","system":"http://unitsofmeasure.org","code":"g"`},
	{"max-value", patient, `"1980-02-29"`, `"2021"`},
	{"bound-unchecked", observation, `"value":70.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"`, `"value":70.5,"unit":"stones"`},
	{"fixed-value", patient, `{"family":"Moss"},"gender":"female"`, `{"family":"Moss"},"gender":"male"`},
	{"pattern-value", patient, `"text":"single"`, `"text":"married"`},
	{"binding-required", patient, `"gender":"female","birthDate"`, `"gender":"w","birthDate"`},
	{"binding-required", observation, `ObservationInterpretation","code":"N","display":"Normal"`, `ObservationInterpretation","code":"NNN"`},
	{"binding-extensible", patient, `http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"S"`, `http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N"`},
	{"binding-no-code", observation, `"interpretation":[{"coding":[
			{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N","display":"Normal"}]}]`, `"interpretation":[{"text":"normal"}]`},
	{"binding-unchecked", observation, `"note":`, `"method":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]},"note":`},
	{"canonical-target", response, `"status"`, `"questionnaire":"http://hl7.org/fhir/StructureDefinition/Patient","status"`},
	{"questionnaire-unknown", response, `"status"`, `"questionnaire":"http://example.com/q","status"`},
	{"questionnaire-item", answered, `{"linkId":"s","answer":[{"valueString":"abc"}]}`, `{"linkId":"s","answer":[{"valueString":"abc"}]},{"linkId":"zz"}`},
	{
		"questionnaire-item", answered, `{"linkId":"c","answer":[{"valueInteger":1}]},{"linkId":"d","answer":[{"valueInteger":7}]}`,
		`{"linkId":"d","answer":[{"valueInteger":7}]},{"linkId":"c","answer":[{"valueInteger":1}]}`,
	},
	{"questionnaire-item", answered, `{"linkId":"n","answer"`, `{"linkId":"n","text":"How old?","answer"`},
	{"questionnaire-item", answered, `"completed","item":[`, `"completed","item":[{"linkId":"s","answer":[{"valueString":"abc"}]},`},
	{"questionnaire-required", answered, `{"linkId":"c","answer":[{"valueInteger":1}]}`, `{"linkId":"c"}`},
	{"questionnaire-required", answered, `{"linkId":"c","answer":[{"valueInteger":1}]},{"linkId":"d","answer":[{"valueInteger":7}]}`, `{"linkId":"d","answer":[{"valueInteger":7}]}`},
	{"questionnaire-repeats", answered, `{"valueString":"abc"}`, `{"valueString":"abc"},{"valueString":"abd"}`},
	{"questionnaire-repeats", answered, `{"linkId":"s","answer":[{"valueString":"abc"}]}`, `{"linkId":"s","answer":[{"valueString":"abc"}]},{"linkId":"s","answer":[{"valueString":"abc"}]}`},
	{"questionnaire-structure", answered, `{"linkId":"g","item":[{"linkId":"s","answer":[{"valueString":"abc"}]}]}`, `{"linkId":"g","answer":[{"valueBoolean":true}]}`},
	{"questionnaire-structure", answered, `{"linkId":"s","answer":[{"valueString":"abc"}]}`, `{"linkId":"s","item":[{"linkId":"t"}]}`},
	{"questionnaire-enabled", answered, `"valueInteger":7`, `"valueInteger":8`},
	{"questionnaire-answer-type", answered, `"valueString":"abc"`, `"valueDate":"2020"`},
	{"questionnaire-answer-option", answered, `"answer":[{"valueInteger":1}]`, `"answer":[{"valueInteger":3}]`},
	{"questionnaire-answer-option", answered, `"answer":[{"valueInteger":1}]`, `"answer":[{"valueInteger":1},{"valueInteger":2}]`},
	{"questionnaire-answer-limit", answered, `"valueString":"abc"`, `"valueString":"abcdefghij"`},
	{"questionnaire-answer-limit", answered, `"valueString":"abc"`, `"valueString":"a"`},
	{"questionnaire-answer-limit", answered, `"valueString":"abc"`, `"valueString":"ABC"`},
	{"questionnaire-answer-limit", answered, `"valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"kg"}`, `"valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"g"}`},
	{"questionnaire-answer-limit", answered, `"valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"kg"}`, `"valueQuantity":{"value":70,"system":"http://unitsofmeasure.org","code":"m"}`},
	{"questionnaire-answer-limit", answered, `"valueDecimal":1.25`, `"valueDecimal":1.255`},
	{"questionnaire-answer-limit", answered, `"valueDecimal":1.25`, `"valueDecimal":9.5`},
	{"questionnaire-condition", questionnaire, `"question":"d","operator":"=","answerInteger":7`, `"question":"zz","operator":"=","answerInteger":7`},
	{"questionnaire-condition", questionnaire, `"question":"d","operator":"=","answerInteger":7`, `"question":"e","operator":"=","answerInteger":7`},
	{"code-shape", observation, `"code":{"text":"weight"}`, `"code":{"coding":[{"system":"http://loinc.org","code":"29463-8"}],"text":"weight"}`},
	{"code-unknown", observation, `"code":"laboratory","display":"Laboratory"`, `"code":"labor"`},
	{"code-unchecked", observation, `"code":{"text":"weight"}`, `"code":{"coding":[{"system":"http://example.com/codes","code":"w"}]}`},
	{"code-display", observation, `"display":"Laboratory"`, `"display":"Kitchen"`},
	{"code-system-missing", observation, `"code":{"text":"weight"}`, `"code":{"coding":[{"code":"w"}]}`},
	{"code-system-relative", observation, `"code":{"text":"weight"}`, `"code":{"coding":[{"system":"codes","code":"w"}]}`},
	{"code-system-value-set", observation, `"code":{"text":"weight"}`, `"code":{"coding":[{"system":"http://hl7.org/fhir/ValueSet/administrative-gender","code":"w"}]}`},
	{"slice-min", patient, `{"system":"phone","value":"555-0100"},`, ``},
	{"slice-max", patient, `{"system":"email","value":"a@example.com"}`, `{"system":"email","value":"a@example.com"},{"system":"email","value":"b@example.com"}`},
	{"slice-closed", patient, `{"system":"email","value":"a@example.com"}`, `{"system":"fax","value":"555"}`},
	{"slice-order", patient, `{"system":"phone","value":"555-0100"},{"system":"email","value":"a@example.com"}`, `{"system":"email","value":"a@example.com"},{"system":"phone","value":"555-0100"}`},
	{"slice-ambiguous", observation, `"note":`, `"component":[{"code":{"text":"x"},"dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]}}],"note":`},
	{"slice-unchecked", patient, `"contact":`, `"address":[{"use":"home"}],"contact":`},
	{"extension-url-missing", patient, `"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",`, ``},
	{"extension-url-form", patient, `us-core-birthsex"`, `us-core-birthsex|6.1.0"`},
	{"extension-unknown", patient, `{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",`, `{"url":"http://hl7.org/fhir/StructureDefinition/Patient",`},
	{"extension-unknown", patient, `{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",`, `{"url":"http://example.com/unheard-of",`},
	{"extension-modifier-unknown", patient, `"identifier":`, `"modifierExtension":[{"url":"http://example.com/unheard-of","valueBoolean":true}],"identifier":`},
	{"extension-modifier", patient, `"extension":[`, `"modifierExtension":[`},
	{"extension-context", observation, `"note":`, `"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],"note":`},
	{"extension-content", patient, `{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}`, `{"url":"http://hl7.org/fhir/StructureDefinition/patient-animal"}`},
	{"extension-nested-unknown", patient, `"extension":[`, `"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
		{"url":"text","valueString":"x"},{"url":"tekst","valueString":"x"}]},`},
	{"reference-form", patient, `"Practitioner/1"`, `"Practitioner 1"`},
	{"reference-empty", patient, `{"reference":"Practitioner/1"}`, `{"id":"x"}`},
	{"reference-contained", patient, `{"reference":"Practitioner/1"}`, `{"reference":"#x"}`},
	{"reference-target", patient, `"Practitioner/1"`, `"Medication/1"`},
	{"reference-type", observation, `"type":"Patient"`, `"type":"Group"`},
	{"reference-profile", patient, `"name":"Payer","active":true`, `"name":"Payer"`},
	{"reference-aggregation", patient, `"managingOrganization":{"reference":"#o1"}`, `"managingOrganization":{"reference":"Organization/1"}`},
	{"reference-bundle", document, `{"display":"Dr"}`, `{"reference":"Practitioner/3"}`},
	{"reference-ambiguous", searchset, `"entry":[`, `"entry":[{"fullUrl":"http://example.com/fhir/Patient/1","search":{"mode":"include"},"resource":{"resourceType":"Patient","id":"1",
		"meta":{"versionId":"2"}}},`},
	{"reference-apparent", searchset, `{"reference":"Patient/1"}`, `{"reference":"http://example.org/fhir/Patient/1"}`},
	{"canonical-form", response, `"status"`, `"questionnaire":"Questionnaire/q","status"`},
	{"canonical-contained", response, `"status"`, `"questionnaire":"#q","status"`},
	{"binding-max", observation, `"note":`, `"bodySite":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]},"note":`},
	{"depth", patient, `"extension":[`, `"extension":[` + strings.Repeat(`{"url":"http://example.com/x","extension":[`, 70) + strings.Repeat(`]}`, 70) + `,`},
	{"profile-fault", patient, `["http://example.com/p/patient"]`, `["http://example.com/p/patient","http://example.com/p/faulty"]`},
	{"contained-id", patient, `"contained":[`, `"contained":[{"resourceType":"Organization","name":"x"},`},
	{"contained-nested", patient, `"name":"Payer","active":true`, `"name":"Payer","active":true,"contained":[{"resourceType":"Organization","id":"o1","name":"x"}]`},
	{"contained-meta", patient, `"name":"Payer","active":true`, `"name":"Payer","active":true,"meta":{"versionId":"1"}`},
	{"contained-orphan", patient, `"contained":[`, `"contained":[{"resourceType":"Organization","id":"o2","name":"x"},`},
	{"id-duplicate", patient, `"contained":[`, `"contained":[{"resourceType":"Organization","id":"o1","active":true,"name":"x"},`},
	{"element-id-duplicate", patient, `"identifier":[{`, `"identifier":[{"id":"g",`},
	{"bundle-fullurl-missing", document, `"fullUrl":"http://example.com/fhir/Patient/2",`, `"id":"e",`},
	{"bundle-fullurl-form", searchset, `"fullUrl":"http://example.com/fhir/Coverage/3"`, `"fullUrl":"Coverage/3"`},
	{"bundle-fullurl-id", searchset, `"fullUrl":"http://example.com/fhir/Coverage/3"`, `"fullUrl":"http://example.com/fhir/Coverage/4"`},
	{"bundle-fullurl-duplicate", searchset, `"entry":[`, `"entry":[{"fullUrl":"http://example.com/fhir/Coverage/3","search":{"mode":"match"},"resource":{"resourceType":"Coverage","id":"3","status":"active",
			"beneficiary":{"display":"x"},"payor":[{"display":"y"}]}},`},
	{"bundle-orphan", document, `"resource":{"resourceType":"Patient","id":"2"}}`, `"resource":{"resourceType":"Patient","id":"2"}},
		{"fullUrl":"http://example.com/fhir/Patient/4","resource":{"resourceType":"Patient","id":"4"}}`},
	{"bundle-stylesheet", document, `"type":"document",`, `"type":"document","link":[{"relation":"stylesheet","url":"Binary/css"}],`},
	{"search-parameter-type", parameter, `"type":"string"`, `"type":"token"`},
	{"search-parameter-type", capabilities, `"type":"string"`, `"type":"token"`},
	{"value-form", patient, `"http://example.com/p/patient"`, `"http://example.com/p/form"`},
	{"value-form-unchecked", patient, `"http://example.com/p/patient"`, `"http://example.com/p/look"`},
	{"narrative-source", patient, `"http://example.com/p/patient"`, `"http://example.com/p/source"`},
	{"narrative-language", patient, `"http://example.com/p/patient"`, `"http://example.com/p/language"`},
	{"bundle-page-link", document, `{"resourceType":"Bundle",`, `{"resourceType":"Bundle","link":[{"relation":"next","url":"http://example.com/fhir?page=2"}],`},
	{"bundle-link", searchset, `"link":[`, `"link":[{"relation":"self","url":"http://example.com/fhir/Coverage?x=y"},`},
	{"bundle-search-mode", searchset, `"search":{"mode":"match"},`, ``},
	{"bundle-search-type", searchset, `{"mode":"include"},"resource":{"resourceType":"Patient"`, `{"mode":"match"},"resource":{"resourceType":"Patient"`},
	{
		"bundle-search-id", searchset, `"fullUrl":"http://example.com/fhir/Coverage/3","search":{"mode":"match"},"resource":{"resourceType":"Coverage","id":"3"`,
		`"fullUrl":"http://example.com/fhir/Coverage/3","search":{"mode":"match"},"resource":{"resourceType":"Coverage"`,
	},
	{"narrative-form", patient, `<p>Ada `, `<p onclick=\"x()\">Ada `},
	{"narrative-empty", patient, `<p>Ada <a href=\"#o1\">Moss</a></p>`, `<p></p>`},
	{"narrative-link", patient, `href=\"#o1\"`, `href=\"#o9\"`},
	{"attachment-size", patient, `"size":3`, `"size":4`},
	{"attachment-hash", patient, `"hash":"KeLc+7FvY7sCVN91haFbtvtekn0="`, `"hash":"AAAA+7FvY7sCVN91haFbtvtekn0="`},
	{"invariant", observation, `"note":`, `"dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]},"note":`},
	{"invariant-unchecked", patient, `["http://example.com/p/patient"]`, `["http://example.com/p/patient","http://example.com/p/beyond"]`},
	{"profile-unknown", patient, `["http://example.com/p/patient"]`, `["http://example.com/p/patient","http://example.com/p/nowhere"]`},
	{"profile-type", patient, `["http://example.com/p/patient"]`, `["http://example.com/p/patient","http://example.com/p/observation"]`},
	{"type-profile", patient, `"name":{"family":"Moss"}`, `"name":{"given":["Ada"]}`},
	{"resource-kind", patient, `"contained":[`, `"contained":[{"resourceType":"Practitioner","id":"o2","active":true,"name":[{"text":"#"}],"photo":[{"url":"#"}]},`},
}

func rulesValidator(t testing.TB, opt instance.Options) *instance.Validator {
	t.Helper()
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	pkg := &ig.Package{Name: "test.rules", Version: "1"}
	for name, src := range map[string]string{
		"patient.json": testPatientProfile, "beyond.json": testBeyondProfile, "faulty.json": testFaultyProfile, "form.json": testFormProfile, "look.json": testLookProfile, "source.json": testSourceProfile, "language.json": testLanguageProfile, "organization.json": testOrganizationProfile, "full.json": testFullName, "text.json": testTextName, "observation.json": testAgeProfile,
	} {
		r, err := ig.ReadFile(name, []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		pkg.Resources = append(pkg.Resources, r)
	}
	if lib, err = lib.With(pkg); err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set(pkg.ID(), "hl7.fhir.us.core#6.1.0")
	if err != nil {
		t.Fatal(err)
	}
	opt.Now = now
	return instance.New(set, set.Terms(), opt)
}

func messageIDs(r validators.Report) []string {
	var ids []string
	for i := range r.Issues {
		if id := r.Issues[i].MessageID; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestEveryRuleHasAnExample(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	for name, src := range map[string]string{"patient": patient, "observation": observation, "searchset": searchset, "answered": answered, "questionnaire": questionnaire, "parameter": parameter, "system": system, "operation": operation, "extension": extensionDefinition, "composite": composite, "structure": structure, "codes": codes, "restructure": restructure, "capabilities": capabilities, "document": document} {
		if !json.Valid([]byte(src)) {
			t.Fatalf("%s is not JSON", name)
		}
		if r := validate(t, v, []byte(src)); len(r.Issues) > 0 {
			t.Errorf("the valid %s has issues: %+v", name, r.Issues)
		}
	}
	shown := map[string]bool{}
	for _, x := range examples {
		t.Run(x.rule, func(t *testing.T) {
			if !strings.Contains(x.in, x.old) {
				t.Fatalf("the valid resource has no %s", x.old)
			}
			src := []byte(strings.Replace(x.in, x.old, x.new, 1))
			doc := fhirjson.Parse(src)
			r, err := v.ValidateDocument(t.Context(), doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := messageIDs(r); !slices.Equal(got, []string{x.rule}) {
				t.Errorf("%s\nbecomes\n%.300s\nfound %v", x.old, x.new, got)
				for i := range r.Issues {
					t.Logf("%s %s: %s", r.Issues[i].MessageID, r.Issues[i].Expression, r.Issues[i].Message)
				}
			}
			for i := range r.Issues {
				is := &r.Issues[i]
				if is.Line < 1 || is.Column < 1 || is.Offset < 0 || is.Offset > len(src) {
					t.Errorf("%s: position %+v", is.MessageID, is.Position)
				}
				if doc.Root() != nil && doc.Root().At(is.Pointer) == nil {
					t.Errorf("%s: pointer %s leads nowhere", is.MessageID, is.Pointer)
				}
			}
		})
		shown[x.rule] = true
	}
	strict := rulesValidator(t, instance.Options{NoHTMLInMarkdown: true, SecurityChecks: true, ForbidExamples: true, MustResolve: true})
	strictPatient := `{"resourceType":"Patient","identifier":[{"system":"http://real.test/1","value":"1"}],"generalPractitioner":[{"display":"Dr"}]}`
	for rule, src := range map[string]string{
		"url-example":       strings.Replace(strictPatient, "real.test", "example.org", 1),
		"reference-missing": strings.Replace(strictPatient, `"display":"Dr"`, `"reference":"Practitioner/1"`, 1),
		"markdown-html":     `{"resourceType":"Observation","status":"final","code":{"text":"a"},"note":[{"text":"<b>fine</b>"}]}`,
		"text-tags":         strings.Replace(strictPatient, `"Dr"`, `"<b>Dr</b>"`, 1),
	} {
		if got := messageIDs(validate(t, strict, []byte(src))); !slices.Equal(got, []string{rule}) {
			t.Errorf("%s: found %v", rule, got)
		}
		shown[rule] = true
	}
	for _, r := range instance.Rules() {
		if r.ID == "" || r.Title == "" || r.Code == "" || r.Severity == "" || r.Source.Section == "" || !strings.HasPrefix(r.Source.URL, "https://") {
			t.Errorf("a rule is not filled in: %+v", r)
		}
		if !shown[r.ID] {
			t.Errorf("rule %s has no example", r.ID)
		}
	}
}
