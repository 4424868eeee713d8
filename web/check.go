package web

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// checked remembers the last connection check of each channel while the process lives: it is a look, not evidence.
type checked struct {
	mu   sync.Mutex
	last map[string]proxy.ConnectionCheck
}

func (m *checked) of(channel string) (proxy.ConnectionCheck, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.last[channel]
	return c, ok
}

func (m *checked) set(channel string, c proxy.ConnectionCheck) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		m.last = map[string]proxy.ConnectionCheck{}
	}
	m.last[channel] = c
}

var errNoChecker = &pageError{http.StatusNotImplemented, "Connections cannot be checked here", "This dashboard was started without the part that does it."}

// check shows the last connection check of a channel.
func (s *Server) check(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	ch, err := s.deps.Channels.Channel(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	v := views.ConnectionCheck{
		Shell: s.shell(ctx, c, "Connection check", "systems", n, ch.Name), Pair: visible([]byte(n.label(ch.Name))), Name: ch.Name,
		Parts: channelParts(ch, "Connection check"), Action: checkHref(ch.ID), Back: "/systems#c-" + url.PathEscape(ch.ID),
	}
	last, ok := s.checked.of(ch.ID)
	if !ok {
		v.Empty = &views.Empty{Title: "Not checked yet", Text: "The check looks at both legs of the channel, asks the server for its metadata and discovery documents, and says who has to do what. It takes some seconds."}
		return render(c, http.StatusOK, views.ConnectionCheckPage(v))
	}
	v.At = "Checked at " + last.At.In(s.opts.Clock().Location()).Format("15:04:05") + "."
	v.Summary = checkSummary(&last)
	v.Legs = []views.CheckedLeg{{ID: "leg-client", Title: "Client to proxy"}, {ID: "leg-server", Title: "Proxy to server"}}
	for i := range last.Probes {
		leg := &v.Legs[1]
		if last.Probes[i].Leg == "client" {
			leg = &v.Legs[0]
		}
		leg.Probes = append(leg.Probes, s.probeView(n, ch.Name, &last.Probes[i]))
	}
	if len(v.Legs[0].Probes) == 0 {
		v.Legs = v.Legs[1:]
	}
	return render(c, http.StatusOK, views.ConnectionCheckPage(v))
}

// runCheck checks a channel and leads to what was found.
func (s *Server) runCheck(c *gin.Context) error {
	if s.deps.Checker == nil {
		return errNoChecker
	}
	ctx := c.Request.Context()
	ch, err := s.deps.Channels.Channel(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	s.checked.set(ch.ID, s.deps.Checker.Check(ctx, ch))
	c.Redirect(http.StatusSeeOther, checkHref(ch.ID))
	return nil
}

func checkHref(channelID string) string { return "/channels/" + url.PathEscape(channelID) + "/check" }

func checkSummary(c *proxy.ConnectionCheck) views.Notice {
	count := map[proxy.ProbeOutcome]int{}
	for i := range c.Probes {
		count[c.Probes[i].Outcome]++
	}
	problems, warnings := count[proxy.ProbeProblem], count[proxy.ProbeWarning]
	switch c.Worst() {
	case proxy.ProbeProblem:
		return views.Notice{Class: "v-fail", Title: views.Plural(problems, "thing is", "things are") + " in the way", Text: "Each says below who has to act."}
	case proxy.ProbeWarning:
		return views.Notice{Class: "v-pass-notes", Title: "Ready, with " + views.Plural(warnings, "remark", "remarks"), Text: "Exchanges can pass. What is marked below may matter for some scenarios."}
	case proxy.ProbeNotChecked:
		return views.Notice{Class: "v-not-checked", Title: "No problem found, not everything was seen", Text: "What could not be looked at says why."}
	default:
		return views.Notice{Class: "v-pass", Title: "Ready", Text: "Both legs are in order."}
	}
}

func (s *Server) probeView(n *names, channel string, p *proxy.Probe) views.Probe {
	v := views.Probe{Title: p.Title, Text: visible([]byte(p.Text)), Action: visible([]byte(p.Action))}
	switch p.Outcome {
	case proxy.ProbeOK:
		v.Mark = views.Mark{Class: "v-pass", Word: "In order"}
	case proxy.ProbeWarning:
		v.Mark = views.Mark{Class: "sev-warning", Word: "Remark"}
	case proxy.ProbeProblem:
		v.Mark = views.Mark{Class: "v-fail", Word: "Problem"}
	default:
		v.Mark = views.Mark{Class: "v-not-checked", Word: "Not checked"}
	}
	if v.Who = n.who(channel, validators.Side(p.Side)); p.Side == "proxy" {
		v.Who = "Whoever runs this proxy"
	}
	if p.Took >= time.Millisecond {
		v.Took = p.Took.Round(time.Millisecond).String()
	}
	for i := range p.Certificates {
		v.Certificates = append(v.Certificates, certificateView(&p.Certificates[i]))
	}
	return v
}

// certificateView is a certificate's description; all of it is the peer's word.
func certificateView(c *proxy.Certificate) views.Certificate {
	v := views.Certificate{Title: visible([]byte(c.Subject)), Facts: []views.Fact{
		{Name: "Issuer", Value: visible([]byte(c.Issuer))},
	}}
	names := "none"
	for i, name := range c.Names {
		if i == 0 {
			names = visible([]byte(name))
		} else {
			names += ", " + visible([]byte(name))
		}
	}
	v.Facts = append(
		v.Facts,
		views.Fact{Name: "Names", Value: names},
		views.Fact{Name: "Valid", Value: c.NotBefore.UTC().Format(time.DateOnly) + " to " + c.NotAfter.UTC().Format(time.DateOnly)},
		views.Fact{Name: "Serial number", Value: c.Serial, Mono: true},
		views.Fact{Name: "SHA-256", Value: c.Fingerprint, Mono: true},
	)
	return v
}
