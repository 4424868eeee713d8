package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

const themeCookie = "fhirwire_theme"

// toasts are the confirmations that a redirect may ask for by key.
var toasts = map[string]string{
	"registered": "Registered. Connect it with a partner to get its proxy URL.",
	"connected":  "Connected. The proxy URL is ready.",
	"changed":    "Saved.",
	"deleted":    "Deleted. What was recorded stays.",
	"judged":     "Judged again.",
	"attested":   "Attested, and judged with it.",
	"reviewed":   "Decided. The tool's verdict stays as it is.",
	"window":     "The window is set, and its traffic is judged.",
	"stopped":    "Stopped. What was recorded stays.",
}

const largestForm = 64 << 10

// form parses a small form.
func form(c *gin.Context) (url.Values, error) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, largestForm)
	if err := c.Request.ParseForm(); err != nil {
		return nil, &pageError{http.StatusBadRequest, "The form could not be read", "It is larger than any form here, or it broke off. Fill it in again."}
	}
	return c.Request.PostForm, nil
}

func (s *Server) systems(c *gin.Context) error {
	return s.systemsPage(c, http.StatusOK, s.emptyForm(), views.ChannelForm{})
}

func (s *Server) emptyForm() views.SystemForm {
	return views.SystemForm{Action: "/systems", Title: "Register a system", Submit: "Register"}
}

func (s *Server) systemsPage(c *gin.Context, status int, f views.SystemForm, pair views.ChannelForm) error {
	return s.systemsPageWith(c, status, f, pair, nil)
}

// systemsPageWith also shows the connection settings of the system that is being changed.
func (s *Server) systemsPageWith(c *gin.Context, status int, f views.SystemForm, pair views.ChannelForm, options *views.SystemOptions) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	f.BaseHint = "Servers only, for example https://payer.example/fhir."
	if s.opts.ReferenceURL != "" {
		f.BaseHint = "Servers only, for example " + s.opts.ReferenceURL + ", the built-in payer."
	}
	v := views.Systems{Shell: s.shell(ctx, c, "Systems", "systems", n, ""), Form: f, Pair: pair, Options: options}
	if s.deps.Certificates != nil {
		v.Certificates = "/certificates"
	}
	for _, sys := range n.systems {
		if sys.Has(proxy.RoleClient) {
			v.Clients = append(v.Clients, views.Option{Value: sys.ID, Text: sys.Name, Selected: sys.ID == pair.Client})
		}
		if sys.Has(proxy.RoleServer) {
			v.Servers = append(v.Servers, views.Option{Value: sys.ID, Text: sys.Name, Selected: sys.ID == pair.Server})
		}
		item := systemView(n, sys)
		if until := sys.Options.InsecureUntil; until.After(s.opts.Clock()) {
			item.Unverified = "Certificate not verified until " + s.clock(until)
		}
		item.EdgeCases = s.edgeCases(sys)
		v.Systems = append(v.Systems, item)
	}
	for _, ch := range n.channels {
		v.Channels = append(v.Channels, s.channelView(ctx, n, ch))
	}
	return render(c, status, views.SystemsPage(v))
}

// edgeCases is where the built-in payer's switches are, which answer to this machine only.
func (s *Server) edgeCases(sys *proxy.System) string {
	base, err := url.Parse(s.opts.ReferenceURL)
	if s.opts.ReferenceURL == "" || sys.BaseURL != s.opts.ReferenceURL || err != nil {
		return ""
	}
	return base.Scheme + "://" + base.Host + "/admin/edges"
}

func systemView(n *names, sys *proxy.System) views.System {
	id := url.PathEscape(sys.ID)
	v := views.System{ID: sys.ID, Name: visible([]byte(sys.Name)), Slug: sys.Slug, BaseURL: sys.BaseURL, Edit: "/systems/" + id, Delete: "/systems/" + id + "/delete"}
	var roles []string
	for _, r := range sys.Roles {
		roles = append(roles, string(r))
	}
	v.Roles = strings.Join(roles, " and ")
	if sys.Simulated {
		v.Evidence = views.Evidence{Kind: "simulated", Word: "Built in"}
	}
	used := 0
	for _, c := range n.channels {
		if c.ClientID == sys.ID || c.ServerID == sys.ID {
			used++
		}
	}
	v.Consequence = "What was recorded stays."
	if used > 0 {
		v.Consequence = views.Plural(used, "channel", "channels") + " of it will stop working. What was recorded stays."
	}
	return v
}

