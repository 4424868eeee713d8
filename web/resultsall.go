package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/views"
)

const allResultsPath = "/results/all"

// allFilter is what of the whole event is shown; the zero value is all of it.
type allFilter struct{ track, client, server string }

func (f allFilter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"track": f.track, "client": f.client, "server": f.server} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (f allFilter) admits(ch *proxy.Channel) bool {
	return (f.client == "" || ch.ClientID == f.client) && (f.server == "" || ch.ServerID == f.server)
}

// planTabs are the results there are to choose from: the whole event, or one plan.
func planTabs(plans []testplans.Plan, current string) []views.Link {
	out := []views.Link{{Text: "All scenarios", Href: allResultsPath, Current: current == ""}}
	for i := range plans {
		out = append(out, views.Link{Text: planName(&plans[i]), Href: resultsHref(plans[i].ID), Current: plans[i].ID == current})
	}
	return out
}

// resultsAll is every pair with every scenario, a table for each track.
func (s *Server) resultsAll(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	v := views.AllResults{Shell: s.shell(ctx, c, "Results of all scenarios", "results", n, "")}
	if len(plans) == 0 {
		v.Empty = &noPlans
		return render(c, http.StatusOK, views.AllResultsPage(v))
	}
	v.Tabs = planTabs(plans, "")
	f := allFilter{track: c.Query("track"), client: c.Query("client"), server: c.Query("server")}
	if v.Live, err = s.event(ctx, n, plans, f); err != nil {
		return err
	}
	if isPart(c) {
		return render(c, http.StatusOK, views.AllResultsPart(v.Live))
	}
	v.Filter = n.allFilterView(plans, f)
	v.At = s.opts.Clock().Format("2 January 2006, 15:04 MST")
	if s.deps.Runs != nil {
		v.Exports = sheetLinks("")
	}
	return render(c, http.StatusOK, views.AllResultsPage(v))
}

// event is the tables of every track with what they add up to. A pair stands in the tracks it was made for; one that was made for
// none would stand in all, and does where it showed something.
func (s *Server) event(ctx context.Context, n *names, plans []testplans.Plan, f allFilter) (views.AllMatrix, error) {
	q := f.query()
	q.Set("part", "1")
	m := views.AllMatrix{Self: allResultsPath + "?" + q.Encode()}
	for _, v := range verdictOrder {
		m.Key.Legend, m.Key.Letters = append(m.Key.Legend, planMark(v)), append(m.Key.Letters, letter(v))
	}
	m.Key.Stamps = stamps()
	chosen := *n
	chosen.channels = slices.DeleteFunc(slices.Clone(n.channels), func(ch *proxy.Channel) bool { return !f.admits(ch) })
	sum := eventSum{observed: map[testplans.Verdict]int{}, leftOut: map[[2]string]bool{}}
	for i := 0; i < len(plans); {
		to := i + 1
		for to < len(plans) && plans[to].Track == plans[i].Track {
			to++
		}
		track := plans[i:to]
		i = to
		if f.track != "" && track[0].Track != f.track {
			continue
		}
		t, err := s.trackMatrix(ctx, &chosen, track, plans, &sum)
		if err != nil {
			return m, err
		}
		if len(t.Rows) > 0 {
			t.ID = "track-" + strconv.Itoa(len(m.Tracks)+1)
			m.Tracks = append(m.Tracks, t)
		}
	}
	m.Counts = append(tallies(sum.observed), views.Tally{Mark: views.Mark{Class: "v-none", Word: "Not tried"}, Count: views.Count(sum.never)})
	m.Say = sayMatrix(sum.observed, sum.simulated)
	var notes []string
	if sum.simulated > 0 {
		notes = append(notes, views.Plural(sum.simulated, "result has", "results have")+" one side of ours: shown, and not counted.")
	}
	if k := len(sum.leftOut); k > 0 && len(m.Tracks) > 0 {
		notes = append(notes, views.Plural(k, "pair has", "pairs have")+" no track: listed only where a required step was seen.")
	}
	m.Note = strings.Join(notes, " ")
	if len(m.Tracks) == 0 {
		m.Empty = emptyEvent(n, f)
	}
	return m, nil
}

