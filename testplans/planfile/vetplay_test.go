package planfile_test

import (
	"strings"
	"testing"

	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

const goodPlay = good + `play:
  inputs:
    - {name: id, about: An id, default: "${today}"}
  acts:
    - act: match
      shows: [match]
      request:
        url: /Patient/$member-match
        body: '{"resourceType": "Parameters"}'
      capture:
        - {name: member, from: response, fhirpath: parameter.value}
    - act: read
      shows: [read]
      each: {as: x, of: ["${member}", "1"]}
      request: {url: "/Patient/${x}?a=${id}"}
`

func TestPlayParsed(t *testing.T) {
	p, err := planfile.Parse("demo.yaml", []byte(goodPlay), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	if p.Play == nil || len(p.Play.Acts) != 2 || p.Play.Acts[0].Request.MethodOf() != "POST" || p.Play.ShownBy("read") != "read" || p.Play.ShownBy("nothing") != "" {
		t.Errorf("got %+v", p.Play)
	}
}

func TestPlayFaults(t *testing.T) {
	for _, tt := range []struct{ name, old, with, want string }{
		{"an unknown key", "      each: {as: x", "      eachh: {as: x", `unknown key "eachh"; expected each`},
		{"an unknown step", "shows: [read]", "shows: [raed]", "demo.yaml:45:15: there is no step raed; expected read"},
		{"a name twice", "- act: read", "- act: match", "demo.yaml:44:12: the act match is there already"},
		{"an unknown variable", "?a=${id}", "?a=${di}", "demo.yaml:47:39: no earlier step captures di; expected id"},
		{"a variable of another act's values", `request: {url: "/Patient/${x}?a=${id}"}`, `request: {url: "/Patient/1"}` + "\n    - {act: z, request: {url: \"/${x}\"}}", "no earlier step captures x"},
		{"a write that the plan does not announce", "url: /Patient/$member-match", "url: /Patient/$member-add", "demo.yaml:40:9: POST /Patient/$member-add may change data on the server; expected writes: true"},
		{"a relative URL", "url: /Patient/$member-match", "url: Patient/$member-match", "demo.yaml:40:14: expected a path below the FHIR base"},
		{"two kinds", "      each: {as: x", "      token: {}\n      each: {as: x", "the act read has request and token; expected exactly one of request, register, token, export and directory"},
		{"an expression that does not parse", "fhirpath: parameter.value", "fhirpath: parameter.(", "FHIRPath: "},
		{"a body for GET", "      request:\n        url", "      request:\n        method: GET\n        url", "GET goes without a body"},
		{"a capture of nothing", ", fhirpath: parameter.value", "", "a capture of an act takes one of fhirpath, pointer and header; found 0"},
		{"an input that is there", "name: id, about", "name: base, about", "the variable base is there already"},
		{"a step that is played after all", "play:\n", "play:\n  unplayed: [{step: read, why: No}]\n", "the act read shows read; expected a step that no act shows"},
		{"a wrong way to register", "      request: {url: \"/Patient/${x}", "      register: {method: secret}\n      request: {url: \"/Patient/${x}", `method: "secret" is not known; expected one of client_secret_basic`},
	} {
		src := strings.Replace(goodPlay, tt.old, tt.with, 1)
		if src == goodPlay {
			t.Fatalf("%s: nothing to change", tt.name)
		}
		if _, err := planfile.Parse("demo.yaml", []byte(src), fhirpathtest.Small()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
