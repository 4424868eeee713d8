package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// PlanItem is a test plan in a list.
type PlanItem struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Track    string            `json:"track"`
	Scenario string            `json:"scenario,omitempty"`
	Guides   map[string]string `json:"guides,omitempty"`
	Roles    testplans.Roles   `json:"roles"`
	Steps    int               `json:"steps"`
	Required int               `json:"required"`
	Digest   string            `json:"digest"`
	Href     string            `json:"href"`
	// File is what the plan was read from; empty for one that is built in. Replaces says that it stands in place of a built-in one.
	File     string     `json:"file,omitempty"`
	Replaces bool       `json:"replaces_builtin,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
}

// Matrix is the results of a plan, a cell for each channel that plays it.
type Matrix struct {
	Plan  string `json:"plan"`
	Cells []Cell `json:"cells"`
}

// Cell is a plan's result over a channel.
type Cell struct {
	Channel  string                 `json:"channel"`
	ClientID string                 `json:"client_id"`
	ServerID string                 `json:"server_id"`
	State    testplans.State        `json:"state"`
	Verdict  testplans.Verdict      `json:"verdict"`
	Side     validators.Side        `json:"side,omitempty"`
	Evidence testplans.EvidenceKind `json:"evidence_kind"`
	// Run is the id of the run that is always on, once one is stored; Digest is of its results.
	Run    string           `json:"run,omitempty"`
	Digest string           `json:"digest"`
	Review testplans.Review `json:"review"`
	// ReviewStale says that the review is of other results than these.
	ReviewStale bool `json:"review_stale,omitempty"`
	// Required counts required steps by verdict.
	Required map[testplans.Verdict]int `json:"required"`
	// Exchanges were looked at; Waiting of them have no report yet.
	Exchanges int        `json:"exchanges"`
	Waiting   int        `json:"waiting"`
	Older     bool       `json:"older,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	// Results are the whole's and the steps'; those of checks are left out.
	Results []testplans.Result `json:"results"`
}

func (a *API) plans(c *gin.Context) ([]testplans.Plan, error) {
	if a.deps.Scenarios == nil {
		return nil, failed(http.StatusNotImplemented, "This server runs without test plans.")
	}
	return a.deps.Scenarios.Plans(c.Request.Context())
}

func (a *API) plan(c *gin.Context, id string) (testplans.Plan, []testplans.Plan, error) {
	plans, err := a.plans(c)
	if err != nil {
		return testplans.Plan{}, nil, err
	}
	p, known, err := PlanOf(c.Request.Context(), a.deps.PlanFiles, plans, id)
	if err == nil && !known {
		err = failed(http.StatusNotFound, "No test plan has this id. GET /plans lists them.")
	}
	return p, plans, err
}

func (a *API) listPlans(c *gin.Context) error {
	plans, err := a.plans(c)
	if err != nil {
		return err
	}
	files := a.planFiles()
	out := PlanList{List: List[PlanItem]{Items: make([]PlanItem, 0, len(plans)), Total: len(plans)}, Faults: files.Faults}
	for _, p := range plans {
		item := PlanItem{
			ID: p.ID, Title: p.Title, Track: p.Track, Scenario: p.Scenario, Guides: p.Guides, Roles: p.Roles, Steps: len(p.Steps), Digest: p.Digest,
			Href: "/api/v1/plans/" + p.ID,
		}
		for _, s := range p.Steps {
			if !s.Optional {
				item.Required++
			}
		}
		if f, own := files.Of(p.ID); own {
			item.File, item.Replaces, item.Since = f.File, f.Replaces, moment(f.Since)
		}
		out.Items = append(out.Items, item)
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func (a *API) getPlan(c *gin.Context) error {
	p, _, err := a.plan(c, c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, p)
	return nil
}

func (a *API) matrix(c *gin.Context) error {
	if c.Query("plan") == "" {
		return failed(http.StatusBadRequest, "Name the test plan: ?plan=ID. GET /plans lists them.")
	}
	p, plans, err := a.plan(c, c.Query("plan"))
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	channels, err := a.deps.Channels.Channels(ctx)
	if err != nil {
		return err
	}
	out := Matrix{Plan: p.ID, Cells: []Cell{}}
	former := !slices.ContainsFunc(plans, func(known testplans.Plan) bool { return known.ID == p.ID })
	for _, ch := range channels {
		if !former && !PlaysTrack(ch, p.Track, plans) {
			continue
		}
		j, err := Judged(ctx, a.deps.Scenarios, &p, ch.Name)
		switch {
		case former && errors.Is(err, proxy.ErrNotFound):
			continue // it was never judged over this channel
		case err != nil && j.Results == nil:
			return err
		case err != nil:
			a.opts.Logger.ErrorContext(ctx, "judging failed", "plan", p.ID, "channel", ch.Name, "error", err)
		}
		out.Cells = append(out.Cells, cellOf(ch, &j))
	}
	if err := a.decide(ctx, out.Cells); err != nil {
		return err
	}
	c.JSON(http.StatusOK, out)
	return nil
}

// decide sets what people decided on the cells.
func (a *API) decide(ctx context.Context, cells []Cell) error {
	if a.deps.Runs == nil {
		return nil
	}
	var ids []string
	for i := range cells {
		if cells[i].Run != "" {
			ids = append(ids, cells[i].Run)
		}
	}
	reviews, err := a.deps.Runs.Reviews(ctx, ids...)
	if err != nil {
		return err
	}
	for i := range cells {
		last, stale := testplans.Decision(reviews[cells[i].Run], cells[i].Digest)
		cells[i].Review, cells[i].ReviewStale = last.State, stale
	}
	return nil
}

// Judged judges a plan over a channel. When that fails by a fault of ours, the judgement has the verdict error throughout, so
// that what is round it can still be shown; the error says why, for the log. Other errors come without results.
func Judged(ctx context.Context, s Scenarios, p *testplans.Plan, channel string) (testplans.Judgement, error) {
	j, err := s.Judge(ctx, p.ID, channel)
	if err == nil || ctx.Err() != nil || StatusOf(err) < http.StatusInternalServerError {
		return j, err
	}
	j = testplans.Judgement{Plan: p.ID, Channel: channel, State: testplans.Done, Results: []testplans.Result{{Plan: p.ID, Claim: p.Title, Verdict: testplans.ToolError}}}
	for _, st := range p.Steps {
		j.Results = append(j.Results, testplans.Result{Plan: p.ID, Step: st.ID, Claim: st.Claim, Optional: st.Optional, Verdict: testplans.ToolError, Message: "judging stopped"})
	}
	return j, err
}

func cellOf(ch *proxy.Channel, j *testplans.Judgement) Cell {
	whole := j.Whole()
	cell := Cell{
		Channel: ch.Name, ClientID: ch.ClientID, ServerID: ch.ServerID, State: j.State, Verdict: whole.Verdict, Side: whole.Side, Evidence: j.Kind,
		Run: j.Run, Digest: j.Digest(), Review: testplans.Unreviewed, Required: requiredOf(j), Exchanges: j.Exchanges, Waiting: j.Waiting, Older: j.Older, Last: moment(j.Last),
		Results: []testplans.Result{},
	}
	for _, r := range j.Results {
		if r.Check != "" {
			continue
		}
		cell.Results = append(cell.Results, r)
	}
	return cell
}

// PlaysTrack reports whether a channel plays the plans of a track.
func PlaysTrack(ch *proxy.Channel, of string, plans []testplans.Plan) bool {
	return testplans.PlaysTrack(ch.Options.Track, of, plans)
}
