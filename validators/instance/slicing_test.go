package instance_test

import (
	"slices"
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

// profileOf is a differential on a base type.
func profileOf(name, typ, elements string) string {
	return `{"resourceType":"StructureDefinition","url":"http://example.com/s/` + name + `","name":"S","status":"draft","fhirVersion":"4.0.1","kind":"resource",
		"abstract":false,"type":"` + typ + `","baseDefinition":"http://hl7.org/fhir/StructureDefinition/` + typ + `","derivation":"constraint",
		"differential":{"element":[` + elements + `]}}`
}

var slicingProfiles = map[string]string{
	// by a pattern, with a re-slice
	"reslice": profileOf("reslice", "Patient", `
		{"id":"Patient.telecom","path":"Patient.telecom","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
		{"id":"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone","min":1,"max":"3",
			"slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}},
		{"id":"Patient.telecom:phone.system","path":"Patient.telecom.system","min":1,"fixedCode":"phone"},
		{"id":"Patient.telecom:phone/home","path":"Patient.telecom","sliceName":"phone/home","min":1,"max":"1"},
		{"id":"Patient.telecom:phone/home.system","path":"Patient.telecom.system","min":1,"fixedCode":"phone"},
		{"id":"Patient.telecom:phone/home.use","path":"Patient.telecom.use","min":1,"fixedCode":"home"}`),
	// slices in slices, told apart by codes
	"nested": profileOf("nested", "Observation", `
		{"id":"Observation.component","path":"Observation.component","slicing":{"discriminator":[{"type":"pattern","path":"code"}],"rules":"open"}},
		{"id":"Observation.component:sys","path":"Observation.component","sliceName":"sys","min":1,"max":"1"},
		{"id":"Observation.component:sys.code","path":"Observation.component.code","patternCodeableConcept":{"coding":[{"system":"http://e.org/c","code":"sys"}]}},
		{"id":"Observation.component:sys.code.coding","path":"Observation.component.code.coding","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
		{"id":"Observation.component:sys.code.coding:other","path":"Observation.component.code.coding","sliceName":"other","min":1,"max":"1"},
		{"id":"Observation.component:sys.code.coding:other.system","path":"Observation.component.code.coding.system","min":1,"fixedUri":"http://e.org/other"},
		{"id":"Observation.component:sys.value[x]","path":"Observation.component.value[x]","min":1,"type":[{"code":"Quantity"}]}`),
	// by the type behind a reference, closed
	"resolve": profileOf("resolve", "Observation", `
		{"id":"Observation.performer","path":"Observation.performer","slicing":{"discriminator":[{"type":"type","path":"resolve()"}],"rules":"closed"}},
		{"id":"Observation.performer:org","path":"Observation.performer","sliceName":"org","min":1,"max":"1",
			"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Organization"]}]}`),
	// by a profile that the entry's resource has to meet
	"profile": profileOf("profile", "Bundle", `
		{"id":"Bundle.entry","path":"Bundle.entry","slicing":{"discriminator":[{"type":"profile","path":"resource"}],"rules":"open"}},
		{"id":"Bundle.entry:named","path":"Bundle.entry","sliceName":"named","min":1,"max":"1"},
		{"id":"Bundle.entry:named.resource","path":"Bundle.entry.resource","min":1,"type":[{"code":"Patient","profile":["http://example.com/s/named"]}]}`),
	"named": profileOf("named", "Patient", `{"id":"Patient.name","path":"Patient.name","min":1}`),
	// by an extension's value
	"extension": profileOf("extension", "Patient", `
		{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[
			{"type":"value","path":"extension('http://example.com/kind').value"}],"rules":"open"}},
		{"id":"Patient.identifier:main","path":"Patient.identifier","sliceName":"main","min":1,"max":"1"},
		{"id":"Patient.identifier:main.extension","path":"Patient.identifier.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}},
		{"id":"Patient.identifier:main.extension:kind","path":"Patient.identifier.extension","sliceName":"kind","min":1,"max":"1",
			"type":[{"code":"Extension","profile":["http://example.com/kind"]}]},
		{"id":"Patient.identifier:main.extension:kind.value[x]","path":"Patient.identifier.extension.value[x]","fixedString":"main"}`),
	"kind": `{"resourceType":"StructureDefinition","url":"http://example.com/kind","name":"K","status":"draft","fhirVersion":"4.0.1","kind":"complex-type",
		"abstract":false,"context":[{"type":"element","expression":"Identifier"}],"type":"Extension","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension",
		"derivation":"constraint","differential":{"element":[{"id":"Extension.url","path":"Extension.url","fixedUri":"http://example.com/kind"},
		{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"string"}]}]}}`,
	// the rules of an element that refers to another one's content
	"content": profileOf("content", "Questionnaire", `
		{"id":"Questionnaire.item.text","path":"Questionnaire.item.text","min":1}`),
	// a slice whose own slices are all there may be
	"closed": profileOf("closed", "Patient", `
		{"id":"Patient.telecom","path":"Patient.telecom","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
		{"id":"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone","min":0,"max":"*",
			"slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"closed"}},
		{"id":"Patient.telecom:phone.system","path":"Patient.telecom.system","min":1,"fixedCode":"phone"},
		{"id":"Patient.telecom:phone/home","path":"Patient.telecom","sliceName":"phone/home","min":0,"max":"1"},
		{"id":"Patient.telecom:phone/home.system","path":"Patient.telecom.system","min":1,"fixedCode":"phone"},
		{"id":"Patient.telecom:phone/home.use","path":"Patient.telecom.use","min":1,"fixedCode":"home"}`),
}

func TestSlicing(t *testing.T) {
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	pkg := &ig.Package{Name: "test.slicing", Version: "1"}
	for name, src := range slicingProfiles {
		r, err := ig.ReadFile(name+".json", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		pkg.Resources = append(pkg.Resources, r)
	}
	if lib, err = lib.With(pkg); err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set(pkg.ID())
	if err != nil {
		t.Fatal(err)
	}
	v := instance.New(set, set.Terms(), instance.Options{})
	for _, tt := range []struct {
		name, profile, src string
		want               []string
	}{
		{"both levels", "reslice", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1","use":"home"},{"system":"phone","value":"2","use":"work"}]}`, nil},
		{"re-slice missing", "reslice", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"2","use":"work"}]}`, []string{"slice-min@Patient:phone/home"}},
		{"slice missing", "reslice", `{"resourceType":"Patient","telecom":[{"system":"email","value":"2"}]}`, []string{"slice-min@Patient:phone"}},
		{
			"re-slice twice", "reslice", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1","use":"home"},{"system":"phone","value":"2","use":"home"}]}`,
			[]string{"slice-max@Patient:phone/home"},
		},
		{
			"nested", "nested", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[
			{"system":"http://e.org/c","code":"sys"},{"system":"http://e.org/other","code":"x"}]},"valueQuantity":{"value":1}}]}`, nil,
		},
		{
			"inner slice missing", "nested", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[
			{"code":{"coding":[{"system":"http://e.org/c","code":"sys"}]},"valueQuantity":{"value":1}}]}`, []string{"slice-min@Observation.component[0].code:other"},
		},
		{
			"rules of a slice bind only its items", "nested", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[
			{"system":"http://e.org/c","code":"sys"},{"system":"http://e.org/other","code":"x"}]},"valueQuantity":{"value":1}},{"code":{"text":"y"},"valueString":"z"}]}`, nil,
		},
		{
			"type in a slice", "nested", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[
			{"system":"http://e.org/c","code":"sys"},{"system":"http://e.org/other","code":"x"}]},"valueString":"1"}]}`, []string{"choice-type@Observation.component[0].valueString:"},
		},
		{
			"behind a reference", "resolve", `{"resourceType":"Observation","status":"final","code":{"text":"x"},
			"contained":[{"resourceType":"Organization","id":"a","name":"A"}],"performer":[{"reference":"#a"}]}`, nil,
		},
		{
			"another type behind it", "resolve", `{"resourceType":"Observation","status":"final","code":{"text":"x"},
			"contained":[{"resourceType":"Patient","id":"a"}],"performer":[{"reference":"#a"}]}`, []string{"slice-min@Observation:org", "slice-closed@Observation.performer[0]:"},
		},
		{"profile", "profile", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","name":[{"text":"A"}]}},{"resource":{"resourceType":"Patient"}}]}`, nil},
		{"no entry of the profile", "profile", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient"}}]}`, []string{"slice-min@Bundle:named"}},
		{"extension", "extension", `{"resourceType":"Patient","identifier":[{"extension":[{"url":"http://example.com/kind","valueString":"main"}],"value":"1"}]}`, nil},
		{
			"extension with another value", "extension", `{"resourceType":"Patient","identifier":[{"extension":[{"url":"http://example.com/kind","valueString":"side"}],"value":"1"}]}`,
			[]string{"slice-min@Patient:main"},
		},
		{"closed slices of a slice", "closed", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1","use":"home"},{"system":"email","value":"2"}]}`, nil},
		{
			"none of the closed slices of a slice", "closed", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1","use":"work"}]}`,
			[]string{"slice-closed@Patient.telecom[0]:"},
		},
		{
			"text of the item itself", "content", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"display","prefix":"c"}]}`,
			[]string{"cardinality-min@Questionnaire.item[0]:"},
		},
		{
			"what is said of an element does not hold where the type repeats it", "content", `{"resourceType":"Questionnaire","status":"draft","item":[
			{"linkId":"1","type":"group","text":"a","item":[{"linkId":"2","type":"display","prefix":"c"}]}]}`, nil,
		},
		{
			"content reference", "content", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","text":"a","item":[
			{"linkId":"2","type":"group","text":"b","item":[{"linkId":"3","type":"display","text":"c"}]}]}]}`, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			r := validate(t, v, []byte(tt.src), "http://example.com/s/"+tt.profile)
			for _, is := range errorsOf(r) {
				got = append(got, is.MessageID+"@"+is.Expression+":"+is.Slice)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
				for i := range r.Issues {
					t.Log(r.Issues[i].Message)
				}
			}
		})
	}
}
