package web

import (
	"cmp"
	"context"
	"errors"
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

// shown is the run that a page is about.
type shown struct {
	plan    *testplans.Plan
	channel string
	// run has a window, or is the one that is always on, which has no id until it is stored.
	run testplans.Run
	j   testplans.Judgement
}

// href is the run's page with more parameters, in pairs.
func (r *shown) href(more ...string) string {
	if !r.run.Standing {
		more = append([]string{"run", r.run.ID}, more...)
	}
	return runHref(r.plan.ID, r.channel, more...)
}

// run is a plan's checklist over one channel.
func (s *Server) run(c *gin.Context) error {
	return s.runPage(c, http.StatusOK, runRequest{run: c.Query("run"), channel: c.Query("channel"), step: c.Query("step")}, nil)
}

// runRequest names a run and a step of it.
type runRequest struct{ run, channel, step string }

// runPage shows a run, with what was wrong with a form that was sent.
func (s *Server) runPage(c *gin.Context, status int, q runRequest, sent *sentForm) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	p, err := s.planNamed(ctx, plans, c.Param("plan"))
	if err != nil {
		return err
	}
	if q.channel == "" && q.run == "" {
		return s.choosePair(c, n, p, plans)
	}
	r, err := s.shown(ctx, n, p, q)
	if err != nil {
		return err
	}
	part, err := s.runView(ctx, n, r, q.step, &formContext{by: reviewerName(c), sent: sent})
	if err != nil {
		return err
	}
	if isPart(c) {
		return render(c, http.StatusOK, views.RunPart(part))
	}
	client, server := n.sides(r.channel)
	v := views.Run{
		Shell: s.runShell(c, n, p, plans, r.channel), Back: "/scenarios#p-" + p.ID, Track: p.Track, Title: p.Title,
		Pair: client + " (client) to " + server + " (server)", Live: part,
	}
	v.Shell.Title = p.Title + ", " + n.label(r.channel)
	if r.run.Name != "" {
		v.Pair += ": " + visible([]byte(r.run.Name))
	}
	if err := s.runTools(ctx, c, n, r, &v, sent); err != nil {
		return err
	}
	return render(c, status, views.RunPage(v))
}

// shown judges the run that a page is about.
func (s *Server) shown(ctx context.Context, n *names, p *testplans.Plan, q runRequest) (*shown, error) {
	r := &shown{plan: p, channel: q.channel, run: testplans.Run{Plan: p.ID, Channel: q.channel, Standing: true}}
	if q.run != "" && s.deps.Runs != nil {
		var err error
		if r.run, err = s.deps.Runs.RunByID(ctx, q.run); err != nil {
			return nil, err
		}
		if r.channel = r.run.Channel; r.run.Plan != p.ID {
			return nil, proxy.ErrNotFound
		}
		r.j, err = s.deps.Runs.JudgeRun(ctx, q.run)
		return r, err
	}
	if err := n.known(q.channel); err != nil {
		return nil, err
	}
	var err error
	if r.j, err = s.judgement(ctx, p, q.channel); err != nil {
		return nil, err
	}
	if r.run.ID = r.j.Run; r.run.ID != "" && s.deps.Runs != nil {
		r.run, err = s.deps.Runs.RunByID(ctx, r.run.ID)
	}
	return r, err
}

// runShell is the shell whose pair menu stays on the plan.
func (s *Server) runShell(c *gin.Context, n *names, p *testplans.Plan, plans []testplans.Plan, channel string) views.Shell {
	v := s.shell(c.Request.Context(), c, p.Title, "scenarios", n, channel)
	v.Scopes = []views.Link{{Text: "All pairs", Href: resultsHref(p.ID), Current: channel == ""}}
	for _, ch := range n.channels {
		if ch.Name == channel || api.PlaysTrack(ch, p.Track, plans) {
			v.Scopes = append(v.Scopes, views.Link{Text: n.label(ch.Name), Href: runHref(p.ID, ch.Name), Current: ch.Name == channel})
		}
	}
	return v
}

func (s *Server) choosePair(c *gin.Context, n *names, p *testplans.Plan, plans []testplans.Plan) error {
	v := views.Run{Shell: s.runShell(c, n, p, plans, ""), Back: "/scenarios#p-" + p.ID, Track: p.Track, Title: p.Title, Pair: p.Scenario}
	v.Empty = &views.Empty{Title: "Choose a pair", Text: "The plan is judged over what one client and one server exchanged through their channel."}
	for _, l := range v.Scopes[1:] {
		v.Empty.Actions = append(v.Empty.Actions, views.Link{Text: l.Text, Href: l.Href})
	}
	if len(v.Empty.Actions) == 0 {
		v.Empty = &views.Empty{
			Title: "No pair in this track yet", Text: "Register a client and a server and connect them. The steps tick themselves as their traffic passes.",
			Actions: []views.Link{{Text: "Connect two systems", Href: "/systems"}},
		}
	}
	return render(c, http.StatusOK, views.RunPage(v))
}