func (s *Server) channelView(ctx context.Context, n *names, ch *proxy.Channel) views.Channel {
	base := ch.ClientBase(s.opts.ProxyURL)
	_, server := n.sides(ch.Name)
	sc := scope{channel: ch.Name}
	v := views.Channel{
		ID: ch.ID, Name: ch.Name, Pair: visible([]byte(n.label(ch.Name))), Track: visible([]byte(ch.Options.Track)),
		Base:    views.Copy{ID: "base-" + ch.ID, Label: "Use this as your FHIR base URL", Text: base, Large: true},
		Curl:    views.Copy{ID: "curl-" + ch.ID, Label: "Try it", Text: "curl " + shellQuote(base+"/metadata")},
		Postman: views.Copy{ID: "postman-" + ch.ID, Label: "Postman variable", Text: "baseUrl = " + base},
		Live:    sc.href("/"), Exchanges: "Exchanges", Check: checkHref(ch.ID), Settings: "/channels/" + url.PathEscape(ch.ID), Auth: "/channels/" + url.PathEscape(ch.ID) + "/auth", Delete: "/channels/" + url.PathEscape(ch.ID) + "/delete",
		Forward:     forwardView(s.opts.Forward, ch),
		Consequence: "Its proxy URL stops working. What was recorded stays.",
		Register: []views.Fact{
			{Name: "FHIR base", Value: base, Mono: true},
			{Name: "Forwards to", Value: ch.ServerURL, Mono: true},
			{Name: "Server", Value: "Register nothing new with " + visible([]byte(server)) + ": it sees requests from the address of this proxy."},
			{Name: "OAuth", Value: oauthWords(ch)},
			{Name: "Channel", Value: ch.Name, Mono: true},
		},
	}
	if s.opts.TLSURL != "" {
		v.Register = slices.Insert(v.Register, 1, views.Fact{Name: "Over TLS", Value: ch.ClientBase(s.opts.TLSURL), Mono: true})
	}
	if page, err := s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: scopeOf(url.Values{"channel": {ch.Name}}).filter, Limit: 1}); err == nil {
		v.Exchanges = views.Plural(page.Total, "exchange", "exchanges")
	}
	client, srv := n.pair(ch.Name)
	if client != nil && srv != nil && (client.Simulated || srv.Simulated) {
		v.Evidence = views.Evidence{Kind: "simulated", Word: "Simulated"}
	}
	return v
}

// systemOf reads a system from a form and the form's view with what was typed.
func systemOf(f url.Values, sys *proxy.System) views.SystemForm {
	sys.Name, sys.Slug, sys.BaseURL, sys.Roles = f.Get("name"), f.Get("slug"), f.Get("base_url"), nil
	for _, r := range f["roles"] {
		sys.Roles = append(sys.Roles, proxy.Role(r))
	}
	return formOf(sys)
}

func formOf(sys *proxy.System) views.SystemForm {
	return views.SystemForm{Name: sys.Name, Slug: sys.Slug, BaseURL: sys.BaseURL, Client: sys.Has(proxy.RoleClient), Server: sys.Has(proxy.RoleServer)}
}

func (s *Server) register(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	var sys proxy.System
	v := systemOf(f, &sys)
	if err := s.registry.Register(c.Request.Context(), &sys); err != nil {
		if !refused(err) {
			return err
		}
		empty := s.emptyForm()
		v.Action, v.Title, v.Submit, v.Errors = empty.Action, empty.Title, empty.Submit, api.FieldErrors(err)
		v.Problem = "Not registered. " + fix(len(v.Errors))
		return s.systemsPage(c, http.StatusUnprocessableEntity, v, views.ChannelForm{})
	}
	c.Redirect(http.StatusSeeOther, "/systems?done=registered")
	return nil
}

func refused(err error) bool {
	return errors.Is(err, proxy.ErrInvalid) || errors.Is(err, proxy.ErrConflict)
}

func fix(n int) string {
	return views.Plural(n, "field says", "fields say") + " what to type."
}

