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
	"fhirwire/web/views"
)

// queuePage bounds the runs that the queue looks at.
const queuePage = 500

// queued is a run in the queue with what people decided on it.
type queued struct {
	shown
	list  []testplans.Reviewed
	last  testplans.Reviewed
	stale bool
}

// The groups of the queue.
const (
	waits = iota
	changed
	decided
)

// reviewCount is how many runs wait, as the rail says it; of very many the newest are counted.
func reviewCount(waiting int) string {
	switch {
	case waiting == 0:
		return ""
	case waiting >= queuePage:
		return views.Count(queuePage) + "+"
	}
	return views.Count(waiting)
}

// open says that somebody has yet to decide for good.
func open(state testplans.Review) bool {
	return state == testplans.Unreviewed || state == testplans.Claimed || state == testplans.Disputed
}

func (q *queued) group() int {
	switch {
	case q.stale && !open(q.last.State):
		return changed
	case q.stale, open(q.last.State):
		return waits
	}
	return decided
}

// queueFilter is what of the queue is shown; the zero value is all of it.
type queueFilter struct {
	plan, state, by string
}

// stale is the state of a decision on older results, which is no review state of its own.
const staleState = "changed"

func queueFilterOf(q url.Values) queueFilter {
	return queueFilter{plan: q.Get("plan"), state: q.Get("state"), by: q.Get("by")}
}

func (f queueFilter) href() string {
	q := url.Values{}
	for name, value := range map[string]string{"plan": f.plan, "state": f.state, "by": f.by} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/review"
	}
	return "/review?" + q.Encode()
}

func (f queueFilter) admits(q *queued) bool {
	if f.plan != "" && q.plan.ID != f.plan || f.by != "" && q.last.By != f.by {
		return false
	}
	return f.state == "" || f.state == staleState && q.stale || f.state == string(q.last.State)
}

// queue judges the runs that were tried, newest first.
func (s *Server) queue(ctx context.Context, plans []testplans.Plan) (out []queued, more bool, err error) {
	runs, reviews, more, err := s.reviewed(ctx)
	if err != nil {
		return nil, false, err
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
			return nil, false, err
		}
		last, stale := testplans.Decision(reviews[runs[i].ID], j.Digest())
		if s.lookedAt(runs[i].ID, &j, &last).idle {
			continue
		}
		q := queued{shown: shown{plan: p, channel: runs[i].Channel, run: runs[i], j: j}, list: reviews[runs[i].ID]}
		q.last, q.stale = last, stale
		out = append(out, q)
	}
	return out, more, nil
}

// reviewed are the newest runs with the decisions on them.
func (s *Server) reviewed(ctx context.Context) (runs []testplans.Run, reviews map[string][]testplans.Reviewed, more bool, err error) {
	if s.deps.Runs == nil {
		return nil, nil, false, nil
	}
	if runs, more, err = s.deps.Runs.Runs(ctx, testplans.RunQuery{Limit: queuePage}); err != nil {
		return nil, nil, false, err
	}
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].ID
	}
	reviews, err = s.deps.Runs.Reviews(ctx, ids...)
	return runs, reviews, more, err
}

// openRuns are the runs that nobody decided on for good, or whose results changed since, newest first. It judges next to nothing, so
// that every page can count them.
func (s *Server) openRuns(ctx context.Context) ([]testplans.Run, error) {
	runs, reviews, _, err := s.reviewed(ctx)
	if err != nil {
		return nil, err
	}
	looks := 0
	return slices.DeleteFunc(runs, func(r testplans.Run) bool {
		last, _ := testplans.Decision(reviews[r.ID], "")
		return !s.waiting(ctx, &r, &last, &looks)
	}), nil
}

