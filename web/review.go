package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// reviewWords are the review states as pages say them, in the order of the legend.
var reviewWords = []views.Stamp{
	{Kind: string(testplans.Unreviewed), Word: "Unreviewed"},
	{Kind: string(testplans.Claimed), Word: "Claimed"},
	{Kind: string(testplans.Verified), Word: "Verified"},
	{Kind: string(testplans.PartlyVerified), Word: "Partly verified"},
	{Kind: string(testplans.Rejected), Word: "Rejected"},
	{Kind: string(testplans.Disputed), Word: "Disputed"},
}

func stamps() []views.Stamp { return slices.Clone(reviewWords) }

func stampWord(r testplans.Review) views.Stamp {
	for _, s := range reviewWords {
		if s.Kind == string(r) {
			return s
		}
	}
	return reviewWords[0]
}

// stampOf is the last decision of those of a run, beside results of a digest.
func (s *Server) stampOf(list []testplans.Reviewed, digest string) views.Stamp {
	last, stale := testplans.Decision(list, digest)
	v := stampWord(last.State)
	if last.By != "" {
		v.Note = visible([]byte(last.By)) + ", " + s.clock(last.At)
	}
	if stale {
		v.Note += ", of older results"
	}
	return v
}

// reviewsOf are the decisions on a run, oldest first, none where runs are not kept.
func (s *Server) reviewsOf(ctx context.Context, run *testplans.Run) ([]testplans.Reviewed, error) {
	if s.deps.Runs == nil || run.ID == "" {
		return nil, nil
	}
	all, err := s.deps.Runs.Reviews(ctx, run.ID)
	return all[run.ID], err
}

// roles are as what people decide.
var roles = []string{"track lead", "client", "server"}

// reviewBar is who says what of a run.
func (s *Server) reviewBar(c *gin.Context, n *names, r *shown, list []testplans.Reviewed, sent *sentForm) *views.ReviewBar {
	whole := r.j.Whole()
	mark := planMark(whole.Verdict)
	client, server := n.sides(r.channel)
	b := &views.ReviewBar{Says: []views.Said{{Who: "The tool says", Mark: &mark, Side: string(whole.Side)}}}
	digest := r.j.Digest()
	for i, who := range []string{"Track lead", client + " says", server + " says"} {
		said := views.Said{Who: who}
		mine := slices.DeleteFunc(slices.Clone(list), func(o testplans.Reviewed) bool { return cmp.Or(o.Role, roles[0]) != roles[i] })
		if len(mine) > 0 {
			stamp := s.stampOf(mine, digest)
			said.Stamp, said.Comment = &stamp, visible([]byte(clip(mine[len(mine)-1].Comment, 300)))
		}
		b.Says = append(b.Says, said)
	}
	b.Form = reviewFormOf("rv-", r, reviewerName(c), sent)
	return b
}

func reviewFormOf(prefix string, r *shown, by string, sent *sentForm) views.ReviewForm {
	f := views.ReviewForm{
		Prefix: prefix, Action: "/scenarios/" + url.PathEscape(r.plan.ID) + "/review", Run: r.run.ID, Plan: r.plan.ID, Channel: r.channel, Digest: r.j.Digest(), By: by,
	}
	role := roles[0]
	if sent != nil && sent.of == "review" {
		f.By, f.Comment, role = sent.in.Get("by"), sent.in.Get("comment"), sent.in.Get("role")
		f.Errors, f.Problem, f.Open, f.Back = sent.errors, sent.problem, true, sent.in.Get("back")
	}
	for _, o := range roles {
		f.Roles = append(f.Roles, views.Option{Value: o, Text: sentence(o), Selected: o == role})
	}
	return f
}

// review takes a decision on a run.
func (s *Server) review(c *gin.Context) error {
	f, r, err := s.sentRun(c)
	if err != nil {
		return err
	}
	if role := f.Get("role"); !slices.Contains(roles, role) {
		f.Set("role", roles[0])
	}
	err = s.deps.Runs.Review(c.Request.Context(), &testplans.Reviewed{
		Run: r.run.ID, State: testplans.Review(f.Get("state")), By: f.Get("by"), Role: f.Get("role"), Comment: f.Get("comment"), Digest: f.Get("digest"),
	})
	if refused(err) {
		return s.runPage(c, http.StatusUnprocessableEntity, requestOf(r, ""), &sentForm{of: "review", in: f, errors: api.FieldErrors(err), problem: "Not decided. " + fix(len(api.FieldErrors(err)))})
	}
	if err != nil {
		return err
	}
	rememberName(c, f.Get("by"))
	if f.Get("back") == "/review" {
		c.Redirect(http.StatusSeeOther, "/review?done=reviewed")
		return nil
	}
	c.Redirect(http.StatusSeeOther, r.href("done", "reviewed")+"#review")
	return nil
}

