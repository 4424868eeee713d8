package planfile_test

import (
	"strings"
	"testing"

	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/fhirpathtest"
	"fhirwire/validators/profile"
)

const good = `plan: demo
title: A demo
track: Payer to payer
guides: {hl7.fhir.us.core: ">=3.1.1 <4"}
roles: {client: Requesting payer, server: Holding payer}
steps:
  - step: match
    title: Match
    claim: The member is matched
    requirements: [P2P-SC-40]
    select: {kind: [operation], operation: [$member-match], status: ["200"]}
    capture:
      - {name: member, from: response, fhirpath: "parameter.where(name = 'x').value"}
    checks:
      - check: answered
        claim: The answer is 200
        side: server
        status: ["200"]
  - step: read
    title: Read
    claim: The member is read
    requirements: [P2P-SC-52]
    select:
      kind: [read]
      follows: [{step: match, by: id, variable: member}]
    checks:
      - check: is-patient
        claim: A Patient comes
        side: server
        fhirpath:
          on: response
          expr: id = %member
`

func TestParse(t *testing.T) {
	p, err := planfile.Parse("demo.yaml", []byte(good), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 2 || p.Steps[1].Checks[0].FHIRPath.Expr != "id = %member" || p.Steps[0].Select.Operation[0] != "$member-match" || len(p.Digest) != 64 {
		t.Errorf("got %+v", p)
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, old, with string
		want            []string
	}{
		{"a typo in a key", "    checks:\n      - check: is-", "    chekcs:\n      - check: is-", []string{
			`p.yaml:19:5: step read: missing key: checks`, `p.yaml:26:5: unknown key "chekcs"; expected checks`,
		}},
		{"an unknown interaction", "kind: [read]", "kind: [raed]", []string{
			`p.yaml:24:14: kind: "raed" is not known; expected read`,
		}},
		{"a FHIRPath error", "expr: id = %member", "expr: id.exits()", []string{`p.yaml:32:20: FHIRPath: unknown function "exits"; expected exists`}},
		{"a FHIRPath error in quotes", `parameter.where(name = 'x').value`, `parameter.wher(name = 'x').value`, []string{`p.yaml:13:61: FHIRPath: unknown function "wher"; expected where`}},
		{"a FHIRPath error in a block", "expr: id = %member", "expr: |-\n            id.exists()\n            and id.exits()", []string{`p.yaml:34:20: FHIRPath: unknown function "exits"; expected exists`}},
		{"a variable nobody captures", "%member", "%membre", []string{`p.yaml:32:22: no earlier step captures membre; expected member`}},
		{"a step that comes later", "step: match, by", "step: mach, by", []string{`p.yaml:25:24: there is no earlier step mach; expected match`}},
		{"a name used twice", "step: read", "step: match", []string{`p.yaml:19:11: the step match is there already; expected another name`}},
		{"two kinds in a check", `status: ["200"]
  - step: read`, `status: ["200"]
        count: {min: 1}
  - step: read`, []string{`p.yaml:15:9: the check answered has status and count; expected exactly one of status, header, parameter, fhirpath, pointer, findings, follows, file, count, fetched, retryAfter, control, attestation, connection, jwt, once, covers, agrees, snapshot, tokens, stable`}},
		{"no requirement", "    requirements: [P2P-SC-52]\n", "", []string{`p.yaml:26:9: neither the check is-patient nor its step names a requirement; expected requirements: [ID] in either`}},
		{"a range that is none", ">=3.1.1 <4", "~3", []string{`p.yaml:4:28: "~3" is no version; write for example 2.0.0`}},
		{"a wrong type", `status: ["200"]
  - step: read`, `status: 200
  - step: read`, []string{`p.yaml:18:17: status: expected a list: ["200"]`}},
		{"a key twice", "title: A demo", "title: A demo\ntitle: B", []string{`p.yaml:3:1: the key "title" is there already, in line 2; expected it once`}},
		{"an interaction far from any", "kind: [read]", "kind: [get]", []string{`p.yaml:24:14: kind: "get" is not known; expected one of read, vread, update, patch, delete, history-instance, history-type, history-system, create, search-type, search-system, capabilities, batch, transaction, operation, bulk-kickoff, bulk-status, bulk-file, bulk-delete, oauth-token, oauth-dcr, oauth-auth, oauth-introsp, smart-config, udap-config, oauth-config, tunnel, other`}},
		{"an unknown resource type", "kind: [read]", "kind: [read]\n      type: [Patients]", []string{`p.yaml:25:14: "Patients" is no resource type; expected one such as Patient, in its own letters`}},
		{"a data type as resource type", "kind: [read]", "kind: [read]\n      type: [HumanName]", []string{`p.yaml:25:14: "HumanName" is no resource type; expected one such as Patient, in its own letters`}},
		{"a side that is none", "side: server\n        status", "side: servr\n        status", []string{`p.yaml:17:15: side: "servr" is not known; expected server`}},
		{"a strength that is none", "side: server\n        fhirpath", "side: server\n        strength: MUST\n        fhirpath", []string{`p.yaml:30:19: strength: "MUST" is not known; expected one of SHALL, SHOULD, MAY`}},
		{"a status that is none", `status: ["200"]
  - step: read`, `status: ["2000"]
  - step: read`, []string{`p.yaml:18:18: status: "2000" is not as expected: a status, "200", or a class of them, "4xx"`}},
		{"a status without quotes", `status: ["200"]
  - step: read`, `status: [200]
  - step: read`, []string{`p.yaml:18:18: status: expected a text; write "200" in quotes`}},
		{"a plan's name", "plan: demo", `plan: "De mo"`, []string{`p.yaml:1:7: plan: "De mo" is not as expected: lower-case letters and digits with hyphens between them, payer-to-payer-2`}},
		{"a requirement's id", "[P2P-SC-52]", "[p2p 52]", []string{`p.yaml:22:20: requirements: "p2p 52" is not as expected: the id of a requirement, P2P-SC-40`}},
		{"an operation without $", "[$member-match]", "[member-match]", []string{`p.yaml:11:45: operation: "member-match" is not as expected: an operation with its $, $member-match`}},
		{"a pointer that is none", "fhirpath:\n          on: response\n          expr: id = %member", "pointer: {on: response, at: a/b}", []string{`p.yaml:30:37: at: "a/b" is not as expected: a JSON Pointer, /output/0/url; * stands for each item`}},
		{"a tab", "    title: Read", "\ttitle: Read", []string{`p.yaml:20:1: a tab; YAML is indented with spaces`}},
		{"an alias of nothing", "kind: [read]", "kind: *kinds", []string{`p.yaml:24:13: no anchor &kinds stands before this`}},
		{"a merge of nothing", "    title: Read", "    <<: *common\n    title: Read", []string{`p.yaml:20:9: no anchor &common stands before this`}},
		{"a list that is not closed", "[P2P-SC-52]", "[P2P-SC-52", []string{`p.yaml:22:19: the [ that stands here is not closed; expected ] or a comma before line 23`}},
		{"a line out of place", "    claim: The member is read", "   claim: The member is read", []string{`p.yaml:21:4: this does not belong here; expected the indentation of the lines around it, or a bracket less`}},
		{"no YAML", "roles: {client", "roles: {{client", []string{`p.yaml:5:9: a brace within a brace; expected KEY: VALUE`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := strings.Replace(good, tt.old, tt.with, 1)
			if src == good {
				t.Fatal("the case changes nothing")
			}
			_, err := planfile.Parse("p.yaml", []byte(src), fhirpathtest.Small())
			if err == nil {
				t.Fatal("accepted")
			}
			if want := strings.Join(tt.want, "\n"); err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
	for _, deep := range []string{strings.Repeat("[", 20_000), strings.Repeat("- ", 100_000), strings.Repeat("a: {", 5000)} {
		if _, err := planfile.Parse("p.yaml", []byte(deep), nil); err == nil || !strings.Contains(err.Error(), "p.yaml:1:1: more than 64 levels of nesting") {
			t.Errorf("%.10s…: %v", deep, err)
		}
	}
	for _, src := range []string{"", " \n", "# nothing\n", "---\n", "[]", "plan: x", "a: &a [*a]", "plan: x\n---\nplan: y"} {
		if _, err := planfile.Parse("p.yaml", []byte(src), nil); err == nil {
			t.Errorf("%q accepted", src)
		}
	}
}

// profiled is a model that knows one profile.
type profiled struct{ fhirpath.Model }

func (profiled) Profile(canonical string) (*profile.Profile, bool) {
	return nil, canonical == "http://x/known"
}

// TestProfileAtHand: a profile whose elements are to be counted has to be at hand, where that can be told.
func TestProfileAtHand(t *testing.T) {
	covers := strings.Replace(good, "fhirpath:\n          on: response\n          expr: id = %member", "covers: {profile: http://x/known}", 1)
	model := profiled{fhirpathtest.Small()}
	if _, err := planfile.Parse("p.yaml", []byte(covers), model); err != nil {
		t.Error(err)
	}
	want := "p.yaml:30:27: no guide at hand has the profile http://x/nope; add its guide, or correct the URL"
	if _, err := planfile.Parse("p.yaml", []byte(strings.Replace(covers, "known", "nope", 1)), model); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("plan: x\nsteps: [{step: a}]"))
	f.Add([]byte("a: |\n  b\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := planfile.Parse("f.yaml", src, nil)
		if err == nil && (p.ID == "" || len(p.Steps) == 0 || p.Digest == "") {
			t.Errorf("accepted without a name, a step or a digest: %+v", p)
		}
	})
}
