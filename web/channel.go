package web

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

// discoveryModes are the modes in the words of the form.
var discoveryModes = []views.Choice{
	{Value: string(proxy.DiscoveryRewrite), Text: "Clients find everything behind the proxy", Sub: "Every URL of the server and its auxiliary servers names the proxy. Token requests are recorded. For clients with a secret, and for servers that know the proxy's token URL."},
	{Value: string(proxy.DiscoveryKeepToken), Text: "Everything but the token endpoint", Sub: "The token URL stays the server's own, so that assertions signed for it hold. Token requests go past the proxy and are not recorded."},
	{Value: string(proxy.DiscoveryPass), Text: "Leave discovery documents as they are", Sub: "Clients that follow them go past the proxy from there on. For signed metadata, and for clients that are configured by hand."},
}

// channelPage shows a channel's settings.
func (s *Server) channelPage(c *gin.Context) error {
	ch, err := s.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	return s.channelSettings(c, http.StatusOK, ch, profileLines(ch.Options.Profiles), nil)
}

func (s *Server) channelSettings(c *gin.Context, status int, ch *proxy.Channel, profiles string, bad error) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	o := &ch.Options
	v := views.ChannelSettings{
		Shell: s.shell(ctx, c, "Channel settings", "systems", n, ch.Name), Pair: visible([]byte(n.label(ch.Name))), Name: ch.Name, Parts: channelParts(ch, "Settings"),
		Base:   views.Copy{ID: "base", Label: "FHIR base URL behind the proxy", Text: ch.ClientBase(s.opts.ProxyURL), Large: true},
		Action: "/channels/" + url.PathEscape(ch.ID), Track: o.Track, BasePath: o.BasePath, Profiles: profiles,
		ClientCert: o.ClientCert, RequireClientCert: o.RequireClientCert, TellClientCert: o.TellClientCert, Passthrough: o.Passthrough,
		Discovery: slices.Clone(discoveryModes), Errors: api.FieldErrors(bad),
	}
	if len(v.Errors) > 0 {
		v.Problem = "Not saved. " + fix(len(v.Errors))
	}
	mode := o.Discovery
	if mode == "" {
		mode = proxy.DiscoveryRewrite
	}
	for i := range v.Discovery {
		v.Discovery[i].Checked = v.Discovery[i].Value == string(mode)
	}
	if s.deps.Settings == nil {
		return render(c, status, views.ChannelSettingsPage(v))
	}
	for _, g := range s.deps.Settings.Guides() {
		sub := "Active"
		if !g.Active {
			sub = "Only where it is chosen, or where another guide needs it"
		}
		v.Guides = append(v.Guides, views.Choice{Value: g.ID, Text: strings.Replace(g.ID, "#", " ", 1), Sub: sub, Checked: slices.Contains(o.Guides, g.ID)})
	}
	v.Certificates = certificateOptions(s.deps.Settings.ClientCertificates(), o.ClientCert)
	return render(c, status, views.ChannelSettingsPage(v))
}

// certificateOptions offers the names there are, none when there are none. A name that is gone is still shown.
func certificateOptions(names []string, current string) []views.Option {
	if len(names) == 0 {
		return nil
	}
	if current != "" && !slices.Contains(names, current) {
		names = append(slices.Clone(names), current)
	}
	out := []views.Option{{Text: "None", Selected: current == ""}}
	for _, name := range names {
		out = append(out, views.Option{Value: name, Text: name, Selected: name == current})
	}
	return out
}

// changeChannel stores what the form says.
func (s *Server) changeChannel(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	old, err := s.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	ch := *old
	profiles, bad := parseProfiles(f.Get("profiles"))
	ch.Options = proxy.ChannelOptions{
		Track: strings.TrimSpace(f.Get("track")), BasePath: strings.TrimSpace(f.Get("base_path")), Guides: f["guides"], Profiles: profiles,
		Discovery: proxy.Discovery(f.Get("discovery")), ClientCert: strings.TrimSpace(f.Get("client_cert")),
		RequireClientCert: f.Has("require_client_cert"), TellClientCert: f.Has("tell_client_cert"), Passthrough: f.Has("passthrough"),
	}
	if bad == nil {
		bad = s.registry.ChangeChannel(c.Request.Context(), &ch)
	}
	switch {
	case bad != nil && !refused(bad):
		return bad
	case bad != nil:
		return s.channelSettings(c, http.StatusUnprocessableEntity, &ch, f.Get("profiles"), bad)
	}
	c.Redirect(http.StatusSeeOther, "/channels/"+url.PathEscape(ch.ID)+"?done=changed")
	return nil
}

