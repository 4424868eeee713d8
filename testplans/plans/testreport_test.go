package plans_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/testplans/rehearsal"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

// TestReportIsValid judges examples of each plan, and validates the TestReport of the results.
func TestReportIsValid(t *testing.T) {
	_, set := library(t)
	v := instance.New(set, set.Terms(), instance.Options{})
	all, err := plans.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		plan, err := planfile.Parse(f.Path, f.Source, set)
		if err != nil {
			t.Fatal(err)
		}
		examples, err := planfile.Examples(f.Path, f.Examples)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range map[int]string{0: "pass", 1: ""} {
			items := evidence(t, plan, &examples[i])
			results, err := judge.Judge(t.Context(), plan, testplans.Run{Attestations: rehearsal.Attested(plan)}, rehearsal.Sequence(items), checks.NewTable(set))
			if err != nil {
				t.Fatal(err)
			}
			report := testplans.NewTestReport(&plan, results, testplans.ReportOptions{
				ID: "r1", Client: "urn:client", Server: "http://payer.example/fhir", Issued: time.Unix(0, 0),
				Exchange: func(id string) string { return "http://127.0.0.1:8080/exchanges/" + id },
			})
			if want != "" && report.Result != want {
				t.Errorf("%s: the result is %s, want %s", plan.ID, report.Result, want)
			}
			text, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			doc := fhirjson.Parse(text)
			got, err := v.ValidateDocument(t.Context(), doc)
			if err != nil {
				t.Fatal(err)
			}
			for _, is := range got.Issues {
				if is.IsError() {
					t.Errorf("%s: %s: %s", plan.ID, is.Expression, is.Message)
				}
			}
			if n := strings.Count(string(text), `"assert"`); n != checksOf(plan) {
				t.Errorf("%s: %d asserts, want %d", plan.ID, n, checksOf(plan))
			}
		}
	}
}

func checksOf(p testplans.Plan) int {
	n := 0
	for _, s := range p.Steps {
		n += len(s.Checks)
	}
	return n
}
