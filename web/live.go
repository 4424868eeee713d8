package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

const pageRows = 100

// scope is what a list shows: the pair chosen in the top bar and the filter typed.
type scope struct {
	channel string
	text    string
	filter  proxy.Filter // of both; only the pair's when the text was not understood
	words   proxy.Filter // of the text alone
	faults  []proxy.FilterError
}

func scopeOf(q url.Values) scope {
	sc := scope{channel: q.Get("channel"), text: strings.TrimSpace(q.Get("filter"))}
	if sc.channel != "" {
		sc.filter.Terms = append(sc.filter.Terms, proxy.Term{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{sc.channel}})
	}
	if sc.words, sc.faults = proxy.ParseFilter(sc.text); len(sc.faults) == 0 {
		sc.filter.Terms = append(sc.filter.Terms, sc.words.Terms...)
	}
	return sc
}

// href is path with the scope and more parameters, in pairs.
func (sc scope) href(path string, more ...string) string {
	q := url.Values{}
	if sc.channel != "" {
		q.Set("channel", sc.channel)
	}
	if sc.text != "" {
		q.Set("filter", sc.text)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// live is the list of exchanges.
func (s *Server) live(c *gin.Context) error {
	ctx := c.Request.Context()
	sc := scopeOf(c.Request.URL.Query())
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	query := proxy.Query{Filter: sc.filter, Limit: pageRows, Before: number(c.Query("before")), After: number(c.Query("after"))}
	page, err := s.deps.Exchanges.Exchanges(ctx, query)
	if err != nil {
		return err
	}
	v := views.Live{Shell: s.shell(ctx, c, "Live", "live", n, sc.channel)}
	v.ShowAll = sc.channel == ""
	if v.Rows, err = s.rows(ctx, n, page.Exchanges, v.ShowAll); err != nil {
		return err
	}
	v.Summary = views.Plural(page.Total, "exchange", "exchanges")
	v.Filter = filterView(sc, page.Total)
	v.Position = position(query, page)
	v.Events, v.Newest = sc.href("/events"), "0"
	if k := len(page.Exchanges); k > 0 {
		v.Newest = strconv.FormatInt(page.Exchanges[0].Number, 10)
		if page.Older {
			v.Older = sc.href("/", "before", strconv.FormatInt(page.Exchanges[k-1].Number, 10))
		}
		if page.Newer {
			v.Newer, v.First = sc.href("/", "after", v.Newest), sc.href("/")
		}
	}
	if len(v.Rows) == 0 {
		v.Empty = s.nothing(n, sc)
	} else if s.deps.Exporter != nil {
		v.HAR = harHref(sc)
	}
	if err := s.preselect(ctx, c, n, &v); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.LivePage(v))
}

// harHref downloads what is listed.
func harHref(sc scope) string {
	text := sc.text
	if len(sc.faults) > 0 {
		text = "" // the list is unfiltered
	}
	if sc.channel != "" {
		text = strings.TrimSpace(text + ` channel:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(sc.channel) + `"`)
	}
	if text == "" {
		return "/api/v1/export/har"
	}
	return "/api/v1/export/har?" + url.Values{"filter": {text}}.Encode()
}

func (s *Server) preselect(ctx context.Context, c *gin.Context, n *names, v *views.Live) error {
	id := c.Query("selected")
	if id == "" {
		return nil
	}
	for i := range v.Rows {
		if v.Rows[i].ID == id {
			v.Rows[i].Selected = true
		}
	}
	ex, err := s.deps.Exchanges.Exchange(ctx, id)
	if err != nil {
		return nil //nolint:nilerr // a list with a stale selection is still a list
	}
	pane, err := s.exchangeView(ctx, n, ex, "summary", viewRequest{origin: originOf(c)})
	if err != nil {
		return err
	}
	v.Pane = pane
	return nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// rows are the list's rows with their verdicts.
func (s *Server) rows(ctx context.Context, n *names, list []*proxy.Exchange, pair bool) ([]views.Row, error) {
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	sums, err := s.deps.Reports.Summaries(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]views.Row, len(list))
	for i, e := range list {
		rows[i] = s.row(n, e, summaryOf(sums, e.ID), pair)
	}
	return rows, nil
}

func summaryOf(sums map[string]validators.Summary, id string) *validators.Summary {
	if sum, ok := sums[id]; ok {
		return &sum
	}
	return nil
}

// position is "1 to 100 of 2,306" where the cursor allows to say it, else what is on the page.
func position(q proxy.Query, p proxy.Page) string {
	k := len(p.Exchanges)
	switch {
	case k == 0:
		return ""
	case !p.Newer:
		return "1 to " + views.Count(k) + " of " + views.Count(p.Total)
	case !p.Older:
		return views.Count(p.Total-k+1) + " to " + views.Count(p.Total) + " of " + views.Count(p.Total)
	}
	_ = q
	return "No. " + strconv.FormatInt(p.Exchanges[k-1].Number, 10) + " to " + strconv.FormatInt(p.Exchanges[0].Number, 10) + ", " + views.Count(p.Total) + " in all"
}

func filterView(sc scope, total int) views.Filter {
	f := views.Filter{Text: sc.text, Channel: sc.channel}
	if sc.text != "" {
		cleared := sc
		cleared.text = ""
		f.Clear = cleared.href("/")
	}
	switch {
	case len(sc.faults) > 0:
		f.Echo = "The list is unfiltered."
	case sc.text != "":
		f.Echo = "Showing " + views.Plural(total, "exchange", "exchanges") + ": " + sc.words.Words() + "."
	default:
		f.Echo = "Showing everything, newest first."
	}
	for _, e := range sc.faults {
		fe := views.FilterError{Problem: sentence(e.Problem), Suggestion: e.Suggestion}
		if e.Pos >= 0 && e.Pos <= e.End && e.End <= len(sc.text) {
			fe.Word = visible([]byte(sc.text[e.Pos:e.End]))
			fixed := sc
			fixed.text = sc.text[:e.Pos] + e.Suggestion + sc.text[e.End:]
			fe.Href = fixed.href("/")
		}
		f.Errors = append(f.Errors, fe)
	}
	return f
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".")
}

// nothing is the list without rows: nothing recorded yet, or nothing that matches.
func (s *Server) nothing(n *names, sc scope) *views.Empty {
	if sc.text != "" && len(sc.faults) == 0 {
		cleared := sc
		cleared.text = ""
		return &views.Empty{Title: "Nothing matches", Text: "Exchanges that match the filter appear here as they arrive.", Actions: []views.Link{{Text: "Show everything", Href: cleared.href("/")}}}
	}
	e := &views.Empty{
		Title: "Listening since " + s.clock(s.since) + ", nothing yet",
		Text:  "Send one request to the proxy URL and it appears here within a second.",
	}
	channel := n.byName[sc.channel]
	if channel == nil && len(n.channels) > 0 {
		channel = n.channels[0]
	}
	if channel == nil {
		e.Text = "Register a client and a server, connect them, and send the client's requests to the proxy URL they get. The proxy listens on the address below."
		e.Copies = []views.Copy{{ID: "empty-url", Label: "Proxy", Text: s.opts.ProxyURL, Large: true}}
		e.Actions = []views.Link{{Text: "Register systems", Href: "/systems"}}
		return e
	}
	base := channel.ClientBase(s.opts.ProxyURL)
	e.Copies = []views.Copy{
		{ID: "empty-url", Label: "Proxy URL for " + n.label(channel.Name), Text: base, Large: true},
		{ID: "empty-curl", Label: "Try it", Text: "curl " + shellQuote(base+"/metadata")},
	}
	e.Actions = []views.Link{{Text: "All channels", Href: "/systems"}}
	return e
}

// bareShell is a shell that needs nothing from the stores, for error pages.
func (s *Server) bareShell(c *gin.Context, title string) views.Shell {
	theme, _ := c.Cookie(themeCookie)
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	self := "/"
	if c.Request.Method == http.MethodGet {
		self = c.Request.URL.RequestURI()
	}
	return views.Shell{
		Title: title, Theme: theme, CSS: s.files.URL("app.css"), JS: s.files.URL("app.js"), Icon: s.files.URL("icon.svg"), Event: s.opts.Event,
		Self: self, Scope: "All pairs", Scopes: []views.Link{{Text: "All pairs", Href: "/"}},
	}
}

func (s *Server) shell(ctx context.Context, c *gin.Context, title, screen string, n *names, channel string) views.Shell {
	v := s.bareShell(c, title)
	v.Screen = screen
	v.Scopes[0].Current = channel == ""
	for _, ch := range n.channels {
		v.Scopes = append(v.Scopes, views.Link{Text: n.label(ch.Name), Href: scope{channel: ch.Name}.href("/"), Current: ch.Name == channel})
	}
	if channel != "" {
		v.Scope = n.label(channel)
	}
	v.SystemCount = views.Count(len(n.systems))
	v.Zone = "Times in " + s.zone()
	if s.opts.Event != "" {
		v.EventNote = views.Plural(len(n.systems), "system", "systems")
	}
	v.LiveCount, v.ToCheck = s.totals(ctx)
	if waiting, err := s.openRuns(ctx); err == nil {
		v.ReviewCount = reviewCount(len(waiting))
	}
	v.Toast = toasts[c.Query("done")]
	return v
}

// totals are the rail's count of exchanges and the bar's backlog; both stay empty when they cannot be read, since a page
// is worth more than its decoration.
func (s *Server) totals(ctx context.Context) (exchanges, backlog string) {
	if page, err := s.deps.Exchanges.Exchanges(ctx, proxy.Query{Limit: 1}); err == nil {
		exchanges = views.Count(page.Total)
	}
	if s.opts.Ready != nil && s.opts.Ready(ctx) != nil {
		return exchanges, "Not recording: /readyz says why"
	}
	if n, err := s.deps.Reports.CountUnjudged(ctx); err == nil && n > 0 {
		backlog = views.Count(n) + " to check"
	}
	return exchanges, backlog
}
