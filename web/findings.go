package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

const (
	groupedExchanges = 100 // the newest with findings are read
	shownGroups      = 100
	shownPlaces      = 5
)

// manyReports is what a store may offer beside api.Reports, to read many reports at once.
type manyReports interface {
	ReportsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error)
}

// findingsFilter is what of the findings is shown.
type findingsFilter struct {
	channel  string
	severity string // "error", "" for errors and warnings, "all"
	side     string // "client", "server" or ""
}

func (f findingsFilter) href() string {
	q := url.Values{}
	for name, value := range map[string]string{"channel": f.channel, "severity": f.severity, "side": f.side} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/findings"
	}
	return "/findings?" + q.Encode()
}

func (f findingsFilter) admits(is *validators.Issue) bool {
	_, rank := severityMark(is)
	switch f.severity {
	case "error":
		if rank > 0 {
			return false
		}
	case "":
		if rank > 1 {
			return false
		}
	}
	return f.side == "" || string(is.Side) == f.side || is.Side == validators.SideBoth
}

// query asks for the exchanges that have such findings.
func (f findingsFilter) query() proxy.Query {
	var q proxy.Query
	add := func(k proxy.Key, values ...string) {
		q.Filter.Terms = append(q.Filter.Terms, proxy.Term{Key: k, Op: proxy.OpEq, Values: values})
	}
	if f.channel != "" {
		add(proxy.KeyChannel, f.channel)
	}
	switch f.severity {
	case "error":
		add(proxy.KeyFinding, "error")
	case "all":
		add(proxy.KeyFinding, "any", "unchecked")
	default:
		add(proxy.KeyFinding, "error", "warning")
	}
	q.Limit = groupedExchanges
	return q
}

// findingGroup is what one cause made again and again.
type findingGroup struct {
	issue     *validators.Issue // the newest
	report    *validators.Report
	exchange  *proxy.Exchange
	index     int
	rank      int
	times     int
	exchanges int
	last      string // the exchange counted last
	places    []views.FindingPlace
}

// findings are all findings grouped by cause, worst first.
func (s *Server) findings(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	q := c.Request.URL.Query()
	f := findingsFilter{channel: q.Get("channel"), severity: q.Get("severity"), side: q.Get("side")}
	if f.channel != "" {
		if err := n.known(f.channel); err != nil {
			return err
		}
	}
	page, err := s.deps.Exchanges.Exchanges(ctx, f.query())
	if err != nil {
		return err
	}
	reports, err := s.reports(ctx, page.Exchanges)
	if err != nil {
		return err
	}
	v := views.Findings{Shell: s.shell(ctx, c, "Findings", "findings", n, f.channel)}
	v.Scopes = []views.Link{{Text: "All pairs", Href: findingsFilter{"", f.severity, f.side}.href(), Current: f.channel == ""}}
	for _, ch := range n.channels {
		v.Scopes = append(v.Scopes, views.Link{Text: n.label(ch.Name), Href: findingsFilter{ch.Name, f.severity, f.side}.href(), Current: ch.Name == f.channel})
	}
	for _, o := range [][2]string{{"error", "Errors"}, {"", "Errors and warnings"}, {"all", "All"}} {
		v.Severities = append(v.Severities, views.Link{Text: o[1], Href: findingsFilter{f.channel, o[0], f.side}.href(), Current: o[0] == f.severity})
	}
	for _, o := range [][2]string{{"", "Either side"}, {"client", "Client"}, {"server", "Server"}} {
		v.Sides = append(v.Sides, views.Link{Text: o[1], Href: findingsFilter{f.channel, f.severity, o[0]}.href(), Current: o[0] == f.side})
	}
	groups := groupFindings(page.Exchanges, reports, f, func(e *proxy.Exchange) string { return s.dated(e.Timing.Start) })
	s.fillFindings(c, n, &v, f, groups)
	v.Summary = "Grouped by cause, worst first. One group is one mistake to mend."
	if page.Older {
		v.Summary += " Read from the newest " + views.Count(groupedExchanges) + " of " + views.Plural(page.Total, "exchange", "exchanges") + " with findings."
	}
	if len(groups) == 0 {
		v.Empty = s.noFindings(ctx, f)
	}
	return render(c, http.StatusOK, views.FindingsPage(v))
}

