package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/live"
	"fhirwire/internal/pipeline"
	"fhirwire/proxy"
	"fhirwire/validators"
)

// memory is a store in memory.
type memory struct {
	mu        sync.Mutex // guards all below
	order     []string
	exchanges map[string]*proxy.Exchange
	reports   map[string][]validators.Report
	failing   error // every call fails with it
	corrupt   map[string]bool
}

func newMemory() *memory {
	return &memory{exchanges: map[string]*proxy.Exchange{}, reports: map[string][]validators.Report{}, corrupt: map[string]bool{}}
}

func (m *memory) Put(_ context.Context, e *proxy.Exchange, _ proxy.Bodies) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return m.failing
	}
	m.order = append(m.order, e.ID)
	e.Number = int64(len(m.order))
	m.exchanges[e.ID] = e
	return nil
}

func (m *memory) Exchange(_ context.Context, id string) (*proxy.Exchange, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.corrupt[id] {
		return nil, errors.New("stored detail is broken")
	}
	e, ok := m.exchanges[id]
	if !ok {
		return nil, proxy.ErrNotFound
	}
	return e, m.failing
}

func (m *memory) SaveReport(_ context.Context, r validators.Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		return m.failing
	}
	m.reports[r.Subject] = append(m.reports[r.Subject], r)
	return nil
}

func (m *memory) judged(id string, rules int) bool {
	return slices.ContainsFunc(m.reports[id], func(r validators.Report) bool { return r.Context.Rules >= rules })
}

func (m *memory) Judged(_ context.Context, id string, rules int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.judged(id, rules), m.failing
}

func (m *memory) Unjudged(_ context.Context, rules, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, id := range m.order {
		if !m.judged(id, rules) && len(out) < limit {
			out = append(out, id)
		}
	}
	return out, m.failing
}

func (m *memory) CountUnjudged(ctx context.Context) (int, error) {
	ids, err := m.Unjudged(ctx, validators.RulesVersion, 1<<30)
	return len(ids), err
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = err
}

// of are the reports on an exchange.
func (m *memory) of(id string) []validators.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.reports[id])
}

type inspector func(context.Context, *proxy.Exchange) (validators.Report, error)

func (f inspector) Inspect(ctx context.Context, e *proxy.Exchange) (validators.Report, error) {
	return f(ctx, e)
}

type classifier func(*proxy.Exchange) proxy.Interaction

func (f classifier) Classify(_ context.Context, e *proxy.Exchange, _ proxy.Bodies) proxy.Interaction {
	return f(e)
}

func good(context.Context, *proxy.Exchange) (validators.Report, error) {
	return validators.Report{Checked: 1, Summary: validators.Summary{Information: 1}}, nil
}

func reads(*proxy.Exchange) proxy.Interaction { return proxy.Interaction{Kind: proxy.KindRead} }

// notices is a publisher that remembers.
type notices struct {
	mu  sync.Mutex // guards all
	all []live.Notice
}

func (n *notices) Publish(x live.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
}

func exchange(n int) *proxy.Exchange { return &proxy.Exchange{ID: fmt.Sprintf("x%d", n)} }

func put(t *testing.T, p *pipeline.Pipeline, es ...*proxy.Exchange) {
	t.Helper()
	for _, e := range es {
		if err := p.Put(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// running runs p inside a synctest bubble until the test ends.
func running(t *testing.T, p *pipeline.Pipeline) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func TestAnExchangeIsClassifiedStoredPublishedAndJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := newMemory(), new(notices)
		p := pipeline.New(m, classifier(reads), inspector(good), n, pipeline.Options{})
		running(t, p)
		put(t, p, exchange(1))
		synctest.Wait()
		if k := m.exchanges["x1"].Interaction.Kind; k != proxy.KindRead {
			t.Errorf("stored as %q", k)
		}
		got := m.of("x1")
		if len(got) != 1 || got[0].Context.Rules != validators.RulesVersion || got[0].Checked != 1 || got[0].Issues == nil {
			t.Errorf("reports %+v", got)
		}
		want := []live.Notice{{Kind: live.KindExchange, ID: "x1", Number: 1}, {Kind: live.KindReport, ID: "x1", Number: 1}}
		if !slices.Equal(n.all, want) {
			t.Errorf("notices %v, want %v", n.all, want)
		}
	})
}

func TestPutFails(t *testing.T) {
	m, n := newMemory(), new(notices)
	m.failing = errors.New("disk full")
	p := pipeline.New(m, classifier(reads), inspector(good), n, pipeline.Options{})
	if err := p.Put(t.Context(), exchange(1), nil); !errors.Is(err, m.failing) {
		t.Errorf("error %v", err)
	}
	if len(n.all) != 0 {
		t.Errorf("published %v", n.all)
	}
}

func TestAPanicOfTheClassifierLosesNothing(t *testing.T) {
	m := newMemory()
	p := pipeline.New(m, classifier(func(*proxy.Exchange) proxy.Interaction { panic("boom") }), inspector(good), new(notices), pipeline.Options{})
	put(t, p, exchange(1))
	if k := m.exchanges["x1"].Interaction.Kind; k != proxy.KindOther {
		t.Errorf("stored as %q", k)
	}
}

func TestWhatTheQueueDroppedIsFoundInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := pipeline.New(m, classifier(reads), inspector(good), new(notices), pipeline.Options{Queue: 2, Workers: 3})
		for i := range 500 {
			put(t, p, exchange(i)) // nobody works yet, the queue is long full
		}
		running(t, p)
		synctest.Wait()
		for i := range 500 {
			if got := m.of(fmt.Sprintf("x%d", i)); len(got) != 1 {
				t.Fatalf("exchange %d has %d reports", i, len(got))
			}
		}
		if n, err := p.Backlog(t.Context()); err != nil || n != 0 {
			t.Errorf("backlog %d, %v", n, err)
		}
	})
}

