package testscript_test

import (
	"fmt"
	"strings"
	"testing"

	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/testscript"
	"fhirwire/validators/instance"
)

// TestOfInstance: an operation on one resource is not judged by exchanges about another.
func TestOfInstance(t *testing.T) {
	const src = `{"resourceType":"TestScript","id":"ts","variable":[{"name":"id","expression":"Bundle.entry.resource.id","sourceId":"found"},{"name":"given","defaultValue":"p1"}],
"test":[{"name":"literal","action":[{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/p1"}},{"assert":{"expression":"Patient.id","value":"p1"}}]},
{"name":"default","action":[{"operation":{"type":{"code":"read"},"resource":"Patient","url":"${base}/Patient/${given}"}},{"assert":{"expression":"Patient.id","value":"p1"}}]},
{"name":"unknown","action":[{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/p9"}},{"assert":{"response":"okay"}}]},
{"name":"update","action":[{"operation":{"type":{"code":"update"},"resource":"Patient","params":"/p2"}},{"assert":{"response":"okay"}}]}]}`
	const read = "-- %d.request --\nGET /fhir/Patient/%s\n-- %d.response --\n200\nContent-Type: application/fhir+json\n\n{\"resourceType\":\"Patient\",\"id\":\"%s\"}\n"
	var text strings.Builder
	for i, id := range []string{"p1", "p3", "p1", "p3"} {
		fmt.Fprintf(&text, read, i+1, id, i+1, id)
	}
	text.WriteString("-- 5.request --\nPUT /fhir/Patient/p3\nContent-Type: application/fhir+json\n\n{\"resourceType\":\"Patient\",\"id\":\"p3\"}\n-- 5.response --\n400\n")
	set, err := library()
	if err != nil {
		t.Fatal(err)
	}
	s, err := testscript.Read([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	j := s.Plan([]byte(src))
	list, bodies, err := proxytest.FromTxtar([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	results, err := judge.Judge(t.Context(), j.Plan, testplans.Run{Kind: testplans.Imported}, evidence(list, bodies), j.Table(checks.NewTable(set), instance.New(set, set.Terms(), instance.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		if r.Check != "" {
			got = append(got, fmt.Sprintf("%s/%s %s", r.Step, r.Check, r.Verdict))
		}
	}
	want := []string{
		"test-1-1/happened pass", "test-1-1/assert-1 pass", "test-2-1/happened pass", "test-2-1/assert-2 pass",
		"test-3-1/happened not-shown", "test-3-1/assert-3 not-shown", "test-4-1/happened not-shown", "test-4-1/assert-4 not-shown",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
