package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

// broken keeps no runs: every question fails.
type broken struct{ keeper }

// keeper has another name than its methods.
type keeper = api.Runs

var errDisk = errors.New("disk image is malformed: secret detail")

func (broken) RunByID(context.Context, string) (testplans.Run, error) {
	return testplans.Run{}, errDisk
}

func (broken) Runs(context.Context, testplans.RunQuery) ([]testplans.Run, bool, error) {
	return nil, false, errDisk
}

func (broken) Reviews(context.Context, ...string) (map[string][]testplans.Reviewed, error) {
	return nil, errDisk
}

func (broken) History(context.Context, string, string, string) ([]testplans.Recorded, error) {
	return nil, errDisk
}

func (broken) Standing(context.Context, string, string) (testplans.Run, error) {
	return testplans.Run{}, errDisk
}

// Every page of the scenarios says that it is our fault when what it reads cannot be read, and nothing of why.
func TestFailuresArePages(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	run := "/scenarios/attest?channel=" + channel
	for _, path := range []string{run, "/results?plan=attest", "/results/all", "/results/sheet", "/results/csv", "/review"} {
		if w := get(t, s, path); w.Code != http.StatusOK {
			t.Fatalf("%s: %d before anything is broken", path, w.Code)
		}
	}
	s.deps.Runs = broken{}
	for _, path := range []string{run, run + "&step=match&part=1", "/results?plan=attest", "/results/all", "/results/sheet", "/results/csv", "/review"} {
		w := get(t, s, path)
		body := w.Body.String()
		if w.Code != http.StatusInternalServerError || strings.Contains(body, "secret") || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: status %d, %s, or the detail is shown", path, w.Code, w.Header().Get("Content-Type"))
		}
		for _, want := range []string{"This page could not be built", "Our fault, and it counts for nobody", "12 September 2026, 10:45:02 UTC", `href="` + strings.ReplaceAll(path, "&", "&amp;") + `">Try again<`, "Go to Live"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	checkPage(t, "failure-500.html", get(t, s, "/review").Body.String())

	form := "channel=" + channel + "&state=verified&by=Ada&role=track+lead"
	w := do(t, s, http.MethodPost, "/scenarios/attest/review", form, map[string]string{"Sec-Fetch-Site": "same-origin"})
	if body := w.Body.String(); w.Code != http.StatusInternalServerError || strings.Contains(body, "Try again") || strings.Contains(body, "secret") {
		t.Errorf("a decision that cannot be kept: %d, or it can be sent again by a link", w.Code)
	}
}

// What another site makes a browser send is refused on a page, and nothing is decided.
func TestForeignFormsAreRefusedOnAPage(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	for _, act := range []string{"review", "attest", "window", "stop"} {
		w := do(t, s, http.MethodPost, "/scenarios/attest/"+act, "channel="+channel+"&state=verified&by=Mallory&role=track+lead", map[string]string{"Sec-Fetch-Site": "cross-site"})
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "This came from another site") {
			t.Errorf("%s: status %d", act, w.Code)
		}
		if act == "review" {
			checkPage(t, "failure-403.html", w.Body.String())
		}
	}
	if body := get(t, s, "/review").Body.String(); strings.Contains(body, "Mallory") {
		t.Error("a foreign decision was kept")
	}
}

// A page whose address looks like another host's is never linked.
func TestFailureLinksStayHere(t *testing.T) {
	store := apitest.NewStore()
	store.FailWith(errDisk)
	s := newServer(t, store, Options{})
	for _, path := range []string{"/", "//evil.example/", "/systems?x=javascript:alert(1)"} {
		if body := get(t, s, path).Body.String(); strings.Contains(body, `href="//`) || strings.Contains(body, `href="javascript:`) {
			t.Errorf("%s leads elsewhere", path)
		}
	}
}
