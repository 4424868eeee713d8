package fhirpath_test

import (
	"errors"
	"strings"
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/fhirpathtest"
	"fhirwire/validators/fhirpath/value"
)

const patient = `{"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://e/time","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</p></div>"},
"contained":[{"resourceType":"Organization","id":"o","name":"Acme"}],
"name":[{"use":"official","family":"Chalmers","given":["Peter",null,"James"],"_given":[{"id":"g0"},{"extension":[{"url":"http://e/absent","valueCode":"unknown"}]},null]},{"use":"usual","given":["Jim"]}],
"_gender":{"extension":[{"url":"http://e/absent","valueCode":"unknown"}]},
"extension":[{"url":"http://e/q","valueQuantity":{"value":1.50,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}],
"managingOrganization":{"reference":"#o"},"contact":[{"name":{"family":"C"}}]}`

func evaluate(t *testing.T, src, resource string, env fhirpath.Env) (value.Collection, error) {
	t.Helper()
	x, err := fhirpath.Compile(src, fhirpathtest.Small())
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return x.Eval(t.Context(), fhirjson.Parse([]byte(resource)).Root(), env)
}

func text(c value.Collection) string {
	var out []string
	for _, v := range c {
		out = append(out, v.Type()+":"+v.String())
	}
	return strings.Join(out, " ")
}

func TestEval(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"name.given", "string:Peter string: string:James string:Jim"},
		{"name.given.hasValue()", "Boolean:false"},
		{"name.given.select(hasValue())", "Boolean:true Boolean:false Boolean:true Boolean:true"},
		{"name.given[0].id", "string:g0"},
		{"name.given[1].extension('http://e/absent').value", "code:unknown"},
		{"gender.hasValue()", "Boolean:false"},
		{"gender.extension.value", "code:unknown"},
		{"gender.exists()", "Boolean:true"},
		{"birthDate.extension.value.is(dateTime)", "Boolean:true"},
		{"birthDate < @1975", "Boolean:true"},
		{"birthDate = '1974-12-25'", "Boolean:true"},
		{"birthDate.toString()", "String:1974-12-25"},
		{"birthDate.value", "Date:1974-12-25"},
		{"extension.value", "Quantity:"},
		{"extension.valueQuantity", ""},
		{"extension.value = 0.0015 'g'", "Boolean:true"},
		{"extension.value.value.toString()", "String:1.50"},
		{"(extension.value as Quantity).unit", "string:mg"},
		{"extension.value.ofType(string)", ""},
		{"managingOrganization.resolve().name", "string:Acme"},
		{"managingOrganization.resolve() is Organization", "Boolean:true"},
		{"contained.ofType(Organization).name", "string:Acme"},
		{"contained[0].select(%resource.id | %rootResource.id)", "id:p"},
		{"descendants().ofType(HumanName).count()", "Integer:3"},
		{"Patient.contact.type().name", "String:BackboneElement"},
		{"Resource.id | DomainResource.id", "id:p"},
		{"Observation.id", ""},
		{"text.div.htmlChecks()", "Boolean:true"},
		{"defineVariable('n', name.first()).select(%n.family)", "string:Chalmers"},
		{"name.select(defineVariable('u', use).select(%u))", "code:official code:usual"},
		{"name.defineVariable('n', first()).select(%n.family)", "string:Chalmers string:Chalmers"},
		{"'aaa'.replace(defineVariable('p', 'aaa').select(%p), defineVariable('p', 'bbb').select(%p))", "String:bbb"},
		{"(-2147483648).convertsToInteger()", "Boolean:true"},
		{"iif(active, 'yes', 1/0)", "String:yes"},
		{"name.where(use = 'usual' and given.exists()).given", "string:Jim"},
		{"children().count()", "Integer:11"},
		{"%resource.id = %context.id", "Boolean:true"},
		{"%`vs-a` & %`ext-b`", "String:http://hl7.org/fhir/ValueSet/ahttp://hl7.org/fhir/StructureDefinition/b"},
		{"'ä'.length() + 'aäb'.indexOf('b')", "Integer:3"},
		{"'x'.matches('y') or {}", ""},
		{"name.given.where($this.matches('^J')).count()", "Integer:2"},
		{"{} = {}", ""},
		{"name.family.first().subsetOf('Chalmers' | 'x')", "Boolean:true"},
	} {
		got, err := evaluate(t, tt.src, patient, fhirpath.Env{})
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if text(got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.src, text(got), tt.want)
		}
	}
}