func TestARestartJudgesWhatIsLeftAndWhatNewRulesAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		idle := pipeline.New(m, classifier(reads), inspector(good), new(notices), pipeline.Options{})
		put(t, idle, exchange(1), exchange(2))
		if err := idle.Judge(t.Context(), "x1"); err != nil {
			t.Fatal(err)
		}
		running(t, pipeline.New(m, classifier(reads), inspector(good), new(notices), pipeline.Options{}))
		synctest.Wait()
		if a, b := len(m.of("x1")), len(m.of("x2")); a != 1 || b != 1 {
			t.Errorf("%d and %d reports after a restart, want 1 and 1", a, b)
		}
		running(t, pipeline.New(m, classifier(reads), inspector(good), new(notices), pipeline.Options{Rules: validators.RulesVersion + 1}))
		synctest.Wait()
		if a, b := len(m.of("x1")), len(m.of("x2")); a != 2 || b != 2 {
			t.Errorf("%d and %d reports after the rules changed, want 2 and 2", a, b)
		}
	})
}

func TestFailedInspectionsAreReportsAndNotTriedAgain(t *testing.T) {
	for name, f := range map[string]inspector{
		"error": func(context.Context, *proxy.Exchange) (validators.Report, error) {
			return validators.Report{}, errors.New("tables are missing")
		},
		"panic": func(context.Context, *proxy.Exchange) (validators.Report, error) { panic("index out of range") },
		"time": func(ctx context.Context, _ *proxy.Exchange) (validators.Report, error) {
			<-ctx.Done()
			return validators.Report{}, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
				p := pipeline.New(m, classifier(reads), f, new(notices), pipeline.Options{Clock: func() time.Time { return at }})
				running(t, p)
				put(t, p, exchange(1))
				time.Sleep(10 * time.Minute)
				got := m.of("x1")
				if len(got) != 1 {
					t.Fatalf("%d reports, want 1", len(got))
				}
				want := map[string]string{
					"error": "tables are missing", "panic": "the inspection panicked: index out of range",
					"time": "the inspection took longer than 1m0s: context deadline exceeded",
				}[name]
				if s := got[0].Summary; s.ToolError != want || s.Side != validators.SideTool || !got[0].At.Equal(at) || got[0].Subject != "x1" {
					t.Errorf("report %+v, want the error %q", got[0], want)
				}
			})
		})
	}
}

func TestAStoreThatFailsIsTriedAgainWithoutHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		inspected := 0
		p := pipeline.New(m, classifier(reads), inspector(func(ctx context.Context, e *proxy.Exchange) (validators.Report, error) {
			inspected++
			return good(ctx, e)
		}), new(notices), pipeline.Options{})
		put(t, p, exchange(1), exchange(2))
		m.fail(errors.New("disk full"))
		running(t, p)
		time.Sleep(10 * time.Second)
		if inspected > 12 {
			t.Errorf("%d inspections in ten seconds", inspected)
		}
		m.fail(nil)
		time.Sleep(3 * time.Second)
		if a, b := len(m.of("x1")), len(m.of("x2")); a != 1 || b != 1 {
			t.Errorf("%d and %d reports after the store came back, want 1 and 1", a, b)
		}
	})
}

func TestAnUnreadableExchangeHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := pipeline.New(m, classifier(reads), inspector(good), new(notices), pipeline.Options{})
		put(t, p, exchange(1), exchange(2))
		m.corrupt["x1"] = true
		running(t, p)
		time.Sleep(time.Minute)
		if got := m.of("x1"); len(got) != 1 || !strings.Contains(got[0].Summary.ToolError, "broken") {
			t.Errorf("reports on the unreadable one: %+v", got)
		}
		if got := m.of("x2"); len(got) != 1 || got[0].Summary.ToolError != "" {
			t.Errorf("reports on its neighbour: %+v", got)
		}
	})
}

func TestJudgeOnDemand(t *testing.T) {
	m, n := newMemory(), new(notices)
	p := pipeline.New(m, classifier(reads), inspector(good), n, pipeline.Options{})
	put(t, p, exchange(1))
	for range 2 {
		if err := p.Judge(t.Context(), "x1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.of("x1"); len(got) != 2 {
		t.Errorf("%d reports, want 2: a judgement on demand is added to the earlier one", len(got))
	}
	if err := p.Judge(t.Context(), "nope"); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("an unknown exchange: %v", err)
	}
	// One exchange is judged by one at a time.
	var wg sync.WaitGroup
	var mu sync.Mutex
	at, most := 0, 0
	p = pipeline.New(m, classifier(reads), inspector(func(ctx context.Context, e *proxy.Exchange) (validators.Report, error) {
		mu.Lock()
		at++
		most = max(most, at)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		at--
		mu.Unlock()
		return good(ctx, e)
	}), n, pipeline.Options{})
	for range 5 {
		wg.Go(func() {
			if err := p.Judge(t.Context(), "x1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d inspections of one exchange at a time", most)
	}
}

func TestPutNeverWaitsForInspection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		gate := make(chan struct{})
		p := pipeline.New(m, classifier(reads), inspector(func(ctx context.Context, e *proxy.Exchange) (validators.Report, error) {
			<-gate
			return good(ctx, e)
		}), new(notices), pipeline.Options{Queue: 1})
		running(t, p)
		began := time.Now()
		for i := range 100 {
			put(t, p, exchange(i))
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("putting took %s of the inspections' time", d)
		}
		close(gate)
		synctest.Wait()
		if n, err := p.Backlog(t.Context()); err != nil || n != 0 {
			t.Errorf("backlog %d, %v", n, err)
		}
	})
}
