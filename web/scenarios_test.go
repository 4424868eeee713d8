package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

var matchPlan = testplans.Plan{
	ID: "payer-to-payer", Title: "Match a member, then fetch the record", Track: "Payer to payer", Scenario: "The new payer finds the member at the old one and takes the record over.",
	Guides: map[string]string{"hl7.fhir.us.davinci-pdex": ">=2.0.0 <2.1.0"}, Roles: testplans.Roles{Client: "the new payer", Server: "the old payer"},
	Preconditions: []string{"The member has a consent."},
	Steps: []testplans.Step{
		{ID: "capabilities", Title: "Read the capabilities", Claim: "The server says what it can do.", Requirements: []string{"P2P-SC-10"}, Checks: []testplans.Check{{ID: "status"}}},
		{ID: "match", Title: "Match the member", Claim: "The member is found with a consent.", Requirements: []string{"P2P-MM-104"}, Checks: []testplans.Check{{ID: "consent", Requirements: []string{"P2P-MM-110"}}, {ID: "status"}}},
		{ID: "fetch", Title: "Fetch the record", Claim: "The record of that member is read.", Checks: []testplans.Check{{ID: "pages"}}},
		{ID: "export", Title: "Export the record", Claim: "The record is exported in files.", Optional: true, Checks: []testplans.Check{{ID: "manifest", Strength: validators.Should}}},
	},
}

var drugPlan = testplans.Plan{
	ID: "formulary", Title: "Search a formulary", Track: "Formulary", Roles: testplans.Roles{Client: "an app", Server: "a payer"},
	Steps: []testplans.Step{{ID: "search", Title: "Search drugs", Claim: "Drugs are found.", Checks: []testplans.Check{{ID: "status"}}}},
}

func evidenceOf(ids ...string) []testplans.Evidence {
	var out []testplans.Evidence
	for _, id := range ids {
		n := int64(0)
		for _, c := range strings.TrimPrefix(id, "x") {
			n = n*10 + int64(c-'0')
		}
		out = append(out, testplans.Evidence{Exchange: id, Number: n})
	}
	return out
}

// failedMatch is a judging of matchPlan with a failure, a note, something missing and something waiting.
func failedMatch(channel string, kind testplans.EvidenceKind) testplans.Judgement {
	return testplans.Judgement{
		Plan: matchPlan.ID, Channel: channel, Kind: kind, State: testplans.Evaluating, Exchanges: 11, Waiting: 1, Last: start.Add(210 * time.Second),
		Results: []testplans.Result{
			{Verdict: testplans.Fail, Side: validators.SideClient, Claim: matchPlan.Title},
			{Step: "capabilities", Verdict: testplans.PassNotes, Claim: "The server says what it can do.", Message: "1 other attempts did not pass", Evidence: evidenceOf("x1"), Requirements: []string{"P2P-SC-10"}},
			{Step: "capabilities", Check: "status", Verdict: testplans.Pass, Claim: "The answer is 200", Strength: validators.Shall, Evidence: evidenceOf("x1"), Requirements: []string{"P2P-SC-10"}},
			{
				Step: "match", Verdict: testplans.Fail, Side: validators.SideClient, Claim: "The member is found with a consent.", Message: "consent: the request has no Consent", Evidence: evidenceOf("x3", "x99"), EvidenceCut: 2,
				Requirements: []string{"P2P-MM-104"}, Context: validators.Context{Guides: []string{"hl7.fhir.us.davinci-pdex#2.0.0"}, Rules: 1, Terminology: "offline"},
			},
			{Step: "match", Check: "consent", Verdict: testplans.Fail, Side: validators.SideClient, Claim: "The request carries a Consent", Message: "the request has no Consent", Strength: validators.Shall, Evidence: evidenceOf("x3"), Requirements: []string{"P2P-MM-110"}},
			{Step: "match", Check: "status", Verdict: testplans.Pass, Claim: "The answer fits", Strength: validators.Should, Evidence: evidenceOf("x3")},
			{Step: "fetch", Verdict: testplans.NotShown, Claim: "The record of that member is read.", Message: "no such exchange was recorded"},
			{Step: "fetch", Check: "pages", Verdict: testplans.NotShown, Claim: "All pages are fetched", Strength: validators.Shall},
			{Step: "export", Optional: true, Verdict: testplans.NotChecked, Claim: "The record is exported in files.", Message: "the body broke off before its end", Evidence: evidenceOf("x7", "x8", "x9")},
			{Step: "export", Check: "manifest", Verdict: testplans.NotChecked, Claim: "The manifest lists files", Strength: validators.Should},
		},
	}
}