// noFindings tells nothing recorded, and recorded and clean, apart.
func (s *Server) noFindings(ctx context.Context, f findingsFilter) *views.Empty {
	var q proxy.Query
	if f.channel != "" {
		q.Filter.Terms = []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{f.channel}}}
	}
	q.Limit = 1
	page, err := s.deps.Exchanges.Exchanges(ctx, q)
	if err != nil || page.Total == 0 {
		return &views.Empty{Title: "Nothing recorded yet", Text: "Findings appear as exchanges are judged.", Actions: []views.Link{{Text: "Go to Live", Href: "/"}}}
	}
	e := &views.Empty{Title: "No such findings", Text: views.Plural(page.Total, "exchange was", "exchanges were") + " recorded, and nothing of this kind was found in what is judged."}
	if f.severity != "all" || f.side != "" {
		e.Actions = []views.Link{{Text: "Show all findings", Href: findingsFilter{channel: f.channel, severity: "all"}.href()}}
	}
	return e
}

// reports are the newest reports of exchanges; those that have none are missing.
func (s *Server) reports(ctx context.Context, list []*proxy.Exchange) (map[string]*validators.Report, error) {
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	if many, ok := s.deps.Reports.(manyReports); ok {
		return many.ReportsByID(ctx, ids)
	}
	out := map[string]*validators.Report{}
	for _, id := range ids {
		r, err := s.deps.Reports.Report(ctx, id)
		if err != nil {
			continue // not judged yet
		}
		out[id] = r
	}
	return out, nil
}

// groupFindings groups what the reports found by cause and by who has to act, worst and most frequent first.
func groupFindings(list []*proxy.Exchange, reports map[string]*validators.Report, f findingsFilter, when func(*proxy.Exchange) string) []*findingGroup {
	byKey := map[string]*findingGroup{}
	var out []*findingGroup
	for _, e := range list {
		r := reports[e.ID]
		if r == nil {
			continue
		}
		for i := range r.Issues {
			is := &r.Issues[i]
			if !f.admits(is) {
				continue
			}
			_, rank := severityMark(is)
			key := r.GroupKey(is) + " " + string(is.Side) + " " + actor(e.Channel, is.Side) + " " + strconv.Itoa(rank)
			g := byKey[key]
			if g == nil {
				g = &findingGroup{issue: is, report: r, exchange: e, index: i, rank: rank}
				byKey[key] = g
				out = append(out, g)
			}
			g.times++
			if g.last != e.ID {
				g.last = e.ID
				g.exchanges++
			}
			if len(g.places) < shownPlaces {
				g.places = append(g.places, views.FindingPlace{
					Exchange: strconv.FormatInt(e.Number, 10) + " " + visible([]byte(e.Interaction.Label())), Href: placeHref(e, is, i),
					Resource: visible([]byte(clip(resourceOf(r, is), 80))), Path: visible([]byte(clip(is.Expression, 200))), When: when(e),
				})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *findingGroup) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.times, a.times))
	})
	return out
}

// actor is the part of a channel's name that names the side, so that one mistake of two systems is two groups.
func actor(channel string, side validators.Side) string {
	slugs := strings.SplitN(channel, "~", 3)
	switch {
	case len(slugs) < 2:
		return channel
	case side == validators.SideClient:
		return slugs[0]
	case side == validators.SideServer:
		return slugs[1]
	}
	return channel
}

// elementPath is the path from the resource concerned, without indexes.
func elementPath(r *validators.Report, is *validators.Issue) string {
	path := is.Expression
	if is.Resource >= 0 && is.Resource < len(r.Resources) {
		at := &r.Resources[is.Resource]
		if rest, ok := strings.CutPrefix(path, at.Expression); ok && at.Expression != "" {
			path = at.ResourceType + rest
		}
	}
	return indexes.ReplaceAllString(path, "")
}

