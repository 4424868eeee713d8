package judge_test

import (
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/validators"
)

// TestSelectsByTheShortForm asks with what lists of exchanges have, which is neither headers nor handshakes: what depends on those may be wanted.
func TestSelectsByTheShortForm(t *testing.T) {
	status := []testplans.Check{{ID: "ok", Side: validators.SideServer, Status: []string{"200"}}}
	ex := &proxy.Exchange{Interaction: proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient"}, Response: &proxy.Response{Status: 200}}
	for _, tt := range []struct {
		name string
		sel  testplans.Select
		want bool
	}{
		{"kind", testplans.Select{Kind: []string{"read"}}, true},
		{"another kind", testplans.Select{Kind: []string{"token"}}, false},
		{"another status", testplans.Select{Status: []string{"4xx"}}, false},
		{"a header", testplans.Select{Headers: map[string]string{"Authorization": "*"}}, true},
		{"no such header", testplans.Select{Headers: map[string]string{"Authorization": "-"}}, true},
		{"a header and another type", testplans.Select{Type: []string{"Group"}, Headers: map[string]string{"Authorization": "*"}}, false},
		{"a certificate", testplans.Select{Certificate: "*"}, true},
		{"no certificate", testplans.Select{Certificate: "-"}, true},
	} {
		plan := &testplans.Plan{Steps: []testplans.Step{{ID: "s", Select: tt.sel, Checks: status}}}
		if got, report := judge.Selects(plan, ex); got != tt.want || report {
			t.Errorf("%s: %v, %v", tt.name, got, report)
		}
	}
}

// TestFindingsAreAskedAsTheyCome has reports come with their exchanges, later, and anew.
func TestFindingsAreAskedAsTheyCome(t *testing.T) {
	plan := testplans.Plan{ID: "p", Steps: []testplans.Step{{
		ID: "s", Select: testplans.Select{Kind: []string{"search-type"}},
		Checks: []testplans.Check{
			{ID: "ok", Side: validators.SideServer, Status: []string{"200"}},
			{ID: "clean", Side: validators.SideServer, Findings: &testplans.FindingsCheck{}},
		},
	}}}
	good := &validators.Report{}
	bad := &validators.Report{Issues: []validators.Issue{{Severity: validators.SeverityError, MessageID: "m", Message: "no", Side: validators.SideServer}}}
	with := func(n int, r *validators.Report) checks.Item {
		it := search(n, 200, bundle)
		it.Report = r
		return it
	}
	j := judge.New(plan, testplans.Run{}, checks.NewTable(nil))
	for _, tt := range []struct {
		name string
		add  []checks.Item
		want testplans.Verdict
	}{
		{"not inspected", []checks.Item{with(1, nil)}, testplans.NotChecked},
		{"inspected", []checks.Item{with(1, bad)}, testplans.Fail},
		{"another, with its report", []checks.Item{with(2, good)}, testplans.Pass},
		{"that one anew", []checks.Item{with(2, bad)}, testplans.Fail},
		{"one after the other before anybody asks", []checks.Item{with(3, bad), with(3, good)}, testplans.Pass},
	} {
		for _, it := range tt.add {
			j.Add(it)
		}
		results, err := j.Results(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(t, results, "s", "clean").Verdict; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := verdict(t, results, "s", "ok").Verdict; got != testplans.Pass {
			t.Errorf("%s: the other check is %s", tt.name, got)
		}
	}
}
