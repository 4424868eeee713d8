package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// Runs keeps runs. Unknown ones are proxy.ErrNotFound, what is not acceptable is proxy.ErrInvalid, and what a run that is always on refuses
// is proxy.ErrConflict.
type Runs interface {
	Start(ctx context.Context, in testplans.Run) (testplans.Run, error)
	Stop(ctx context.Context, id string) (testplans.Run, error)
	SetWindow(ctx context.Context, id string, since, until time.Time) (testplans.Run, error)
	Standing(ctx context.Context, plan, channel string) (testplans.Run, error)
	RunByID(ctx context.Context, id string) (testplans.Run, error)
	Runs(ctx context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error)
	JudgeRun(ctx context.Context, id string) (testplans.Judgement, error)
	History(ctx context.Context, run, step, check string) ([]testplans.Recorded, error)
	Words
}

// Words keeps what people say of runs.
type Words interface {
	Attest(ctx context.Context, run string, a testplans.Attestation) (testplans.Judgement, error)
	Review(ctx context.Context, r *testplans.Reviewed) error
	Reviews(ctx context.Context, runs ...string) (map[string][]testplans.Reviewed, error)
}

// Run is a plan judged over a channel: the one that is always on, or one with a window.
type Run struct {
	ID         string                 `json:"id"`
	Href       string                 `json:"href"`
	Plan       string                 `json:"plan"`
	PlanDigest string                 `json:"plan_digest"`
	Channel    string                 `json:"channel"`
	Name       string                 `json:"name,omitempty"`
	Standing   bool                   `json:"standing"`
	Since      *time.Time             `json:"since,omitempty"`
	Until      *time.Time             `json:"until,omitempty"`
	Created    *time.Time             `json:"created,omitempty"`
	CreatedBy  string                 `json:"created_by,omitempty"`
	State      testplans.State        `json:"state"`
	Verdict    testplans.Verdict      `json:"verdict"`
	Side       validators.Side        `json:"side,omitempty"`
	Evidence   testplans.EvidenceKind `json:"evidence_kind"`
	Review     testplans.Review       `json:"review"`
	// ReviewStale says that the review is of other results than these.
	ReviewStale bool `json:"review_stale,omitempty"`
	// Digest is of the results, for a review of exactly these.
	Digest string `json:"digest"`
	// Required counts required steps by verdict.
	Required  map[testplans.Verdict]int `json:"required"`
	Exchanges int                       `json:"exchanges"`
	// Insecure counts the exchanges that decided something while the server's certificate was not verified.
	Insecure int                 `json:"insecure,omitempty"`
	Waiting  int                 `json:"waiting"`
	Older    bool                `json:"older,omitempty"`
	Last     *time.Time          `json:"last,omitempty"`
	Context  *validators.Context `json:"context,omitempty"`
	// What follows is left out of lists.
	Results      []testplans.Result      `json:"results,omitempty"`
	Attestations []testplans.Attestation `json:"attestations,omitempty"`
	Reviews      []testplans.Reviewed    `json:"reviews,omitempty"`
}

// RunInput makes a run. Without since it begins now, without until it goes on until it is stopped.
type RunInput struct {
	Plan    string     `json:"plan"`
	Channel string     `json:"channel"`
	Name    string     `json:"name"`
	Since   *time.Time `json:"since"`
	Until   *time.Time `json:"until"`
	By      string     `json:"by"`
}

// WindowInput moves a run's window; without until it is open.
type WindowInput struct {
	Since *time.Time `json:"since"`
	Until *time.Time `json:"until"`
}

// AttestationInput is a named person's word on a check that asks for one.
type AttestationInput struct {
	Step    string            `json:"step"`
	Check   string            `json:"check"`
	Verdict testplans.Verdict `json:"verdict"`
	By      string            `json:"by"`
	Note    string            `json:"note"`
}

// ReviewInput is a decision on a run, named by its id or by plan and channel for the one that is always on.
type ReviewInput struct {
	Run     string           `json:"run"`
	Plan    string           `json:"plan"`
	Channel string           `json:"channel"`
	State   testplans.Review `json:"state"`
	By      string           `json:"by"`
	Role    string           `json:"role"`
	Comment string           `json:"comment"`
	// Digest is that of the run that was looked at; empty for how it stands now.
	Digest string `json:"digest"`
}

// HistoryItem is a result of a part of a run and when it came to be so.
type HistoryItem struct {
	At     time.Time        `json:"at"`
	Result testplans.Result `json:"result"`
}

