package scenarios_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// addTo records an exchange of a channel, which is made where there is none.
func addTo(t *testing.T, store *counting, channel, id string, status int) {
	t.Helper()
	if _, err := store.ChannelByName(t.Context(), channel); err != nil {
		if err := store.SaveChannel(t.Context(), &proxy.Channel{ID: channel, Name: channel, ClientID: "c", ServerID: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	e := &proxy.Exchange{ID: id, Channel: channel, Interaction: match, Response: &proxy.Response{Status: status}, Timing: proxy.Timing{Start: start, End: start.Add(time.Second)}}
	e.Request.Method = "GET"
	store.AddExchange(e)
	report(store, id, clean...)
}

// TestNobodyWaitsForManyChannels restarts over channels that are small each, and much together.
func TestNobodyWaitsForManyChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plans := []testplans.Plan{plan}
		store, first := fixtureOf(t, plans, scenarios.Options{Clock: time.Now})
		stop := running(t, store, first)
		names := []string{pair}
		for i := range 10 {
			names = append(names, fmt.Sprintf("app~payer-%d", i))
		}
		stored := map[string]*testplans.Judgement{}
		for n, name := range names {
			for k := range 5 {
				addTo(t, store, name, fmt.Sprintf("%d-%d", n, k), 200+n%2*200)
			}
		}
		settle()
		for _, name := range names {
			j, err := first.Judge(t.Context(), "match", name)
			if err != nil || j.Run == "" || j.State == testplans.Evaluating {
				t.Fatalf("%s before: %+v, %v", name, j, err)
			}
			stored[name] = &j
		}
		stop()

		g := &gated{store, make(chan struct{})}
		s, err := scenarios.New(plans, scenarios.Source{Exchanges: g, Reports: store, Bodies: store}, store, store.runs, checks.NewTable(nil), scenarios.Options{AtOnce: 20, Clock: time.Now, Publisher: store.Hub})
		if err != nil {
			t.Fatal(err)
		}
		stop = running(t, store, s)
		defer func() { stop() }()
		for range 2 {
			for _, name := range names { // none of them waits for the gate
				j, err := s.Judge(t.Context(), "match", name)
				if err != nil || j.State != testplans.Evaluating || j.Run != stored[name].Run || j.Whole().Digest != stored[name].Whole().Digest {
					t.Errorf("%s while it is read: %+v, %v", name, j, err)
				}
			}
		}
		addTo(t, store, names[len(names)-1], "new", 400)
		settle()
		close(g.gate)
		settle()
		settle()
		for _, name := range names {
			j, err := s.Judge(t.Context(), "match", name)
			want := 5
			if name == names[len(names)-1] {
				want = 6
			}
			if err != nil || j.State == testplans.Evaluating || j.Exchanges != want || want == 5 && j.Whole().Digest != stored[name].Whole().Digest {
				t.Errorf("%s afterwards: %+v, %v", name, j, err)
			}
		}
	})
}

// TestAWordOnWhatIsNotKept is judged though the channel's exchanges are not in memory, and no other came since.
func TestAWordOnWhatIsNotKept(t *testing.T) {
	asking := plan
	asking.Steps = append(asking.Steps[:2:2], testplans.Step{ID: "seen", Claim: "It was seen.", Checks: []testplans.Check{{ID: "word", Attestation: &testplans.Attest{Question: "Was it?"}}}})
	for _, o := range []scenarios.Options{{Keep: 5}, {Keep: 5, AtOnce: 10}} {
		synctest.Test(t, func(t *testing.T) {
			o.Clock = time.Now
			store, s := fixtureOf(t, []testplans.Plan{asking}, o)
			stop := running(t, store, s)
			defer stop()
			for i := range 20 {
				addTo(t, store, pair, fmt.Sprint(i), 200)
			}
			settle()
			j, err := s.Judge(t.Context(), "match", pair)
			if r, _ := j.Step("seen"); err != nil || r.Verdict != testplans.NotShown {
				t.Errorf("before: %+v, %v", j, err)
			}
			if _, err := s.Attest(t.Context(), j.Run, testplans.Attestation{Step: "seen", Check: "word", Verdict: testplans.Pass, By: "Jane"}); err != nil {
				t.Fatal(err)
			}
			settle()
			if j, err = s.Judge(t.Context(), "match", pair); err != nil || j.State == testplans.Evaluating {
				t.Errorf("%s, %v", j.State, err)
			}
			if r, _ := j.Step("seen"); r.Verdict != testplans.Pass {
				t.Errorf("what was said is not in it: %+v", r)
			}
		})
	}
}
