package web

import (
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

func TestAwaitedRequest(t *testing.T) {
	for want, sel := range map[string]testplans.Select{
		"$member-match":                 {Kind: []string{"operation"}, Operation: []string{"$member-match"}},
		"metadata":                      {Kind: []string{"capabilities"}},
		"POST Register client or Token": {Kind: []string{"oauth-dcr", "oauth-token"}, Method: []string{"POST"}},
		"search of Patient":             {Kind: []string{"search-type"}, Type: []string{"Patient"}},
		"read of A, B, C, D or 2 more":  {Kind: []string{"read"}, Type: []string{"A", "B", "C", "D", "E", "F"}},
		"read of A, B, C, D or E":       {Kind: []string{"read"}, Type: []string{"A", "B", "C", "D", "E"}},
		"$export, at system level":      {Kind: []string{"bulk-kickoff"}, Operation: []string{"$export"}, Level: "system"},
		"a request":                     {},
	} {
		if got := awaitedRequest(&sel); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := awaitedFields(map[string]string{"b": "*", "a": "1", "c": "-", "d": "${x}"}), "a = 1, b with any value, no c, d as an earlier exchange gave it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRunSaysWhatIsAwaited opens a run at the first required step that nobody has shown, with the request that would.
func TestRunSaysWhatIsAwaited(t *testing.T) {
	store := apitest.NewStore()
	channel := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	addExchange(store, "x1", 0, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200})
	store.AddReport(&validators.Report{Subject: "x1"})
	plan := attestPlan
	plan.Steps = []testplans.Step{attestPlan.Steps[0], attestPlan.Steps[2]}
	plan.Steps[1].Optional = false
	plan.Steps[1].Select.Parameters = map[string]string{"_format": "*"}
	plan.Steps[1].Select.Follows = []testplans.Follows{{Step: "capabilities", By: testplans.ByToken}}
	s := kept(t, store, plan)
	body := get(t, s, "/scenarios/attest?channel="+channel).Body.String()
	for _, want := range []string{
		"Step 2, Match the member", "$member-match from Harborlight Health Plan to Cedar Mesa Mutual", "_format with any value",
		"step 1 (Read the capabilities), with the token that it gave", "http://127.0.0.1:8081/" + channel,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	addExchange(store, "x2", time.Minute, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 500})
	if body := get(t, s, "/scenarios/attest?channel="+channel+"&step=capabilities").Body.String(); strings.Contains(body, "Awaited") {
		t.Error("a step that was shown awaits something")
	}
}