// runView is the live part of the run page, with the step chosen or the first that needs somebody.
func (s *Server) runView(ctx context.Context, n *names, run *shown, chosen string, forms *formContext) (views.RunLive, error) {
	p, j := run.plan, &run.j
	whole := j.Whole()
	if !slices.ContainsFunc(p.Steps, func(st testplans.Step) bool { return st.ID == chosen }) {
		chosen = needsSomebody(p, j)
	}
	v := views.RunLive{
		Self: run.href("step", chosen, "part", "1"), Range: s.span(&run.run), Verdict: planMark(whole.Verdict), Side: string(whole.Side), State: stateWord(j.State),
		Moving: j.State == testplans.Evaluating, Steady: j.State == testplans.Recording, Evidence: evidenceView(j.Kind), Tally: tallyOf(j),
		Window: views.Plural(j.Exchanges, "exchange", "exchanges"),
	}
	switch {
	case whole.Verdict == testplans.ToolError && j.Exchanges == 0:
		v.Window = "" // not read to the end
	case j.Exchanges > 0:
		v.Window += ", last " + s.clock(j.Last) + " " + s.zone()
	}
	if j.Waiting > 0 {
		v.Window += ", " + views.Count(j.Waiting) + " to check"
	}
	var err error
	if v.Latest, v.All, err = s.latest(ctx, n, run); err != nil {
		return v, err
	}
	reviews, err := s.reviewsOf(ctx, &run.run)
	if err != nil {
		return v, err
	}
	v.Review = s.stampOf(reviews, j.Digest())
	v.Say = sayRun(j, v.Verdict.Word)
	about, err := s.tokenNotice(ctx, n, j)
	if err != nil {
		return v, err
	}
	v.Notices = append(s.runNotices(n, j), about...)
	if err := s.planNotice(ctx, p, &v); err != nil {
		return v, err
	}
	for i := range p.Steps {
		st := &p.Steps[i]
		r, ok := j.Step(st.ID)
		if !ok {
			r = testplans.Result{Step: st.ID, Claim: st.Claim, Verdict: testplans.ToolError, Message: "not judged"}
		}
		step := views.RunStep{
			ID: st.ID, Number: strconv.Itoa(i + 1), Title: st.Title, Verdict: planMark(r.Verdict), Why: whyStep(p, st, &r), Exchanges: numbersOf(r.Evidence, r.EvidenceCut),
			Href: run.href("step", st.ID) + "#detail", Current: st.ID == chosen,
		}
		if r.Verdict == testplans.Fail && !st.Optional && v.Side != "" && !strings.Contains(v.Side, "step") {
			v.Side += ", step " + step.Number
		}
		group := phase(st)
		if k := len(v.Groups); k == 0 || v.Groups[k-1].Name != group {
			v.Groups = append(v.Groups, views.RunGroup{Name: group, Note: phaseNotes[group]})
		}
		last := &v.Groups[len(v.Groups)-1]
		last.Steps = append(last.Steps, step)
		if step.Current {
			detail, err := s.stepDetail(ctx, n, run, st, &r, step)
			if err != nil {
				return v, err
			}
			detail.Attest = attestForms(run, st, forms)
			v.Detail = detail
		}
	}
	return v, nil
}

// latestRows is how many exchanges stand beside the checklist.
const latestRows = 6

// latest are the newest exchanges of a run, and the list with all of its channel.
func (s *Server) latest(ctx context.Context, n *names, run *shown) (rows []views.EvidenceRow, all string, err error) {
	sc := scopeOf(url.Values{"channel": {run.channel}})
	all = sc.href("/")
	for key, at := range map[proxy.Key]time.Time{proxy.KeySince: run.run.Since, proxy.KeyUntil: run.run.Until} {
		if !at.IsZero() {
			sc.filter.Terms = append(sc.filter.Terms, proxy.Term{Key: key, Op: proxy.OpEq, Values: []string{at.UTC().Format(time.RFC3339Nano)}})
		}
	}
	page, err := s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: sc.filter, Limit: latestRows, SkipTotal: true})
	if err != nil {
		return nil, "", err
	}
	evidence := make([]testplans.Evidence, len(page.Exchanges))
	for i, e := range page.Exchanges {
		evidence[i] = testplans.Evidence{Exchange: e.ID, Number: e.Number}
	}
	rows, err = s.evidenceRows(ctx, n, evidence)
	return rows, all, err
}