func withPlans(t testing.TB, store *apitest.Store, sc *apitest.Scenarios, o Options) *Server {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func() time.Time { return start.Add(4 * time.Minute) }
	}
	d := store.Deps()
	d.Scenarios = sc
	s, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestPlanPages(t *testing.T) {
	none, full := apitest.NewStore(), apitest.NewStore()
	demo(t, full)
	ours := addPair(t, full, "Demo client", "Reference payer", true)
	const channel = "harborlight~cedar"
	plans := []testplans.Plan{drugPlan, matchPlan}
	failed := &apitest.Scenarios{List: plans, Judgements: map[string]testplans.Judgement{channel: failedMatch(channel, testplans.Observed)}}
	passed := failedMatch(ours, testplans.Simulated)
	passed.State, passed.Waiting, passed.Older = testplans.Done, 0, true
	for i := range passed.Results {
		passed.Results[i].Verdict, passed.Results[i].Side, passed.Results[i].Message = testplans.Pass, "", ""
	}
	failed.Judgements[ours] = passed
	broken := &apitest.Scenarios{List: plans, Err: errors.New("secret detail"), Failing: channel}
	for _, tt := range []struct {
		name, path string
		store      *apitest.Store
		scenarios  *apitest.Scenarios
		status     int
	}{
		{"scenarios", "/scenarios", full, failed, 200},
		{"scenarios-no-pairs", "/scenarios", none, failed, 200},
		{"scenarios-no-plans", "/scenarios", none, &apitest.Scenarios{}, 200},
		{"run-failed", "/scenarios/payer-to-payer?channel=" + channel, full, failed, 200},
		{"run-step", "/scenarios/payer-to-payer?step=export&channel=" + channel, full, failed, 200},
		{"run-part", "/scenarios/payer-to-payer?part=1&step=fetch&channel=" + channel, full, failed, 200},
		{"run-passed", "/scenarios/payer-to-payer?channel=" + ours, full, failed, 200},
		{"run-not-tried", "/scenarios/formulary?channel=" + channel, full, failed, 200},
		{"run-tool-error", "/scenarios/payer-to-payer?channel=" + channel, full, broken, 200},
		{"run-choose", "/scenarios/payer-to-payer", full, failed, 200},
		{"run-no-pair", "/scenarios/payer-to-payer", none, failed, 200},
		{"results", "/results?plan=payer-to-payer", full, failed, 200},
		{"results-part", "/results?plan=payer-to-payer&part=1", full, failed, 200},
		{"results-tool-error", "/results?plan=payer-to-payer", full, broken, 200},
		{"results-first-plan", "/results", full, failed, 200},
		{"results-no-systems", "/results", none, failed, 200},
		{"run-no-plan", "/scenarios/nope", full, failed, 404},
		{"run-no-channel", "/scenarios/formulary?channel=nope", full, failed, 404},
		{"results-no-plan", "/results?plan=nope", full, failed, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, withPlans(t, tt.store, tt.scenarios, Options{}), tt.path)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Error("the page tells the text of an internal error")
			}
			checkPage(t, tt.name+".html", w.Body.String())
		})
	}
}

