package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

var start = time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC)

var plan = testplans.Plan{
	ID: "match", Title: "Match a member", Track: "Payer to payer", Digest: "d1",
	Steps: []testplans.Step{
		{ID: "capabilities", Claim: "The server says what it can do.", Select: testplans.Select{Kind: []string{"capabilities"}}, Checks: []testplans.Check{{ID: "status", Side: validators.SideServer, Status: []string{"200"}}}},
		{ID: "match", Claim: "The member is matched.", Select: testplans.Select{Operation: []string{"$member-match"}}, Checks: []testplans.Check{
			{ID: "status", Side: validators.SideServer, Status: []string{"200"}},
			{ID: "clean", Side: validators.SideServer, Findings: &testplans.FindingsCheck{}},
		}},
	},
}

// counting counts the exchanges loaded whole.
type counting struct {
	*apitest.Store
	runs   *apitest.Runs
	loaded atomic.Int64
}

func (c *counting) ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error) {
	c.loaded.Add(int64(len(ids)))
	return c.Store.ExchangesByID(ctx, ids)
}

func fixture(t testing.TB, o scenarios.Options) (*counting, *scenarios.Service) {
	t.Helper()
	return fixtureOf(t, []testplans.Plan{plan}, o)
}

func fixtureOf(t testing.TB, plans []testplans.Plan, o scenarios.Options) (*counting, *scenarios.Service) {
	t.Helper()
	store := &counting{Store: apitest.NewStore(), runs: apitest.NewRuns()}
	ctx := context.WithoutCancel(t.Context())
	client := &proxy.System{ID: "c", Slug: "acme", Name: "Acme"}
	server := &proxy.System{ID: "s", Slug: "reference", Name: "Reference", Simulated: true}
	channel := &proxy.Channel{ID: "ch", Name: "acme~reference", ClientID: "c", ServerID: "s"}
	if err := errors.Join(store.SaveSystem(ctx, client), store.SaveSystem(ctx, server), store.SaveChannel(ctx, channel)); err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.New(plans, scenarios.Source{Exchanges: store, Reports: store, Bodies: store}, store, store.runs, checks.NewTable(nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return store, s
}

func add(store *counting, id string, kind proxy.Interaction, status int, issues ...validators.Issue) {
	e := &proxy.Exchange{ID: id, Channel: "acme~reference", Interaction: kind, Response: &proxy.Response{Status: status}, Timing: proxy.Timing{Start: start, End: start.Add(time.Second)}}
	e.Request.Method = "GET"
	store.AddExchange(e)
	if issues != nil {
		report(store, id, issues...)
	}
}

func report(store *counting, id string, issues ...validators.Issue) {
	store.AddReport(&validators.Report{Subject: id, Issues: issues, Summary: validators.Summarize(issues)})
}

var (
	capabilities = proxy.Interaction{Kind: proxy.KindCapabilities}
	match        = proxy.Interaction{Kind: proxy.KindOperation, Operation: "$member-match", ResourceType: "Patient"}
	clean        = []validators.Issue{}
)

func verdicts(t *testing.T, s *scenarios.Service) (testplans.State, map[string]testplans.Verdict) {
	t.Helper()
	j, err := s.Judge(t.Context(), "match", "acme~reference")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]testplans.Verdict{}
	for _, r := range j.Results {
		if r.Check == "" {
			out[r.Step] = r.Verdict
		}
	}
	if j.Kind != testplans.Simulated {
		t.Errorf("kind %q", j.Kind)
	}
	return j.State, out
}

func TestJudgeFollowsTheEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := fixture(t, scenarios.Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx, store.Hub); close(ended) }()
		synctest.Wait()
		expect := func(state testplans.State, whole, capability, matched testplans.Verdict) {
			t.Helper()
			time.Sleep(time.Second) // what was heard is gathered
			synctest.Wait()
			gotState, got := verdicts(t, s)
			want := map[string]testplans.Verdict{"": whole, "capabilities": capability, "match": matched}
			if !maps.Equal(want, got) || gotState != state {
				t.Errorf("state %s, want %s; verdicts %v, want %v", gotState, state, got, want)
			}
		}
		expect(testplans.NotTried, testplans.NotShown, testplans.NotShown, testplans.NotShown)
		add(store, "1", capabilities, 200, clean...)
		report(store, "1")
		expect(testplans.Recording, testplans.NotShown, testplans.Pass, testplans.NotShown)
		add(store, "2", match, 200)
		expect(testplans.Evaluating, testplans.NotChecked, testplans.Pass, testplans.NotChecked)
		report(store, "2", validators.Issue{Severity: validators.SeverityError, Message: "no", Part: validators.PartResponseBody, Side: validators.SideServer})
		expect(testplans.Done, testplans.Fail, testplans.Pass, testplans.Fail)
		report(store, "2") // judged again, by better rules
		expect(testplans.Done, testplans.Pass, testplans.Pass, testplans.Pass)

		before := store.loaded.Load()
		expect(testplans.Done, testplans.Pass, testplans.Pass, testplans.Pass)
		if n := store.loaded.Load() - before; n != 0 {
			t.Errorf("%d exchanges were read again for the same answer", n)
		}
		stop()
		<-ended
	})
}

func TestRunEndsWithTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := fixture(t, scenarios.Options{})
		ended := make(chan struct{})
		go func() { s.Run(t.Context(), store.Hub); close(ended) }()
		synctest.Wait()
		store.Hub.Close()
		<-ended
	})
}

func TestOnlyWhatIsAskedForIsLoaded(t *testing.T) {
	store, s := fixture(t, scenarios.Options{Limit: 1200})
	for i := range 1500 {
		kind := proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient"}
		if i%100 == 0 {
			kind = capabilities
		}
		add(store, fmt.Sprint(i), kind, 200)
		report(store, fmt.Sprint(i))
	}
	j, err := s.Judge(t.Context(), "match", "acme~reference")
	if err != nil {
		t.Fatal(err)
	}
	if j.Exchanges != 1200 || !j.Older || j.Waiting != 0 || !j.Last.Equal(start) || store.loaded.Load() != 12 {
		t.Errorf("%d exchanges, older %v, %d waiting, %d loaded", j.Exchanges, j.Older, j.Waiting, store.loaded.Load())
	}
}

func TestUnknown(t *testing.T) {
	store, s := fixture(t, scenarios.Options{})
	for _, tt := range [][2]string{{"nope", "acme~reference"}, {"match", "nope"}} {
		if _, err := s.Judge(t.Context(), tt[0], tt[1]); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("%v: %v", tt, err)
		}
	}
	store.FailWith(errors.New("disk"))
	if _, err := s.Judge(t.Context(), "match", "acme~reference"); err == nil || errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("a broken store gives %v", err)
	}
	if _, err := scenarios.New([]testplans.Plan{plan, plan}, scenarios.Source{}, store, store.runs, checks.Table{}, scenarios.Options{}); err == nil {
		t.Error("two plans with one id are taken")
	}
}

func BenchmarkJudge(b *testing.B) {
	store, s := fixture(b, scenarios.Options{})
	for i := range 2000 {
		add(store, fmt.Sprint(i), match, 200)
		report(store, fmt.Sprint(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		add(store, fmt.Sprintf("n%d", i), capabilities, 200) // so that nothing is remembered
		if _, err := s.Judge(b.Context(), "match", "acme~reference"); err != nil {
			b.Fatal(err)
		}
	}
}