func (a *API) registerRuns(g *gin.RouterGroup) {
	g.GET("/runs", a.handle(a.withRuns(a.listRuns)))
	g.POST("/runs", a.handle(a.withRuns(a.startRun)))
	g.GET("/runs/:id", a.handle(a.withRuns(a.getRun)))
	g.POST("/runs/:id/stop", a.handle(a.withRuns(a.stopRun)))
	g.PUT("/runs/:id/window", a.handle(a.withRuns(a.moveRun)))
	g.GET("/runs/:id/testreport", a.handle(a.withRuns(a.testReport)))
	g.GET("/runs/:id/history", a.handle(a.withRuns(a.history)))
	g.POST("/runs/:id/attestations", a.handle(a.withRuns(a.attest)))
	g.POST("/reviews", a.handle(a.withRuns(a.review)))
	g.GET("/coverage", a.handle(a.coverage))
	g.GET("/coverage/support", a.handle(a.support))
	g.GET("/export/har", a.handle(a.exportHAR))
}

func (a *API) withRuns(h func(*gin.Context) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		if a.deps.Runs == nil {
			return failed(http.StatusNotImplemented, "This server runs without test plans.")
		}
		return h(c)
	}
}

func (a *API) listRuns(c *gin.Context) error {
	ctx := c.Request.Context()
	limit, err := strconv.Atoi(cmp.Or(c.Query("limit"), "100"))
	if err != nil || limit < 1 || limit > 1000 {
		return failed(http.StatusBadRequest, "limit is a number from 1 to 1000.")
	}
	if cursor := c.Query("cursor"); cursor != "" {
		if _, err := a.deps.Runs.RunByID(ctx, cursor); errors.Is(err, proxy.ErrNotFound) {
			return failed(http.StatusBadRequest, "The cursor is not one that this list gave out. Leave it out to start from the newest.")
		} else if err != nil {
			return err
		}
	}
	runs, more, err := a.deps.Runs.Runs(ctx, testplans.RunQuery{Plan: c.Query("plan"), Channel: c.Query("channel"), Before: c.Query("cursor"), Limit: limit})
	if err != nil {
		return err
	}
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].ID
	}
	reviews, err := a.deps.Runs.Reviews(ctx, ids...)
	if err != nil {
		return err
	}
	out := List[Run]{Items: make([]Run, 0, len(runs)), Total: len(runs)}
	for i := range runs {
		j, err := a.deps.Runs.JudgeRun(ctx, runs[i].ID)
		if err != nil {
			return err
		}
		run := runOf(&runs[i], &j, reviews[runs[i].ID])
		run.Results, run.Attestations, run.Reviews, run.Context = nil, nil, nil, nil
		out.Items = append(out.Items, run)
	}
	if more {
		out.Next = ids[len(ids)-1]
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func runOf(run *testplans.Run, j *testplans.Judgement, reviews []testplans.Reviewed) Run {
	whole := j.Whole()
	out := Run{
		ID: run.ID, Href: "/api/v1/runs/" + run.ID, Plan: run.Plan, PlanDigest: cmp.Or(whole.PlanDigest, run.PlanDigest), Channel: run.Channel, Name: run.Name,
		Standing: run.Standing, Since: moment(run.Since), Until: moment(run.Until), Created: moment(run.Created), CreatedBy: run.CreatedBy, State: j.State,
		Verdict: whole.Verdict, Side: whole.Side, Evidence: j.Kind, Digest: j.Digest(), Required: requiredOf(j), Exchanges: j.Exchanges, Insecure: testplans.Unverified(j.Results), Waiting: j.Waiting,
		Older: j.Older, Last: moment(j.Last), Context: &whole.Context, Results: slices.Clone(j.Results), Attestations: run.Attestations, Reviews: reviews,
	}
	for i := range out.Results {
		out.Results[i].Run = run.ID
	}
	last, stale := testplans.Decision(reviews, out.Digest)
	out.Review, out.ReviewStale = last.State, stale
	return out
}

func requiredOf(j *testplans.Judgement) map[testplans.Verdict]int {
	out := map[testplans.Verdict]int{}
	for _, r := range j.Results {
		if r.Step != "" && r.Check == "" && !r.Optional {
			out[r.Verdict]++
		}
	}
	return out
}

// answerRun writes a run as it stands.
func (a *API) answerRun(c *gin.Context, status int, id string) error {
	run, j, err := a.judged(c.Request.Context(), id)
	if err != nil {
		return err
	}
	reviews, err := a.deps.Runs.Reviews(c.Request.Context(), id)
	if err != nil {
		return err
	}
	c.JSON(status, runOf(&run, &j, reviews[id]))
	return nil
}

func (a *API) judged(ctx context.Context, id string) (testplans.Run, testplans.Judgement, error) {
	run, err := a.deps.Runs.RunByID(ctx, id)
	if err != nil {
		return run, testplans.Judgement{}, err
	}
	j, err := a.deps.Runs.JudgeRun(ctx, id)
	return run, j, err
}

func (a *API) startRun(c *gin.Context) error {
	var in RunInput
	if err := decode(c, &in); err != nil {
		return err
	}
	run, err := a.deps.Runs.Start(c.Request.Context(), testplans.Run{Plan: in.Plan, Channel: in.Channel, Name: in.Name, Since: timeOf(in.Since), Until: timeOf(in.Until), CreatedBy: in.By})
	if err != nil {
		return err
	}
	c.Header("Location", "/api/v1/runs/"+run.ID)
	return a.answerRun(c, http.StatusCreated, run.ID)
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (a *API) getRun(c *gin.Context) error { return a.answerRun(c, http.StatusOK, c.Param("id")) }

func (a *API) stopRun(c *gin.Context) error {
	if _, err := a.deps.Runs.Stop(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	return a.answerRun(c, http.StatusOK, c.Param("id"))
}

func (a *API) moveRun(c *gin.Context) error {
	var in WindowInput
	if err := decode(c, &in); err != nil {
		return err
	}
	if _, err := a.deps.Runs.SetWindow(c.Request.Context(), c.Param("id"), timeOf(in.Since), timeOf(in.Until)); err != nil {
		return err
	}
	return a.answerRun(c, http.StatusOK, c.Param("id"))
}

// testReport is a run as a FHIR TestReport.
func (a *API) testReport(c *gin.Context) error {
	ctx := c.Request.Context()
	run, j, err := a.judged(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	p, _, err := a.plan(c, run.Plan)
	if err != nil {
		return err
	}
	base := "http://" + c.Request.Host
	if c.Request.TLS != nil {
		base = "https://" + c.Request.Host
	}
	client, server, err := a.sidesOf(ctx, run.Channel)
	if err != nil {
		return err
	}
	report := testplans.NewTestReport(&p, j.Results, testplans.ReportOptions{
		ID: run.ID, Engine: base, Client: client, Server: server, Issued: a.opts.Clock(), Exchange: func(id string) string { return base + "/exchanges/" + id },
	})
	out, err := json.Marshal(report)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "application/fhir+json; charset=utf-8", out)
	return nil
}

// sidesOf are the URIs of a channel's systems: a server's base URL, else a name.
func (a *API) sidesOf(ctx context.Context, channel string) (client, server string, err error) {
	channels, err := a.deps.Channels.Channels(ctx)
	if err != nil {
		return "", "", err
	}
	for _, ch := range channels {
		if ch.Name != channel {
			continue
		}
		server = ch.ServerURL
		if sys, err := a.deps.Systems.System(ctx, ch.ClientID); err == nil {
			client = "urn:fhirwire:system:" + sys.Slug
		}
	}
	return client, server, nil
}

func (a *API) history(c *gin.Context) error {
	ctx := c.Request.Context()
	if _, err := a.deps.Runs.RunByID(ctx, c.Param("id")); err != nil {
		return err
	}
	list, err := a.deps.Runs.History(ctx, c.Param("id"), c.Query("step"), c.Query("check"))
	if err != nil {
		return err
	}
	out := List[HistoryItem]{Items: make([]HistoryItem, 0, len(list)), Total: len(list)}
	for _, r := range list {
		out.Items = append(out.Items, HistoryItem{r.At, r.Result})
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func (a *API) attest(c *gin.Context) error {
	var in AttestationInput
	if err := decode(c, &in); err != nil {
		return err
	}
	_, err := a.deps.Runs.Attest(c.Request.Context(), c.Param("id"), testplans.Attestation{Step: in.Step, Check: in.Check, Verdict: in.Verdict, By: in.By, Note: in.Note})
	if err != nil {
		return err
	}
	return a.answerRun(c, http.StatusCreated, c.Param("id"))
}

func (a *API) review(c *gin.Context) error {
	var in ReviewInput
	if err := decode(c, &in); err != nil {
		return err
	}
	r := testplans.Reviewed{Run: in.Run, State: in.State, By: in.By, Role: in.Role, Comment: in.Comment, Digest: in.Digest}
	if r.Run == "" {
		if in.Plan == "" || in.Channel == "" {
			return failed(http.StatusBadRequest, "Name the run, or the plan and the channel of the one that is always on.")
		}
		run, err := a.deps.Runs.Standing(c.Request.Context(), in.Plan, in.Channel)
		if err != nil {
			return err
		}
		r.Run = run.ID
	}
	if err := a.deps.Runs.Review(c.Request.Context(), &r); err != nil {
		return err
	}
	c.JSON(http.StatusCreated, r)
	return nil
}