// reviewSteps places a run among those that wait for a decision.
func (s *Server) reviewSteps(ctx context.Context, r *shown, b *views.ReviewBar) error {
	waiting, err := s.openRuns(ctx)
	if err != nil || len(waiting) == 0 {
		return err
	}
	href := func(o *testplans.Run) string {
		return (&shown{plan: &testplans.Plan{ID: o.Plan}, channel: o.Channel, run: *o}).href() + "#review"
	}
	at := slices.IndexFunc(waiting, func(o testplans.Run) bool { return o.ID == r.run.ID })
	if at < 0 {
		b.Position, b.Next = views.Plural(len(waiting), "other to review", "others to review"), href(&waiting[0])
		return nil
	}
	b.Position = views.Count(at+1) + " of " + views.Count(len(waiting)) + " to review"
	if at > 0 {
		b.Prev = href(&waiting[at-1])
	}
	if at+1 < len(waiting) {
		b.Next = href(&waiting[at+1])
	}
	b.Form.Next = b.Next != ""
	return nil
}

// afterReview is where a decision leads, if not to the run: back to the queue as it was filtered, or to the next that waits.
func (s *Server) afterReview(c *gin.Context, r *shown, f url.Values) (to string, ok bool) {
	if back := f.Get("back"); back == "/review" || strings.HasPrefix(back, "/review?") {
		u, err := url.Parse(back)
		if err != nil {
			return "", false
		}
		q := u.Query()
		q.Set("done", "reviewed")
		return "/review?" + q.Encode() + "#" + groupIDs[waits], true
	}
	if f.Get("next") == "" {
		return "", false
	}
	waiting, err := s.openRuns(c.Request.Context())
	if err != nil || len(waiting) == 0 {
		return "/review?done=reviewed", err == nil
	}
	// Runs are listed newest first: the next is the first that is older.
	i := max(0, slices.IndexFunc(waiting, func(o testplans.Run) bool { return o.ID < r.run.ID }))
	next := &shown{plan: &testplans.Plan{ID: waiting[i].Plan}, channel: waiting[i].Channel, run: waiting[i]}
	return next.href("done", "reviewed") + "#review", true
}

var groupIDs = [...]string{"wait", "changed", "decided"}

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
	all, more, err := s.queue(ctx, plans)
	if err != nil {
		return err
	}
	v.Shell.ReviewCount = reviewCount(len(all) - countFunc(all, func(q *queued) bool { return q.group() == decided }))
	if more {
		v.Summary += " The newest " + views.Count(queuePage) + " runs are listed."
	}
	if len(all) == 0 {
		v.Empty = &views.Empty{
			Title: "Nothing to review", Text: "A run appears here once its first exchange was recorded.",
			Actions: []views.Link{{Text: "Scenarios", Href: "/scenarios"}},
		}
		return render(c, http.StatusOK, views.ReviewPage(v))
	}
	f := queueFilterOf(c.Request.URL.Query())
	v.Filter, v.Exports = queueFilterView(all, f), sheetLinks("")
	groups := []views.ReviewGroup{
		{ID: groupIDs[waits], Title: "To review"}, {ID: groupIDs[changed], Title: "Changed since they were reviewed"}, {ID: groupIDs[decided], Title: "Decided"},
	}
	shown := 0
	for i := range all {
		q := &all[i]
		if !f.admits(q) {
			continue
		}
		item, err := s.reviewItem(ctx, n, q, reviewerName(c))
		if err != nil {
			return err
		}
		item.Form.Back = f.href()
		at := q.group()
		groups[at].Items = append(groups[at].Items, item)
		shown++
	}
	v.Filter.Echo = "Showing all " + views.Plural(len(all), "run", "runs") + "."
	if f != (queueFilter{}) {
		v.Filter.Echo, v.Filter.Clear = "Showing "+views.Count(shown)+" of "+views.Plural(len(all), "run", "runs")+".", "/review"
	}
	for _, g := range groups {
		if len(g.Items) > 0 {
			g.Note = views.Count(len(g.Items))
			v.Groups = append(v.Groups, g)
		}
	}
	if len(v.Groups) == 0 {
		v.Empty = &views.Empty{Title: "No run matches", Text: "Runs that match appear here.", Actions: []views.Link{{Text: "Show all", Href: "/review"}}}
	}
	return render(c, http.StatusOK, views.ReviewPage(v))
}

