package selfcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
)

// Certificates gives the client certificates that channels name.
type Certificates interface {
	TLS(name string) (*tls.Certificate, error)
}

// Exchanges reads what was recorded, newest first.
type Exchanges interface {
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
}

// Dialer opens a connection after it has checked the address.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Options are what a Checker may use; the zero value checks the server's leg only.
type Options struct {
	// Roots are CAs trusted for servers beside the machine's, and those of the client's leg: the local CA.
	Roots *x509.CertPool
	// Certificates are the local CA's; nil: a channel that names one has a problem.
	Certificates Certificates
	// Exchanges are what was recorded; nil: nothing is said of the client.
	Exchanges Exchanges
	// ProxyURL is the proxy's public URL without a trailing slash; empty: the client's leg is not looked at.
	ProxyURL string
	// ProxyDial reaches the proxy's own listener, which Dial refuses. Default: a plain dialer.
	ProxyDial Dialer
	// Resolve looks a name up; default the machine's resolver.
	Resolve func(ctx context.Context, host string) ([]net.IPAddr, error)
	// Timeout bounds each probe; default 10 s.
	Timeout time.Duration
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Checker checks channels. It is safe for concurrent use.
type Checker struct {
	dial Dialer
	opt  Options
}

// New returns a Checker that reaches servers by dial.
func New(dial Dialer, o Options) *Checker {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupIPAddr
	}
	if o.ProxyDial == nil {
		o.ProxyDial = (&net.Dialer{Timeout: o.Timeout}).DialContext
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default of an input
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Checker{dial: dial, opt: o}
}

// Check looks at both legs of ch at once.
func (c *Checker) Check(ctx context.Context, ch *proxy.Channel) proxy.ConnectionCheck {
	out := proxy.ConnectionCheck{Channel: ch.Name, ServerURL: ch.ServerURL, At: c.opt.Clock().UTC()}
	var client, server []proxy.Probe
	var wait sync.WaitGroup
	if c.opt.ProxyURL != "" && ch.Name != "" {
		out.ProxyURL = ch.ClientBase(c.opt.ProxyURL)
		wait.Go(func() { client = c.clientLeg(ctx, ch) })
	}
	wait.Go(func() { server = c.serverLeg(ctx, ch) })
	wait.Wait()
	out.Probes = append(client, server...)
	return out
}

// serverLeg looks at the server, then at its auxiliary servers, all at once.
func (c *Checker) serverLeg(ctx context.Context, ch *proxy.Channel) []proxy.Probe {
	own := &target{Checker: c, ch: ch, id: "server", what: "server", base: ch.ServerURL}
	parts := make([][]proxy.Probe, 1+len(ch.Server.Auxiliary))
	var wait sync.WaitGroup
	wait.Go(func() {
		if own.reach(ctx) {
			own.metadata(ctx)
			own.discovery(ctx)
		} else {
			own.skip("metadata", "CapabilityStatement")
			own.skip("discovery", "Discovery documents")
		}
		parts[0] = own.probes
	})
	for i, a := range ch.Server.Auxiliary {
		wait.Go(func() {
			t := &target{Checker: c, ch: ch, id: "auxiliary-" + a.Name, what: "auxiliary server " + a.Name, base: a.URL}
			t.reach(ctx)
			parts[1+i] = t.probes
		})
	}
	wait.Wait()
	var out []proxy.Probe
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// target is one server that is looked at.
type target struct {
	*Checker
	ch       *proxy.Channel
	id, what string
	base     string
	host     string
	asked    bool // it asked for a client certificate
	shown    bool // and got one
	probes   []proxy.Probe
}

func (t *target) add(p proxy.Probe) { p.Leg = "server"; t.probes = append(t.probes, p) }

func (t *target) skip(id, title string) {
	t.add(proxy.Probe{ID: t.id + "-" + id, Title: title, Outcome: proxy.ProbeNotChecked, Text: "Not looked at, since the server was not reached."})
}

// reach takes name, port and TLS in turn and reports whether requests can follow.
func (t *target) reach(ctx context.Context) bool {
	u, err := url.Parse(t.base)
	if err != nil || u.Hostname() == "" {
		t.add(proxy.Probe{
			ID: t.id + "-name", Title: "Name of the " + t.what, Outcome: proxy.ProbeProblem, Text: fmt.Sprintf("%q is no usable URL.", t.base),
			Side: "proxy", Action: t.either("Correct the URL on the Systems page.", "Correct the URL."),
		})
		return false
	}
	t.host = u.Hostname()
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if !t.name(ctx) {
		return false
	}
	conn := t.connect(ctx, net.JoinHostPort(t.host, port))
	if conn == nil {
		return false
	}
	defer func() { _ = conn.Close() }() // it was only to see
	if u.Scheme == "https" {
		return t.handshake(ctx, conn)
	}
	return true
}

func (t *target) name(ctx context.Context) bool {
	p := proxy.Probe{ID: t.id + "-name", Title: "Name of the " + t.what, Outcome: proxy.ProbeOK}
	if net.ParseIP(t.host) != nil {
		p.Text = t.host + " is an address; no name has to be resolved."
		t.add(p)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, t.opt.Timeout)
	defer cancel()
	start := t.opt.Clock()
	addrs, err := t.opt.Resolve(ctx, t.host)
	p.Took = t.opt.Clock().Sub(start)
	if err != nil || len(addrs) == 0 {
		p.Outcome, p.Side = proxy.ProbeProblem, "server"
		p.Text = fmt.Sprintf("The name %s has no address here: %s.", t.host, reason(err, "the answer was empty"))
		p.Action = "Check the spelling of the host in the base URL, and ask for the DNS entry, or for the address to use in this network."
		t.add(p)
		return false
	}
	var list []string
	for _, a := range addrs {
		list = append(list, a.String())
	}
	p.Text = t.host + " is " + strings.Join(list, ", ") + "."
	t.add(p)
	return true
}

func (t *target) connect(ctx context.Context, address string) net.Conn {
	ctx, cancel := context.WithTimeout(ctx, t.opt.Timeout)
	defer cancel()
	start := t.opt.Clock()
	conn, err := t.dial(ctx, "tcp", address)
	p := proxy.Probe{ID: t.id + "-port", Title: "Port of the " + t.what, Took: t.opt.Clock().Sub(start)}
	if err != nil {
		p.Outcome, p.Text, p.Side, p.Action = proxy.ProbeProblem, fmt.Sprintf("No connection to %s: %s.", address, dialReason(err)), "server",
			"Ask whether the server is running and whether a firewall lets this machine's address in."
		if refused(err) {
			p.Side, p.Action = "proxy", t.register("an address that the proxy may reach.")
		}
		t.add(p)
		return nil
	}
	p.Outcome, p.Text = proxy.ProbeOK, "Connected to "+conn.RemoteAddr().String()+"."
	t.add(p)
	return conn
}
