package web

import (
	"encoding/csv"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

// twoPlans has a second plan over the same traffic.
func twoPlans(t *testing.T) (*apitest.Store, *Server, string) {
	t.Helper()
	store, channel := matched(t)
	second := attestPlan
	second.ID, second.Title, second.Digest = "second", "Fetch the record", "d2"
	return store, kept(t, store, attestPlan, second), channel
}

func decide(t *testing.T, s *Server, plan, channel string, more url.Values) string {
	t.Helper()
	form := url.Values{"channel": {channel}, "state": {"verified"}, "by": {"Ada Lovelace"}, "role": {"track lead"}}
	maps.Copy(form, more)
	return send(t, s, "/scenarios/"+plan+"/review", http.StatusSeeOther, form)
}

// TestReviewQueue signs everything there is from the queue, one after the other.
func TestReviewQueue(t *testing.T) {
	store, s, channel := twoPlans(t)
	get(t, s, "/scenarios") // judges, and so begins the runs
	body := get(t, s, "/review").Body.String()
	if !strings.Contains(body, `data-count="Review">2<`) || !strings.Contains(body, "Showing all 2 runs.") {
		t.Error("the queue is not counted")
	}
	page := get(t, s, "/scenarios/second?channel="+channel).Body.String()
	if !strings.Contains(page, " of 2 to review") || !strings.Contains(page, `name="next"`) && !strings.Contains(page, "Previous to review") {
		t.Error("the run does not say where it stands in the queue")
	}

	// The one that was judged last stands first, and leads to the other.
	first, other := "second", "attest"
	if !strings.Contains(page, "1 of 2 to review") {
		first, other = other, first
	}
	if to := decide(t, s, first, channel, url.Values{"next": {"1"}}); !strings.HasPrefix(to, "/scenarios/"+other+"?") {
		t.Errorf("the next is %s", to)
	}
	if to := decide(t, s, other, channel, url.Values{"next": {"1"}, "state": {"partly-verified"}, "comment": {"one step"}, "by": {"=HYPERLINK(1)"}}); to != "/review?done=reviewed" {
		t.Errorf("after the last comes %s", to)
	}
	body = get(t, s, "/review").Body.String()
	if strings.Contains(body, `data-count="Review"`) || strings.Contains(body, `id="wait"`) || !strings.Contains(body, `id="decided"`) {
		t.Error("something still waits")
	}

	for query, want := range map[string]int{
		"plan=second": 1, "state=verified": 1, "state=changed": 0, "by=Ada+Lovelace": 1, "state=verified&by=nobody": 0, "plan=attest&state=unreviewed": 0,
	} {
		body := get(t, s, "/review?"+query).Body.String()
		if got := strings.Count(body, `class="decided"`); got != want {
			t.Errorf("%s shows %d runs, want %d", query, got, want)
		}
		if want == 0 && !strings.Contains(body, "No run matches") {
			t.Errorf("%s: nothing is said of nothing", query)
		}
	}
	if to := decide(t, s, first, channel, url.Values{"back": {"/review?plan=second"}}); to != "/review?done=reviewed&plan=second" {
		t.Errorf("the filter is lost: %s", to)
	}
	if to := decide(t, s, first, channel, url.Values{"back": {"https://elsewhere.example/review?"}}); !strings.HasPrefix(to, "/scenarios/") {
		t.Errorf("leads away: %s", to)
	}

	addExchange(store, "x3", 2*time.Minute, spec{path: "/fhir/metadata", channel: channel, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 500})
	store.AddReport(&validators.Report{Subject: "x3"})
	if body := get(t, s, "/review?state=changed").Body.String(); strings.Count(body, `class="decided"`) != 2 || !strings.Contains(body, "steps or their evidence changed") && !strings.Contains(body, "Then ") {
		t.Error("what changed since is not said")
	}
	for _, path := range []string{"/review", "/"} {
		if body := get(t, s, path).Body.String(); !strings.Contains(body, `data-count="Review">2<`) {
			t.Errorf("%s: what needs a second look is not counted", path)
		}
	}
	if page := get(t, s, "/scenarios/second?channel="+channel).Body.String(); !strings.Contains(page, " of 2 to review") {
		t.Error("what needs a second look is not walked through")
	}
}

func TestResultsSheet(t *testing.T) {
	_, s, channel := twoPlans(t)
	if body := get(t, s, "/results?plan=second").Body.String(); !strings.Contains(body, `href="/results/sheet?plan=second"`) {
		t.Error("the matrix does not lead to its sheet")
	}
	decide(t, s, "attest", channel, url.Values{"state": {"rejected"}, "comment": {"=1+1"}, "by": {"@lead"}})
	get(t, s, "/scenarios")
	checkPage(t, "results-sheet.html", get(t, s, "/results/sheet").Body.String())
	if body := get(t, s, "/results/sheet?plan=second").Body.String(); strings.Contains(body, "p-attest") || !strings.Contains(body, "1 run, 0 decided, 1 open.") {
		t.Error("the sheet of one plan has others, or miscounts")
	}

	w := get(t, s, "/results/csv")
	if ct := w.Header().Get("Content-Type"); ct != "text/csv; charset=utf-8" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%q", ct)
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v: %d rows", err, len(rows))
	}
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[2][i] // plans are listed by title
	}
	for name, want := range map[string]string{
		"plan": "attest", "client": "Harborlight Health Plan", "server": "Cedar Mesa Mutual", "evidence": "observed", "review": "rejected",
		"reviewed_by": "'@lead", "comment": "'=1+1", "of_older_results": "false", "reviewed_at": "2026-09-12T10:45:02Z", "exchanges": "2",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if code := get(t, s, "/results/csv?plan=none").Code; code != http.StatusNotFound {
		t.Errorf("an unknown plan is %d", code)
	}
	empty := kept(t, apitest.NewStore(), testplans.Plan{ID: "p", Title: "P", Track: "T"})
	if body := get(t, empty, "/results/sheet").Body.String(); !strings.Contains(body, "Nothing was tried yet") {
		t.Error("nothing is not said")
	}
}
