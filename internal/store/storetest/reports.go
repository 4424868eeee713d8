package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

func testReports(t *testing.T, s Store) {
	bodies := Bodies{}
	putAll(t, s, bodies, Exchange(1, bodies), Exchange(2, bodies))
	if _, err := s.Report(t.Context(), ID(1)); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("before it is judged: %v", err)
	}
	if err := s.SaveReport(t.Context(), Report(9, 1)); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("a report on an unknown exchange: %v", err)
	}
	bad := Report(1, 1, Issue(validators.SeverityError, "dom-6"), Issue(validators.SeverityWarning, "cardinality-min"))
	good := Report(1, 2)
	fatal(t, s.SaveReport(t.Context(), bad))
	sums, err := s.Summaries(t.Context(), []string{ID(1), ID(2), "unknown"})
	if err != nil || !reflect.DeepEqual(sums, map[string]validators.Summary{ID(1): bad.Summary}) {
		t.Errorf("summaries %+v, %v", sums, err)
	}
	got, err := s.Report(t.Context(), ID(1))
	fatal(t, err)
	if !reflect.DeepEqual(*got, bad) {
		t.Errorf("got  %+v\nwant %+v", *got, bad)
	}
	// The newest counts, none is lost.
	fatal(t, s.SaveReport(t.Context(), good))
	got, err = s.Report(t.Context(), ID(1))
	fatal(t, err)
	if got.Context.Rules != 2 || got.Summary != good.Summary {
		t.Errorf("newest report %+v", got)
	}
	all, err := s.Reports(t.Context(), ID(1))
	if err != nil || len(all) != 2 || all[0].Context.Rules != 2 || !reflect.DeepEqual(*all[1], bad) {
		t.Errorf("history %+v, %v", all, err)
	}
	if found := find(t, s, "rule:dom-6"); len(found) != 0 {
		t.Errorf("a finding of an older report still filters: %v", found)
	}
}

func testManyFindings(t *testing.T, s Store) {
	bodies := Bodies{}
	putAll(t, s, bodies, Exchange(1, bodies))
	var issues []validators.Issue
	for range 20_000 {
		issues = append(issues, Issue(validators.SeverityError, "dom-6"), Issue(validators.SeverityError, "DOM-6"))
	}
	fatal(t, s.SaveReport(t.Context(), Report(1, 1, issues...)))
	if got, err := s.Report(t.Context(), ID(1)); err != nil || len(got.Issues) != 40_000 {
		t.Errorf("report %v", err)
	}
	if found := find(t, s, "rule:dom-6"); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

func testUnjudged(t *testing.T, s Store) {
	bodies := Bodies{}
	for n := range 5 {
		putAll(t, s, bodies, Exchange(n, bodies))
	}
	check := func(rules, limit int, want ...int) {
		t.Helper()
		got, err := s.Unjudged(t.Context(), rules, limit)
		fatal(t, err)
		var wantIDs []string
		for _, n := range want {
			wantIDs = append(wantIDs, ID(n))
		}
		if !slices.Equal(got, wantIDs) {
			t.Errorf("unjudged at rules %d: %v, want %v", rules, got, wantIDs)
		}
	}
	check(1, 10, 0, 1, 2, 3, 4)
	check(1, 2, 0, 1)
	fatal(t, s.SaveReport(t.Context(), Report(1, 1)))
	fatal(t, s.SaveReport(t.Context(), Report(3, 2)))
	check(1, 10, 0, 2, 4)
	check(2, 10, 0, 1, 2, 4)
	check(3, 10, 0, 1, 2, 3, 4)
	for rules, want := range map[int]bool{1: true, 2: true, 3: false} {
		if got, err := s.Judged(t.Context(), ID(3), rules); err != nil || got != want {
			t.Errorf("judged at rules %d: %v, %v", rules, got, err)
		}
	}
	fatal(t, s.SaveReport(t.Context(), Report(1, 2)))
	check(2, 10, 0, 2, 4)
	for n := range 5 {
		fatal(t, s.SaveReport(t.Context(), Report(n, validators.RulesVersion)))
	}
	if n, err := s.CountUnjudged(t.Context()); err != nil || n != 0 {
		t.Errorf("%d unjudged, %v", n, err)
	}
	check(validators.RulesVersion, 10)
	putAll(t, s, bodies, Exchange(5, bodies))
	if n, err := s.CountUnjudged(t.Context()); err != nil || n != 1 {
		t.Errorf("%d unjudged, %v", n, err)
	}
}

func testBulkURLs(t *testing.T, s Store) {
	if _, err := s.BulkURL(t.Context(), "http://h/1"); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("an unknown URL: %v", err)
	}
	fatal(t, s.LearnBulkURLs(t.Context(), map[string]proxy.Kind{"http://h/1": proxy.KindBulkStatus, "http://h/2": proxy.KindBulkFile}))
	fatal(t, s.LearnBulkURLs(t.Context(), map[string]proxy.Kind{"http://h/1": proxy.KindBulkStatus}))
	fatal(t, s.LearnBulkURLs(t.Context(), nil))
	for url, want := range map[string]proxy.Kind{"http://h/1": proxy.KindBulkStatus, "http://h/2": proxy.KindBulkFile} {
		if got, err := s.BulkURL(t.Context(), url); err != nil || got != want {
			t.Errorf("%s is %q, %v", url, got, err)
		}
	}
}

