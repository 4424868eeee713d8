package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// results is the matrix of clients and servers for one plan.
func (s *Server) results(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	v := views.Results{Shell: s.shell(ctx, c, "Results", "results", n, "")}
	if len(plans) == 0 {
		v.Empty = &noPlans
		return render(c, http.StatusOK, views.ResultsPage(v))
	}
	p := s.firstTried(ctx, n, plans)
	if id := c.Query("plan"); id != "" {
		if p, err = s.planNamed(ctx, plans, id); err != nil {
			return err
		}
	}
	if v.Tabs = planTabs(plans, p.ID); isFormer(plans, p) {
		v.Tabs = append(v.Tabs, views.Link{Text: planName(p) + ", not in use any more", Href: resultsHref(p.ID), Current: true})
	}
	v.Shell.Title = "Results of " + p.Title
	v.Name, v.At = planName(p), s.opts.Clock().Format("2 January 2006, 15:04 MST")
	m, err := s.matrix(ctx, n, p, plans)
	if err != nil {
		return err
	}
	if len(m.Rows) == 0 || len(m.Servers) == 0 {
		v.Empty = &views.Empty{
			Title: "No pair to test yet", Text: "Rows are the registered clients, columns the registered servers. Register one of each and the grid is there, every pair not tried.",
			Actions: []views.Link{{Text: "Register systems", Href: "/systems"}},
		}
		return render(c, http.StatusOK, views.ResultsPage(v))
	}
	if isPart(c) {
		return render(c, http.StatusOK, views.MatrixPart(m))
	}
	v.Live = m
	if s.deps.Runs != nil {
		v.Exports = sheetLinks(p.ID)
	}
	return render(c, http.StatusOK, views.ResultsPage(v))
}

// planName is a plan among others.
func planName(p *testplans.Plan) string { return strings.TrimPrefix(p.Track+": "+p.Title, ": ") }

// firstTried is the plan to show when none is asked for: the first that some pair has tried, or the first of all.
func (s *Server) firstTried(ctx context.Context, n *names, plans []testplans.Plan) *testplans.Plan {
	for i := range plans {
		for _, ch := range n.channels {
			if !api.PlaysTrack(ch, plans[i].Track, plans) {
				continue
			}
			if j, err := s.judgement(ctx, &plans[i], ch.Name); err == nil && j.State != testplans.NotTried {
				return &plans[i]
			}
		}
	}
	return &plans[0]
}

// result is a pair's standing: the channel that was tried last, or none.
type result struct {
	channel   *proxy.Channel
	judgement testplans.Judgement
	stamp     views.Stamp
}

func (r *result) tried() bool { return r.channel != nil && r.judgement.State != testplans.NotTried }

// pairs judges a plan over the channels of its track, by client and server. Of several channels of a pair the one that was used
// last stands for it.
func (s *Server) pairs(ctx context.Context, n *names, p *testplans.Plan, plans []testplans.Plan) (map[[2]string]*result, error) {
	out := map[[2]string]*result{}
	former := isFormer(plans, p)
	for _, ch := range n.channels {
		if !former && !api.PlaysTrack(ch, p.Track, plans) {
			continue
		}
		j, err := s.judgement(ctx, p, ch.Name)
		if former && errors.Is(err, proxy.ErrNotFound) {
			continue // it was never judged over this channel
		}
		if err != nil {
			return nil, err
		}
		r := &result{channel: ch, judgement: j}
		k := [2]string{ch.ClientID, ch.ServerID}
		if have := out[k]; have == nil || !have.tried() && r.tried() || have.tried() == r.tried() && have.judgement.Last.Before(j.Last) {
			out[k] = r
		}
	}
	return out, s.decide(ctx, out)
}

// decide adds what people decided on the results.
func (s *Server) decide(ctx context.Context, pairs map[[2]string]*result) error {
	var ids []string
	for _, r := range pairs {
		r.stamp = stampWord(testplans.Unreviewed)
		if r.judgement.Run != "" {
			ids = append(ids, r.judgement.Run)
		}
	}
	if s.deps.Runs == nil || len(ids) == 0 {
		return nil
	}
	reviews, err := s.deps.Runs.Reviews(ctx, ids...)
	if err != nil {
		return err
	}
	for _, r := range pairs {
		r.stamp = s.stampOf(reviews[r.judgement.Run], r.judgement.Digest())
	}
	return nil
}