const nameCookie = "fhirwire_name"

// reviewerName is the name that was given last in this browser.
func reviewerName(c *gin.Context) string {
	name, _ := c.Cookie(nameCookie) // none is no name
	return clip(name, 80)
}

func rememberName(c *gin.Context, name string) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: nameCookie, Value: url.QueryEscape(strings.TrimSpace(clip(name, 80))), Path: "/", MaxAge: 30 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// queuePage bounds the runs that the queue looks at.
const queuePage = 500

// reviewQueue is what waits for somebody, and what was decided.
func (s *Server) reviewQueue(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	v := views.Review{Shell: s.shell(ctx, c, "Review", "review", n, ""), Summary: "People decide beside the tool, by name. A decision never changes the tool's verdict."}
	if s.deps.Runs == nil || len(plans) == 0 {
		v.Empty = &noPlans
		return render(c, http.StatusOK, views.ReviewPage(v))
	}
	runs, more, err := s.deps.Runs.Runs(ctx, testplans.RunQuery{Limit: queuePage})
	if err != nil {
		return err
	}
	if more {
		v.Summary += " The newest " + views.Count(queuePage) + " runs are listed."
	}
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].ID
	}
	reviews, err := s.deps.Runs.Reviews(ctx, ids...)
	if err != nil {
		return err
	}
	groups := []views.ReviewGroup{
		{ID: "wait", Title: "To review"}, {ID: "changed", Title: "Changed since they were reviewed"}, {ID: "decided", Title: "Decided"},
	}
	for i := range runs {
		p, err := planOf(plans, runs[i].Plan)
		if err != nil {
			continue // of a plan that another build has
		}
		j, err := s.deps.Runs.JudgeRun(ctx, runs[i].ID)
		if errors.Is(err, proxy.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if j.State == testplans.NotTried {
			continue
		}
		item, at := s.reviewItem(n, &shown{plan: p, channel: runs[i].Channel, run: runs[i], j: j}, reviews[runs[i].ID], reviewerName(c))
		groups[at].Items = append(groups[at].Items, item)
	}
	for _, g := range groups {
		if len(g.Items) > 0 {
			g.Note = views.Count(len(g.Items))
			v.Groups = append(v.Groups, g)
		}
	}
	if len(v.Groups) == 0 {
		v.Empty = &views.Empty{
			Title: "Nothing to review", Text: "A run appears here once its first exchange was recorded.",
			Actions: []views.Link{{Text: "Scenarios", Href: "/scenarios"}},
		}
	}
	return render(c, http.StatusOK, views.ReviewPage(v))
}

// reviewItem is a run in the queue, and in which group it stands.
func (s *Server) reviewItem(n *names, r *shown, list []testplans.Reviewed, by string) (item views.ReviewItem, group int) {
	whole := r.j.Whole()
	last, stale := testplans.Decision(list, r.j.Digest())
	item = views.ReviewItem{
		Title: r.plan.Title, Pair: n.label(r.channel), Href: r.href(), Verdict: planMark(whole.Verdict), Side: string(whole.Side), Evidence: evidenceView(r.j.Kind),
		Tally: tallyOf(&r.j), Stamp: s.stampOf(list, r.j.Digest()), Comment: visible([]byte(clip(last.Comment, 600))),
		Form: reviewFormOf("rv-"+r.run.ID+"-", r, by, nil),
	}
	item.Form.Back = "/review"
	if r.run.Name != "" {
		item.Pair += ": " + visible([]byte(r.run.Name))
	}
	if span := s.span(&r.run); span != "" {
		item.Pair += ", " + span
	}
	if !r.j.Last.IsZero() {
		item.Age = age(s.opts.Clock().Sub(r.j.Last))
	}
	for _, o := range slices.Backward(list[:max(0, len(list)-1)]) {
		text := stampWord(o.State).Word + ", " + visible([]byte(o.By)) + ", " + s.clock(o.At)
		if o.Comment != "" {
			text += ": " + visible([]byte(clip(o.Comment, 300)))
		}
		item.Before = append(item.Before, text)
	}
	switch {
	case stale:
		return item, 1
	case last.State == testplans.Unreviewed, last.State == testplans.Claimed, last.State == testplans.Disputed:
		return item, 0
	}
	return item, 2
}

// span is a run's window in words, empty for one that has none.
func (s *Server) span(run *testplans.Run) string {
	if run.Standing || run.Since.IsZero() && run.Until.IsZero() {
		return ""
	}
	from, to := "the beginning", "now"
	if !run.Since.IsZero() {
		from = s.dated(run.Since)
	}
	if !run.Until.IsZero() {
		to = s.dated(run.Until)
	}
	return from + " to " + to
}

// dated is a clock time, with its date when that is not today's.
func (s *Server) dated(t time.Time) string {
	now := s.opts.Clock()
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}
