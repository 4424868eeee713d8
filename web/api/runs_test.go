package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/live"
	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

var began = time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC)

var talkPlan = testplans.Plan{
	ID: "talk", Title: "Talk", Track: "T", Digest: "d", Roles: testplans.Roles{Client: "an app", Server: "a payer"},
	Steps: []testplans.Step{
		{
			ID: "hello", Title: "Hello", Claim: "=The server answers", Requirements: []string{"T-10", "T-2"}, Select: testplans.Select{Kind: []string{"capabilities"}},
			Checks: []testplans.Check{{ID: "ok", Claim: "=It is 200", Side: validators.SideServer, Status: []string{"200"}}},
		},
		{ID: "said", Title: "Said", Claim: "It was said", Requirements: []string{"T-2"}, Checks: []testplans.Check{{ID: "yes", Claim: "Somebody says so", Side: validators.SideBoth, Attestation: &testplans.Attest{Question: "Was it?"}}}},
	},
}

// talking is an API over a service that judges talkPlan over channel a~b, with one exchange.
func talking(t *testing.T) (*apitest.Store, api.Deps) {
	t.Helper()
	store := apitest.NewStore()
	ctx := t.Context()
	client := &proxy.System{ID: "c", Slug: "a", Name: "A", Roles: []proxy.Role{proxy.RoleClient}}
	server := &proxy.System{ID: "s", Slug: "b", Name: "B", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "http://b.example/fhir"}
	channel := &proxy.Channel{ID: "ch", Name: "a~b", ClientID: "c", ServerID: "s", ServerURL: server.BaseURL}
	if err := errors.Join(store.SaveSystem(ctx, client), store.SaveSystem(ctx, server), store.SaveChannel(ctx, channel)); err != nil {
		t.Fatal(err)
	}
	answer(store, "x1", 200)
	d := store.Deps()
	o := scenarios.Options{Clock: func() time.Time { return began.Add(time.Hour) }, Publisher: store.Hub}
	service, err := scenarios.New([]testplans.Plan{talkPlan}, scenarios.Source{Exchanges: store, Reports: store, Bodies: store}, store, apitest.NewRuns(), checks.NewTable(nil), o)
	if err != nil {
		t.Fatal(err)
	}
	d.Scenarios, d.Runs = service, service
	return store, d
}

func answer(store *apitest.Store, id string, status int) {
	e := &proxy.Exchange{ID: id, Channel: "a~b", Interaction: proxy.Interaction{Kind: proxy.KindCapabilities}, Response: &proxy.Response{Status: status}, Timing: proxy.Timing{Start: began}}
	e.Request.Method = "GET"
	store.AddExchange(e)
	store.AddReport(&validators.Report{Subject: id})
}

