package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/testplans"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// coverage is a plan's requirements over what was recorded, of all pairs or of the one chosen.
func (s *Server) coverage(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	plans, err := s.plans(ctx)
	if err != nil {
		return err
	}
	channel := c.Query("channel")
	if channel != "" {
		if err := n.known(channel); err != nil {
			return err
		}
	}
	v := views.Coverage{Shell: s.shell(ctx, c, "Coverage", "coverage", n, channel)}
	if len(plans) == 0 {
		v.Empty = &noPlans
		return render(c, http.StatusOK, views.CoveragePage(v))
	}
	if id := c.Query("requirement"); id != "" && c.Query("plan") == "" {
		p := s.decides(ctx, n, plans, id)
		if p == nil {
			return &pageError{http.StatusNotFound, "No plan decides this requirement", "It is judged exchange by exchange only: Live lists the findings, and the scenarios do not ask for it."}
		}
		c.Redirect(http.StatusSeeOther, "/coverage?plan="+url.QueryEscape(p.ID)+"#r-"+url.QueryEscape(id))
		return nil
	}
	p := s.firstTried(ctx, n, plans)
	if id := c.Query("plan"); id != "" {
		if p, err = planOf(plans, id); err != nil {
			return err
		}
	}
	href := func(plan, channel, show string) string {
		q := url.Values{"plan": {plan}}
		for name, value := range map[string]string{"channel": channel, "show": show} {
			if value != "" {
				q.Set(name, value)
			}
		}
		return "/coverage?" + q.Encode()
	}
	v.Title = p.Title
	v.Shell.Title = "Coverage of " + p.Title
	v.Scopes = []views.Link{{Text: "All pairs", Href: href(p.ID, "", ""), Current: channel == ""}}
	for _, ch := range n.channels {
		v.Scopes = append(v.Scopes, views.Link{Text: n.label(ch.Name), Href: href(p.ID, ch.Name, ""), Current: ch.Name == channel})
	}
	for i := range plans {
		v.Tabs = append(v.Tabs, views.Link{Text: planName(&plans[i]), Href: href(plans[i].ID, channel, ""), Current: plans[i].ID == p.ID})
	}
	got, err := api.Covered(ctx, &s.deps, p, plans, channel)
	if err != nil {
		return err
	}
	v.Summary = exercised(&got)
	q := url.Values{"plan": {p.ID}, "format": {"csv"}}
	if channel != "" {
		q.Set("channel", channel)
	}
	v.CSV = "/api/v1/coverage?" + q.Encode()
	show := c.Query("show")
	filters := []struct{ key, text string }{{"", "All"}, {"missing", "Not exercised"}, {"failed", "Failed"}}
	if s.deps.Support != nil {
		filters = append(filters, struct{ key, text string }{"support", "Must support"})
	}
	for _, f := range filters {
		v.Filters = append(v.Filters, views.Link{Text: f.text, Href: href(p.ID, channel, f.key), Current: f.key == show})
	}
	if show == "support" && s.deps.Support != nil {
		if v.Support, err = s.support(ctx, channel); err != nil {
			return err
		}
		return render(c, http.StatusOK, views.CoveragePage(v))
	}
	for i := range got.Items {
		r := &got.Items[i]
		if show == "missing" && r.Exercised || show == "failed" && r.Verdicts[testplans.Fail] == 0 {
			continue
		}
		v.Rows = append(v.Rows, requirementRow(n, p, r))
	}
	if len(v.Rows) == 0 && show == "" {
		v.Empty = &views.Empty{Title: "This plan names no requirements", Text: "Its checks stand for themselves."}
	}
	return render(c, http.StatusOK, views.CoveragePage(v))
}

// exercised says how many requirements were, those of the guides and the scenario's own checks apart.
func exercised(v *api.Coverage) string {
	var parts []string
	if g := v.OfGuides(); g.Total > 0 || v.Scenario.Total == 0 {
		parts = append(parts, views.Count(g.Exercised)+" of "+views.Plural(g.Total, "requirement", "requirements"))
	}
	if o := v.Scenario; o.Total > 0 {
		parts = append(parts, views.Count(o.Exercised)+" of "+views.Plural(o.Total, "check of the scenario itself", "checks of the scenario itself"))
	}
	verb := " were exercised."
	if len(parts) == 1 && v.Total == 1 {
		verb = " was exercised."
	}
	return strings.Join(parts, " and ") + verb
}