var indexes = regexp.MustCompile(`\[\d+\]`)

func resourceOf(r *validators.Report, is *validators.Issue) string {
	if is.Resource < 0 || is.Resource >= len(r.Resources) {
		return ""
	}
	at := &r.Resources[is.Resource]
	if at.ID == "" {
		return at.ResourceType
	}
	return at.ResourceType + "/" + at.ID
}

// placeHref leads to a finding where it is: the part of the body that shows its line.
func placeHref(e *proxy.Exchange, is *validators.Issue, index int) string {
	key := "f" + strconv.Itoa(index)
	switch is.Part {
	case validators.PartRequestBody, validators.PartRequestHeader, validators.PartRequestLine:
		return exchangeHref(e.ID) + "/request?finding=" + strconv.Itoa(index) + "#" + key
	case validators.PartResponseBody, validators.PartResponseHeader, validators.PartResponseStatus:
		return exchangeHref(e.ID) + "/response?finding=" + strconv.Itoa(index) + "#" + key
	default:
		return exchangeHref(e.ID) + "/findings"
	}
}

// fillFindings writes the groups into the page.
func (s *Server) fillFindings(c *gin.Context, n *names, v *views.Findings, f findingsFilter, groups []*findingGroup) {
	var causes, times [5]int
	for _, g := range groups {
		causes[g.rank]++
		times[g.rank] += g.times
	}
	for _, o := range []struct {
		rank       int
		mark       views.Mark
		one, many  string
		ofOne, ofN string
	}{
		{0, views.Mark{Class: "sev-error"}, "cause", "causes", "error", "errors"},
		{1, views.Mark{Class: "sev-warning"}, "cause", "causes", "warning", "warnings"},
		{4, views.Mark{Class: "sev-note"}, "cause", "causes", "note", "notes"},
		{3, views.Mark{Class: "sev-unchecked"}, "cause", "causes", "thing not checked", "things not checked"},
	} {
		if causes[o.rank] == 0 {
			continue
		}
		word := o.many
		if causes[o.rank] == 1 {
			word = o.one
		}
		o.mark.Word = word + " of " + views.Plural(times[o.rank], o.ofOne, o.ofN)
		v.Counts = append(v.Counts, views.Tally{Mark: o.mark, Count: views.Count(causes[o.rank])})
	}
	if len(groups) > shownGroups {
		v.Cut = "And " + views.Count(len(groups)-shownGroups) + " causes more: choose a pair, a side or a severity."
		groups = groups[:shownGroups]
	}
	origin := originOf(c)
	for i, g := range groups {
		fv := findingView(n, g.exchange, g.issue, g.index)
		group := views.FindingGroup{
			ID: "g" + strconv.Itoa(i+1), Finding: fv, Times: views.Count(g.times), TimesWord: "times", Places: g.places, Path: visible([]byte(clip(elementPath(g.report, g.issue), 200))),
			Similar: similarHref(f.channel, g.issue), Exchanges: views.Plural(g.exchanges, "exchange", "exchanges"),
		}
		if g.times == 1 {
			group.TimesWord = "time"
		}
		group.Ticket = ticket(&fv, g.exchange, origin+g.places[0].Href, "Seen "+views.Plural(g.times, "time", "times")+" in "+group.Exchanges+".")
		v.Groups = append(v.Groups, group)
	}
}

// similarHref lists the exchanges with a finding of the same rule.
func similarHref(channel string, is *validators.Issue) string {
	rule := cmp.Or(is.Constraint, is.MessageID)
	if rule == "" {
		return ""
	}
	if strings.ContainsAny(rule, " ,\"\\:*") {
		rule = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rule) + `"`
	}
	return scope{channel: channel, text: "rule:" + rule}.href("/")
}

// originOf is how the browser reached the dashboard, for links that leave it.
func originOf(c *gin.Context) string {
	scheme := "http://"
	if c.Request.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.Request.Host
}
