package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// viewRequest is what an exchange page was asked to show beyond its tab.
type viewRequest struct {
	mode    string // pretty, raw or hex; "" is the best for the body
	part    int    // page of a long body
	finding int    // show the part that holds this finding; -1 for none
	origin  string // of the dashboard, for links in what is copied
}

const listedFindings = 200

var tabNames = []struct{ key, text string }{
	{"summary", "Summary"},
	{"request", "Request"},
	{"response", "Response"},
	{"findings", "Findings"},
	{"auth", "Auth"},
	{"connection", "Connection and timing"},
	{"changes", "Changes by the proxy"},
}

// exchange is the page of one exchange, a tab a path, or the pane.
func (s *Server) exchange(c *gin.Context) error {
	ctx := c.Request.Context()
	tab := c.Param("part")
	pane := tab == "pane"
	if tab == "" || pane {
		tab = "summary"
	} else if !knownTab(tab) {
		return errNoPage
	}
	ex, err := s.deps.Exchanges.Exchange(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	vr := viewRequest{mode: c.Query("view"), part: int(number(c.Query("part"))), finding: -1, origin: originOf(c)}
	if f, err := strconv.Atoi(c.Query("finding")); err == nil && f >= 0 {
		vr.finding = f
	}
	v, err := s.exchangeView(ctx, n, ex, tab, vr)
	if err != nil {
		return err
	}
	if pane {
		return render(c, http.StatusOK, views.Pane(*v))
	}
	v.Shell = s.shell(ctx, c, v.Number+" "+v.Heading+tabTitle(tab), "live", n, "")
	v.Scope = n.label(ex.Channel)
	prev, next, err := s.deps.Exchanges.Neighbours(ctx, ex.ID)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		id string
		to *string
	}{{prev, &v.Prev}, {next, &v.Next}} {
		if step.id != "" {
			*step.to = "/exchanges/" + url.PathEscape(step.id)
		}
	}
	return render(c, http.StatusOK, views.ExchangePage(*v))
}

// tabTitle tells the tabs apart in the browser's history.
func tabTitle(key string) string {
	for _, t := range tabNames[1:] {
		if t.key == key {
			return ", " + strings.ToLower(t.text[:1]) + t.text[1:]
		}
	}
	return ""
}

func knownTab(key string) bool {
	for _, t := range tabNames {
		if t.key == key {
			return true
		}
	}
	return false
}

// judge judges an exchange again and returns to it.
func (s *Server) judge(c *gin.Context) error {
	if s.deps.Judge == nil {
		return &pageError{http.StatusNotImplemented, "Nothing judges here", "This dashboard runs without the judging pipeline."}
	}
	ctx := c.Request.Context()
	id := c.Param("id")
	if _, err := s.deps.Exchanges.Exchange(ctx, id); err != nil {
		return err
	}
	if err := s.deps.Judge.Judge(ctx, id); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, "/exchanges/"+url.PathEscape(id)+"?done=judged")
	return nil
}

