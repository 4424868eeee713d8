package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

// gone judges a plan that is not listed over one channel.
type gone struct {
	*apitest.Scenarios
	judgement testplans.Judgement
}

func (g gone) Judge(ctx context.Context, plan, channel string) (testplans.Judgement, error) {
	if plan == g.judgement.Plan && channel == g.judgement.Channel {
		return g.judgement, nil
	}
	return g.Scenarios.Judge(ctx, plan, channel)
}

func TestPlanFiles(t *testing.T) {
	store := apitest.NewStore()
	for _, name := range []string{"c~a", "c~b"} {
		if err := store.SaveChannel(t.Context(), &proxy.Channel{ID: name, Name: name, ClientID: "c", ServerID: "s", Options: proxy.ChannelOptions{Track: "Match"}}); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC)
	files := &apitest.PlanFiles{
		Files: testplans.PlanFiles{
			Files:  []testplans.PlanFile{{Plan: "own", File: "plans/own.yaml", Replaces: true, Digest: "d2", Since: since}},
			Faults: []testplans.PlanFault{{File: "plans/bad.yaml", Line: 3, Column: 5, Message: `unknown key "stepps"; expected steps`, Effect: testplans.FaultSkipped}},
		},
		Texts:  map[string]string{"own": "# <b>why</b>\nplan: own\n", "own@d1": "plan: own # before\n"},
		Former: map[string]testplans.Plan{"former": {ID: "former", Title: "Gone"}},
	}
	d := store.Deps()
	d.Scenarios = gone{
		&apitest.Scenarios{List: []testplans.Plan{{ID: "builtin", Track: "Match"}, {ID: "own", Track: "Match"}}},
		testplans.Judgement{Plan: "former", Channel: "c~a", State: testplans.Done, Results: []testplans.Result{{Verdict: testplans.Pass}}},
	}
	d.PlanFiles = files
	r := router(t, d)

	list := decode[api.PlanList](t, call(t, r, "GET", "/plans", ""))
	if len(list.Items) != 2 || list.Items[0].File != "" || list.Items[0].Since != nil || list.Items[1].File != "plans/own.yaml" || !list.Items[1].Replaces || !list.Items[1].Since.Equal(since) {
		t.Errorf("plans %+v", list.Items)
	}
	if len(list.Faults) != 1 || list.Faults[0] != files.Files.Faults[0] {
		t.Errorf("faults %+v", list.Faults)
	}
	for path, want := range map[string]string{"/plans/own/text": files.Texts["own"], "/plans/own/text?digest=d1": files.Texts["own@d1"]} {
		w := call(t, r, "GET", path, "")
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(w.Header().Get("Content-Disposition"), "own.yaml") {
			t.Errorf("%s: %d %q %v", path, w.Code, w.Body, w.Header())
		}
	}
	if p := decode[testplans.Plan](t, call(t, r, "GET", "/plans/former", "")); p.Title != "Gone" {
		t.Errorf("a plan that is not in use any more: %+v", p)
	}
	if m := decode[api.Matrix](t, call(t, r, "GET", "/matrix?plan=former", "")); len(m.Cells) != 1 || m.Cells[0].Channel != "c~a" || m.Cells[0].Verdict != testplans.Pass {
		t.Errorf("its results: %+v", m)
	}
	for _, path := range []string{"/plans/own/text?digest=d3", "/plans/nope/text", "/plans/nope"} {
		if w := call(t, r, "GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	files.Err = errors.New("disk")
	for _, path := range []string{"/plans/own/text", "/plans/nope"} {
		if w := call(t, r, "GET", path, ""); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s of a broken disk: %d %s", path, w.Code, w.Body)
		}
	}
	d.PlanFiles = nil
	if w := call(t, router(t, d), "GET", "/plans/own/text", ""); w.Code != http.StatusNotImplemented {
		t.Errorf("without files: %d", w.Code)
	}
}
