package web

import (
	"strconv"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/web/api/apitest"
	"fhirwire/web/views"
)

func TestFewPairs(t *testing.T) {
	var p views.Plan
	for i := range 20 {
		r := views.RunLink{Pair: strconv.Itoa(i)}
		if i%2 == 1 {
			r.Verdict = views.Mark{Class: "v-pass"}
		}
		p.Runs = append(p.Runs, r)
	}
	fewPairs(&p)
	var names []string
	for _, r := range p.Runs {
		names = append(names, r.Pair)
	}
	if got := strings.Join(names, " "); got != "1 3 5 7 9 11 13 15 17 19 0 2" || p.MorePairs != "And 8 pairs more." {
		t.Errorf("%s; %s", got, p.MorePairs)
	}
}

// Beside a plan that many pairs play stand some, and the way to all.
func TestManyPairsOfAPlan(t *testing.T) {
	store := apitest.NewStore()
	addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	for i := range 15 {
		n := strconv.Itoa(i)
		c := &proxy.System{ID: "c" + n, Slug: "client-" + n, Name: "Client " + n, Roles: []proxy.Role{proxy.RoleClient}}
		ch := &proxy.Channel{ID: "ch" + n, Name: "client-" + n + "~cedar", ClientID: c.ID, ServerID: "s-cedar", ServerURL: "https://p2p.cedar.example/fhir", Options: proxy.ChannelOptions{Track: "Payer to payer"}}
		if err := store.SaveSystem(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveChannel(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	page := get(t, kept(t, store, attestPlan), "/scenarios").Body.String()
	if !strings.Contains(page, "And 4 pairs more.") || strings.Count(page, `href="/scenarios/attest?channel=`) != mostPairs || !strings.Contains(page, `<a href="/results?plan=attest">All in Results</a>`) {
		t.Errorf("%d pairs are listed, or the way to all is missing", strings.Count(page, `href="/scenarios/attest?channel=`))
	}
	if got := reviewCount(queuePage) + reviewCount(0) + " " + reviewCount(7); got != "500+ 7" {
		t.Errorf("the rail counts %s", got)
	}
}
