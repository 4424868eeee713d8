package testscript_test

import (
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/testscript"
	"fhirwire/validators/guides"
	"fhirwire/validators/instance"
	"fhirwire/validators/interaction"
	"fhirwire/validators/profile"
)

const script = `{"resourceType":"TestScript","id":"ts-1","name":"Demo","status":"active",
"profile":[{"id":"pat","reference":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"}],
"variable":[{"name":"id","expression":"Bundle.entry.resource.id","sourceId":"found"},{"name":"family","defaultValue":"Castellanos"}],
"setup":{"action":[{"operation":{"type":{"code":"create"},"resource":"Patient"}}]},
"test":[{"name":"find","action":[
 {"operation":{"type":{"code":"search"},"resource":"Patient","params":"?family=${family}","responseId":"found"}},
 {"assert":{"response":"okay"}},
 {"assert":{"responseCode":"200,201","operator":"in"}},
 {"assert":{"responseCode":"404","operator":"notEquals"}},
 {"assert":{"contentType":"json"}},
 {"assert":{"headerField":"ETag","operator":"empty"}},
 {"assert":{"resource":"Bundle"}},
 {"assert":{"expression":"Bundle.total","value":"1"}},
 {"assert":{"expression":"Bundle.total","operator":"greaterThan","value":"5","warningOnly":true}},
 {"assert":{"expression":"Bundle.entry.resource.name.family","operator":"contains","value":"astell"}},
 {"assert":{"direction":"request","headerField":"Accept","operator":"contains","value":"fhir+json"}},
 {"assert":{"requestMethod":"get"}},
 {"assert":{"path":"fhir:Bundle/fhir:total"}},
 {"assert":{"minimumId":"fixture"}},
 {"assert":{"compareToSourceId":"x","expression":"Patient.id"}},
 {"assert":{"sourceId":"found","resource":"Bundle"}},
 {"assert":{"sourceId":"elsewhere","resource":"Bundle"}}]},
{"name":"read","action":[
 {"operation":{"type":{"code":"read"},"resource":"Patient","params":"/${id}"}},
 {"assert":{"expression":"Patient.id","value":"${id}"}},
 {"assert":{"validateProfileId":"pat"}},
 {"assert":{"validateProfileId":"none"}},
 {"assert":{"requestURL":"Patient/p1"}},
 {"assert":{"expression":"Patient.name.family","operator":"in","value":"A, B"}},
 {"assert":{"response":"bad"}}]},
{"name":"later","action":[{"operation":{"type":{"code":"everything"},"resource":"Patient"}},{"assert":{"response":"okay"}}]}]}`

const traffic = `-- 1.request --
GET /fhir/Patient/p1
Accept: application/fhir+json
-- 1.response --
404
-- 2.request --
GET /fhir/Patient?family=Castellanos
Accept: application/fhir+json
-- 2.response --
200
Content-Type: application/fhir+json

{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":{"resourceType":"Patient","id":"p1","name":[{"family":"Castellanos"}]}}]}
-- 3.request --
GET /fhir/Patient/p1
Accept: application/fhir+json
-- 3.response --
200
Content-Type: application/fhir+json

{"resourceType":"Patient","id":"p1","name":[{"family":"Castellanos","given":["Ida"]}]}
`

var library = sync.OnceValues(func() (*profile.Set, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	return lib.Set()
})

func TestJudge(t *testing.T) {
	set, err := library()
	if err != nil {
		t.Fatal(err)
	}
	s, err := testscript.Read([]byte(script))
	if err != nil {
		t.Fatal(err)
	}
	j := s.Plan([]byte(script))
	list, bodies, err := proxytest.FromTxtar([]byte(traffic))
	if err != nil {
		t.Fatal(err)
	}
	table := j.Table(checks.NewTable(set), instance.New(set, set.Terms(), instance.Options{}))
	results, err := judge.Judge(t.Context(), j.Plan, testplans.Run{Kind: testplans.Imported}, evidence(list, bodies), table)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		if r.Check != "" && r.Verdict != testplans.Pass {
			got = append(got, fmt.Sprintf("%s/%s %s", r.Step, r.Check, r.Verdict))
		}
	}
	want := []string{
		"setup-1/happened not-shown",
		"test-1-1/assert-8 fail", "test-1-1/assert-12 not-checked", "test-1-1/assert-13 not-checked", "test-1-1/assert-14 not-checked", "test-1-1/assert-16 not-checked",
		"test-2-1/assert-18 fail", "test-2-1/assert-19 not-checked", "test-2-1/assert-21 fail", "test-2-1/assert-22 fail",
		"test-3-1/happened not-shown", "test-3-1/assert-23 not-shown",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, r := range results {
		switch {
		case r.Check == "assert-8" && r.Strength != "SHOULD":
			t.Errorf("warningOnly is %s", r.Strength)
		case r.Check == "assert-12" && !strings.Contains(r.Message, "the path fhir:Bundle/fhir:total (XPath or JSONPath) is not supported"):
			t.Errorf("message %q", r.Message)
		case r.Step == "test-2-1" && r.Check == "" && (len(r.Evidence) == 0 || r.Evidence[0].Exchange != list[2].ID):
			t.Errorf("the read before the search is not the one: %+v", r.Evidence)
		}
	}
}

func evidence(list []*proxy.Exchange, bodies proxy.Bodies) iter.Seq2[checks.Item, error] {
	return func(yield func(checks.Item, error) bool) {
		for _, ex := range list {
			ex.Interaction = interaction.Classify(ex, "http://payer.example/fhir")
			if !yield(checks.Item{Exchange: ex, Bodies: bodies}, nil) {
				return
			}
		}
	}
}

func TestRead(t *testing.T) {
	for name, src := range map[string]string{
		"no JSON":         "{",
		"another type":    `{"resourceType":"Patient"}`,
		"no operation":    `{"resourceType":"TestScript","test":[{"action":[{"assert":{"response":"okay"}}]}]}`,
		"of other shapes": `{"resourceType":"TestScript","test":5}`,
	} {
		if _, err := testscript.Read([]byte(src)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if !testscript.Is([]byte(script)) || testscript.Is([]byte("plan: x")) {
		t.Error("a TestScript is not told apart")
	}
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte(script))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := testscript.Read(src)
		if err != nil {
			return
		}
		j := s.Plan(src)
		seen := map[string]bool{}
		for _, st := range j.Plan.Steps {
			if seen[st.ID] {
				t.Errorf("two steps %s", st.ID)
			}
			seen[st.ID] = true
		}
	})
}
