package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
	"fhirwire/web/views"
)

// What checks say names steps by number and findings without their rules' ids.
func TestWordsOfChecks(t *testing.T) {
	p := &testplans.Plan{Steps: []testplans.Step{{ID: "token"}, {ID: "match"}}}
	for said, want := range map[string]string{
		"step match was not seen, so what it gave is not known":              "step 2 was not seen, so what it gave is not known",
		"it has another token (step token)":                                  "it has another token (step 1)",
		"step by step, step nobody":                                          "step by step, step nobody",
		"element-unknown: Patient.x is not an element":                       "Patient.x is not an element",
		"2 findings, first code-not-in-valueset: no such code":               "2 findings, first no such code",
		"status is 202, where 4xx is expected":                               "status is 202, where 4xx is expected",
		"urn:x-y: is no URL":                                                 "urn:x-y: is no URL",
		"line 2: this does not hold: token.exists()":                         "line 2: this does not hold: token.exists()",
		"the answer has Patient: step-match: and nothing was said about one": "the answer has Patient: step-match: and nothing was said about one",
	} {
		if got := inWords(p, said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
	st := &testplans.Step{ID: "match", Checks: []testplans.Check{{ID: "one", Claim: "There is one member"}}}
	r := &testplans.Result{Message: "one: this does not hold: parameter.where(name = 'MemberIdentifier').count() = 1"}
	if got := message(p, st, r, 240); got != "not met: There is one member" {
		t.Errorf("an expression is told as %q", got)
	}
}

// A check that failed leads to the line of JSON, with the requirement that is broken there; without a finding to the half it is about.
func TestFailedCheckLeadsToItsLine(t *testing.T) {
	issue := func(message, requirement string, part validators.Part) validators.Issue {
		return validators.Issue{Severity: validators.SeverityError, MessageID: "some-rule", Message: message, Requirement: requirement, Part: part}
	}
	reports := map[string]*validators.Report{
		"a": {Issues: []validators.Issue{issue("other", "X-1", validators.PartResponseBody), issue("no system", "", validators.PartResponseBody)}},
		"b": {Issues: []validators.Issue{{Severity: validators.SeverityWarning, Requirement: "R-7"}, issue("no consent", "R-7", validators.PartRequestBody), issue("again", "R-7", validators.PartRequestBody)}},
	}
	evidence := []testplans.Evidence{{Exchange: "a", Number: 125}, {Exchange: "b", Number: 126}, {Exchange: "gone", Number: 127}}
	for name, tc := range map[string]struct {
		check testplans.Check
		r     testplans.Result
		want  []views.Link
	}{
		"the finding that it says": {
			testplans.Check{Findings: &testplans.FindingsCheck{}},
			testplans.Result{Message: "3 findings, first some-rule: no system", Requirements: []string{"R-7"}, Evidence: evidence},
			[]views.Link{{Text: "Line in exchange 125", Href: "/exchanges/a/response?finding=1#f1"}},
		},
		"the finding of its requirement": {
			testplans.Check{FHIRPath: &testplans.FHIRPathCheck{}},
			testplans.Result{Message: "this does not hold: x", Requirements: []string{"R-7"}, Evidence: evidence},
			[]views.Link{{Text: "Line in exchange 126, R-7", Href: "/exchanges/b/request?finding=1#f1"}},
		},
		"an error of the same half": {
			testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnResponse}},
			testplans.Result{Message: "no", Evidence: evidence},
			[]views.Link{{Text: "Finding in exchange 125, X-1", Href: "/exchanges/a/response?finding=0#f0"}},
		},
		"the half that it is about": {
			testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: testplans.OnRequest}},
			testplans.Result{Message: "no", Evidence: evidence[2:]},
			[]views.Link{{Text: "Request of exchange 127", Href: "/exchanges/gone/request"}},
		},
		"the answer else": {
			testplans.Check{Status: []string{"200"}},
			testplans.Result{Message: "no", Evidence: evidence[:1]},
			[]views.Link{{Text: "Answer of exchange 125", Href: "/exchanges/a/response"}},
		},
	} {
		got := checkPlaces(&tc.check, &tc.r, reports)
		if len(got) != len(tc.want) || len(got) > 0 && got[0] != tc.want[0] {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}

	store := apitest.NewStore()
	channel := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	addExchange(store, "x1", 0, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: http.StatusInternalServerError, response: []byte(`{"resourceType":"OperationOutcome"}`)})
	addReport(store, "x1", nil, validators.Issue{Severity: validators.SeverityError, MessageID: "status", Message: "it failed", Requirement: "P2P-SC-10", Part: validators.PartResponseBody, Side: validators.SideServer, Position: validators.Position{Line: 1, Column: 1}})
	addExchange(store, "x2", time.Minute, spec{path: "/fhir/Patient/$member-match", method: "POST", channel: channel, kind: proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}, status: 200})
	addReport(store, "x2", nil)
	s := kept(t, store, attestPlan)
	page := get(t, s, "/scenarios/attest?channel="+channel+"&step=capabilities").Body.String()
	const line = `/exchanges/x1/response?finding=0#f0`
	if strings.Count(page, `href="`+line+`"`) != 2 || !strings.Contains(page, "Line in exchange 1, P2P-SC-10") {
		t.Fatalf("the step does not lead to the line: %s", page[strings.Index(page, `id="detail"`):])
	}
	to, _, _ := strings.Cut(line, "#")
	if body := get(t, s, to).Body.String(); !strings.Contains(body, `id="f0"`) || !strings.Contains(body, "P2P-SC-10") {
		t.Error("the line has no finding with the requirement's id")
	}
}
