package judge_test

import (
	"encoding/json"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/validators"
)

// TestUnverifiedServers: what rests on exchanges with a server that was not verified says so, check by check and as a whole; the
// verdict is the same.
func TestUnverifiedServers(t *testing.T) {
	plan := read(t, searchPlan)
	run := testplans.Run{Kind: testplans.Observed, Context: validators.Context{Rules: 1}}
	insecure := func(it checks.Item) checks.Item {
		it.Exchange.ServerLeg = &proxy.Leg{TLS: &proxy.TLS{Trust: proxy.TrustInsecure}}
		return it
	}
	var many []checks.Item
	for n := range testplans.MaxEvidence + 5 {
		many = append(many, search(n+1, 200, bundle))
	}
	many[len(many)-1] = insecure(many[len(many)-1])
	for _, tt := range []struct {
		name         string
		items        []checks.Item
		whole, every int // of the whole, of the check that is asked of every attempt
	}{
		{"none", []checks.Item{search(1, 200, bundle)}, 0, 0},
		{"one of two", []checks.Item{search(1, 200, bundle), insecure(search(2, 200, bundle))}, 1, 1},
		{"both", []checks.Item{insecure(search(1, 200, bundle)), insecure(search(2, 200, bundle))}, 2, 2},
		{"one that is not pointed at", many, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := judge.Judge(t.Context(), plan, run, items(tt.items...), checks.NewTable(nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := testplans.Unverified(results); got != tt.whole {
				t.Errorf("whole: %d, want %d", got, tt.whole)
			}
			every := verdict(t, results, "search", "never-500")
			if every.Insecure != tt.every || every.Verdict != testplans.Pass {
				t.Errorf("check: %d %s, want %d", every.Insecure, every.Verdict, tt.every)
			}
			for _, e := range every.Evidence {
				if want := tt.items[e.Number-1].Exchange.Insecure(); e.Insecure != want {
					t.Errorf("exchange %d: %v, want %v", e.Number, e.Insecure, want)
				}
			}
			text, err := json.Marshal(testplans.NewTestReport(&plan, results, testplans.ReportOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(string(text), testplans.SayUnverified(tt.whole)); tt.whole > 0 && !said || tt.whole == 0 && strings.Contains(string(text), "not verified") {
				t.Errorf("TestReport: %s", text)
			}
		})
	}
}