// find lists the numbers of the exchanges that match, oldest first.
func find(t *testing.T, s Store, filter string) []int {
	t.Helper()
	f, errs := proxy.ParseFilter(filter)
	if len(errs) > 0 {
		t.Fatalf("%s: %v", filter, errs)
	}
	p, err := s.Exchanges(t.Context(), proxy.Query{Filter: f})
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	var out []int
	for _, e := range p.Exchanges {
		out = append(out, int(e.Number))
	}
	if p.Total != len(out) {
		t.Errorf("%s: total %d, want %d", filter, p.Total, len(out))
	}
	slices.Reverse(out)
	return out
}

// filterCases are six exchanges: 1 a clean read, 2 a failing search, 3 $member-match with a warning by another client,
// 4 without a response, 5 a bulk kick-off that waits to be judged, 6 that we failed on.
func filterCases(t *testing.T, s Store) {
	t.Helper()
	bodies := Bodies{}
	es := make([]*proxy.Exchange, 7)
	for n := 1; n <= 6; n++ {
		es[n] = Exchange(n, bodies)
	}
	es[2].Interaction = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Coverage"}
	es[2].Response.Status = 400
	es[2].Request.URL += "?patient=100%25_x"
	es[2].Response.Body = bodies.Add(make([]byte, 5000))
	es[3].Interaction = proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}
	es[3].Request.Method = "POST"
	es[3].Channel = "beta-ehr~diamond-payer~x1y2"
	es[4].Response, es[4].Failure = nil, &proxy.Failure{Reason: proxy.ReasonUpstreamDown, Side: "server", Detail: "refused"}
	es[4].Timing.End = es[4].Timing.Start.Add(3 * time.Second)
	es[5].Interaction = proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "Group", Operation: "$export"}
	es[5].Response.Status = 202
	putAll(t, s, bodies, es[1:]...)

	fatal(t, s.SaveReport(t.Context(), Report(1, 1)))
	broken := Issue(validators.SeverityError, "invariant")
	broken.Constraint, broken.Profile = "us-core-8", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1"
	fatal(t, s.SaveReport(t.Context(), Report(2, 1, broken)))
	fatal(t, s.SaveReport(t.Context(), Report(3, 1, Issue(validators.SeverityWarning, "cardinality-min"))))
	cut := Report(4, 1)
	cut.Summary.Unjudged = "no response"
	cut.Resources = nil
	fatal(t, s.SaveReport(t.Context(), cut))
	ours := Report(6, 1)
	ours.Summary.ToolError = "panic"
	fatal(t, s.SaveReport(t.Context(), ours))
}