func TestWithoutScenarios(t *testing.T) {
	s := newServer(t, apitest.NewStore(), Options{})
	for _, path := range []string{"/scenarios", "/results"} {
		if w := get(t, s, path); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No test plans") {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := get(t, s, "/scenarios/any"); w.Code != http.StatusNotFound {
		t.Errorf("a plan: status %d", w.Code)
	}
}

// TestHostilePlans puts markup into everything that a plan file, a judge or a registration can say.
func TestHostilePlans(t *testing.T) {
	store := apitest.NewStore()
	channel := addPair(t, store, "H "+hostile, "S "+hostile, false)
	addExchange(store, "h1", 0, spec{path: "/fhir/" + hostile, channel: channel, status: 200, kind: proxy.Interaction{Kind: proxy.KindOperation, Operation: "$" + hostile}})
	p := testplans.Plan{
		ID: hostile, Title: hostile, Track: hostile, Scenario: hostile, Guides: map[string]string{hostile: hostile}, Roles: testplans.Roles{Client: hostile, Server: hostile},
		Preconditions: []string{hostile},
		Steps:         []testplans.Step{{ID: hostile, Title: hostile, Claim: hostile, Requirements: []string{hostile}, Checks: []testplans.Check{{ID: hostile, Claim: hostile}}}},
	}
	j := testplans.Judgement{Plan: p.ID, Channel: channel, Kind: testplans.Observed, State: testplans.Done, Exchanges: 1, Last: start, Results: []testplans.Result{
		{Verdict: testplans.Fail, Side: hostile},
		{Step: hostile, Verdict: testplans.Fail, Side: hostile, Claim: hostile, Message: hostile, Evidence: []testplans.Evidence{{Exchange: "h1", Number: 1}, {Exchange: hostile, Number: 2}}},
		{Step: hostile, Check: hostile, Verdict: testplans.Fail, Side: hostile, Claim: hostile, Message: hostile, Strength: hostile, Requirements: []string{hostile + "2"}, Evidence: []testplans.Evidence{{Exchange: hostile}}},
	}}
	s := withPlans(t, store, &apitest.Scenarios{List: []testplans.Plan{p}, Judgements: map[string]testplans.Judgement{channel: j}}, Options{})
	for _, path := range []string{"/scenarios", runHref(p.ID, channel), runHref(p.ID, ""), runHref(p.ID, hostile), resultsHref(p.ID), "/results", resultsHref(p.ID + "x")} {
		w := get(t, s, path)
		if w.Code >= 500 {
			t.Errorf("%s: status %d", path, w.Code)
		}
		noMarkup(t, path, w)
	}
}

func TestNumbersOf(t *testing.T) {
	for _, tt := range []struct {
		evidence []testplans.Evidence
		cut      int
		want     string
	}{
		{nil, 0, ""},
		{evidenceOf("x7"), 0, "7"},
		{evidenceOf("x8", "x7"), 0, "7, 8"},
		{evidenceOf("x7", "x8", "x9", "x10"), 0, "7 to 10"},
		{evidenceOf("x7", "x8", "x9", "x10"), 3, "7, 8, 9 and 4 more"},
		{evidenceOf("x1", "x8", "x9"), 0, "1, 8, 9"},
	} {
		if got := numbersOf(tt.evidence, tt.cut); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 41 * time.Second: "41 s", 3 * time.Minute: "3 m", 119 * time.Minute: "1 h", 47 * time.Hour: "47 h", 5 * 24 * time.Hour: "5 d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func BenchmarkRunPage(b *testing.B) {
	store := apitest.NewStore()
	demo(b, store)
	const channel = "harborlight~cedar"
	s := withPlans(b, store, &apitest.Scenarios{List: []testplans.Plan{matchPlan}, Judgements: map[string]testplans.Judgement{channel: failedMatch(channel, testplans.Observed)}}, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if w := get(b, s, "/scenarios/payer-to-payer?part=1&channel="+channel); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
