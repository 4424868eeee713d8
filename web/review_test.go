package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

// attestPlan is judged for real: a step of traffic, one of people, and a bonus.
var attestPlan = testplans.Plan{
	ID: "attest", Title: "Match a member", Track: "Payer to payer", Roles: testplans.Roles{Client: "the new payer", Server: "the old payer"}, Digest: "d",
	Steps: []testplans.Step{
		{
			ID: "capabilities", Title: "Read the capabilities", Claim: "The server says what it can do.", Requirements: []string{"P2P-SC-10"}, Select: testplans.Select{Kind: []string{"capabilities"}},
			Checks: []testplans.Check{{ID: "status", Claim: "The answer is 200", Side: validators.SideServer, Status: []string{"200"}}},
		},
		{
			ID: "tls", Title: "Connect with mutual TLS", Claim: "Both sides show their certificates.", Requirements: []string{"P2P-SC-2"},
			Checks: []testplans.Check{{ID: "seen", Claim: "Both saw it", Side: validators.SideBoth, Attestation: &testplans.Attest{Question: "Did both sides connect with mutual TLS?"}}},
		},
		{
			ID: "match", Title: "Match the member", Claim: "The member is found.", Optional: true, Requirements: []string{"P2P-MM-104"}, Select: testplans.Select{Operation: []string{"$member-match"}},
			Checks: []testplans.Check{{ID: "status", Claim: "The answer fits", Side: validators.SideServer, Status: []string{"200", "422"}}},
		},
	},
}

// kept is a dashboard whose plans are judged and whose runs are kept.
func kept(t *testing.T, store *apitest.Store, plans ...testplans.Plan) *Server {
	t.Helper()
	clock := func() time.Time { return start.Add(4 * time.Minute) }
	source := scenarios.Source{Exchanges: store, Reports: store, Bodies: store}
	service, err := scenarios.New(plans, source, store, apitest.NewRuns(), checks.NewTable(nil), scenarios.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	d := store.Deps()
	d.Scenarios, d.Runs = service, service
	d.ScenarioCheck = func(id string) bool { return id == "OWN-1" }
	s, err := New(d, Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func matched(t *testing.T) (*apitest.Store, string) {
	t.Helper()
	store := apitest.NewStore()
	channel := addPair(t, store, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	addExchange(store, "x1", 0, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200})
	addExchange(store, "x2", time.Minute, spec{path: "/fhir/Patient/$member-match", method: "POST", channel: channel, kind: proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}, status: 500})
	for _, id := range []string{"x1", "x2"} {
		store.AddReport(&validators.Report{Subject: id})
	}
	return store, channel
}

func send(t *testing.T, s *Server, path string, status int, form url.Values) string {
	t.Helper()
	w := do(t, s, http.MethodPost, path, form.Encode(), map[string]string{"Sec-Fetch-Site": "same-origin"})
	if w.Code != status {
		t.Fatalf("%s: status %d, want %d: %s", path, w.Code, status, w.Body)
	}
	if status == http.StatusSeeOther {
		to, _, _ := strings.Cut(w.Header().Get("Location"), "#")
		return to
	}
	return w.Body.String()
}

func TestRunPagesOfPeople(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	page := "/scenarios/attest?channel=" + channel
	checkPage(t, "people-asked.html", get(t, s, page+"&step=tls").Body.String())

	body := send(t, s, "/scenarios/attest/attest", http.StatusUnprocessableEntity, url.Values{"channel": {channel}, "step": {"tls"}, "check": {"seen"}, "verdict": {"pass"}, "by": {" "}, "note": {"kept \"note\""}})
	if !strings.Contains(body, "Not attested.") || !strings.Contains(body, "kept &#34;note&#34;") {
		t.Error("what was typed is lost, or nothing is said")
	}
	to := send(t, s, "/scenarios/attest/attest", http.StatusSeeOther, url.Values{"channel": {channel}, "step": {"tls"}, "check": {"seen"}, "verdict": {"pass"}, "by": {"Ada"}, "note": {"on both screens"}})
	if !strings.HasPrefix(to, page) || !strings.Contains(to, "step=tls") {
		t.Errorf("leads to %s", to)
	}
	body = get(t, s, to).Body.String()
	for _, want := range []string{"Attested by Ada: on both screens", "Said before: pass, by Ada", "Attested, and judged with it"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}

	body = send(t, s, "/scenarios/attest/review", http.StatusUnprocessableEntity, url.Values{"channel": {channel}, "state": {"rejected"}, "by": {"Lead"}, "role": {"track lead"}})
	if !strings.Contains(body, "Not decided.") || !strings.Contains(body, "say why") {
		t.Error("a rejection without a reason is not refused in words")
	}
	send(t, s, "/scenarios/attest/review", http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"claimed"}, "by": {"Client tester"}, "role": {"client"}})
	send(t, s, "/scenarios/attest/review", http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"verified"}, "by": {"Lead"}, "role": {"track lead"}})
	checkPage(t, "people-reviewed.html", get(t, s, page+"&step=match").Body.String())
	checkPage(t, "results-reviewed.html", get(t, s, "/results?plan=attest").Body.String())
	checkPage(t, "review-decided.html", get(t, s, "/review").Body.String())

	addExchange(store, "x3", 2*time.Minute, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 500})
	store.AddReport(&validators.Report{Subject: "x3"})
	if to := send(t, s, "/scenarios/attest/review", http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"rejected"}, "by": {"Lead"}, "role": {"nobody"}, "comment": {"a 500"}, "digest": {"older"}, "back": {"/review"}}); to != "/review?done=reviewed" {
		t.Errorf("leads to %s", to)
	}
	checkPage(t, "review-changed.html", get(t, s, "/review").Body.String())
	if body := get(t, s, page+"&step=capabilities").Body.String(); !strings.Contains(body, "History, 2 results") || !strings.Contains(body, "of older results") {
		t.Error("earlier results or the age of the review are not told")
	}
}