func TestRuns(t *testing.T) {
	store, d := talking(t)
	r := router(t, d)
	if l := decode[api.List[api.Run]](t, call(t, r, "GET", "/runs", "")); len(l.Items) != 0 {
		t.Errorf("runs before anything was asked: %+v", l)
	}
	m := decode[api.Matrix](t, call(t, r, "GET", "/matrix?plan=talk", ""))
	if len(m.Cells) != 1 || m.Cells[0].Run == "" || m.Cells[0].Review != testplans.Unreviewed {
		t.Fatalf("matrix %+v", m)
	}
	standing := m.Cells[0].Run
	w := call(t, r, "POST", "/runs", `{"plan":"talk","channel":"a~b","name":"Noon","since":"2026-09-12T09:00:00Z","by":"Ada"}`)
	made := decode[api.Run](t, w)
	if w.Code != 201 || w.Header().Get("Location") != "/api/v1/runs/"+made.ID || made.Standing || made.Name != "Noon" || made.CreatedBy != "Ada" || made.Exchanges != 1 || made.State != testplans.Recording {
		t.Fatalf("%d: %+v", w.Code, made)
	}
	page := decode[api.List[api.Run]](t, call(t, r, "GET", "/runs?plan=talk&channel=a~b&limit=1", ""))
	if len(page.Items) != 1 || page.Items[0].ID != made.ID || page.Next == "" || page.Items[0].Results != nil {
		t.Fatalf("first page %+v", page)
	}
	page = decode[api.List[api.Run]](t, call(t, r, "GET", "/runs?cursor="+page.Next, ""))
	if len(page.Items) != 1 || page.Items[0].ID != standing || page.Next != "" {
		t.Errorf("second page %+v", page)
	}
	if w := call(t, r, "GET", "/runs?cursor=nope", ""); w.Code != 400 {
		t.Errorf("a cursor that is none: %d %s", w.Code, w.Body)
	}

	w = call(t, r, "POST", "/runs/"+standing+"/attestations", `{"step":"said","check":"yes","verdict":"pass","by":"Ada","note":"heard it"}`)
	run := decode[api.Run](t, w)
	if w.Code != 201 || run.Verdict != testplans.Pass || run.State != testplans.Done || len(run.Attestations) != 1 || run.Attestations[0].By != "Ada" || len(run.Results) != 5 {
		t.Errorf("%d: %+v", w.Code, run)
	}
	review := decode[testplans.Reviewed](t, call(t, r, "POST", "/reviews", `{"plan":"talk","channel":"a~b","state":"verified","by":"Lead","role":"track lead"}`))
	if review.Run != standing || review.Digest != run.Digest || review.At.IsZero() {
		t.Errorf("review %+v", review)
	}
	answer(store, "x2", 500)
	run = decode[api.Run](t, call(t, r, "GET", "/runs/"+standing, ""))
	if run.Review != testplans.Verified || !run.ReviewStale || run.Verdict != testplans.PassNotes || len(run.Reviews) != 1 {
		t.Errorf("after more traffic: %+v", run)
	}
	if c := decode[api.Matrix](t, call(t, r, "GET", "/matrix?plan=talk", "")).Cells[0]; c.Review != testplans.Verified || !c.ReviewStale || c.Digest != run.Digest {
		t.Errorf("cell %+v", c)
	}
	history := decode[api.List[api.HistoryItem]](t, call(t, r, "GET", "/runs/"+standing+"/history?step=said&check=yes", ""))
	if len(history.Items) != 2 || history.Items[0].Result.Verdict != testplans.Pass || history.Items[1].Result.Verdict != testplans.NotShown || history.Items[0].Result.Kind != testplans.Attested {
		t.Errorf("history %+v", history)
	}

	w = call(t, r, "GET", "/runs/"+standing+"/testreport", "")
	report := decode[testplans.TestReport](t, w)
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/fhir+json") || report.ResourceType != "TestReport" || report.ID != standing || report.Result != "pass" || len(report.Test) != 2 ||
		len(report.Participant) != 3 || report.Participant[2].URI != "http://b.example/fhir" {
		t.Errorf("test report %+v", report)
	}

	moved := decode[api.Run](t, call(t, r, "PUT", "/runs/"+made.ID+"/window", `{"since":"2026-09-12T10:30:00Z"}`))
	if moved.Exchanges != 0 || moved.Until != nil || moved.State != testplans.NotTried {
		t.Errorf("moved %+v", moved)
	}
	off := decode[api.Run](t, call(t, r, "POST", "/runs/"+made.ID+"/stop", ""))
	if off.Until == nil || !off.Until.Equal(began.Add(30*time.Minute)) || off.State != testplans.Cancelled {
		t.Errorf("stopped before anything came in its window: %+v", off)
	}
	moved = decode[api.Run](t, call(t, r, "PUT", "/runs/"+made.ID+"/window", `{"since":"2026-09-12T09:30:00Z"}`))
	stopped := decode[api.Run](t, call(t, r, "POST", "/runs/"+made.ID+"/stop", ""))
	if stopped.Until == nil || !stopped.Until.Equal(began.Add(time.Hour)) || stopped.State != testplans.Done || stopped.Exchanges != moved.Exchanges || moved.Exchanges == 0 {
		t.Errorf("stopped %+v, before %+v", stopped, moved)
	}

	for _, tt := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"POST", "/runs", `{"plan":"nope","channel":"a~b"}`, 422, "plan"},
		{"POST", "/runs", `{"plan":"talk","channel":"nope"}`, 422, "channel"},
		{"POST", "/runs", `{"plan":"talk","channel":"a~b","until":"2000-01-01T00:00:00Z"}`, 422, "until"},
		{"POST", "/runs", `{"plans":"talk"}`, 400, ""},
		{"GET", "/runs?limit=0", "", 400, ""},
		{"GET", "/runs/nope", "", 404, ""},
		{"GET", "/runs/nope/history", "", 404, ""},
		{"GET", "/runs/nope/testreport", "", 404, ""},
		{"POST", "/runs/nope/stop", "", 404, ""},
		{"POST", "/runs/" + standing + "/stop", "", 409, ""},
		{"PUT", "/runs/" + standing + "/window", "{}", 409, ""},
		{"POST", "/runs/" + standing + "/attestations", `{"step":"hello","check":"ok","verdict":"pass","by":"Ada"}`, 422, "check"},
		{"POST", "/runs/" + standing + "/attestations", `{"step":"said","check":"yes","verdict":"pass-notes","by":"Ada"}`, 422, "verdict"},
		{"POST", "/reviews", `{"state":"verified","by":"Lead"}`, 400, ""},
		{"POST", "/reviews", `{"run":"nope","state":"verified","by":"Lead"}`, 404, ""},
		{"POST", "/reviews", `{"run":"` + standing + `","state":"rejected","by":"Lead"}`, 422, "comment"},
		{"POST", "/reviews", `{"run":"` + standing + `","state":"unreviewed","by":"Lead"}`, 422, "state"},
		{"GET", "/coverage", "", 400, ""},
		{"GET", "/coverage?plan=nope", "", 404, ""},
		{"GET", "/coverage?plan=talk&channel=nope", "", 404, ""},
	} {
		w := call(t, r, tt.method, tt.path, tt.body)
		p := decode[api.Problem](t, w)
		if w.Code != tt.status || tt.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
			t.Errorf("%s %s: %d %+v, want %d %s", tt.method, tt.path, w.Code, p, tt.status, tt.field)
		}
	}
}

