package web

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// plans are the test plans known, none where the process runs without.
func (s *Server) plans(ctx context.Context) ([]testplans.Plan, error) {
	if s.deps.Scenarios == nil {
		return nil, nil
	}
	return s.deps.Scenarios.Plans(ctx)
}

// judgement judges a plan over a channel. A fault of ours becomes the verdict error: the page around it is still worth having.
func (s *Server) judgement(ctx context.Context, p *testplans.Plan, channel string) (testplans.Judgement, error) {
	j, err := api.Judged(ctx, s.deps.Scenarios, p, channel)
	if err != nil && j.Results != nil {
		s.opts.Logger.ErrorContext(ctx, "judging failed", "plan", p.ID, "channel", channel, "error", err)
		err = nil
	}
	return j, err
}

var noPlans = views.Empty{Title: "No test plans", Text: "This process runs without test plans, so nothing is judged by scenario. What is recorded is still checked exchange by exchange under Live."}

// scenarios is the list of plans with how each pair stands.
func (s *Server) scenarios(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	v := views.Scenarios{Shell: s.shell(ctx, c, "Scenarios", "scenarios", n, ""), Summary: "Every plan is judged over what was recorded, in any order. Nothing has to be started."}
	if len(plans) == 0 {
		v.Empty = &noPlans
	}
	files := s.planFiles()
	v.Faults = faultsView(files.Faults)
	for i := range plans {
		p := &plans[i]
		if k := len(v.Tracks); k == 0 || v.Tracks[k-1].Name != p.Track {
			v.Tracks = append(v.Tracks, views.Track{ID: "track-" + strconv.Itoa(k+1), Name: p.Track})
		}
		card := planView(p)
		s.sourceOf(&card, p, &files)
		for _, ch := range n.channels {
			if !api.PlaysTrack(ch, p.Track, plans) {
				continue
			}
			j, err := s.judgement(ctx, p, ch.Name)
			if err != nil {
				return err
			}
			card.Runs = append(card.Runs, runLink(n, p, &j))
		}
		fewPairs(&card)
		card.NoRuns = "No pair in this track yet."
		track := &v.Tracks[len(v.Tracks)-1]
		track.Plans = append(track.Plans, card)
	}
	return render(c, http.StatusOK, views.ScenariosPage(v))
}