func countFunc(list []queued, is func(*queued) bool) (n int) {
	for i := range list {
		if is(&list[i]) {
			n++
		}
	}
	return n
}

// queueFilterView offers what the queue has.
func queueFilterView(all []queued, f queueFilter) views.QueueFilter {
	v := views.QueueFilter{
		Plans:  []views.Option{{Text: "All scenarios"}},
		States: []views.Option{{Text: "Every state"}},
		People: []views.Option{{Text: "Everybody"}},
	}
	seen := map[string]bool{}
	add := func(to *[]views.Option, kind, value, text, chosen string) {
		if value != "" && !seen[kind+value] {
			seen[kind+value] = true
			*to = append(*to, views.Option{Value: value, Text: text, Selected: value == chosen})
		}
	}
	for i := range all {
		add(&v.Plans, "plan ", all[i].plan.ID, planName(all[i].plan), f.plan)
		add(&v.People, "by ", all[i].last.By, visible([]byte(all[i].last.By)), f.by)
	}
	for _, st := range reviewWords {
		add(&v.States, "state ", st.Kind, st.Word, f.state)
	}
	add(&v.States, "state ", staleState, "Changed since", f.state)
	byText := func(a, b views.Option) int { return cmp.Compare(a.Text, b.Text) }
	slices.SortFunc(v.Plans[1:], byText)
	slices.SortFunc(v.People[1:], byText)
	return v
}

// reviewItem is a run in the queue.
func (s *Server) reviewItem(ctx context.Context, n *names, q *queued, by string) (views.ReviewItem, error) {
	whole := q.j.Whole()
	item := views.ReviewItem{
		Title: q.plan.Title, Pair: n.label(q.channel), Href: q.href() + "#review", Verdict: planMark(whole.Verdict), Side: string(whole.Side), Evidence: evidenceView(q.j.Kind),
		Tally: tallyOf(&q.j), Stamp: s.stampOf(q.list, q.j.Digest()), Comment: visible([]byte(clip(q.last.Comment, 600))),
		Form: s.reviewFormOf("rv-"+q.run.ID+"-", &q.shown, q.list, by, nil),
	}
	item.Form.Label = item.Title + ", " + item.Pair
	if q.run.Name != "" {
		item.Pair += ": " + visible([]byte(q.run.Name))
	}
	if span := s.span(&q.run); span != "" {
		item.Pair += ", " + span
	}
	if !q.j.Last.IsZero() {
		item.Age = age(s.opts.Clock().Sub(q.j.Last))
	}
	for _, o := range slices.Backward(q.list[:max(0, len(q.list)-1)]) {
		text := stampWord(o.State).Word + ", " + visible([]byte(o.By)) + ", " + s.dated(o.At)
		if o.Comment != "" {
			text += ": " + visible([]byte(clip(o.Comment, 300)))
		}
		item.Before = append(item.Before, text)
	}
	if !q.stale || q.last.By == "" {
		return item, nil
	}
	then, err := s.standing(ctx, q.run.ID, q.last.At)
	if then != nil {
		now := whole
		item.Change = "Then " + verdictWords(then) + ", now " + verdictWords(&now) + "."
		if verdictWords(then) == verdictWords(&now) {
			item.Change = "Still " + verdictWords(&now) + ": steps or their evidence changed."
		}
	}
	return item, err
}

func verdictWords(r *testplans.Result) string {
	text := strings.ToLower(verdictWord(r.Verdict))
	if r.Side != "" {
		text += " (" + string(r.Side) + ")"
	}
	return text
}

// standing is how a run as a whole stood at a time, nil where that is not known.
func (s *Server) standing(ctx context.Context, run string, at time.Time) (*testplans.Result, error) {
	list, err := s.deps.Runs.History(ctx, run, "", "")
	if err != nil {
		return nil, err
	}
	for i := range list { // newest first
		if !list[i].At.After(at) {
			return &list[i].Result, nil
		}
	}
	return nil, nil
}