func profileLines(profiles map[string]string) string {
	var b strings.Builder
	for _, typ := range slices.Sorted(maps.Keys(profiles)) {
		b.WriteString(typ + " " + profiles[typ] + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// parseProfiles reads lines of a type and a URL.
func parseProfiles(text string) (map[string]string, error) {
	pairs, err := pairLines("profiles", text, "a resource type and a profile's URL")
	if err != nil || len(pairs) == 0 {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range pairs {
		if out[p[0]] != "" {
			return nil, &proxy.FieldError{Field: "profiles", Text: "name " + p[0] + " once"}
		}
		out[p[0]] = p[1]
	}
	return out, nil
}

// pairLines reads lines of two words each.
func pairLines(field, text, what string) ([][2]string, error) {
	var out [][2]string
	for line := range strings.Lines(text) {
		switch words := strings.Fields(line); len(words) {
		case 0:
		case 2:
			out = append(out, [2]string{words[0], words[1]})
		default:
			return nil, &proxy.FieldError{Field: field, Text: fmt.Sprintf("%q: type %s on each line, with a space between", strings.TrimSpace(line), what)}
		}
	}
	return out, nil
}

// insecureHours are the choices for switching verification off.
var insecureHours = []int{1, 4, 12, 24}

// keepInsecure leaves the time as it is.
const keepInsecure = "keep"

// optionsForm is the form of a system's connection settings.
func (s *Server) optionsForm(ctx context.Context, sys *proxy.System) *views.SystemOptions {
	o := &sys.Options
	v := &views.SystemOptions{
		Action: "/systems/" + url.PathEscape(sys.ID) + "/options", Client: sys.Has(proxy.RoleClient), Server: sys.Has(proxy.RoleServer), CA: o.CA,
		Pins: strings.Join(o.ClientPins, "\n"), Insecure: []views.Option{{Text: "Verify it"}},
	}
	if v.Server {
		v.Seen = s.undeclared(ctx, sys)
	}
	for i, a := range o.Auxiliary {
		if i > 0 {
			v.Auxiliary += "\n"
		}
		v.Auxiliary += a.Name + " " + a.URL
	}
	if now := s.opts.Clock(); o.InsecureUntil.After(now) {
		v.InsecureNow = "Until " + s.moment(o.InsecureUntil) + " any certificate is taken for the server's, and every exchange says so."
		v.Insecure = append(v.Insecure, views.Option{Value: keepInsecure, Text: "Do not verify it until " + s.moment(o.InsecureUntil), Selected: true})
	}
	for _, h := range insecureHours {
		v.Insecure = append(v.Insecure, views.Option{Value: strconv.Itoa(h), Text: "Do not verify it for " + views.Plural(h, "hour", "hours")})
	}
	if chain, err := proxy.CertificatesFromPEM(o.CA); err == nil {
		for i := range chain {
			c := proxy.CertificateOf(chain[i])
			v.CAs = append(v.CAs, views.Fact{Name: "On record", Value: visible([]byte(c.Subject)) + ", until " + c.NotAfter.UTC().Format(time.DateOnly)})
		}
	}
	return v
}

// lookedAtEscapes bounds the exchanges that are searched for servers to declare.
const lookedAtEscapes = 20

// undeclared are URLs of servers that answers of a server system led to, past the proxy, and that are not declared yet. It is an aid:
// what cannot be read is left out.
func (s *Server) undeclared(ctx context.Context, sys *proxy.System) []views.Fact {
	filter, _ := proxy.ParseFilter("rule:discovery-escape server:" + sys.Slug)
	page, err := s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Limit: lookedAtEscapes, SkipTotal: true})
	if err != nil {
		return nil
	}
	var out []views.Fact
	seen := map[string]bool{}
	for _, brief := range page.Exchanges {
		ex, err := s.deps.Exchanges.Exchange(ctx, brief.ID)
		if err != nil {
			continue
		}
		for _, e := range ex.Edits {
			u, err := url.Parse(e.From)
			if err != nil || e.Why != proxy.WhyEscape || seen[u.Host] || slices.ContainsFunc(sys.Options.Auxiliary, func(a proxy.Auxiliary) bool {
				declared, err := url.Parse(a.URL)
				return err == nil && strings.EqualFold(declared.Host, u.Host)
			}) {
				continue
			}
			seen[u.Host] = true
			out = append(out, views.Fact{Name: "Seen", Value: visible([]byte(clip(u.Scheme+"://"+u.Host+u.EscapedPath(), 200))), Mono: true, Href: "/exchanges/" + url.PathEscape(ex.ID) + "/changes"})
		}
	}
	return out
}

// changeOptions stores a system's connection settings.
func (s *Server) changeOptions(c *gin.Context) error {
	f, err := form(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	old, err := s.deps.Systems.System(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	sys := *old
	bad := s.readOptions(f, &sys)
	if bad == nil {
		bad = s.registry.Change(ctx, &sys)
	}
	switch {
	case bad != nil && !refused(bad):
		return bad
	case bad != nil:
		v := s.optionsForm(ctx, old)
		v.Auxiliary, v.CA, v.Pins, v.Errors = f.Get("auxiliary"), f.Get("ca"), f.Get("client_pins"), api.FieldErrors(bad)
		v.Problem = "Not saved. " + fix(len(v.Errors))
		return s.systemsPageWith(c, http.StatusUnprocessableEntity, changeForm(formOf(old), old), views.ChannelForm{}, v)
	}
	c.Redirect(http.StatusSeeOther, "/systems/"+url.PathEscape(sys.ID)+"?done=changed")
	return nil
}

// readOptions reads the form's parts that concern the system's roles.
func (s *Server) readOptions(f url.Values, sys *proxy.System) error {
	var errs []error
	o := &sys.Options
	if sys.Has(proxy.RoleServer) {
		pairs, err := pairLines("auxiliary", f.Get("auxiliary"), "a short name and a URL")
		errs = append(errs, err)
		o.Auxiliary = nil
		for _, p := range pairs {
			o.Auxiliary = append(o.Auxiliary, proxy.Auxiliary{Name: p[0], URL: strings.TrimRight(p[1], "/")})
		}
		o.CA = strings.TrimSpace(strings.ReplaceAll(f.Get("ca"), "\r\n", "\n"))
		switch choice := f.Get("insecure_hours"); choice {
		case keepInsecure:
		case "":
			o.InsecureUntil = time.Time{}
		default:
			hours, err := strconv.Atoi(choice)
			if err != nil || !slices.Contains(insecureHours, hours) {
				errs = append(errs, &proxy.FieldError{Field: "insecure_until", Text: "choose one of the times offered"})
				break
			}
			o.InsecureUntil = s.opts.Clock().Add(time.Duration(hours) * time.Hour).UTC().Truncate(time.Second)
		}
	}
	if sys.Has(proxy.RoleClient) {
		pins, err := readPins(f.Get("client_pins"))
		errs = append(errs, err)
		o.ClientPins = pins
	}
	return errors.Join(errs...)
}

// readPins reads fingerprints, with or without colons, and certificates in PEM.
func readPins(text string) ([]string, error) {
	var out []string
	if begin := strings.Index(text, "-----BEGIN"); begin >= 0 {
		end := strings.LastIndex(text, "-----END")
		if end < begin {
			return nil, &proxy.FieldError{Field: "client_pins", Text: "the certificate is cut off; paste all of it, with its BEGIN and END lines"}
		}
		tail := text[end:]
		if i := strings.IndexByte(tail, '\n'); i >= 0 {
			end += i
		} else {
			end = len(text)
		}
		list, err := proxy.CertificatesFromPEM(text[begin:end])
		if err != nil {
			return nil, &proxy.FieldError{Field: "client_pins", Text: err.Error()}
		}
		for _, c := range list {
			out = append(out, proxy.CertificateOf(c).Fingerprint)
		}
		text = text[:begin] + "\n" + text[end:]
	}
	for line := range strings.Lines(text) {
		line = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(line), ":", ""))
		line = strings.TrimPrefix(line, "sha256 ")
		if line != "" {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