func testFilters(t *testing.T, s Store) {
	filterCases(t, s)
	tests := []struct {
		filter string
		want   []int
	}{
		{"", []int{1, 2, 3, 4, 5, 6}},
		{"type:patient", []int{1, 3, 4, 6}},
		{"type:Patient,Group", []int{1, 3, 4, 5, 6}},
		{"-type:Patient", []int{2, 5}},
		{"type:C*", []int{2}},
		{"op:$member-match", []int{3}},
		{"op:Member-Match", []int{3}},
		{"op:*export", []int{5}},
		{"-op:$export", []int{1, 2, 3, 4, 6}},
		{"kind:search", []int{2}},
		{"kind:bulk,operation", []int{3, 5}},
		{"status:>=400", []int{2}},
		{"status:4xx", []int{2}},
		{"status:<300", []int{1, 3, 5, 6}},
		{"status:none", []int{4}},
		{"-status:200", []int{2, 4, 5}},
		{"method:post", []int{3}},
		{"client:acme-ehr", []int{1, 2, 4, 5, 6}},
		{"client:beta*", []int{3}},
		{"server:diamond-payer", []int{1, 2, 3, 4, 5, 6}},
		{"channel:beta-ehr~*", []int{3}},
		{"verdict:pass", []int{1}},
		{"verdict:pass-notes", []int{3}},
		{"verdict:fail,error", []int{2, 6}},
		{"verdict:not-checked", []int{4}},
		{"verdict:pending", []int{5}},
		{"-verdict:pass", []int{2, 3, 4, 5, 6}},
		{"finding:error", []int{2}},
		{"finding:warning", []int{3}},
		{"finding:any", []int{2, 3}},
		{"finding:none", []int{1}},
		{"finding:unchecked", []int{4}},
		{"finding:pending", []int{5}},
		{"-finding:error", []int{1, 3, 4, 5, 6}},
		{"rule:invariant", []int{2}},
		{"rule:US-core-8", []int{2}},
		{"rule:cardinality-*,us-core-*", []int{2, 3}},
		{"-rule:invariant", []int{1, 3, 4, 5, 6}},
		{"profile:us-core-patient", []int{2}},
		{"profile:us-core*", []int{2}},
		{"profile:us-core-patient|3.1.1", []int{2}},
		{"profile:patient", []int{1, 2, 3, 6}},
		{"profile:http://hl7.org/fhir/StructureDefinition/Patient", []int{1, 2, 3, 6}},
		{"side:server", []int{2}},
		{"failure:yes", []int{4}},
		{"failure:no", []int{1, 2, 3, 5, 6}},
		{"failure:upstream-down", []int{4}},
		{"number:3", []int{3}},
		{"number:>4", []int{5, 6}},
		{"id:" + ID(2), []int{2}},
		{"id:019", []int{1, 2, 3, 4, 5, 6}},
		{"size:>=5000", []int{2}},
		{"size:>4k", []int{2}},
		{"ms:>=3s", []int{4}},
		{"ms:20", []int{1, 2, 3, 5, 6}},
		{"since:2026-01-02T10:00:05", []int{5, 6}},
		{"until:2026-01-02T10:00:02Z", []int{1, 2}},
		{"since:59m56s", []int{4, 5, 6}}, // the clock stands at Epoch plus one hour
		{"Patient/p3", []int{3}},
		{"PATIENT/P3", []int{3}},
		{"100%25_x", []int{2}},
		{"p_", nil},
		{"-Patient", nil},
		{"type:Patient method:GET -failure:yes finding:none", []int{1}},
	}
	for _, tc := range tests {
		if got := find(t, s, tc.filter); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.filter, got, tc.want)
		}
	}
}
