package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

// What people type and what plans say is text on every page of the scenarios: names, comments, words of attestation, windows, titles,
// claims, requirements, and what a query asks for.
func TestHostileWords(t *testing.T) {
	store := apitest.NewStore()
	channel := addPair(t, store, "H "+hostile, "S "+hostile, false)
	plan := testplans.Plan{
		ID: "hostile", Title: hostile, Track: "Payer to payer", Scenario: hostile, Preconditions: []string{hostile}, Roles: testplans.Roles{Client: hostile, Server: hostile}, Digest: "d",
		Guides: map[string]string{hostile: hostile},
		Steps: []testplans.Step{
			{
				ID: "asked", Title: hostile, Claim: hostile, Requirements: []string{hostile}, Select: testplans.Select{Kind: []string{"capabilities"}},
				Checks: []testplans.Check{{ID: "status", Claim: hostile, Side: validators.SideServer, Status: []string{"201"}, Requirements: []string{hostile, "javascript:alert(1)"}}},
			},
			{ID: "said", Title: hostile, Claim: hostile, Checks: []testplans.Check{{ID: "seen", Claim: hostile, Side: validators.SideBoth, Attestation: &testplans.Attest{Question: hostile}}}},
			{
				ID: "never", Title: hostile, Claim: hostile, Select: testplans.Select{Kind: []string{"register"}, Parameters: map[string]string{hostile: hostile}, Headers: map[string]string{hostile: hostile}, Request: hostile},
				Checks: []testplans.Check{{ID: "status", Claim: hostile, Side: validators.SideServer, Status: []string{"201"}}},
			},
		},
	}
	addExchange(store, "x1", 0, spec{path: "/fhir/metadata?" + hostile, channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200, response: []byte(hostile)})
	addReport(store, "x1", nil, validators.Issue{Severity: validators.SeverityError, MessageID: hostile, Message: hostile, Requirement: hostile, Part: validators.PartResponseBody, Side: validators.SideServer})
	s := kept(t, store, plan)
	run := "/scenarios/hostile?channel=" + url.QueryEscape(channel)
	form := func(more ...string) url.Values {
		v := url.Values{"channel": {channel}, "by": {hostile}, "role": {"track lead"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	send(t, s, "/scenarios/hostile/attest", http.StatusSeeOther, form("step", "said", "check", "seen", "verdict", "pass", "note", hostile))
	send(t, s, "/scenarios/hostile/review", http.StatusSeeOther, form("state", "claimed", "comment", hostile))
	send(t, s, "/scenarios/hostile/review", http.StatusSeeOther, form("state", "disputed", "comment", hostile))
	window := send(t, s, "/scenarios/hostile/window", http.StatusSeeOther, form("name", hostile, "since", "2026-09-12T10:00"))
	bad := url.QueryEscape(hostile)
	pages := []string{
		run, run + "&step=asked", run + "&step=said", run + "&step=never", run + "&step=asked&part=1", run + "&done=" + bad, run + "&step=" + bad, window,
		"/scenarios", "/scenarios/" + url.PathEscape(hostile), "/scenarios/hostile", "/scenarios/hostile?channel=" + bad, "/scenarios/hostile?run=" + bad,
		"/results", "/results?plan=hostile", "/results?plan=" + bad, "/results?plan=hostile&part=1", "/results/all", "/results/all?track=" + bad, "/results/sheet", "/results/sheet?plan=" + bad,
		"/review", "/review?plan=" + bad + "&state=" + bad + "&by=" + bad, "/review?by=" + bad, "/review?done=" + bad,
		"/coverage?plan=hostile", "/coverage?plan=" + bad, "/coverage?requirement=" + bad, "/coverage?plan=hostile&show=" + bad, "/coverage?plan=hostile&channel=" + bad, "/coverage?show=support",
	}
	for _, path := range pages {
		w := get(t, s, path)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s: status %d", path, w.Code)
		}
		noMarkup(t, path, w)
		if strings.Contains(strings.ToLower(w.Header().Get("Location")), "//") {
			t.Errorf("%s leads to %s", path, w.Header().Get("Location"))
		}
	}
	// A form that is refused shows what was typed, as text too.
	for _, f := range []url.Values{form("state", hostile), form("state", "verified", "seen", "other", "by", "Ada "+hostile)} {
		w := do(t, s, http.MethodPost, "/scenarios/hostile/review", f.Encode(), map[string]string{"Sec-Fetch-Site": "same-origin"})
		if w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusConflict {
			t.Errorf("taken: %d", w.Code)
		}
		noMarkup(t, "refused review", w)
	}
	w := do(t, s, http.MethodPost, "/scenarios/hostile/review", form("state", "claimed", "back", "//evil.example/review").Encode(), map[string]string{"Sec-Fetch-Site": "same-origin"})
	if to := w.Header().Get("Location"); !strings.HasPrefix(to, "/scenarios/") {
		t.Errorf("leads to %s", to)
	}
	if csv := get(t, s, "/results/csv").Body.String(); !strings.Contains(csv, "hostile") || strings.Contains(csv, "\n=") {
		t.Error("the table lacks the run, or has a formula")
	}
}