func emptyEvent(n *names, f allFilter) *views.Empty {
	switch {
	case f != allFilter{}:
		return &views.Empty{Title: "No pair matches", Text: "Pairs that match appear here once they showed a step of the track.", Actions: []views.Link{{Text: "Show all", Href: allResultsPath}}}
	case len(n.channels) == 0:
		return &views.Empty{Title: "No pair to test yet", Text: "Register a client and a server and connect them. Their results appear here as traffic passes.", Actions: []views.Link{{Text: "Register systems", Href: "/systems"}}}
	}
	return &views.Empty{Title: "Nothing was tried yet", Text: "A pair appears here once the first exchange of a scenario was recorded.", Actions: []views.Link{{Text: "Scenarios", Href: "/scenarios"}}}
}

// eventSum is what the tables add up to: only what was observed counts by verdict.
type eventSum struct {
	observed         map[testplans.Verdict]int
	simulated, never int
	// leftOut are pairs that are not listed in some track.
	leftOut map[[2]string]bool
}

// showed says that some required step was seen, whatever came of it.
func showed(j *testplans.Judgement) bool {
	return slices.ContainsFunc(j.Results, func(r testplans.Result) bool { return r.Step != "" && !r.Optional && len(r.Evidence) > 0 })
}

// trackMatrix is the pairs of a track with its plans, added to sum.
func (s *Server) trackMatrix(ctx context.Context, n *names, track, plans []testplans.Plan, sum *eventSum) (views.TrackMatrix, error) {
	t := views.TrackMatrix{Name: track[0].Track}
	of := make([]map[[2]string]*result, len(track))
	stands := map[[2]string]bool{}
	for i := range track {
		t.Plans = append(t.Plans, views.Link{Text: track[i].Title, Href: resultsHref(track[i].ID)})
		var err error
		if of[i], err = s.pairs(ctx, n, &track[i], plans); err != nil {
			return t, err
		}
		for k, r := range of[i] {
			stands[k] = stands[k] || r.channel.Options.Track != "" || showed(&r.judgement)
		}
	}
	keys := make([][2]string, 0, len(stands))
	for k, yes := range stands {
		if !yes {
			sum.leftOut[k] = true
		} else if n.byID[k[0]] != nil && n.byID[k[1]] != nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(n.byID[a[0]].Name, n.byID[b[0]].Name), cmp.Compare(n.byID[a[1]].Name, n.byID[b[1]].Name), cmp.Compare(a[0]+a[1], b[0]+b[1]))
	})
	columns := make([]map[testplans.Verdict]int, len(track))
	for i := range columns {
		columns[i] = map[testplans.Verdict]int{}
	}
	for _, k := range keys {
		client, server := n.byID[k[0]], n.byID[k[1]]
		row := views.PairRow{Client: client.Name, Server: server.Name}
		seen := map[testplans.Verdict]int{}
		for i := range track {
			r := of[i][k]
			c := s.cell(&track[i], client, server, r)
			c.Label = track[i].Title + ", " + c.Label
			row.Cells = append(row.Cells, c)
			switch {
			case r == nil || !r.tried():
				sum.never++
			case r.judgement.Kind != testplans.Observed:
				sum.simulated++
			default:
				v := r.judgement.Whole().Verdict
				sum.observed[v]++
				seen[v]++
				columns[i][v]++
			}
		}
		row.Total = tallies(seen)
		t.Rows = append(t.Rows, row)
	}
	for _, c := range columns {
		t.Totals = append(t.Totals, tallies(c))
	}
	return t, nil
}

// allFilterView offers the tracks and the systems that have a channel.
func (n *names) allFilterView(plans []testplans.Plan, f allFilter) views.AllFilter {
	v := views.AllFilter{
		Tracks:  []views.Option{{Text: "All tracks"}},
		Clients: []views.Option{{Text: "All clients"}},
		Servers: []views.Option{{Text: "All servers"}},
	}
	for i := range plans {
		if i == 0 || plans[i].Track != plans[i-1].Track {
			v.Tracks = append(v.Tracks, views.Option{Value: plans[i].Track, Text: plans[i].Track, Selected: plans[i].Track == f.track})
		}
	}
	clients, servers := map[string]bool{}, map[string]bool{}
	for _, ch := range n.channels {
		clients[ch.ClientID], servers[ch.ServerID] = true, true
	}
	for _, sys := range n.systems {
		if clients[sys.ID] {
			v.Clients = append(v.Clients, views.Option{Value: sys.ID, Text: sys.Name, Selected: sys.ID == f.client})
		}
		if servers[sys.ID] {
			v.Servers = append(v.Servers, views.Option{Value: sys.ID, Text: sys.Name, Selected: sys.ID == f.server})
		}
	}
	if f != (allFilter{}) {
		v.Clear = allResultsPath
	}
	return v
}