func (s *Server) editSystem(c *gin.Context) error {
	sys, err := s.deps.Systems.System(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return s.systemsPageWith(c, http.StatusOK, changeForm(formOf(sys), sys), views.ChannelForm{}, s.optionsForm(c.Request.Context(), sys))
}

func changeForm(v views.SystemForm, sys *proxy.System) views.SystemForm {
	v.Action, v.Title, v.Submit, v.Cancel = "/systems/"+url.PathEscape(sys.ID), "Change a system", "Save", "/systems"
	return v
}

func (s *Server) changeSystem(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	old, err := s.deps.Systems.System(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	sys := *old
	v := changeForm(systemOf(f, &sys), old)
	if err := s.registry.Change(c.Request.Context(), &sys); err != nil {
		if !refused(err) {
			return err
		}
		v.Errors = api.FieldErrors(err)
		v.Problem = "Not saved. " + fix(len(v.Errors))
		return s.systemsPageWith(c, http.StatusUnprocessableEntity, v, views.ChannelForm{}, s.optionsForm(c.Request.Context(), old))
	}
	c.Redirect(http.StatusSeeOther, "/systems?done=changed")
	return nil
}

func (s *Server) confirmSystem(c *gin.Context) error {
	ctx := c.Request.Context()
	sys, err := s.deps.Systems.System(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	v := systemView(n, sys)
	return render(c, http.StatusOK, views.ConfirmPage(views.Confirm{
		Shell: s.shell(ctx, c, "Delete "+v.Name, "systems", n, ""), Title: "Delete " + v.Name + "?", Text: v.Consequence,
		Action: v.Delete, Submit: "Delete " + v.Name, Back: "/systems",
	}))
}

func (s *Server) deleteSystem(c *gin.Context) error {
	if err := s.deps.Systems.DeleteSystem(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, "/systems?done=deleted")
	return nil
}

func (s *Server) connect(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	v := views.ChannelForm{Client: f.Get("client_id"), Server: f.Get("server_id"), Track: f.Get("track"), BasePath: f.Get("base_path")}
	ch := &proxy.Channel{ClientID: v.Client, ServerID: v.Server, Options: proxy.ChannelOptions{Track: strings.TrimSpace(v.Track), BasePath: strings.TrimSpace(v.BasePath)}}
	if err := s.registry.Connect(c.Request.Context(), ch); err != nil {
		if !refused(err) {
			return err
		}
		v.Errors = api.FieldErrors(err)
		v.Problem = "Not connected. " + fix(len(v.Errors))
		return s.systemsPage(c, http.StatusUnprocessableEntity, s.emptyForm(), v)
	}
	c.Redirect(http.StatusSeeOther, "/systems?done=connected#c-"+url.PathEscape(ch.ID))
	return nil
}

func (s *Server) confirmChannel(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(n.channels, func(ch *proxy.Channel) bool { return ch.ID == c.Param("id") })
	if i < 0 {
		return proxy.ErrNotFound
	}
	v := s.channelView(ctx, n, n.channels[i])
	return render(c, http.StatusOK, views.ConfirmPage(views.Confirm{
		Shell: s.shell(ctx, c, "Delete channel "+v.Name, "systems", n, ""), Title: "Delete channel " + v.Name + "?", Text: v.Consequence,
		Action: v.Delete, Submit: "Delete channel " + v.Name, Back: "/systems",
	}))
}

func (s *Server) deleteChannel(c *gin.Context) error {
	if err := s.deps.Channels.DeleteChannel(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, "/systems?done=deleted")
	return nil
}

// theme remembers light or dark and returns to a page of this dashboard.
func (s *Server) theme(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	theme := f.Get("theme")
	if theme != "light" && theme != "dark" {
		return &pageError{http.StatusBadRequest, "No such theme", "Choose light or dark."}
	}
	http.SetCookie(c.Writer, &http.Cookie{
		Name: themeCookie, Value: theme, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	c.Redirect(http.StatusSeeOther, localPath(f.Get("to")))
	return nil
}

// localPath is to when it is a path on this server, else "/".
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return to
}

// oauthWords says where discovery leads on a channel.
func oauthWords(ch *proxy.Channel) string {
	words := "Discovery behind the proxy URL leads to the server's endpoints through the proxy."
	switch ch.Options.Discovery {
	case proxy.DiscoveryKeepToken:
		words = "Discovery behind the proxy URL leads through the proxy, but for the token endpoint, which stays the server's own."
	case proxy.DiscoveryPass:
		words = "Discovery passes as it is: clients that follow it go past the proxy."
	case proxy.DiscoveryRewrite:
	}
	for _, a := range ch.Server.Auxiliary {
		words += " " + a.URL + " is behind " + "/" + ch.Name + "/" + proxy.AuxiliaryMark + a.Name + "."
	}
	return words
}
