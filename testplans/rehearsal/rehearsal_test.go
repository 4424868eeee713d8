package rehearsal_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/rehearsal"
	"fhirwire/validators/guides"
)

var library = sync.OnceValues(guides.Load)

func stage(t *testing.T) *rehearsal.Stage {
	t.Helper()
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	return rehearsal.New(lib, checks.NewTable(set))
}

const planText = `plan: follow
title: A token is used, and what was found is read
track: Own
roles: {client: App, server: Payer}
steps:
  - step: token
    title: Get a token
    claim: A token is given
    requirements: [OWN-1]
    select: {kind: [oauth-token]}
    checks:
      - {check: granted, claim: It is 200, side: server, status: ["200"]}
  - step: find
    title: Find the patient
    claim: One is found
    requirements: [OWN-2]
    select: {kind: [search-type], type: [Patient], follows: [{step: token, by: token}]}
    capture: [{name: patient, from: response, fhirpath: entry.resource.id}]
    checks:
      - {check: one, claim: One is found, side: server, fhirpath: {on: response, expr: entry.count() = 1}}
      - {check: type, claim: The media type is right, side: server, findings: {rules: [http-response-type]}}
  - step: read
    title: Read
    claim: What was found is read, the second time no sooner than told
    requirements: [OWN-3]
    guides: {hl7.fhir.us.core: ">=3.1.1 <4"}
    select: {kind: [read], follows: [{step: find, by: id, variable: patient}]}
    checks:
      - {check: same, claim: It is the patient, side: server, fhirpath: {on: response, expr: id = %patient}}
      - {check: patience, claim: The client waits, side: client, retryAfter: {}}
      - {check: agreed, claim: They say so, side: both, attestation: {question: Do they?}}
`

const exampleText = `-- good/1.request --
POST /oauth/token
Content-Type: application/x-www-form-urlencoded

grant_type=client_credentials
-- good/1.response --
200
Content-Type: application/json

{"access_token": "t1"}
-- good/2.request --
GET /fhir/Patient?name=x
Authorization: Bearer t1
-- good/2.response --
200
Content-Type: application/fhir+json

{"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {"resourceType": "Patient", "id": "p1"}}]}
-- good/3.request --
GET /fhir/Patient/p1
Authorization: Bearer t1
-- good/3.response --
503
Retry-After: 120
-- good/123.request --
GET /fhir/Patient/p1
Authorization: Bearer t1
-- good/123.response --
200
Content-Type: application/fhir+json

{"resourceType": "Patient", "id": "p1"}
-- good/expect --
* pass
-- refused/edit --
from good
1.response
- 200
+ 400
-- refused/expect --
token/granted fail
-- another-token/edit --
from good
2.request
- t1
+ t2
-- another-token/expect --
find/one not-shown
find/type not-shown
read/same not-shown
read/patience not-shown
read/agreed not-shown
-- another-id/edit --
from good
123.response
- "p1"
+ "p2"
-- another-id/expect --
read/same fail
-- two/edit --
from good
2.response
- "entry": [
+ "entry": [{"resource": {"resourceType": "Patient"}}, 
- application/fhir+json
+ text/html
-- two/expect --
find/one fail
find/type fail
-- too-early/4.request --
GET /fhir/Patient/p1
Authorization: Bearer t1
-- too-early/4.response --
200
Content-Type: application/fhir+json

{"resourceType": "Patient", "id": "p1"}
-- too-early/edit --
from good
drop 123
-- too-early/expect --
read/patience fail
-- newer-guide/guides --
hl7.fhir.us.core#6.1.0
-- newer-guide/edit --
from good
-- newer-guide/expect --
read/same not-applicable
read/patience not-applicable
read/agreed not-applicable
`

func read(t *testing.T, text string) (testplans.Plan, []planfile.Example) {
	t.Helper()
	plan, err := planfile.Parse("p.yaml", []byte(planText), nil)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := planfile.Examples("p.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return plan, examples
}

// TestVet judges examples whose verdicts rest on relations between exchanges, time, findings and the versions of guides.
func TestVet(t *testing.T) {
	plan, examples := read(t, exampleText)
	if err := stage(t).Vet(t.Context(), plan, "p.txtar", examples); err != nil {
		t.Error(err)
	}
	if err := planfile.VetExamples("p.yaml", []byte(planText), plan, "p.txtar", examples); err != nil {
		t.Error(err)
	}
}

// TestVetFaults: what an example expects and the judge does not say has its line, and the judge's reason.
func TestVetFaults(t *testing.T) {
	for _, tt := range []struct{ name, old, with, want string }{
		{"an example that contradicts the check", "find/one fail\n", "find/one pass\n", "p.txtar:68:1: example two: find/one is fail (this does not hold: entry.count() = 1"},
		{"a verdict that the whole example has", "find/type fail\n", "", "p.txtar:67:1: example two: find/type is fail ("},
		{"a check of a step that is not shown", "find/one not-shown\n", "", "p.txtar:47:1: example another-token: find/one is not-shown"},
		{"a guide that this build does not have", "core#6.1.0", "core#6.1.9", "p.txtar:87:1: example newer-guide: "},
	} {
		text := strings.Replace(exampleText, tt.old, tt.with, 1)
		if text == exampleText {
			t.Fatalf("%s: the case changes nothing", tt.name)
		}
		plan, examples := read(t, text)
		if err := stage(t).Vet(t.Context(), plan, "p.txtar", examples); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.name, err, tt.want)
		}
	}
}

// TestFormatPage judges the two plans of the page of the format: the large one over the traffic beside the page, the small one over that
// which the page shows.
func TestFormatPage(t *testing.T) {
	text, err := os.ReadFile("../planfile/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	large, rest, ok2 := strings.Cut(rest, "```\n")
	_, rest, ok3 := strings.Cut(rest, "```yaml\n")
	small, rest, ok4 := strings.Cut(rest, "```\n")
	_, rest, ok5 := strings.Cut(rest, "```text\n")
	traffic, _, ok6 := strings.Cut(rest, "```\n")
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		t.Fatal("the page has no two plans, and the traffic of the small one")
	}
	beside, err := os.ReadFile("../planfile/testdata/format.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t)
	for _, tt := range []struct{ name, plan, traffic string }{{"large", large, string(beside)}, {"small", small, traffic}} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := planfile.Parse("plan.yaml", []byte(tt.plan), nil)
			if err != nil {
				t.Fatal(err)
			}
			examples, err := planfile.Examples("plan.txtar", []byte(tt.traffic))
			if err != nil {
				t.Fatal(err)
			}
			if err := planfile.VetExamples("plan.yaml", []byte(tt.plan), plan, "plan.txtar", examples); err != nil {
				t.Error(err)
			}
			if err := s.Vet(t.Context(), plan, "plan.txtar", examples); err != nil {
				t.Error(err)
			}
		})
	}
}