func TestTruth(t *testing.T) {
	for _, tt := range []struct {
		src   string
		holds bool
	}{
		{"name.exists()", true},
		{"name.exists() or telecom.exists()", true},
		{"telecom.exists()", false},
		{"telecom", false}, // empty does not hold
		{"id", true},       // a single value that is no boolean does
		{"active", true},
		{"active.not()", false},
		{"telecom.exists() implies telecom.value.exists()", true},
		{"name.all(family.exists() or given.exists())", true},
	} {
		x, err := fhirpath.Compile(tt.src, fhirpathtest.Small())
		if err != nil {
			t.Fatal(err)
		}
		holds, err := x.Truth(t.Context(), fhirjson.Parse([]byte(patient)).Root(), fhirpath.Env{})
		if err != nil || holds != tt.holds {
			t.Errorf("%s: %v, %v, want %v", tt.src, holds, err, tt.holds)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		src, want  string
		notChecked bool
	}{
		{"name.given.length()", `col 12: length() takes a single string, not 4`, false},
		{"1 < 'a'", "col 3: the operator is not defined for these types: Integer < String", false},
		{"gender.memberOf('x')", "col 8: not checked: no terminology to ask for x", true},
		{"conformsTo('x')", "col 1: not checked: no profiles to ask for x", true},
		{"now()", "col 1: not checked: there is no clock", true},
		{"'a'.matches('(?=a)')", "col 5: not checked: regular expression \"(?=a)\": error parsing regexp: invalid or unsupported Perl syntax: `(?=`", true},
		{"1 'm' < 2 'parsec'", "col 7: not checked: unit not known: \"parsec\"", true},
		{"id.elementDefinition()", "col 4: not checked: elementDefinition() is not supported", true},
		{"id as Nothing", "col 4: there is no type Nothing", false},
		{"%nothing", "col 1: there is no constant %nothing", false},
		{"name.select(\n%nothing)", "line 2, col 1: there is no constant %nothing", false},
		{"(name | contact).single()", "col 18: single() on 3 items", false},
		{"defineVariable('a', 1).id | defineVariable('b', 2).id | select(%a)", "col 64: there is no constant %a", false},
		{"defineVariable('v').defineVariable('v')", "col 21: %v is defined already", false},
		{"defineVariable('context', 1)", "col 1: %context is defined already", false},
		{"(1 | 2).iif(true, 1)", "col 9: iif() takes a single value, not 2", false},
		{"name.as(HumanName)", "col 6: as takes a single value, not 2; ofType() filters", false},
		{"(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24).aggregate($total & $total, 'abc')", "col 129: not checked: the text that the expression makes is too long", true},
		{"name.select(defineVariable('v')).select(%v)", "col 41: there is no constant %v", false},
	} {
		_, err := evaluate(t, tt.src, patient, fhirpath.Env{})
		var e *fhirpath.EvalError
		if !errors.As(err, &e) || err.Error() != tt.want || errors.Is(err, fhirpath.ErrNotChecked) != tt.notChecked {
			t.Errorf("%s: error %q, want %q", tt.src, err, tt.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"name.exits()", `col 6: unknown function "exits"`},
		{"name.first(1)", `col 6: first() takes no arguments, not 1`},
		{"name.where()", `col 6: where() takes one argument, not 0`},
		{"name.ofType(1 + 1)", `col 15: a type belongs here`},
		{"@2015-13", `col 1: "2015-13" is not a date`},
		{"99999999999", `col 1: 99999999999 is larger than an integer can be`},
	} {
		_, err := fhirpath.Compile(tt.src, fhirpathtest.Small())
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %s", tt.src, err, tt.want)
		}
	}
}

func TestWithoutModel(t *testing.T) {
	x, err := fhirpath.Compile("name.where(use = 'usual').given.first() & birthDate", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.Eval(t.Context(), fhirjson.Parse([]byte(patient)).Root(), fhirpath.Env{})
	if err != nil || text(got) != "String:Jim1974-12-25" {
		t.Fatalf("%s, %v", text(got), err)
	}
}

func TestFocusBelowRoot(t *testing.T) {
	root := fhirjson.Parse([]byte(`{"resourceType":"Bundle","entry":[{"resource":` + patient + `}]}`)).Root()
	m := fhirpathtest.Small()
	for pointer, tt := range map[string]struct{ src, want string }{
		"/entry/0/resource/name/0":                         {"HumanName.given.count() & %resource.id", ""},
		"/entry/0/resource/_birthDate/extension/0":         {"value.type().name", "String:dateTime"},
		"/entry/0/resource/contained/0":                    {"%resource.id | %rootResource.id", "id:o id:p"},
		"/entry/0/resource/extension/0/valueQuantity":      {"$this.is(Quantity)", "Boolean:true"},
		"/entry/0/resource/managingOrganization/reference": {"type().name", "String:string"},
		"/entry/0/resource/contact/0":                      {"name.family", "string:C"},
		"/entry/0/resource/_gender":                        {"extension.value | type().name", "code:unknown String:code"},
	} {
		x, err := fhirpath.Compile(tt.src, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Eval(t.Context(), root.At(pointer), fhirpath.Env{})
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: %s: %s, want an error", pointer, tt.src, text(got))
			}
			continue
		}
		if err != nil || text(got) != tt.want {
			t.Errorf("%s: %s: %s, %v, want %s", pointer, tt.src, text(got), err, tt.want)
		}
	}
}

func TestBudget(t *testing.T) {
	_, err := evaluate(t, "repeat(descendants()).repeat(descendants()).count()", patient, fhirpath.Env{MaxItems: 50})
	if !errors.Is(err, fhirpath.ErrNotChecked) {
		t.Fatalf("error %v, want not checked", err)
	}
}
