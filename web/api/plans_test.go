package api_test

import (
	"errors"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

func TestPlansAndMatrix(t *testing.T) {
	store := apitest.NewStore()
	for i, track := range []string{"payer-to-payer", "Formulary", "", "our own"} {
		ch := &proxy.Channel{ID: track, Name: "c~" + string(rune('a'+i)), ClientID: "c", ServerID: "s", Options: proxy.ChannelOptions{Track: track}}
		if err := store.SaveChannel(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	plans := &apitest.Scenarios{
		List: []testplans.Plan{
			{ID: "p2p", Title: "Match", Track: "Payer to payer", Steps: []testplans.Step{{ID: "a", Claim: "A."}, {ID: "b", Optional: true}}},
			{ID: "form", Title: "Drugs", Track: "Formulary"},
		},
		Judgements: map[string]testplans.Judgement{"c~a": {
			Plan: "p2p", Channel: "c~a", Kind: testplans.Simulated, State: testplans.Done, Exchanges: 3,
			Results: []testplans.Result{
				{Verdict: testplans.Fail, Side: validators.SideServer},
				{Step: "a", Verdict: testplans.Fail, Side: validators.SideServer, Evidence: []testplans.Evidence{{Exchange: "x", Number: 7}}},
				{Step: "a", Check: "1", Verdict: testplans.Fail},
				{Step: "b", Optional: true, Verdict: testplans.NotShown},
			},
		}},
	}
	d := store.Deps()
	d.Scenarios = plans
	r := router(t, d)
	list := decode[api.List[api.PlanItem]](t, call(t, r, "GET", "/plans", ""))
	if list.Total != 2 || list.Items[0].ID != "p2p" || list.Items[0].Steps != 2 || list.Items[0].Required != 1 || list.Items[0].Href != "/api/v1/plans/p2p" {
		t.Errorf("plans %+v", list)
	}
	if p := decode[testplans.Plan](t, call(t, r, "GET", "/plans/p2p", "")); p.Title != "Match" || len(p.Steps) != 2 || p.Steps[0].Claim != "A." {
		t.Errorf("plan %+v", p)
	}
	m := decode[api.Matrix](t, call(t, r, "GET", "/matrix?plan=p2p", ""))
	var channels string
	for _, c := range m.Cells {
		channels += " " + c.Channel
	}
	if m.Plan != "p2p" || channels != " c~a c~c c~d" {
		t.Fatalf("cells%s of plan %q: the track decides", channels, m.Plan)
	}
	if c := m.Cells[0]; c.Verdict != testplans.Fail || c.Side != validators.SideServer || c.Evidence != testplans.Simulated || c.Review != testplans.Unreviewed ||
		len(c.Results) != 3 || c.Required[testplans.Fail] != 1 || c.Required[testplans.NotShown] != 0 || c.Exchanges != 3 {
		t.Errorf("cell %+v", c)
	}
	for path, want := range map[string]int{"/plans/none": 404, "/matrix?plan=none": 404, "/matrix": 400, "/runs": 501} {
		if w := call(t, r, "GET", path, ""); w.Code != want || decode[api.Problem](t, w).Status != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
	plans.Err = errors.New("disk")
	plans.Failing = "c~a"
	m = decode[api.Matrix](t, call(t, r, "GET", "/matrix?plan=p2p", ""))
	if len(m.Cells) != 3 || m.Cells[0].Verdict != testplans.ToolError || m.Cells[0].Results[1].Verdict != testplans.ToolError || m.Cells[1].Verdict != testplans.NotShown {
		t.Errorf("a pair that could not be judged: %+v", m.Cells)
	}
}
