package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// sentForm is a form of the run page that was refused: what was typed and what is wrong with it.
type sentForm struct {
	of      string // "review", "window" or "attest"
	in      url.Values
	errors  map[string]string
	problem string
}

// formContext is what forms are filled in with.
type formContext struct {
	by   string
	sent *sentForm
}

func requestOf(r *shown, step string) runRequest {
	q := runRequest{channel: r.channel, step: step}
	if !r.run.Standing {
		q.run = r.run.ID
	}
	return q
}

// sentRun reads a form of a run page and the run it is about, stored if it was not.
func (s *Server) sentRun(c *gin.Context) (url.Values, *shown, error) {
	f, err := form(c)
	if err != nil {
		return nil, nil, err
	}
	ctx := c.Request.Context()
	plans, err := s.plans(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.planNamed(ctx, plans, c.Param("plan"))
	if err != nil {
		return nil, nil, err
	}
	if s.deps.Runs == nil {
		return nil, nil, errNoMethod
	}
	r := &shown{plan: p, channel: f.Get("channel")}
	if id := f.Get("run"); id != "" {
		r.run, err = s.deps.Runs.RunByID(ctx, id)
		if r.channel = r.run.Channel; err == nil && r.run.Plan != p.ID {
			err = proxy.ErrNotFound
		}
		return f, r, err
	}
	r.run, err = s.deps.Runs.Standing(ctx, p.ID, r.channel)
	return f, r, err
}

// attest takes a named person's word.
func (s *Server) attest(c *gin.Context) error {
	f, r, err := s.sentRun(c)
	if err != nil {
		return err
	}
	_, err = s.deps.Runs.Attest(c.Request.Context(), r.run.ID, testplans.Attestation{
		Step: f.Get("step"), Check: f.Get("check"), Verdict: testplans.Verdict(f.Get("verdict")), By: f.Get("by"), Note: f.Get("note"),
	})
	if refused(err) {
		return s.runPage(c, http.StatusUnprocessableEntity, requestOf(r, f.Get("step")), &sentForm{of: "attest", in: f, errors: api.FieldErrors(err), problem: "Not attested. " + fix(len(api.FieldErrors(err)))})
	}
	if err != nil {
		return err
	}
	rememberName(c, f.Get("by"))
	c.Redirect(http.StatusSeeOther, r.href("step", f.Get("step"), "done", "attested")+"#detail")
	return nil
}

// window makes a run with a window, or moves one's.
func (s *Server) window(c *gin.Context) error {
	f, r, err := s.sentRun(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	since, errSince := s.typed("since", f.Get("since"))
	until, errUntil := s.typed("until", f.Get("until"))
	switch {
	case errSince != nil:
		err = errSince
	case errUntil != nil:
		err = errUntil
	case r.run.Standing:
		r.run, err = s.deps.Runs.Start(ctx, testplans.Run{Plan: r.plan.ID, Channel: r.channel, Name: f.Get("name"), Since: since, Until: until, CreatedBy: f.Get("by")})
	default:
		_, err = s.deps.Runs.SetWindow(ctx, r.run.ID, since, until)
	}
	if refused(err) {
		if f.Get("run") == "" {
			r.run.Standing = true
		}
		return s.runPage(c, http.StatusUnprocessableEntity, requestOf(r, ""), &sentForm{of: "window", in: f, errors: api.FieldErrors(err), problem: "The window was not taken. " + fix(len(api.FieldErrors(err)))})
	}
	if err != nil {
		return err
	}
	rememberName(c, f.Get("by"))
	c.Redirect(http.StatusSeeOther, r.href("done", "window"))
	return nil
}

// stopRun closes a run's window.
func (s *Server) stopRun(c *gin.Context) error {
	_, r, err := s.sentRun(c)
	if err != nil {
		return err
	}
	if _, err := s.deps.Runs.Stop(c.Request.Context(), r.run.ID); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, r.href("done", "stopped"))
	return nil
}

const inputTime = "2006-01-02T15:04:05"

// typed reads a time as an input of date and time sends it, in the zone that pages show.
func (s *Server) typed(field, text string) (time.Time, error) {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{inputTime, "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, s.opts.Clock().Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &proxy.FieldError{Field: field, Text: "type a date and a time, such as 2026-09-12T10:00"}
}

func (s *Server) inputOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(s.opts.Clock().Location()).Format(inputTime)
}

// runTools adds what can be done with a run to its page.
func (s *Server) runTools(ctx context.Context, c *gin.Context, n *names, r *shown, v *views.Run, sent *sentForm) error {
	if s.deps.Runs == nil {
		return nil
	}
	base := "/scenarios/" + url.PathEscape(r.plan.ID)
	w := &views.Window{Action: base + "/window", Submit: "Set a window", Named: true, Zone: s.zone(), By: reviewerName(c), Fields: [][2]string{{"channel", r.channel}}}
	if !r.run.Standing {
		w.Submit, w.Named, w.Since, w.Until = "Move the window", false, s.inputOf(r.run.Since), s.inputOf(r.run.Until)
		w.Fields = append(w.Fields, [2]string{"run", r.run.ID})
		if r.run.Until.IsZero() || s.opts.Clock().Before(r.run.Until) {
			w.Stop = base + "/stop"
		}
	}
	if sent != nil && sent.of == "window" {
		w.Since, w.Until, w.Name, w.By = sent.in.Get("since"), sent.in.Get("until"), sent.in.Get("name"), sent.in.Get("by")
		w.Problem, w.Errors, w.Open = sent.problem, sent.errors, true
	}
	v.Window = w
	runs, _, err := s.deps.Runs.Runs(ctx, testplans.RunQuery{Plan: r.plan.ID, Channel: r.channel, Limit: 50})
	if err != nil {
		return err
	}
	v.Others = []views.Link{{Text: "All that was recorded", Href: runHref(r.plan.ID, r.channel), Current: r.run.Standing}}
	for i := range runs {
		o := &runs[i]
		if o.Standing {
			continue
		}
		text := s.span(o)
		if o.Name != "" {
			text = visible([]byte(o.Name)) + ", " + text
		}
		v.Others = append(v.Others, views.Link{Text: text, Href: runHref(r.plan.ID, r.channel, "run", o.ID), Current: o.ID == r.run.ID})
	}
	if len(v.Others) == 1 {
		v.Others = nil
	}
	if r.run.ID != "" {
		v.Downloads = []views.Link{{Text: "TestReport", Href: "/api/v1/runs/" + url.PathEscape(r.run.ID) + "/testreport"}}
	}
	list, err := s.reviewsOf(ctx, &r.run)
	if err != nil {
		return err
	}
	v.Review = s.reviewBar(c, n, r, list, sent)
	return s.reviewSteps(ctx, r, v.Review)
}

// attestForms are the questions to people of a step.
func attestForms(r *shown, st *testplans.Step, forms *formContext) []views.AttestForm {
	var out []views.AttestForm
	for i := range st.Checks {
		check := &st.Checks[i]
		if check.Attestation == nil || check.Attestation.Otherwise && trafficDecides(r.j.Results, st.ID, check.ID) {
			continue
		}
		f := views.AttestForm{
			ID: "at-" + strconv.Itoa(i+1), Action: "/scenarios/" + url.PathEscape(r.plan.ID) + "/attest", Question: check.Attestation.Question, Step: st.ID, Check: check.ID,
			Fields: [][2]string{{"channel", r.channel}}, By: forms.by,
		}
		if !r.run.Standing {
			f.Fields = append(f.Fields, [2]string{"run", r.run.ID})
		}
		for _, a := range r.run.Attestations {
			if a.Step == st.ID && a.Check == check.ID { // the last word counts
				f.Said = "Said before: " + strings.ToLower(verdictWord(a.Verdict)) + ", by " + visible([]byte(a.By)) + "."
			}
		}
		chosen := ""
		if s := forms.sent; s != nil && s.of == "attest" && s.in.Get("check") == check.ID {
			f.By, f.Note, f.Problem, f.Errors, chosen = s.in.Get("by"), s.in.Get("note"), s.problem, s.errors, s.in.Get("verdict")
		}
		for _, o := range []struct {
			v    testplans.Verdict
			text string
		}{{testplans.Pass, "Yes"}, {testplans.Fail, "No"}, {testplans.NotApplicable, "Does not apply"}} {
			f.Alternatives = append(f.Alternatives, views.Option{Value: string(o.v), Text: o.text, Selected: chosen == string(o.v)})
		}
		out = append(out, f)
	}
	return out
}

// trafficDecides reports a question for what traffic leaves open, where it leaves nothing open.
func trafficDecides(results []testplans.Result, step, check string) bool {
	return slices.ContainsFunc(results, func(r testplans.Result) bool {
		return r.Step == step && r.Check == check && r.Verdict == testplans.NotApplicable && r.Kind != testplans.Attested
	})
}

// historyOf are the results of a step as they were stored, newest first.
func (s *Server) historyOf(ctx context.Context, plan *testplans.Plan, run *testplans.Run, st *testplans.Step) ([]views.HistoryRow, error) {
	if s.deps.Runs == nil || run.ID == "" {
		return nil, nil
	}
	list, err := s.deps.Runs.History(ctx, run.ID, st.ID, "")
	if err != nil {
		return nil, err
	}
	const most = 50
	var out []views.HistoryRow
	for i := range list[:min(len(list), most)] {
		r := &list[i].Result
		out = append(out, views.HistoryRow{
			Time: s.dated(list[i].At), Moment: list[i].At.Format(time.RFC3339), Verdict: planMark(r.Verdict), Side: string(r.Side), Why: sentence(message(plan, st, r, 240)),
			Exchanges: numbersOf(r.Evidence, r.EvidenceCut), Text: s.otherText(r, plan.Digest),
		})
	}
	return out, nil
}

// laneRows bounds what is drawn; the table has all.
const laneRows = 12

// laneOf draws evidence between two lifelines, nil for none.
func laneOf(client, server string, rows []views.EvidenceRow) *views.Lane {
	var drawn []views.EvidenceRow
	for _, r := range rows {
		if r.Href != "" && len(drawn) < laneRows {
			drawn = append(drawn, r)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	short := func(s string, n int) string { return clip(s, n) }
	l := &views.Lane{Client: short(client, 32), Server: short(server, 32)}
	at := func(y int) string { return strconv.Itoa(y) }
	y := 48
	for _, r := range drawn {
		row := views.LaneRow{
			Y: at(y), LabelY: at(y - 6), TextY: at(y + 4), HeadTo: "570," + at(y) + " 562," + at(y-4) + " 562," + at(y+4), Time: r.Time, Number: r.Number, Label: short(r.Request, 60),
		}
		if r.Verdict.Class == "v-fail" || r.StatusClass == "c4" || r.StatusClass == "c5" || r.StatusClass == "c0" {
			back := y + 24
			row.Answer, row.BackY, row.BackLabel = short(r.Status, 40), at(back), at(back-6)
			row.HeadBack = "150," + at(back) + " 158," + at(back-4) + " 158," + at(back+4)
			if r.Verdict.Class == "v-fail" {
				row.Selected, row.BandY, row.BandH = true, at(y-22), "56"
			}
			y += 24
		} else {
			row.Label += ": " + r.Status
		}
		l.Rows = append(l.Rows, row)
		y += 36
	}
	l.Bottom, l.ViewBox = at(y-24), "0 0 716 "+at(y-20)
	l.Title = "Exchanges between " + l.Client + " and " + l.Server + ". The same list follows as a table."
	return l
}
