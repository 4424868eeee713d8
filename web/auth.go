package web

import (
	"context"
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

const (
	shownGrants        = 100
	shownTokenFindings = 100
	shownUses          = 30
)

var errNoTokens = &pageError{http.StatusNotImplemented, "Tokens are not followed here", "This dashboard was started without the part that does it."}

// channelParts are the links between a channel's pages.
func channelParts(ch *proxy.Channel, current string) []views.Link {
	at := "/channels/" + url.PathEscape(ch.ID)
	parts := []views.Link{{Text: "Settings", Href: at}, {Text: "Access tokens", Href: at + "/auth"}, {Text: "Connection check", Href: checkHref(ch.ID)}}
	for i := range parts {
		parts[i].Current = parts[i].Href == current || parts[i].Text == current
	}
	return parts
}

// auth is the page of a channel's tokens.
func (s *Server) auth(c *gin.Context) error {
	if s.deps.Tokens == nil {
		return errNoTokens
	}
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	ch, err := s.deps.Channels.Channel(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	ledger, err := s.deps.Tokens.Ledger(ctx, ch.Name)
	if err != nil {
		return err
	}
	v := views.ChannelAuth{
		Shell: s.shell(ctx, c, "Access tokens", "systems", n, ch.Name), Pair: visible([]byte(n.label(ch.Name))), Name: ch.Name,
		Parts: channelParts(ch, "Access tokens"), Summary: ledgerSummary(ledger),
	}
	if ledger.Partial {
		v.Notices = append(v.Notices, views.Notice{Class: "v-not-checked", Title: "The oldest exchanges were not looked at", Text: "There are too many. Tokens that were issued in them count as issued elsewhere."})
	}
	if len(ledger.Grants)+len(ledger.Unknown) == 0 {
		v.Empty = &views.Empty{Title: "No token was seen on this channel", Text: "Token requests and the requests that use a token appear here as soon as they pass the proxy. " +
			"Clients that follow discovery behind the proxy URL send their token requests through it, unless the channel's settings say otherwise."}
	}
	for i := range ledger.Findings[:min(len(ledger.Findings), shownTokenFindings)] {
		v.Findings = append(v.Findings, tokenFindingView(n, ch.Name, &ledger.Findings[i]))
	}
	if more := ledger.FindingCount - len(v.Findings); more > 0 {
		v.MoreFindings = "and " + views.Count(more) + " more"
	}
	for i := range ledger.Grants[:min(len(ledger.Grants), shownGrants)] {
		v.Grants = append(v.Grants, s.grantView(n, ch.Name, &ledger.Grants[i]))
		v.Grants[i].Open = i == 0
	}
	if more := len(ledger.Grants) - len(v.Grants); more > 0 {
		v.MoreGrants = "and " + views.Count(more) + " older ones, all in the JSON API"
	}
	for i := range ledger.Unknown[:min(len(ledger.Unknown), shownGrants)] {
		v.Unknown = append(v.Unknown, s.grantView(n, ch.Name, &ledger.Unknown[i]))
	}
	return render(c, http.StatusOK, views.ChannelAuthPage(v))
}

func ledgerSummary(l *validators.Ledger) string {
	issued, used := 0, 0
	for i := range l.Grants {
		if l.Grants[i].Issued() {
			issued++
		}
		used += l.Grants[i].UseCount
	}
	for i := range l.Unknown {
		used += l.Unknown[i].UseCount
	}
	out := views.Plural(issued, "token", "tokens") + " issued, " + views.Plural(used, "request", "requests") + " with a token"
	if l.Without > 0 {
		out += ", " + views.Count(l.Without) + " for data without one"
	}
	return out + "."
}

func tokenFindingView(n *names, channel string, f *validators.TokenFinding) views.TokenFinding {
	mark, _ := severityMark(&f.Issue)
	text := func(s string) string { return visible([]byte(clip(s, 500))) }
	v := views.TokenFinding{
		Severity: mark, Title: text(f.Message), Expected: text(f.Expected), Found: text(f.Found), DoNext: text(f.DoNext),
		Who: visible([]byte(n.who(channel, f.Side))), Exchange: exchangeName(f.Exchange), Href: refHref(f.Exchange) + "/auth",
		RuleID: f.MessageID, Require: text(f.Requirement), Token: text(f.Token),
	}
	if f.Times > 1 {
		v.Times = "and " + views.Count(f.Times-1) + " more"
	}
	return v
}

func exchangeName(r validators.Ref) string {
	if r.Number > 0 {
		return "Exchange " + strconv.FormatInt(r.Number, 10)
	}
	return "Exchange " + visible([]byte(r.ID))
}

func refHref(r validators.Ref) string { return "/exchanges/" + url.PathEscape(r.ID) }

// methodNames are the ways in which a client proves who it is, in words.
var methodNames = map[string]string{
	"client_secret_basic": "client secret (in the header)", "client_secret_post": "client secret (in the form)", "client_secret_jwt": "assertion signed with the secret",
	"private_key_jwt": "assertion signed with a private key", "tls_client_auth": "TLS client certificate", "none": "none",
}

func (s *Server) grantView(n *names, channel string, g *validators.Grant) views.Grant {
	text := func(v string) string { return visible([]byte(clip(v, 300))) }
	v := views.Grant{Client: text(g.Client), Facts: s.grantFacts(g)}
	for _, sc := range g.Scopes[:min(len(g.Scopes), shownUses)] {
		v.Scopes = append(v.Scopes, text(sc))
	}
	now := s.opts.Clock()
	switch {
	case g.Request.ID == "":
		v.Title = "Not issued in what was recorded"
	case g.Issued():
		v.Title, v.Href, v.Time = exchangeName(g.Request), refHref(g.Request), s.clock(g.Request.At)
	default:
		v.Title, v.Href, v.Time = exchangeName(g.Request), refHref(g.Request), s.clock(g.Request.At)
		v.Scopes = nil
		v.Refused = text(g.Error)
		if g.Error == "" {
			v.Refused = strconv.Itoa(g.Status)
		}
		return v
	}
	switch {
	case g.Expires.IsZero():
		v.Expires = "Expiry not known."
	case g.Expires.After(now):
		v.Expires = "Expires at " + s.clock(g.Expires) + "."
	default:
		v.Expires = "Expired at " + s.clock(g.Expires) + "."
	}
	v.Used = "Never used."
	if g.UseCount > 0 {
		v.Used = "Used " + views.Plural(g.UseCount, "time", "times") + "."
	}
	uses := g.Uses
	if len(uses) > shownUses {
		uses = uses[len(uses)-shownUses:]
	}
	for i := range uses {
		v.Uses = append(v.Uses, s.useView(n, channel, &uses[i]))
	}
	if left := g.UseCount - len(uses); left > 0 {
		v.Left = views.Count(left) + " earlier ones are not listed"
	}
	return v
}

func (s *Server) grantFacts(g *validators.Grant) []views.Fact {
	text := func(v string) string { return visible([]byte(clip(v, 300))) }
	var facts []views.Fact
	add := func(name, value string, mono bool) {
		if value != "" {
			facts = append(facts, views.Fact{Name: name, Value: text(value), Mono: mono})
		}
	}
	add("Token", g.Token, true)
	add("Client id", g.Client, true)
	if g.Registered != nil {
		facts = append(facts, views.Fact{Name: "Registered by", Value: exchangeName(*g.Registered), Href: refHref(*g.Registered)})
	}
	add("Grant", g.Type, true)
	if name, ok := methodNames[g.Method]; ok {
		add("Client proof", name, false)
	}
	add("Audience", strings.Join(g.Audience, " "), true)
	add("Certificate", g.Certificate, true)
	if asked := strings.Join(g.Asked, " "); asked != strings.Join(g.Scopes, " ") {
		add("Asked for", asked, true)
	}
	add("Limited to", g.Patient, true)
	if !g.Expires.IsZero() {
		add("Expires", s.moment(g.Expires), false)
	}
	return facts
}

func (s *Server) moment(t time.Time) string {
	return t.In(s.opts.Clock().Location()).Format("2006-01-02 15:04:05")
}

func (s *Server) useView(n *names, channel string, u *validators.TokenUse) views.TokenUse {
	v := views.TokenUse{
		Number: exchangeName(u.Ref), Href: refHref(u.Ref), Time: s.clock(u.At), What: visible([]byte(clip(u.What, 100))), Needs: u.Needs,
		Enough: enoughMark(u.Enough),
	}
	if u.Status > 0 {
		v.Status, v.StatusClass = strconv.Itoa(u.Status), "c"+strconv.Itoa(u.Status/100)
	}
	if u.Channel != channel {
		v.Pair = "on another channel: " + visible([]byte(n.label(u.Channel)))
	}
	return v
}

// enoughMark is empty where nothing can be said.
func enoughMark(e validators.Enough) views.Mark {
	switch e {
	case validators.EnoughYes:
		return views.Mark{Class: "v-pass", Word: "Covered"}
	case validators.EnoughNo:
		return views.Mark{Class: "sev-warning", Word: "Not covered"}
	case validators.EnoughUnknown:
	}
	return views.Mark{}
}

// authView is the Auth tab of an exchange, nil where tokens are not followed.
func (s *Server) authView(ctx context.Context, n *names, ex *proxy.Exchange) (*views.ExchangeAuth, error) {
	if s.deps.Tokens == nil {
		return &views.ExchangeAuth{Notice: views.Notice{Class: "v-none", Title: errNoTokens.title, Text: errNoTokens.text}}, nil
	}
	a, err := s.deps.Tokens.Authorization(ctx, ex)
	if err != nil {
		return nil, err
	}
	v := &views.ExchangeAuth{}
	for i := range a.Findings {
		v.Findings = append(v.Findings, tokenFindingView(n, ex.Channel, &a.Findings[i]))
	}
	for _, ch := range n.channels {
		if ch.Name == ex.Channel {
			v.Channel = "/channels/" + url.PathEscape(ch.ID) + "/auth"
		}
	}
	if a.Issued != nil {
		g := s.grantView(n, ex.Channel, a.Issued)
		v.Issued = &g
	}
	if a.Use != nil && a.Grant != nil {
		s.useFacts(v, ex, a)
		return v, nil
	}
	switch {
	case a.Issued != nil && a.Issued.Issued():
		v.Notice = views.Notice{Class: "v-pass", Title: "A token was issued", Text: "What it was used for is listed below as it comes."}
	case a.Issued != nil:
		v.Notice = views.Notice{Class: "v-none", Title: "No token was issued", Text: "The token endpoint refused the request; the Response tab has its reason."}
		v.Issued = nil
		v.Facts = s.grantFacts(a.Issued)
	case a.Scheme != "":
		v.Notice = views.Notice{Class: "v-none", Title: "No access token", Text: "The request is authorized by " + visible([]byte(clip(a.Scheme, 40))) + "."}
	default:
		v.Notice = views.Notice{Class: "v-none", Title: "No access token", Text: "The request carries no authorization."}
	}
	return v, nil
}

func (s *Server) useFacts(v *views.ExchangeAuth, ex *proxy.Exchange, a *validators.Authorization) {
	g, u := a.Grant, a.Use
	known := g.Request.ID != ""
	switch {
	case !known:
		v.Notice = views.Notice{Class: "v-not-checked", Title: "A token that was issued elsewhere", Text: "Its token request was not recorded, so what it allows is not known for sure."}
	case u.Enough == validators.EnoughYes:
		v.Notice = views.Notice{Class: "v-pass", Title: "The token's scopes cover the request", Text: "It asks for " + u.Needs + "."}
	case u.Enough == validators.EnoughNo:
		v.Notice = views.Notice{Class: "v-pass-notes", Title: "The token's scopes do not cover the request", Text: "It asks for " + u.Needs + "."}
	default:
		v.Notice = views.Notice{Class: "v-not-checked", Title: "Whether the token is enough cannot be told", Text: "The request, or the scopes, are of a kind whose meaning is the server's."}
	}
	for _, sc := range g.Scopes[:min(len(g.Scopes), shownUses)] {
		v.Scopes = append(v.Scopes, visible([]byte(clip(sc, 300))))
	}
	sent := "in the Authorization header, as " + visible([]byte(clip(a.Scheme, 40)))
	if u.Query {
		sent = "in the URL"
	}
	v.Facts = append(v.Facts, views.Fact{Name: "Token sent", Value: sent})
	if known {
		v.Facts = append(v.Facts, views.Fact{Name: "Issued by", Value: exchangeName(g.Request) + " at " + s.clock(g.Request.At), Href: refHref(g.Request)})
	}
	if !g.Expires.IsZero() {
		left := g.Expires.Sub(ex.Timing.Start).Round(time.Second)
		word := left.String() + " left"
		if left < 0 {
			word = "expired " + (-left).String() + " before"
		}
		v.Facts = append(v.Facts, views.Fact{Name: "At the request", Value: word})
	}
	v.Facts = append(v.Facts, s.grantFacts(g)...)
	v.Facts = append(v.Facts, views.Fact{Name: "Uses so far", Value: views.Count(g.UseCount)})
}
