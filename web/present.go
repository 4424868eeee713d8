package web

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// names knows who stands behind channel names.
type names struct {
	systems  []*proxy.System
	channels []*proxy.Channel
	byID     map[string]*proxy.System
	byName   map[string]*proxy.Channel
}

func (s *Server) names(ctx context.Context) (*names, error) {
	systems, err := s.deps.Systems.Systems(ctx)
	if err != nil {
		return nil, err
	}
	channels, err := s.deps.Channels.Channels(ctx)
	if err != nil {
		return nil, err
	}
	n := &names{systems: systems, channels: channels, byID: make(map[string]*proxy.System, len(systems)), byName: make(map[string]*proxy.Channel, len(channels))}
	for _, sys := range systems {
		n.byID[sys.ID] = sys
	}
	for _, c := range channels {
		n.byName[c.Name] = c
	}
	return n, nil
}

// pair is the two systems of a channel; either is nil when it is not registered any more.
func (n *names) pair(channel string) (client, server *proxy.System) {
	c := n.byName[channel]
	if c == nil {
		return nil, nil
	}
	return n.byID[c.ClientID], n.byID[c.ServerID]
}

// sides names the client and the server of a channel, from its name when they are not registered.
func (n *names) sides(channel string) (client, server string) {
	slugs := strings.SplitN(channel, "~", 3)
	client, server = "the client", "the server"
	if len(slugs) > 1 {
		client, server = slugs[0], slugs[1]
	}
	c, s := n.pair(channel)
	if c != nil {
		client = c.Name
	}
	if s != nil {
		server = s.Name
	}
	return client, server
}

func (n *names) label(channel string) string {
	if channel == "" {
		return "No channel"
	}
	client, server := n.sides(channel)
	return client + " to " + server
}

func (n *names) evidence(e *proxy.Exchange) views.Evidence {
	client, server := n.pair(e.Channel)
	switch {
	case e.Mode == proxy.ModeImported:
		return views.Evidence{Kind: string(testplans.Imported), Word: "Imported"}
	case client == nil || server == nil:
		return views.Evidence{}
	case client.Simulated || server.Simulated:
		return views.Evidence{Kind: string(testplans.Simulated), Word: "Simulated"}
	}
	return views.Evidence{Kind: string(testplans.Observed), Word: "Observed"}
}

// who names a side: "Cedar Mesa (server)".
func (n *names) who(channel string, side validators.Side) string {
	client, server := n.sides(channel)
	switch side {
	case validators.SideClient:
		return client + " (client)"
	case validators.SideServer:
		return server + " (server)"
	case validators.SideBoth:
		return client + " and " + server
	case validators.SideTool:
		return "fhirwire (our fault, counts for nobody)"
	}
	return ""
}

// verdictMark is the mark of a judged exchange, or Evaluating for sum nil. In lists notes carry their count.
func verdictMark(sum *validators.Summary, inList bool) views.Mark {
	if sum == nil {
		return views.Mark{Word: "Evaluating", Moving: true}
	}
	v := testplans.OfReport(*sum)
	m := planMark(v)
	if v == testplans.PassNotes && inList {
		m.Word = fmt.Sprintf("Notes (%d)", sum.Warnings+sum.NotChecked)
	}
	return m
}

// verdictWord is a verdict as pages write it.
func verdictWord(v testplans.Verdict) string {
	switch v {
	case testplans.Pass:
		return "Pass"
	case testplans.PassNotes:
		return "Pass with notes"
	case testplans.Fail:
		return "Fail"
	case testplans.NotShown:
		return "Not shown"
	case testplans.NotChecked:
		return "Not checked"
	case testplans.NotApplicable:
		return "Not applicable"
	case testplans.ToolError:
		return "Tool error"
	}
	return string(v)
}

// side is the side at fault of a failed exchange.
func side(sum *validators.Summary) string {
	if sum == nil || testplans.OfReport(*sum) != testplans.Fail {
		return ""
	}
	return string(sum.Side)
}

func severityMark(is *validators.Issue) (m views.Mark, rank int) {
	switch {
	case is.NotChecked:
		return views.Mark{Class: "sev-unchecked", Word: "Not checked"}, 3
	case is.IsError():
		return views.Mark{Class: "sev-error", Word: "Error"}, 0
	case is.Severity == validators.SeverityWarning:
		return views.Mark{Class: "sev-warning", Word: "Warning"}, 1
	}
	return views.Mark{Class: "sev-note", Word: "Note"}, 4
}

// row is an exchange in the list. With pair set it says who talked to whom.
func (s *Server) row(n *names, e *proxy.Exchange, sum *validators.Summary, pair bool) views.Row {
	start := e.Timing.Start.In(s.opts.Clock().Location())
	r := views.Row{
		ID: e.ID, Number: strconv.FormatInt(e.Number, 10), Href: "/exchanges/" + url.PathEscape(e.ID),
		Time: s.clock(start), Millis: start.Format(".000"), Moment: start.Format(time.RFC3339Nano),
		Method: visible([]byte(e.Request.Method)), Plain: quietMethod(e.Request.Method),
		What: visible([]byte(e.Interaction.Label())), Context: visible([]byte(contextOf(e))),
		Status: statusText(e), StatusClass: statusClass(e), Size: responseSize(e), MS: millis(e.Timing.Duration()),
		Verdict: verdictMark(sum, true), Side: side(sum), Evidence: n.evidence(e), Why: why(n, e, sum), Insecure: e.Insecure(),
	}
	r.Failed = r.Verdict.Class == "v-fail"
	if pair {
		r.Pair = n.label(e.Channel)
	}
	return r
}

