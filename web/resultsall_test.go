package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/api/apitest"
)

// eventStore has a pair of the payers' track that fails, one with a side of ours, and one without a track that showed nothing.
func eventStore(t *testing.T) (*apitest.Store, *apitest.Scenarios) {
	t.Helper()
	store := apitest.NewStore()
	demo(t, store)
	ours := addPair(t, store, "Demo client", "Reference payer", true)
	free := addPair(t, store, "Tern and Tide", "Oakmere", false)
	channels, err := store.Channels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, ch := range channels {
		if ch.Name == free {
			ch.Options = proxy.ChannelOptions{}
			if err := store.SaveChannel(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
		}
	}
	const channel = "harborlight~cedar"
	passed := failedMatch(ours, testplans.Simulated)
	passed.State, passed.Waiting = testplans.Done, 0
	for i := range passed.Results {
		passed.Results[i].Verdict, passed.Results[i].Side, passed.Results[i].Message = testplans.Pass, "", ""
	}
	nothing := failedMatch(free, testplans.Observed)
	nothing.State = testplans.Recording
	for i := range nothing.Results {
		nothing.Results[i].Verdict, nothing.Results[i].Side, nothing.Results[i].Evidence = testplans.NotShown, "", nil
	}
	return store, &apitest.Scenarios{
		List: []testplans.Plan{drugPlan, matchPlan}, Judgements: map[string]testplans.Judgement{channel: failedMatch(channel, testplans.Observed), ours: passed, free: nothing},
	}
}

func TestAllResults(t *testing.T) {
	store, plans := eventStore(t)
	s := withPlans(t, store, plans, Options{Event: "September connectathon"})
	checkPage(t, "results-all.html", get(t, s, "/results/all").Body.String())
	checkPage(t, "results-all-part.html", get(t, s, "/results/all?part=1&track=Payer+to+payer").Body.String())

	for name, tt := range map[string]struct {
		query url.Values
		has   []string
		lacks []string
	}{
		"everything": {nil, []string{"Harborlight Health Plan", "Demo client", "1 pair has no track", "1 result has one side of ours", `href="/scenarios/payer-to-payer?channel=harborlight~cedar"`, "client, 30 s"}, []string{">Tern and Tide</span><small", "No pair matches"}},
		"a client":   {url.Values{"client": {"s-demo"}}, []string{">Demo client</span><small", `href="/results/all">Clear`}, []string{">Harborlight Health Plan</span><small"}},
		"a server":   {url.Values{"server": {"s-cedar"}}, []string{">Harborlight Health Plan</span><small"}, []string{">Demo client</span><small"}},
		"a track":    {url.Values{"track": {"Formulary"}}, []string{"No pair matches"}, []string{">Harborlight Health Plan</span><small"}},
		"hostile":    {url.Values{"track": {hostile}, "client": {hostile}, "server": {hostile}}, []string{"No pair matches"}, []string{"<script>alert", "<img src=x"}},
	} {
		w := get(t, s, "/results/all?"+tt.query.Encode())
		body := w.Body.String()
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", name, w.Code)
		}
		for _, text := range tt.has {
			if !strings.Contains(body, text) {
				t.Errorf("%s: without %q", name, text)
			}
		}
		for _, text := range tt.lacks {
			if strings.Contains(body, text) {
				t.Errorf("%s: with %q", name, text)
			}
		}
	}

	empty := withPlans(t, apitest.NewStore(), plans, Options{})
	if body := get(t, empty, "/results/all").Body.String(); !strings.Contains(body, "No pair to test yet") {
		t.Error("no systems: no words about it")
	}
	without := newServer(t, apitest.NewStore(), Options{})
	if body := get(t, without, "/results/all").Body.String(); !strings.Contains(body, "No test plans") {
		t.Error("no plans: no words about it")
	}
}