func TestWithoutRuns(t *testing.T) {
	r := router(t, apitest.NewStore().Deps())
	for _, tt := range [][2]string{{"GET", "/runs"}, {"POST", "/runs"}, {"GET", "/runs/x"}, {"POST", "/reviews"}, {"GET", "/coverage?plan=x"}, {"GET", "/export/har"}} {
		if w := call(t, r, tt[0], tt[1], "{}"); w.Code != http.StatusNotImplemented {
			t.Errorf("%v: %d", tt, w.Code)
		}
	}
}

func TestCoverage(t *testing.T) {
	_, d := talking(t)
	r := router(t, d)
	v := decode[api.Coverage](t, call(t, r, "GET", "/coverage?plan=talk", ""))
	if v.Total != 2 || v.Exercised != 2 || v.Items[0].ID != "T-2" || v.Items[0].DecidedBy != "both" || v.Items[1].ID != "T-10" || v.Items[1].Verdicts[testplans.Pass] != 1 {
		t.Fatalf("%+v", v)
	}
	if c := v.Items[1].Checks[0]; c.Channel != "a~b" || c.Verdict != testplans.Pass || len(c.Evidence) != 1 || c.Evidence[0].Exchange != "x1" {
		t.Errorf("check %+v", c)
	}
	d.ScenarioCheck = func(id string) bool { return id == "T-10" }
	apart := decode[api.Coverage](t, call(t, router(t, d), "GET", "/coverage?plan=talk", ""))
	if apart.Total != 2 || apart.Scenario != (api.CoverageCount{Total: 1, Exercised: 1}) || apart.OfGuides() != (api.CoverageCount{Total: 1, Exercised: 1}) || apart.Items[0].Scenario || !apart.Items[1].Scenario {
		t.Errorf("the scenario's own checks: %+v", apart)
	}
	w := call(t, r, "GET", "/coverage?plan=talk&channel=a~b&format=csv", "")
	want := "requirement,strength,decided by,exercised,plan,channel,step,check,claim,verdict,side,message,exchanges,exchange ids\n" +
		"T-2,SHALL,both,yes,talk,a~b,hello,ok,'=It is 200,pass,,,1,x1\n" +
		"T-2,SHALL,both,no,talk,a~b,said,yes,Somebody says so,not-shown,,nobody has answered yet: Was it?,,\n" +
		"T-10,SHALL,traffic,yes,talk,a~b,hello,ok,'=It is 200,pass,,,1,x1\n"
	if w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("csv\n%s\nwant\n%s", w.Body, want)
	}
}

func TestStreamTellsOfRuns(t *testing.T) {
	store, d := talking(t)
	srv := httptest.NewServer(router(t, d))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for store.Hub.Subscribers() == 0 {
		time.Sleep(time.Millisecond)
	}
	store.Hub.Publish(live.Notice{Kind: live.KindVerdict, ID: "r1"})
	store.Hub.Publish(live.Notice{Kind: live.KindRun, ID: "r2"})
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "/r2\"}") {
		n, err := res.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
	}
	for _, want := range []string{"event: verdict\ndata: {\"id\":\"r1\",\"href\":\"/api/v1/runs/r1\"}", "event: run\ndata: {\"id\":\"r2\",\"href\":\"/api/v1/runs/r2\"}"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q does not have %q", got.String(), want)
		}
	}
}

// exporter writes what it was asked and then fails, where it is told to.
type exporter struct{ err error }

func (e exporter) ExportHAR(_ context.Context, w io.Writer, f proxy.Filter) error {
	if _, err := io.WriteString(w, `{"log":"`+f.Words()+`"`); err != nil {
		return err
	}
	if e.err != nil {
		return e.err
	}
	_, err := io.WriteString(w, "}")
	return err
}

func TestExportHAR(t *testing.T) {
	d := apitest.NewStore().Deps()
	d.Exporter = exporter{}
	w := call(t, router(t, d), "GET", "/export/har?filter=type:Patient", "")
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"log":"`) || !strings.Contains(w.Body.String(), "Patient") || w.Header().Get("Content-Disposition") != `attachment; filename="fhirwire.har"` {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := call(t, router(t, d), "GET", "/export/har?filter=nope:1", ""); w.Code != 400 {
		t.Errorf("a filter that is not understood: %d", w.Code)
	}
	d.Exporter = exporter{errors.New("disk")}
	srv := httptest.NewServer(router(t, d))
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/export/har", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half a file looks like a whole one")
	}
}