// phase is the heading that a step stands under; steps stay in the plan's order.
func phase(st *testplans.Step) string {
	if st.Optional {
		return "Optional"
	}
	return "Required"
}

var phaseNotes = map[string]string{"Required": "decides the verdict", "Optional": "never lowers the verdict"}

// needsSomebody is the step shown unasked: the first required one that failed, else the first required one that traffic has yet to
// show, else the first with evidence that is no pass, else the first.
func needsSomebody(p *testplans.Plan, j *testplans.Judgement) string {
	first := func(want func(*testplans.Result) bool) string {
		for _, st := range p.Steps {
			if r, ok := j.Step(st.ID); ok && want(&r) {
				return st.ID
			}
		}
		return ""
	}
	start := ""
	if len(p.Steps) > 0 {
		start = p.Steps[0].ID
	}
	return cmp.Or(
		first(func(r *testplans.Result) bool { return r.Verdict == testplans.Fail && !r.Optional }),
		first(func(r *testplans.Result) bool { return r.Verdict == testplans.NotShown && !r.Optional }),
		first(func(r *testplans.Result) bool { return len(r.Evidence) > 0 && r.Verdict != testplans.Pass }),
		start,
	)
}

// sayRun is the state for those who do not see the marks.
func sayRun(j *testplans.Judgement, word string) string {
	counts := required(j)
	total := 0
	for _, n := range counts {
		total += n
	}
	text := word + ", " + strconv.Itoa(counts[testplans.Pass]+counts[testplans.PassNotes]) + " of " + views.Plural(total, "required step", "required steps") + " passed"
	if k := counts[testplans.Fail]; k > 0 {
		text += ", " + strconv.Itoa(k) + " failed"
	}
	return text
}

func (s *Server) runNotices(n *names, j *testplans.Judgement) []views.Notice {
	var out []views.Notice
	if r := j.Whole(); r.Verdict == testplans.ToolError {
		text := "Our fault, and it counts for nobody. What was recorded is safe. The log says what happened."
		out = append(out, views.Notice{Class: "v-error", Title: "Judging stopped", Text: text, Alert: true})
	}
	if n := testplans.Unverified(j.Results); n > 0 {
		out = append(out, views.Notice{Class: "sev-warning", Title: "Server not verified", Text: testplans.SayUnverified(n) + " Somebody switched that off for a time; who reviews this decides what it is worth."})
	}
	if j.State == testplans.NotTried {
		if ch := n.byName[j.Channel]; ch != nil {
			out = append(out, views.Notice{Class: "v-none", Title: "Nothing of this scenario was recorded yet", Text: "Send the client's requests to " + ch.ClientBase(s.opts.ProxyURL) + ". The steps tick themselves, in any order."})
		}
	}
	if j.Older {
		out = append(out, views.Notice{Class: "v-not-checked", Title: "Only the newest " + views.Count(j.Exchanges) + " exchanges were judged", Text: "The channel has more, recorded before. They count neither way."})
	}
	return out
}

// whyStep is the one line under a step's title.
func whyStep(p *testplans.Plan, st *testplans.Step, r *testplans.Result) string {
	text := message(p, st, r, 240)
	switch {
	case r.Verdict == testplans.ToolError:
		text = "Our fault, counts for nobody: " + cmp.Or(r.Message, "judging stopped")
	case text == "":
		return r.Claim
	case r.Verdict == testplans.Fail && r.Side != "":
		return sentence(string(r.Side)) + ": " + strings.TrimSuffix(text, ".")
	}
	return sentence(text)
}