func requirementRow(n *names, p *testplans.Plan, r *api.Requirement) views.RequirementRow {
	row := views.RequirementRow{ID: r.ID, Strength: string(r.Strength), Verdicts: tallies(r.Verdicts), More: views.Plural(len(r.Checks), "check", "checks")}
	if r.DecidedBy != "traffic" {
		row.How = "by people"
		if r.DecidedBy == "both" {
			row.How = "by traffic and people"
		}
	}
	if r.Scenario {
		row.How = strings.TrimSpace("of the scenario " + row.How)
	}
	first := int64(0)
	for i := range r.Checks {
		ch := &r.Checks[i]
		line := views.CoveredRow{Claim: ch.Claim, Pair: n.label(ch.Channel), Href: runHref(p.ID, ch.Channel, "step", ch.Step) + "#detail", Verdict: planMark(ch.Verdict), Side: string(ch.Side)}
		const most = 3
		for _, e := range ch.Evidence[:min(len(ch.Evidence), most)] {
			line.Links = append(line.Links, views.Link{Text: strconv.FormatInt(e.Number, 10), Href: exchangeHref(e.Exchange)})
		}
		for _, e := range ch.Evidence {
			if first == 0 || e.Number < first {
				first = e.Number
				row.First = &views.Link{Text: strconv.FormatInt(e.Number, 10), Href: exchangeHref(e.Exchange)}
			}
		}
		row.Checks = append(row.Checks, line)
	}
	return row
}

// support is what profiles want supported, with what was not seen first.
func (s *Server) support(ctx context.Context, channel string) (*views.Support, error) {
	list, err := s.deps.Support.Support(ctx, channel)
	if err != nil {
		return nil, err
	}
	v := &views.Support{Summary: "No response was held against a profile yet."}
	if len(list) > 0 {
		v.Summary = views.Plural(len(list), "profile", "profiles")
	}
	for i := range list {
		p := &list[i]
		name := p.Profile[strings.LastIndexByte(p.Profile, '/')+1:]
		name, version, _ := strings.Cut(name, "|")
		row := views.SupportProfile{
			Name: name + " " + version, URL: p.Profile,
			Count: views.Count(p.Seen()) + " of " + views.Count(len(p.Items)) + " seen in " + views.Plural(p.Resources, "resource", "resources"),
		}
		items := slices.Clone(p.Items)
		slices.SortStableFunc(items, func(a, b testplans.SupportedItem) int { return seenLast(&a) - seenLast(&b) })
		for _, it := range items {
			item := views.SupportItem{Name: it.ID, Verdict: planMark(it.Verdict), Note: it.Note}
			if it.URL != "" {
				item.Name += " (" + it.URL + ")"
			}
			if it.First != nil {
				item.Link = &views.Link{Text: strconv.FormatInt(it.First.Number, 10), Href: exchangeHref(it.First.Exchange) + "/response"}
				item.Note = it.Pointer
			}
			row.Items = append(row.Items, item)
		}
		v.Profiles = append(v.Profiles, row)
	}
	return v, nil
}

func seenLast(i *testplans.SupportedItem) int {
	if i.Verdict == testplans.Pass {
		return 1
	}
	return 0
}

// decides is the plan that decides a requirement: one that some pair has tried, or the first.
func (s *Server) decides(ctx context.Context, n *names, plans []testplans.Plan, id string) *testplans.Plan {
	var with []testplans.Plan
	for i := range plans {
		if slices.ContainsFunc(plans[i].Steps, func(st testplans.Step) bool { return slices.Contains(requirementsOf(&st), id) }) {
			with = append(with, plans[i])
		}
	}
	if len(with) == 0 {
		return nil
	}
	return s.firstTried(ctx, n, with)
}