func quietMethod(m string) bool { return m == "GET" || m == "HEAD" }

// contextOf is the quiet text after the interaction: what tells it from its neighbours.
func contextOf(e *proxy.Exchange) string {
	u, err := url.Parse(e.Request.URL)
	if err != nil {
		return e.Request.URL
	}
	if q := u.RawQuery; q != "" {
		if text, err := url.QueryUnescape(q); err == nil {
			q = text
		}
		return clip(q, 120)
	}
	switch e.Interaction.Kind {
	case proxy.KindRead, proxy.KindVRead, proxy.KindUpdate, proxy.KindDelete, proxy.KindPatch:
		return clip(e.Interaction.ResourceID, 80)
	case proxy.KindTunnel:
		return clip(u.Host, 120)
	case proxy.KindOther, "":
		return clip(e.Request.Method+" "+u.EscapedPath(), 120)
	case proxy.KindOperation, proxy.KindBulkKickoff:
		if e.Interaction.ResourceID != "" {
			return clip(e.Interaction.ResourceType+"/"+e.Interaction.ResourceID, 80)
		}
		return e.Interaction.ResourceType
	case proxy.KindBulkFile, proxy.KindBulkStatus, proxy.KindBulkDelete, proxy.KindSMARTConfig, proxy.KindUDAPConfig, proxy.KindOAuthConfig:
		path := strings.TrimRight(u.EscapedPath(), "/")
		return clip(path[strings.LastIndexByte(path, '/')+1:], 80)
	default:
		return ""
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// why is the second line of a row: empty for what passed.
func why(n *names, e *proxy.Exchange, sum *validators.Summary) string {
	if e.Failure != nil {
		return failureText(n, e)
	}
	if sum == nil {
		return ""
	}
	switch testplans.OfReport(*sum) {
	case testplans.ToolError:
		return "Our fault, counts for nobody: " + visible([]byte(sum.ToolError))
	case testplans.NotChecked:
		return visible([]byte(sum.Unjudged))
	case testplans.Fail:
		text := visible([]byte(clip(sum.Headline, 300)))
		if sum.Errors+sum.Warnings > 1 {
			text = counts(*sum) + ": " + text
		}
		return text
	default:
		return ""
	}
}

// failureText says what happened, whose side, in one line.
func failureText(n *names, e *proxy.Exchange) string {
	client, server := n.sides(e.Channel)
	var size string
	if e.Response != nil {
		size = " after " + views.Size(e.Response.Body.Size)
	}
	var text string
	switch e.Failure.Reason {
	case proxy.ReasonUpstreamDown:
		text = server + " could not be reached"
	case proxy.ReasonUpstreamTimeout:
		text = server + " did not answer in time"
	case proxy.ReasonUpstreamTLS:
		text = "No TLS connection to " + server
	case proxy.ReasonClientTLS:
		text = "The client certificate of " + client + " was not accepted"
		if e.Interaction.Kind == proxy.KindTunnel {
			text = "No TLS connection with " + client
		}
	case proxy.ReasonUpstreamInvalid:
		text = server + " answered with something that is no HTTP"
	case proxy.ReasonUpstreamReset:
		return "Cut off by " + server + size + ". Kept as is, nothing judged."
	case proxy.ReasonClientGone:
		return client + " hung up" + size + ". Kept as is."
	case proxy.ReasonNoChannel:
		return "The URL names no channel. Register the two systems and use the proxy URL they get."
	case proxy.ReasonRefused:
		text = "The proxy does not forward this"
	case proxy.ReasonProxy:
		text = "The proxy failed. Our fault, counts for nobody"
	default:
		text = "Did not run to its end"
	}
	if e.Failure.Detail != "" {
		text += ": " + visible([]byte(clip(e.Failure.Detail, 200)))
	}
	return text + "."
}

// counts is "1 error, 2 warnings, 3 not checked".
func counts(s validators.Summary) string {
	var parts []string
	for _, p := range []struct {
		n         int
		one, many string
	}{{s.Errors, "error", "errors"}, {s.Warnings, "warning", "warnings"}, {s.Information, "note", "notes"}, {s.NotChecked, "not checked", "not checked"}} {
		if p.n > 0 {
			parts = append(parts, views.Plural(p.n, p.one, p.many))
		}
	}
	return strings.Join(parts, ", ")
}

func statusText(e *proxy.Exchange) string {
	switch {
	case e.Response != nil:
		return strconv.Itoa(e.Response.Status)
	case e.Failure != nil:
		return "none"
	}
	return ""
}

func statusClass(e *proxy.Exchange) string {
	if s := e.Status(); s >= 100 && s < 600 {
		return "c" + strconv.Itoa(s/100)
	}
	return "c0"
}

func responseSize(e *proxy.Exchange) string {
	if e.Response == nil {
		return ""
	}
	return views.Size(e.Response.Body.Size)
}

func millis(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64)
	}
	return views.Count(int(d.Milliseconds()))
}

// zone is the time zone of the times on pages.
func (s *Server) zone() string { return s.opts.Clock().Format("MST") }

// clock is a clock time, with the date when it is not today.
func (s *Server) clock(t time.Time) string {
	now := s.opts.Clock()
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2 Jan 15:04")
}
