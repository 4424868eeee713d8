package judge_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/validators"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

func read(t testing.TB, text string) testplans.Plan {
	t.Helper()
	p, err := planfile.Parse("test.yaml", []byte(text), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func items(list ...checks.Item) iter.Seq2[checks.Item, error] {
	return func(yield func(checks.Item, error) bool) {
		for _, it := range list {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// search is a search for Patients that was answered with a status and a body.
func search(n, status int, body string) checks.Item {
	bodies := proxytest.Bodies{}
	ex := proxytest.Exchange(bodies, n, "GET", "/fhir/Patient?name=x", status, body)
	ex.Number = int64(n)
	ex.Interaction = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}
	return checks.Item{Exchange: ex, Report: &validators.Report{}, Bodies: bodies}
}

func verdict(t *testing.T, results []testplans.Result, step, check string) *testplans.Result {
	t.Helper()
	for i := range results {
		if results[i].Step == step && results[i].Check == check {
			return &results[i]
		}
	}
	t.Fatalf("no result of %s/%s", step, check)
	return nil
}

const searchPlan = `plan: p
title: P
track: T
guides: {core: ">=3.1.1 <4"}
roles: {client: C, server: S}
steps:
  - step: search
    title: Search
    claim: A search works
    requirements: [X-1]
    select: {kind: [search-type], type: [Patient]}
    capture:
      - {name: found, from: response, fhirpath: entry.resource.id}
    checks:
      - {check: ok, claim: It is 200, side: server, status: ["200"]}
      - {check: bundle, claim: It is a Bundle, side: server, fhirpath: {on: response, expr: $this is Bundle}}
      - {check: never-500, claim: It is never 500, side: server, every: true, status: ["2xx", "4xx"]}
      - {check: polite, claim: It says who asks, side: client, strength: SHOULD, header: {on: request, name: User-Agent}}
  - step: read
    title: Read
    claim: What was found is read
    requirements: [X-2]
    optional: true
    select: {kind: [read], type: [Patient], follows: [{step: search, by: id, variable: found}]}
    checks:
      - {check: ok, claim: It is 200, side: server, status: ["200"]}
      - {check: same, claim: It is the one, side: server, fhirpath: {on: response, expr: id = %found}}
`

const bundle = `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"p1"}}]}`

func TestJudge(t *testing.T) {
	truncated := search(1, 200, bundle)
	truncated.Exchange.Response.Body.Stored = 3
	silent := search(1, 200, "")
	silent.Exchange.Response, silent.Exchange.Failure = nil, &proxy.Failure{Reason: proxy.ReasonUpstreamTimeout, Side: "server", Detail: "no answer in time"}
	gone := search(1, 200, "")
	gone.Exchange.Response, gone.Exchange.Failure = nil, &proxy.Failure{Reason: proxy.ReasonClientGone, Side: "client", Detail: "hung up"}
	ours := search(1, 200, "")
	ours.Exchange.Response, ours.Exchange.Failure = nil, &proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: "disk full"}
	elsewhere := search(1, 200, bundle)
	elsewhere.Exchange.Channel = "other~pair"

	type want struct {
		check   string // "" is the step
		verdict testplans.Verdict
		side    validators.Side
		numbers string
		message string
	}
	for _, tt := range []struct {
		name string
		run  testplans.Run
		in   []checks.Item
		want []want
	}{
		{"nothing", testplans.Run{}, nil, []want{{"", testplans.NotShown, "", "", "no such exchange was recorded"}, {"ok", testplans.NotShown, "", "", ""}}},
		{"a good one", testplans.Run{}, []checks.Item{search(1, 200, bundle)}, []want{
			{"", testplans.PassNotes, "", "1", ""}, {"ok", testplans.Pass, "", "1", ""}, {"polite", testplans.Fail, validators.SideClient, "1", "no header User-Agent"},
		}},
		{"a retry that works is a note", testplans.Run{}, []checks.Item{search(1, 400, "{}"), search(2, 200, bundle)}, []want{
			{"", testplans.PassNotes, "", "2", "1 other attempt did not pass"}, {"ok", testplans.Pass, "", "2", ""}, {"never-500", testplans.Pass, "", "1 2", ""},
		}},
		{"what must never happen outweighs a good attempt", testplans.Run{}, []checks.Item{search(1, 500, "{}"), search(2, 200, bundle)}, []want{
			{"", testplans.Fail, validators.SideServer, "1", "never-500: the status is 500"}, {"ok", testplans.Pass, "", "2", ""}, {"never-500", testplans.Fail, validators.SideServer, "1", "the status is 500, where 2xx or 4xx is expected"},
		}},
		{"the better of two bad ones", testplans.Run{}, []checks.Item{search(1, 404, "{}"), search(2, 404, bundle)}, []want{
			{"", testplans.Fail, validators.SideServer, "2", "ok: the status is 404"}, {"bundle", testplans.Pass, "", "2", ""},
		}},
		{"a body that was cut", testplans.Run{}, []checks.Item{truncated}, []want{{"", testplans.NotChecked, "", "1", "only 3 of"}, {"bundle", testplans.NotChecked, "", "1", ""}}},
		{"no answer is the server's", testplans.Run{}, []checks.Item{silent}, []want{{"ok", testplans.Fail, validators.SideServer, "1", "no answer in time"}}},
		{"hanging up is nobody's fault", testplans.Run{}, []checks.Item{gone}, []want{{"", testplans.NotShown, "", "1", "hung up"}}},
		{"our failure counts for nobody", testplans.Run{}, []checks.Item{ours}, []want{{"", testplans.ToolError, "", "1", "disk full"}}},
		{"another channel", testplans.Run{Channel: "acme-ehr~diamond-payer"}, []checks.Item{elsewhere}, []want{{"", testplans.NotShown, "", "", ""}}},
		{"outside the window", testplans.Run{Since: search(2, 200, "").Exchange.Timing.Start}, []checks.Item{search(1, 200, bundle)}, []want{{"", testplans.NotShown, "", "", ""}}},
		{"at its end", testplans.Run{Until: search(1, 200, "").Exchange.Timing.Start}, []checks.Item{search(1, 200, bundle)}, []want{{"", testplans.NotShown, "", "", ""}}},
		{"another version of the guide", testplans.Run{Context: validators.Context{Guides: []string{"core#6.1.0"}}}, []checks.Item{search(1, 500, "")}, []want{{"", testplans.NotApplicable, "", "", "other versions"}, {"ok", testplans.NotApplicable, "", "", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := judge.Judge(t.Context(), read(t, searchPlan), tt.run, items(tt.in...), checks.NewTable(fhirpathtest.Small()))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range tt.want {
				r := verdict(t, results, "search", w.check)
				var numbers []string
				for _, e := range r.Evidence {
					numbers = append(numbers, fmt.Sprint(e.Number))
				}
				if r.Verdict != w.verdict || r.Side != w.side || strings.Join(numbers, " ") != w.numbers || !strings.Contains(r.Message, w.message) {
					t.Errorf("search/%s: %s side %q evidence %v: %s; want %+v", w.check, r.Verdict, r.Side, numbers, r.Message, w)
				}
				if r.PlanDigest == "" || len(r.Digest) != 64 {
					t.Errorf("search/%s has no digests: %+v", w.check, r)
				}
			}
			if whole := results[0]; whole.Step != "" || whole.Verdict != verdict(t, results, "search", "").Verdict {
				t.Errorf("the whole is %s", whole.Verdict)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	one := func(n int, id string) checks.Item {
		bodies := proxytest.Bodies{}
		ex := proxytest.Exchange(bodies, n, "GET", "/fhir/Patient/"+id, 200, `{"resourceType":"Patient","id":"`+id+`"}`)
		ex.Interaction = proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: id}
		return checks.Item{Exchange: ex, Report: &validators.Report{}, Bodies: bodies}
	}
	for _, tt := range []struct {
		in   []checks.Item
		want testplans.Verdict
	}{
		{[]checks.Item{search(1, 200, bundle), one(2, "p1")}, testplans.Pass},
		{[]checks.Item{search(1, 200, bundle), one(2, "p9")}, testplans.NotShown}, // another patient's read is no attempt
		{[]checks.Item{one(2, "p1")}, testplans.NotShown},
		{[]checks.Item{search(1, 200, `{"resourceType":"Bundle"}`), one(2, "p1")}, testplans.NotShown},
	} {
		results, err := judge.Judge(t.Context(), read(t, searchPlan), testplans.Run{}, items(tt.in...), checks.NewTable(fhirpathtest.Small()))
		if err != nil {
			t.Fatal(err)
		}
		if r := verdict(t, results, "read", ""); r.Verdict != tt.want {
			t.Errorf("%d exchanges: %s: %s, want %s", len(tt.in), r.Verdict, r.Message, tt.want)
		}
	}
}

func TestAttestation(t *testing.T) {
	plan := read(t, `plan: p
title: P
track: T
roles: {client: C, server: S}
steps:
  - step: talk
    title: Talk
    claim: They talked
    requirements: [X-1]
    checks:
      - {check: said, claim: It was said, side: both, attestation: {question: Was it?}}
`)
	ask := func(a ...testplans.Attestation) *testplans.Result {
		results, err := judge.Judge(t.Context(), plan, testplans.Run{Kind: testplans.Observed, Attestations: a}, items(search(1, 200, bundle)), checks.NewTable(nil))
		if err != nil {
			t.Fatal(err)
		}
		return verdict(t, results, "talk", "said")
	}
	if r := ask(); r.Verdict != testplans.NotShown || r.Kind != testplans.Observed || len(r.Evidence) != 0 {
		t.Errorf("unanswered: %+v", r)
	}
	yes := testplans.Attestation{Step: "talk", Check: "said", Verdict: testplans.Pass, By: "Ada"}
	if r := ask(yes); r.Verdict != testplans.Pass || r.Kind != testplans.Attested || !strings.Contains(r.Message, "Ada") {
		t.Errorf("answered: %+v", r)
	}
	no := testplans.Attestation{Step: "talk", Check: "said", Verdict: testplans.Fail, By: "Bo", Note: "it was not"}
	if r := ask(yes, no); r.Verdict != testplans.Fail || !strings.Contains(r.Message, "it was not") {
		t.Errorf("the last word does not count: %+v", r)
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("disk gone")
	_, err := judge.Judge(t.Context(), read(t, searchPlan), testplans.Run{}, func(yield func(checks.Item, error) bool) { yield(checks.Item{}, broken) }, checks.NewTable(nil))
	if !errors.Is(err, broken) {
		t.Errorf("evidence: %v", err)
	}
	if _, err := judge.Judge(t.Context(), read(t, searchPlan), testplans.Run{}, items(search(1, 200, bundle)), checks.Table{}); err == nil {
		t.Error("a table without kinds judges")
	}
}

func BenchmarkJudge(b *testing.B) {
	const n = 10_000
	list := make([]checks.Item, n)
	for i := range list {
		list[i] = search(i%60_000, 200, bundle)
		list[i].Exchange.ID = fmt.Sprintf("%032d", i)
		list[i].Exchange.Timing.Start = time.Unix(int64(i), 0)
	}
	plan, table := read(b, searchPlan), checks.NewTable(fhirpathtest.Small())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := judge.Judge(b.Context(), plan, testplans.Run{}, items(list...), table); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/exchange")
}

// BenchmarkAdd is what one more exchange costs beside 2,000 that were judged.
func BenchmarkAdd(b *testing.B) {
	const n = 2000
	plan, table := read(b, searchPlan), checks.NewTable(fhirpathtest.Small())
	j := judge.New(plan, testplans.Run{}, table)
	add := func(i int) {
		it := search(i%60_000, 200, bundle)
		it.Exchange.ID = fmt.Sprintf("%032d", i)
		it.Exchange.Timing.Start = time.Unix(int64(i), 0)
		j.Add(it)
		if _, err := j.Results(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		add(i)
	}
	b.ReportAllocs()
	for i := n; b.Loop(); i++ {
		add(i)
	}
}