func TestWindowPages(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	in := url.Values{"channel": {channel}, "since": {"2026-09-12T10:41:30"}, "until": {"2026-09-12T10:50"}, "name": {"Second try"}, "by": {"Ada"}}
	to := send(t, s, "/scenarios/attest/window", http.StatusSeeOther, in)
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("run") == "" {
		t.Fatalf("leads to %s", to)
	}
	run := u.Query().Get("run")
	body := get(t, s, to).Body.String()
	checkPage(t, "run-window.html", body)
	for _, want := range []string{"1 exchange", "Second try", "10:41:30 to 10:50:00", "Move the window", ">Stop<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	send(t, s, "/scenarios/attest/window", http.StatusSeeOther, url.Values{"run": {run}, "since": {"2026-09-12T10:00:00"}, "until": {""}})
	if body := get(t, s, to).Body.String(); !strings.Contains(body, "2 exchanges") {
		t.Error("the window did not move")
	}
	send(t, s, "/scenarios/attest/stop", http.StatusSeeOther, url.Values{"run": {run}})
	if body := get(t, s, to).Body.String(); strings.Contains(body, ">Stop<") || !strings.Contains(body, "10:00:00 to 10:45:02") {
		t.Error("the run was not stopped")
	}
	for field, in := range map[string]url.Values{
		"since": {"channel": {channel}, "since": {"yesterday"}},
		"until": {"channel": {channel}, "since": {"2026-09-12T10:41"}, "until": {"2026-09-12T10:00"}},
	} {
		if body := send(t, s, "/scenarios/attest/window", http.StatusUnprocessableEntity, in); !strings.Contains(body, "The window was not taken.") || !strings.Contains(body, in.Get(field)) {
			t.Errorf("%s: nothing is said", field)
		}
	}
	send(t, s, "/scenarios/attest/stop", http.StatusConflict, url.Values{"channel": {channel}})
	send(t, s, "/scenarios/attest/stop", http.StatusNotFound, url.Values{"run": {"nope"}})
	if w := get(t, s, "/scenarios/attest?run=nope"); w.Code != http.StatusNotFound {
		t.Errorf("no run: %d", w.Code)
	}
}

func TestCoveragePages(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	checkPage(t, "coverage.html", get(t, s, "/coverage?plan=attest").Body.String())
	for path, want := range map[string][]string{
		"/coverage?plan=attest&show=missing":         {"P2P-SC-2<", "-P2P-SC-10<", "-P2P-MM-104<"},
		"/coverage?plan=attest&show=failed":          {"P2P-MM-104<", "-P2P-SC-10<"},
		"/coverage?plan=attest&channel=" + channel:   {"2 of 3 requirements were exercised"},
		"/api/v1/coverage?plan=attest&format=csv":    {"requirement,strength", "P2P-MM-104,SHALL,traffic,yes,attest," + channel + ",match,status,The answer fits,fail,server"},
		"/api/v1/coverage?plan=attest&channel=nope~": {"No channel"},
	} {
		body := get(t, s, path).Body.String()
		for _, w := range want {
			if not, found := strings.CutPrefix(w, "-"); found == strings.Contains(body, not) {
				t.Errorf("%s: %q", path, w)
			}
		}
	}
	none := kept(t, apitest.NewStore())
	for _, path := range []string{"/coverage", "/review"} {
		if w := get(t, none, path); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No test plans") {
			t.Errorf("%s without plans: %d", path, w.Code)
		}
	}
	apart := attestPlan
	apart.Steps = slices.Clone(apart.Steps)
	apart.Steps[0].Requirements = append(slices.Clone(apart.Steps[0].Requirements), "OWN-1")
	body := get(t, kept(t, store, apart), "/coverage?plan=attest").Body.String()
	for _, want := range []string{"of 3 requirements and ", " of 1 check of the scenario itself were exercised.", ">of the scenario<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the scenario's own checks are not told apart: no %q", want)
		}
	}
	empty := kept(t, apitest.NewStore(), attestPlan)
	checkPage(t, "review-empty.html", get(t, empty, "/review").Body.String())
	checkPage(t, "coverage-empty.html", get(t, empty, "/coverage").Body.String())
}

// TestHostilePeople puts markup into everything that a person can type about a run.
func TestHostilePeople(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	send(t, s, "/scenarios/attest/attest", http.StatusSeeOther, url.Values{"channel": {channel}, "step": {"tls"}, "check": {"seen"}, "verdict": {"fail"}, "by": {hostile}, "note": {hostile}})
	send(t, s, "/scenarios/attest/review", http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"disputed"}, "by": {hostile}, "role": {hostile}, "comment": {hostile}})
	send(t, s, "/scenarios/attest/review", http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"verified"}, "by": {hostile}, "digest": {hostile}})
	to := send(t, s, "/scenarios/attest/window", http.StatusSeeOther, url.Values{"channel": {channel}, "name": {hostile}, "by": {hostile}})
	for _, path := range []string{"/review", to, "/scenarios/attest?step=tls&channel=" + channel, "/results?plan=attest", "/coverage?plan=attest"} {
		w := do(t, s, http.MethodGet, path, "", map[string]string{"Cookie": nameCookie + "=" + url.QueryEscape(hostile)})
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
		noMarkup(t, path, w)
	}
}
