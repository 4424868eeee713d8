package play_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/testplans"
	"fhirwire/testplans/play"
)

// TestEdges: only the built-in reference payer is asked for edge cases, and a failing export is what an act may want.
func TestEdges(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	var at string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		edge := r.Header.Get(testplans.EdgeHeader)
		asked = append(asked, r.URL.Path+" "+edge)
		switch {
		case strings.HasSuffix(r.URL.Path, "/$export"):
			w.Header().Set("Content-Location", at+"/fhir/status")
			w.WriteHeader(http.StatusAccepted)
		case edge == "failed-job, other":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	at = srv.URL
	export := func(name string, edges ...string) testplans.Act {
		return testplans.Act{Name: name, Edges: edges, Export: &testplans.PlayExport{Fails: true, Kickoff: testplans.PlayRequest{URL: "/Patient/$export"}}}
	}
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: []testplans.Act{export("fails", "failed-job", "other"), export("completes"), get("read", "/Patient")}}}
	player := play.New(record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour}), &http.Transport{DisableCompression: true}, members{}, play.Options{})
	for _, tt := range []struct {
		own   bool
		state play.State
		asked []string
		dry   string
	}{
		{true, play.Played, []string{"/fhir/Patient/$export failed-job, other", "/fhir/status failed-job, other", "/fhir/Patient/$export ", "/fhir/status ", "/fhir/Patient "}, "GET"},
		{false, play.Skipped, []string{"/fhir/Patient/$export ", "/fhir/status ", "/fhir/Patient "}, ""},
	} {
		asked = nil
		to := play.Target{Base: at + "/fhir", Edges: tt.own}
		outcomes, err := player.Run(t.Context(), plan, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if outcomes[0].State != tt.state || outcomes[1].State != play.Broken || !strings.Contains(outcomes[1].Why, "was to fail") || outcomes[2].State != play.Played {
			t.Errorf("own %t: %+v", tt.own, outcomes)
		}
		if !tt.own && !strings.Contains(outcomes[0].Why, "failed-job, other") {
			t.Errorf("skipped without the reason: %q", outcomes[0].Why)
		}
		mu.Lock()
		if !slices.Equal(asked, tt.asked) {
			t.Errorf("own %t: asked %q", tt.own, asked)
		}
		mu.Unlock()
		lines, err := player.Describe(plan, to)
		if err != nil || lines[0].Method != tt.dry || tt.own != (lines[0].Header.Get(testplans.EdgeHeader) != "") {
			t.Errorf("own %t: %+v, %v", tt.own, lines[0], err)
		}
	}
}