func runHref(plan, channel string, more ...string) string {
	q := url.Values{"channel": {channel}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/scenarios/" + url.PathEscape(plan) + "?" + q.Encode()
}

func resultsHref(plan string) string { return "/results?plan=" + url.QueryEscape(plan) }

func planView(p *testplans.Plan) views.Plan {
	v := views.Plan{
		ID: p.ID, Title: p.Title, Scenario: p.Scenario, Guides: guideRanges(p.Guides), Client: sentence(p.Roles.Client), Server: sentence(p.Roles.Server),
		Prepare: p.Preconditions, Results: resultsHref(p.ID),
	}
	counts := map[string]int{}
	for i := range p.Steps {
		st := &p.Steps[i]
		group := phase(st)
		if k := len(v.Groups); k == 0 || v.Groups[k-1].Name != group {
			v.Groups = append(v.Groups, views.PlanGroup{Name: group, Note: phaseNotes[group]})
		}
		last := &v.Groups[len(v.Groups)-1]
		last.Steps = append(last.Steps, views.PlanStep{Number: strconv.Itoa(i + 1), Title: st.Title, Claim: st.Claim, Requirements: requirementsOf(st)})
		counts[group]++
	}
	v.StepCount = views.Plural(counts["Required"], "required step", "required steps")
	if k := counts["Optional"]; k > 0 {
		v.StepCount += ", " + views.Count(k) + " optional"
	}
	return v
}

// requirementsOf are the ids that a step or one of its checks decides, each once, in the plan's order.
func requirementsOf(st *testplans.Step) []string {
	ids := slices.Clone(st.Requirements)
	for i := range st.Checks {
		for _, id := range st.Checks[i].Requirements {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// guideRanges are "davinci-pdex >=2.0.0 <2.1.0".
func guideRanges(guides map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(guides)) {
		out = append(out, strings.TrimPrefix(name, "hl7.fhir.us.")+" "+guides[name])
	}
	return out
}

func runLink(n *names, p *testplans.Plan, j *testplans.Judgement) views.RunLink {
	whole := j.Whole()
	r := views.RunLink{Pair: n.label(j.Channel), Href: runHref(p.ID, j.Channel), Evidence: evidenceView(j.Kind)}
	if r.State = stateWord(j.State); j.State == testplans.NotTried {
		return r
	}
	r.Verdict, r.Side, r.Tally = planMark(whole.Verdict), string(whole.Side), tallyOf(j)
	if j.State == testplans.Done {
		r.State = ""
	}
	return r
}

func evidenceView(k testplans.EvidenceKind) views.Evidence {
	word := string(k)
	if word != "" {
		word = strings.ToUpper(word[:1]) + word[1:]
	}
	return views.Evidence{Kind: string(k), Word: word}
}

func planMark(v testplans.Verdict) views.Mark {
	return views.Mark{Class: "v-" + string(v), Word: verdictWord(v)}
}

func stateWord(st testplans.State) string {
	switch st {
	case testplans.NotTried:
		return "Not tried"
	case testplans.Recording:
		return "Recording"
	case testplans.Evaluating:
		return "Evaluating"
	case testplans.Done:
		return "Done"
	case testplans.Cancelled:
		return "Cancelled"
	}
	return string(st)
}

// verdictOrder is how counts of verdicts are listed.
var verdictOrder = []testplans.Verdict{
	testplans.Pass, testplans.PassNotes, testplans.Fail, testplans.NotShown, testplans.NotChecked, testplans.NotApplicable, testplans.ToolError,
}

func tallies(counts map[testplans.Verdict]int) []views.Tally {
	var out []views.Tally
	for _, v := range verdictOrder {
		if counts[v] > 0 {
			out = append(out, views.Tally{Mark: planMark(v), Count: views.Count(counts[v])})
		}
	}
	return out
}

func required(j *testplans.Judgement) map[testplans.Verdict]int {
	counts := map[testplans.Verdict]int{}
	for _, r := range j.Results {
		if r.Step != "" && r.Check == "" && !r.Optional {
			counts[r.Verdict]++
		}
	}
	return counts
}

func tallyOf(j *testplans.Judgement) []views.Tally { return tallies(required(j)) }

// numbersOf are exchanges' numbers as people write them: "124 to 127", "121, 122 and 3 more".
func numbersOf(evidence []testplans.Evidence, cut int) string {
	var ns []int64
	for _, e := range evidence {
		ns = append(ns, e.Number)
	}
	slices.Sort(ns)
	k := len(ns)
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch {
	case k == 0:
		return ""
	case k > 2 && cut == 0 && ns[k-1]-ns[0] == int64(k-1):
		return text(ns[0]) + " to " + text(ns[k-1])
	}
	shown := ns[:min(k, 3)]
	words := make([]string, len(shown))
	for i, n := range shown {
		words[i] = text(n)
	}
	more := ""
	if rest := k - len(shown) + cut; rest > 0 {
		more = " and " + views.Count(rest) + " more"
	}
	return strings.Join(words, ", ") + more
}

// age is how long ago something was, in the largest unit: "41 s", "3 m", "2 h", "5 d".
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(0, int(d.Seconds()))) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " d"
}

// planOf is the plan with an id, of those in use.
func planOf(plans []testplans.Plan, id string) (*testplans.Plan, error) {
	i := slices.IndexFunc(plans, func(p testplans.Plan) bool { return p.ID == id })
	if i < 0 {
		return nil, &pageError{http.StatusNotFound, "No plan has this name", "It may have been renamed, or it belongs to another build. Scenarios lists the plans there are."}
	}
	return &plans[i], nil
}

// errNoChannel is a run page for a channel that is not registered.
var errNoChannel = &pageError{http.StatusNotFound, "No channel has this name", "It may have been deleted. What was recorded through it stays under Live."}

// known says that a channel is registered.
func (n *names) known(channel string) error {
	if n.byName[channel] == nil {
		return errNoChannel
	}
	return nil
}

// isPart reports whether only the live part of a page is asked for.
func isPart(c *gin.Context) bool { return c.Query("part") != "" }
