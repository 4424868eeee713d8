package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

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
	b.Form = s.reviewFormOf("rv-", r, list, reviewerName(c), sent)
	return b
}

func (s *Server) reviewFormOf(prefix string, r *shown, list []testplans.Reviewed, by string, sent *sentForm) views.ReviewForm {
	f := views.ReviewForm{
		Prefix: prefix, Action: "/scenarios/" + url.PathEscape(r.plan.ID) + "/review", Run: r.run.ID, Plan: r.plan.ID, Channel: r.channel, Digest: r.j.Digest(), By: by,
		Seen: seenOf(list), Taken: s.claimedBy(list, by),
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
	problem, err := s.decided(c.Request.Context(), r, f)
	if problem != "" {
		return s.runPage(c, http.StatusConflict, requestOf(r, ""), &sentForm{of: "review", in: f, problem: problem})
	}
	if refused(err) {
		return s.runPage(c, http.StatusUnprocessableEntity, requestOf(r, ""), &sentForm{of: "review", in: f, errors: api.FieldErrors(err), problem: "Not decided. " + fix(len(api.FieldErrors(err)))})
	}
	if err != nil {
		return err
	}
	rememberName(c, f.Get("by"))
	if to, ok := s.afterReview(c, r, f); ok {
		c.Redirect(http.StatusSeeOther, to)
		return nil
	}
	c.Redirect(http.StatusSeeOther, r.href("done", "reviewed")+"#review")
	return nil
}

// decided stores a decision, unless somebody else decided since the form was shown, which problem says.
func (s *Server) decided(ctx context.Context, r *shown, f url.Values) (problem string, err error) {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if problem, err = s.overtaken(ctx, &r.run, f.Get("seen"), f.Get("by")); err != nil || problem != "" {
		return problem, err
	}
	return "", s.deps.Runs.Review(ctx, &testplans.Reviewed{
		Run: r.run.ID, State: testplans.Review(f.Get("state")), By: f.Get("by"), Role: f.Get("role"), Comment: f.Get("comment"), Digest: f.Get("digest"),
	})
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