func (s *Server) matrix(ctx context.Context, n *names, p *testplans.Plan, plans []testplans.Plan) (views.Matrix, error) {
	m := views.Matrix{Self: resultsHref(p.ID) + "&part=1", Caption: "Results of " + p.Title + ", clients in rows, servers in columns"}
	for _, v := range verdictOrder {
		m.Legend, m.Letters = append(m.Legend, planMark(v)), append(m.Letters, letter(v))
	}
	m.Stamps = stamps()
	pairs, err := s.pairs(ctx, n, p, plans)
	if err != nil {
		return m, err
	}
	var clients, servers []*proxy.System
	for _, sys := range n.systems {
		if sys.Has(proxy.RoleClient) {
			clients = append(clients, sys)
		}
		if sys.Has(proxy.RoleServer) {
			servers = append(servers, sys)
		}
	}
	for _, sys := range servers {
		m.Servers = append(m.Servers, party(sys))
	}
	all, never, simulated := map[testplans.Verdict]int{}, 0, 0
	columns := make([]map[testplans.Verdict]int, len(servers))
	for _, client := range clients {
		row := views.MatrixRow{Client: party(client)}
		seen := map[testplans.Verdict]int{}
		for i, server := range servers {
			r := pairs[[2]string{client.ID, server.ID}]
			row.Cells = append(row.Cells, s.cell(p, client, server, r))
			switch {
			case r == nil || !r.tried():
				if !client.Simulated && !server.Simulated && client != server {
					never++
				}
			case r.judgement.Kind != testplans.Observed:
				simulated++
			default:
				v := r.judgement.Whole().Verdict
				if columns[i] == nil {
					columns[i] = map[testplans.Verdict]int{}
				}
				all[v]++
				seen[v]++
				columns[i][v]++
			}
		}
		row.Total = tallies(seen)
		m.Rows = append(m.Rows, row)
	}
	for _, c := range columns {
		m.Totals = append(m.Totals, tallies(c))
	}
	m.Counts = append(tallies(all), views.Tally{Mark: views.Mark{Class: "v-none", Word: "Never connected"}, Count: views.Count(never)})
	if simulated > 0 {
		m.Note = views.Plural(simulated, "result has", "results have") + " one side of ours: shown, and not counted."
	}
	m.Say = sayMatrix(all, simulated)
	return m, nil
}

func sayMatrix(all map[testplans.Verdict]int, simulated int) string {
	var words []string
	for _, v := range verdictOrder {
		if all[v] > 0 {
			words = append(words, strconv.Itoa(all[v])+" "+strings.ToLower(verdictWord(v)))
		}
	}
	if len(words) == 0 {
		words = []string{"nothing observed yet"}
	}
	return sentence(strings.Join(words, ", ")) + ", " + strconv.Itoa(simulated) + " simulated"
}

func party(sys *proxy.System) views.Party {
	p := views.Party{Name: sys.Name, Note: sys.Slug}
	if sys.Simulated {
		p.Note = "built in"
	}
	return p
}

func letter(v testplans.Verdict) string {
	switch v {
	case testplans.Pass:
		return "P"
	case testplans.PassNotes:
		return "N"
	case testplans.Fail:
		return "F"
	case testplans.NotShown:
		return "S"
	case testplans.NotChecked:
		return "C"
	case testplans.NotApplicable:
		return "A"
	case testplans.ToolError:
		return "E"
	}
	return ""
}

// cell is a pair in the matrix. Its label says in one sentence what the marks say.
func (s *Server) cell(p *testplans.Plan, client, server *proxy.System, r *result) views.Cell {
	pair := client.Name + " with " + server.Name + ": "
	switch {
	case r == nil:
		return views.Cell{Href: "/systems", Label: pair + "not tried, not connected", Sub: "Not tried"}
	case !r.tried() && r.judgement.Whole().Verdict != testplans.ToolError:
		return views.Cell{Href: runHref(p.ID, r.channel.Name), Label: pair + "not tried", Sub: "Not tried"}
	}
	j := &r.judgement
	whole := j.Whole()
	c := views.Cell{Href: runHref(p.ID, r.channel.Name), Verdict: planMark(whole.Verdict), Letter: letter(whole.Verdict), Kind: string(j.Kind), Stamp: r.stamp.Kind}
	var facts []string
	if j.Kind == testplans.Attested {
		facts = append(facts, "by "+attesters(j))
	}
	switch whole.Verdict {
	case testplans.Fail:
		facts = append(facts, string(whole.Side))
	case testplans.PassNotes:
		facts = append(facts, views.Plural(stepsWithNotes(j), "note", "notes"))
	case testplans.NotShown, testplans.NotChecked:
		counts := required(j)
		total := 0
		for _, k := range counts {
			total += k
		}
		facts = append(facts, strconv.Itoa(counts[testplans.Pass]+counts[testplans.PassNotes])+" of "+views.Plural(total, "step", "steps"))
	case testplans.ToolError:
		facts = append(facts, "judging stopped")
	default:
	}
	if !j.Last.IsZero() {
		facts = append(facts, age(s.opts.Clock().Sub(j.Last)))
	}
	facts = slices.DeleteFunc(facts, func(f string) bool { return f == "" })
	c.Sub = strings.Join(facts, ", ")
	c.Label = pair + strings.Join(slices.DeleteFunc([]string{strings.ToLower(c.Verdict.Word), c.Kind, strings.ToLower(r.stamp.Word), c.Sub}, func(f string) bool { return f == "" }), ", ")
	return c
}