// stepDetail is what decided a step.
func (s *Server) stepDetail(ctx context.Context, n *names, run *shown, st *testplans.Step, r *testplans.Result, step views.RunStep) (*views.StepDetail, error) {
	p, j := run.plan, &run.j
	d := &views.StepDetail{
		Heading: "Step " + step.Number + ", " + st.Title, Verdict: step.Verdict, Side: string(r.Side), Claim: st.Claim, Require: requirementsOf(st),
		Told: told(n, p, j.Channel, st, r),
	}
	if r.Verdict == testplans.NotShown {
		d.Awaited = s.awaited(n, p, st, j.Channel)
	}
	results := j.Checks(st.ID)
	places, err := s.places(ctx, st, results)
	if err != nil {
		return nil, err
	}
	counts := map[testplans.Verdict]int{}
	for _, cr := range results {
		counts[cr.Verdict]++
		row := views.CheckRow{Claim: cr.Claim, Verdict: planMark(cr.Verdict), Strength: string(cr.Strength), Why: sentence(visible([]byte(clip(inWords(p, cr.Message), 600)))), Places: places[cr.Check]}
		if cr.Kind != "" && cr.Kind != j.Kind {
			row.Evidence = evidenceView(cr.Kind)
		}
		if cr.Verdict == testplans.Fail && cr.Side != "" {
			row.Why += " (" + string(cr.Side) + ")"
		}
		if cr.Verdict != testplans.NotShown {
			for _, e := range cr.Evidence {
				row.Links = append(row.Links, views.Link{Text: strconv.FormatInt(e.Number, 10), Href: exchangeHref(e.Exchange)})
			}
			row.Insecure = cr.Insecure > 0
		}
		if !slices.Equal(cr.Requirements, r.Requirements) {
			row.Require = cr.Requirements
		}
		d.Checks = append(d.Checks, row)
	}
	var words []string
	for _, v := range verdictOrder {
		if counts[v] > 0 {
			words = append(words, strconv.Itoa(counts[v])+" "+strings.ToLower(verdictWord(v)))
		}
	}
	d.Counts = strings.Join(words, ", ")
	if r.EvidenceCut > 0 {
		d.Cut = "And " + views.Plural(r.EvidenceCut, "exchange", "exchanges") + " more."
	}
	if c, _ := deciding(st, r.Message); c != nil && d.Told != nil && len(places[c.ID]) > 0 {
		d.Told.Href, d.Told.Link = places[c.ID][0].Href, "Open: "+places[c.ID][0].Text
	}
	if d.Evidence, err = s.evidenceRows(ctx, n, r.Evidence); err != nil {
		return d, err
	}
	client, server := n.sides(j.Channel)
	d.Lane = laneOf(client, server, d.Evidence)
	if d.History, err = s.historyOf(ctx, p, &run.run, st); err != nil {
		return nil, err
	}
	with := judgedWith(p, r)
	if len(d.History) > 0 {
		with = append([]string{"judged " + d.History[0].Time}, with...)
	}
	d.Judged = sentence(strings.Join(with, ", "))
	return d, nil
}

// told says what happened, whose side and what to do, for all but a plain pass.
func told(n *names, p *testplans.Plan, channel string, st *testplans.Step, r *testplans.Result) *views.Notice {
	t := &views.Notice{Class: "v-" + string(r.Verdict), Title: sentence(message(p, st, r, 600))}
	switch r.Verdict {
	case testplans.Fail:
		t.Text = cmp.Or(n.who(channel, r.Side), "Neither side is named") + ". Mend it and send it again: the step is judged anew."
	case testplans.NotShown:
		t.Text = "Nobody is wrong. The step ticks itself when such traffic passes."
		if attested(st) {
			t.Text = "Nobody is wrong. Traffic cannot show it: a person who saw it has to say so, by name, below."
		}
	case testplans.NotChecked:
		t.Text = "It happened and could not be judged. It counts neither way."
	case testplans.ToolError:
		t.Text = "Our fault, and it counts for nobody."
	case testplans.NotApplicable:
		t.Text = "It counts neither way."
	case testplans.PassNotes, testplans.Pass:
	}
	if t.Title == "" && t.Text == "" {
		return nil
	}
	t.Title = cmp.Or(t.Title, verdictWord(r.Verdict))
	return t
}

// attested reports whether a step has nothing but questions to people.
func attested(st *testplans.Step) bool {
	return !slices.ContainsFunc(st.Checks, func(c testplans.Check) bool { return c.Attestation == nil })
}

func exchangeHref(id string) string { return "/exchanges/" + url.PathEscape(id) }

// evidenceRows are exchanges with their own verdicts. One that is not stored any more keeps its number.
func (s *Server) evidenceRows(ctx context.Context, n *names, evidence []testplans.Evidence) ([]views.EvidenceRow, error) {
	ids := make([]string, len(evidence))
	for i, e := range evidence {
		ids[i] = e.Exchange
	}
	sums, err := s.deps.Reports.Summaries(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]views.EvidenceRow, 0, len(evidence))
	for _, e := range evidence {
		row := views.EvidenceRow{Number: strconv.FormatInt(e.Number, 10), Request: "Not stored any more"}
		ex, err := s.deps.Exchanges.Exchange(ctx, e.Exchange)
		switch {
		case err == nil:
			row.Href = exchangeHref(ex.ID)
			r := s.row(n, ex, summaryOf(sums, ex.ID), false)
			row.Time, row.Moment, row.Status, row.StatusClass, row.Verdict = r.Time, r.Moment, r.Status, r.StatusClass, r.Verdict
			row.Request = strings.TrimSpace(r.What + " " + r.Context)
		case !errors.Is(err, proxy.ErrNotFound):
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