// exchangeView builds everything but the shell. The pane is the summary tab.
func (s *Server) exchangeView(ctx context.Context, n *names, ex *proxy.Exchange, tab string, vr viewRequest) (*views.Exchange, error) {
	report, err := s.deps.Reports.Report(ctx, ex.ID)
	if errors.Is(err, proxy.ErrNotFound) {
		report, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	var sum *validators.Summary
	if report != nil {
		sum = &report.Summary
	}
	start := ex.Timing.Start.In(s.opts.Clock().Location())
	v := &views.Exchange{
		ID: ex.ID, Number: strconv.FormatInt(ex.Number, 10), Href: "/exchanges/" + url.PathEscape(ex.ID), Tab: tab,
		Heading: visible([]byte(ex.Interaction.Label())), Pair: visible([]byte(n.label(ex.Channel))),
		Method: visible([]byte(ex.Request.Method)), Plain: quietMethod(ex.Request.Method),
		Verdict: verdictMark(sum, false), Side: side(sum), Status: statusLine(ex), StatusClass: statusClass(ex),
		SizeAndTime: sizeAndTime(ex), Clock: s.clock(start) + start.Format(".000"), Moment: start.Format(time.RFC3339Nano),
		Evidence: n.evidence(ex), Insecure: ex.Insecure(),
	}
	v.URLHead, v.URLTail = splitURL(ex)
	v.Notices = exchangeNotices(n, ex, sum)
	v.Judged = s.judged(ex, report)
	v.Counts, v.Clean = tally(report)
	halves := s.halves(ctx, n, ex, report, tab, vr)
	v.Curl = curl(ex, halves.request.plainText())
	v.Findings = halves.findings(n, report, v.Href)
	switch tab {
	case "request", "response":
		v.Message = halves.message(tab, v, vr)
	case "summary":
		v.Facts = s.summaryFacts(n, ex)
		v.Excerpt = halves.excerpt(v)
	case "connection":
		v.Legs, v.Times = s.legs(n, ex), s.times(ex.Timing)
	case "auth":
		if v.Auth, err = s.authView(ctx, n, ex); err != nil {
			return nil, err
		}
	case "changes":
		v.Edits, v.EditsCut = edits(ex.Edits)
	}
	v.Tabs = tabs(v, ex, sum)
	return v, nil
}

func tabs(v *views.Exchange, ex *proxy.Exchange, sum *validators.Summary) []views.Tab {
	out := make([]views.Tab, 0, len(tabNames))
	for _, t := range tabNames {
		tab := views.Tab{Key: t.key, Text: t.text, Href: v.Href}
		if t.key != "summary" {
			tab.Href += "/" + t.key
		}
		switch {
		case t.key == "findings" && sum != nil:
			if n := sum.Errors + sum.Warnings + sum.Information + sum.NotChecked; n > 0 {
				tab.Count, tab.Bad = views.Count(n), sum.Errors > 0
			}
		case t.key == "changes":
			n := 0
			for i := range ex.Edits {
				if !ex.Edits[i].Left() {
					n++
				}
			}
			if n > 0 {
				tab.Count = views.Count(n)
			}
		}
		out = append(out, tab)
	}
	return out
}

func statusLine(ex *proxy.Exchange) string {
	if ex.Response == nil {
		return "no response"
	}
	return strings.TrimSpace(strconv.Itoa(ex.Response.Status) + " " + http.StatusText(ex.Response.Status))
}

func sizeAndTime(ex *proxy.Exchange) string {
	size, took := responseSize(ex), millis(ex.Timing.Duration())
	switch {
	case size == "":
		if took == "" {
			return ""
		}
		return "after " + took + " ms"
	case took == "":
		return size
	}
	return size + " in " + took + " ms"
}

// splitURL cuts the request URL after the part that names the proxy and the channel.
func splitURL(ex *proxy.Exchange) (head, tail string) {
	full := visible([]byte(ex.Request.URL))
	if ex.Channel == "" {
		return "", full
	}
	if i := strings.Index(full, "/"+ex.Channel+"/"); i >= 0 {
		at := i + 1 + len(ex.Channel)
		return full[:at], full[at:]
	}
	if u, err := url.Parse(ex.Request.URL); err == nil && strings.HasPrefix(full, u.Scheme+"://"+u.Host) {
		at := len(u.Scheme) + 3 + len(u.Host)
		return full[:at], full[at:]
	}
	return "", full
}

func exchangeNotices(n *names, ex *proxy.Exchange, sum *validators.Summary) []views.Notice {
	var out []views.Notice
	if ex.Failure != nil {
		out = append(out, views.Notice{Class: "v-not-checked", Title: failureText(n, ex), Text: failureNext(n, ex)})
	}
	switch {
	case sum == nil:
		out = append(out, views.Notice{Class: "v-none", Title: "Queued for judging", Text: "It is stored. The verdict appears as soon as its turn comes."})
	case sum.ToolError != "":
		out = append(out, views.Notice{Class: "v-error", Title: "Judging stopped: " + visible([]byte(sum.ToolError)), Text: "Our fault, and it counts for nobody. Judge again, and if it stays, tell the maintainers the number of the exchange."})
	case sum.Unjudged != "" && ex.Failure == nil:
		out = append(out, views.Notice{Class: "v-not-checked", Title: "Nothing in it could be judged", Text: visible([]byte(sum.Unjudged))})
	}
	return out
}

func failureNext(n *names, ex *proxy.Exchange) string {
	_, server := n.sides(ex.Channel)
	target := ""
	if u, err := url.Parse(ex.Request.Target); err == nil && u.Host != "" {
		target = " on " + visible([]byte(u.Host))
	}
	switch ex.Failure.Reason {
	case proxy.ReasonUpstreamDown:
		return "Whose side: " + server + ", or the network to it. Check that it runs and listens" + target + ", then send the request again."
	case proxy.ReasonUpstreamTimeout:
		return "Whose side: " + server + ". Look for a slow request in its log at the time of this exchange."
	case proxy.ReasonClientTLS:
		if ex.Interaction.Kind == proxy.KindTunnel {
			return "Whose side: the client. Have it trust the root certificate of fhirwire's own CA: the page Certificates has it and says how."
		}
		return "Whose side: the client. Have it present a certificate that is accepted here, or put the fingerprint of its certificate on record for the client system."
	case proxy.ReasonUpstreamTLS:
		if ex.Failure.Side == "proxy" {
			return "Whose side: this channel's settings, and it counts for nobody. Choose the client certificate that the channel presents, and have the people of " + server + " trust its CA."
		}
		return "Whose side: " + server + ". Check its certificate" + target + " and the names it is made out to."
	case proxy.ReasonUpstreamReset:
		return "Whose side: " + server + ". Look in its log at the time of this exchange."
	case proxy.ReasonClientGone:
		return "Whose side: the client. It may have a time limit that is too short."
	case proxy.ReasonNoChannel:
		return "Whose side: the client. Copy the proxy base URL of its channel from the Systems page."
	case proxy.ReasonProxy:
		return "Send the request again. The log says what happened."
	case proxy.ReasonUpstreamInvalid:
		return "Whose side: " + server + ". Its answer is no HTTP that the proxy could read."
	default:
		return ""
	}
}

// tally is the counts of a report in words, and the sentence for a report without findings.
func tally(r *validators.Report) (counted, clean string) {
	if r == nil {
		return "", "Not judged yet."
	}
	profiles := map[string]bool{}
	for i := range r.Resources {
		for _, p := range r.Resources[i].Profiles {
			profiles[p.URL] = true
		}
	}
	if c := counts(r.Summary); c != "" {
		if r.Checked > 0 {
			c += " in " + views.Plural(r.Checked, "resource", "resources")
		}
		return c, ""
	}
	switch {
	case r.Summary.ToolError != "":
		return "", "Judging stopped before anything was found."
	case r.Summary.Unjudged != "":
		return "", "Nothing in it could be judged."
	case r.Checked == 0:
		return "", "The exchange was checked, it carries no resource. No errors."
	}
	return "", views.Plural(r.Checked, "resource", "resources") + " checked against " + views.Plural(len(profiles), "profile", "profiles") + ", no errors."
}

func (s *Server) judged(ex *proxy.Exchange, r *validators.Report) views.Judged {
	j := views.Judged{Again: "/exchanges/" + url.PathEscape(ex.ID) + "/judge"}
	if r == nil {
		return j
	}
	j.Done = true
	seen := map[validators.ProfileChoice]bool{}
	for i := range r.Resources {
		for _, p := range r.Resources[i].Profiles {
			if seen[p] {
				continue
			}
			seen[p] = true
			j.Profiles = append(j.Profiles, views.Fact{Name: shortProfile(p.URL), Value: "(" + visible([]byte(p.Why)) + ")"})
		}
	}
	if len(j.Profiles) > 20 {
		more := len(j.Profiles) - 20
		j.Profiles = append(j.Profiles[:20], views.Fact{Name: "and " + views.Count(more) + " more"})
	}
	for _, g := range r.Context.Guides {
		j.Guides = append(j.Guides, strings.Replace(g, "#", " ", 1))
	}
	j.Terminology = r.Context.Terminology
	if r.Summary.NotChecked > 0 {
		j.Terminology += ", " + views.Count(r.Summary.NotChecked) + " not checked"
	}
	j.Rules = strconv.Itoa(r.Context.Rules)
	j.Checked = views.Plural(r.Checked, "resource", "resources")
	j.At = s.clock(r.At)
	return j
}

// shortProfile is the last part of a canonical with its version: "us-core-patient 3.1.1".
func shortProfile(canonical string) string {
	name, version, _ := strings.Cut(canonical, "|")
	name = visible([]byte(name[strings.LastIndexByte(name, '/')+1:]))
	if version != "" {
		name += " " + visible([]byte(version))
	}
	return name
}

func (s *Server) summaryFacts(n *names, ex *proxy.Exchange) []views.Fact {
	client, server := n.sides(ex.Channel)
	facts := []views.Fact{{Name: "Client", Value: visible([]byte(client))}, {Name: "Server", Value: visible([]byte(server))}}
	if ex.Channel != "" {
		facts = append(facts, views.Fact{Name: "Channel", Value: visible([]byte(ex.Channel)), Href: scope{channel: ex.Channel}.href("/")})
	}
	if ex.Matched != "" {
		facts = append(facts, views.Fact{Name: "Matched by", Value: visible([]byte(ex.Matched))})
	}
	if auth := ex.Request.Header.Get("Authorization"); auth != "" {
		facts = append(facts, views.Fact{Name: "Token", Value: visible([]byte(clip(auth, 200))), Mono: true})
	}
	return append(facts, views.Fact{Name: "Id", Value: ex.ID, Mono: true})
}

func (s *Server) times(t proxy.Timing) []views.Fact {
	var facts []views.Fact
	for _, m := range []struct {
		name string
		at   time.Time
	}{
		{"Request arrived", t.Start},
		{"Server connected", t.Connected},
		{"Request sent", t.RequestDone},
		{"Response began", t.FirstByte},
		{"Response ended", t.End},
	} {
		value := "not seen"
		if !m.at.IsZero() {
			value = m.at.In(s.opts.Clock().Location()).Format("15:04:05.000")
			if !t.Start.IsZero() && m.at.After(t.Start) {
				value += fmt.Sprintf(" (+%s ms)", millis(m.at.Sub(t.Start)))
			}
		}
		facts = append(facts, views.Fact{Name: m.name, Value: value})
	}
	return facts
}

const shownEdits = 500

func edits(list []proxy.Edit) (out []views.Edit, cut string) {
	for i, e := range list {
		if i == shownEdits {
			return out, "and " + views.Count(len(list)-shownEdits) + " more, all in the JSON API"
		}
		out = append(out, views.Edit{Where: visible([]byte(e.Where)), At: visible([]byte(e.At)), From: visible([]byte(e.From)), To: visible([]byte(e.To)), Why: e.Why, Left: e.Left()})
	}
	return out, ""
}

// findingView is one issue in words; its place and link are the caller's.
func findingView(n *names, ex *proxy.Exchange, is *validators.Issue, index int) views.Finding {
	mark, _ := severityMark(is)
	text := func(s string) string { return visible([]byte(clip(s, 1000))) }
	f := views.Finding{
		Key: "f" + strconv.Itoa(index), Severity: mark, Title: text(is.Message), Expected: text(is.Expected), Found: text(is.Found),
		Side: visible([]byte(n.who(ex.Channel, is.Side))), Short: string(is.Side), DoNext: text(is.DoNext), Expression: text(is.Expression),
		RuleID: is.MessageID, Constraint: text(is.Constraint), Require: text(is.Requirement),
	}
	if is.NotChecked {
		f.Side, f.Short = "", "" // it counts neither way
	}
	f.Back, f.Similar = "l-"+f.Key, similarHref(ex.Channel, is)
	if f.Require != "" {
		f.RequireHref = "/coverage?requirement=" + url.QueryEscape(is.Requirement)
	}
	if is.Profile != "" {
		f.Profile = shortProfile(is.Profile)
		if is.Slice != "" {
			f.Profile += ", slice " + text(is.Slice)
		}
		if u, err := url.Parse(is.Profile); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			name, _, _ := strings.Cut(is.Profile, "|")
			f.ProfileURL = name
		}
	}
	return f
}
