package web

import (
	"net/http"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
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

// TestGatewayLeg: a certificate that a gateway named is shown as its word, beside no handshake that failed.
func TestGatewayLeg(t *testing.T) {
	store := apitest.NewStore()
	ch := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	e := withLegs(addExchange(store, "gateway", 0, spec{path: "/fhir/Patient/1", channel: ch, status: 200, ms: 12}))
	e.ClientLeg.TLS = &proxy.TLS{Gateway: "10.0.0.5", Trust: proxy.TrustEventCA, Client: e.ClientLeg.TLS.Client[:1]}
	addReport(store, "gateway", nil)
	w := get(t, newServer(t, store, Options{}), "/exchanges/gateway/connection")
	text := w.Body.String()
	for _, want := range []string{"as the gateway 10.0.0.5 says", "The gateway says the client presented", "CN=Harborlight client"} {
		if w.Code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%d: %q is missing", w.Code, want)
		}
	}
	if strings.Contains(text, "did not complete") {
		t.Error("a handshake that nobody here saw did not complete")
	}
}

// TestRunOfBadTokens: what is wrong with a channel's access tokens is told on its runs, with the way to the list.
func TestRunOfBadTokens(t *testing.T) {
	const channel = "harborlight~cedar"
	for _, count := range []int{0, 2} {
		store := apitest.NewStore()
		demo(t, store)
		d := store.Deps()
		d.Scenarios = &apitest.Scenarios{List: []testplans.Plan{matchPlan}, Judgements: map[string]testplans.Judgement{channel: failedMatch(channel, testplans.Observed)}}
		var ledger validators.Ledger
		for range count {
			ledger.FindingCount++
			ledger.Findings = append(ledger.Findings, validators.TokenFinding{Issue: validators.Issue{Severity: validators.SeverityError, Message: "the token was used after its end " + hostile}})
		}
		d.Tokens = &tokenLedger{ledger: ledger}
		s, err := New(d, Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := get(t, s, "/scenarios/payer-to-payer?channel="+channel)
		if got := strings.Contains(w.Body.String(), "2 findings about access tokens on this channel"); w.Code != http.StatusOK || got != (count > 0) {
			t.Errorf("%d findings: %d %s", count, w.Code, w.Body)
		}
		if count > 0 {
			noMarkup(t, "run", w)
			if !strings.Contains(w.Body.String(), `/auth">Access tokens</a>`) {
				t.Error("nothing leads to the list")
			}
		}
		s.Close()
	}
}
