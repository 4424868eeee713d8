package web

import (
	"net/http"
	"strings"
	"testing"

	"fhirwire/testplans"
	"fhirwire/web/api/apitest"
)

// TestRunOfUnverifiedServers: a run that rests on exchanges with a server that nobody verified says so on its page and in the API.
func TestRunOfUnverifiedServers(t *testing.T) {
	const channel = "harborlight~cedar"
	for _, insecure := range []bool{false, true} {
		store := apitest.NewStore()
		demo(t, store)
		j := failedMatch(channel, testplans.Observed)
		if insecure {
			for i := range j.Results {
				for k := range j.Results[i].Evidence {
					j.Results[i].Evidence[k].Insecure = true
					j.Results[i].Insecure++
				}
			}
		}
		s := withPlans(t, store, &apitest.Scenarios{List: []testplans.Plan{matchPlan}, Judgements: map[string]testplans.Judgement{channel: j}}, Options{})
		w := get(t, s, "/scenarios/payer-to-payer?channel="+channel)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Server not verified") != insecure || strings.Contains(w.Body.String(), `class="tag insecure"`) != insecure {
			t.Errorf("insecure %v: %d %s", insecure, w.Code, w.Body)
		}
	}
}
