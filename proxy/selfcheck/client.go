package selfcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"fhirwire/proxy"
)

// clientLeg looks at what the client sees of the proxy, as far as this machine can tell, and at what the client did so far.
func (c *Checker) clientLeg(ctx context.Context, ch *proxy.Channel) []proxy.Probe {
	out := []proxy.Probe{c.front(ctx)}
	if c.opt.Exchanges != nil {
		out = append(out, c.seen(ctx, ch))
	}
	for i := range out {
		out[i].Leg = "client"
	}
	return out
}

// front asks the proxy's own listener for its front page, by the URL that clients use.
func (c *Checker) front(ctx context.Context) proxy.Probe {
	p := proxy.Probe{ID: "client-proxy", Title: "Proxy URL", Outcome: proxy.ProbeProblem, Side: "proxy"}
	u, err := url.Parse(c.opt.ProxyURL)
	if err != nil {
		p.Text = "The proxy's public URL is not usable."
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.opt.ProxyURL+"/", http.NoBody)
	if err != nil {
		p.Text = "The proxy's public URL is not usable."
		return p
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	private := false
	transport := &http.Transport{DialContext: c.opt.ProxyDial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			p.Certificates = proxy.Chain(s.PeerCertificates)
			pool := x509.NewCertPool()
			for _, cert := range s.PeerCertificates[1:] {
				pool.AddCert(cert)
			}
			o := x509.VerifyOptions{DNSName: u.Hostname(), Roots: roots, Intermediates: pool, CurrentTime: c.opt.Clock()}
			_, err := s.PeerCertificates[0].Verify(o)
			if err != nil && c.opt.Roots != nil {
				o.Roots, private = c.opt.Roots, true
				_, err = s.PeerCertificates[0].Verify(o)
			}
			return err
		},
	}}
	start := c.opt.Clock()
	res, err := transport.RoundTrip(req)
	p.Took = c.opt.Clock().Sub(start)
	if err != nil {
		p.Text = fmt.Sprintf("The proxy does not answer at its own public URL %s: %s.", c.opt.ProxyURL, dialReason(err))
		p.Action = "Set --proxy-url to the URL by which clients reach the proxy, and open the port in the firewall."
		return p
	}
	_ = res.Body.Close() // its headers say enough
	p.Outcome, p.Side, p.Text = proxy.ProbeOK, "", "The proxy answers at "+c.opt.ProxyURL+"."
	switch ip := net.ParseIP(u.Hostname()); {
	case private:
		p.Outcome, p.Side = proxy.ProbeWarning, "client"
		p.Text += " Its certificate comes from the local CA, which clients do not know yet."
		p.Action = "Add the CA's root certificate (/ca/root.pem of the dashboard) to the client's trust store; never switch verification off."
	case u.Hostname() == "localhost" || ip != nil && ip.IsLoopback():
		p.Outcome, p.Side = proxy.ProbeWarning, "proxy"
		p.Text += " That is reachable from this machine only."
		p.Action = "For clients elsewhere, listen on an address of the network (--proxy-listen) and name it (--proxy-url)."
	}
	return p
}

// seen says whether and how the client has called.
func (c *Checker) seen(ctx context.Context, ch *proxy.Channel) proxy.Probe {
	p := proxy.Probe{ID: "client-seen", Title: "Calls of the client"}
	filter := proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{ch.Name}}}}
	page, err := c.opt.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Limit: 1, SkipTotal: true})
	var last *proxy.Exchange
	if err == nil && len(page.Exchanges) > 0 {
		last, err = c.opt.Exchanges.Exchange(ctx, page.Exchanges[0].ID)
	}
	if err != nil {
		c.opt.Logger.ErrorContext(ctx, "connection check: exchanges unreadable", "channel", ch.Name, "error", err)
		p.Outcome, p.Text = proxy.ProbeNotChecked, "What was recorded could not be read; the log says why."
		return p
	}
	if last == nil {
		p.Outcome, p.Side = proxy.ProbeNotChecked, "client"
		p.Text = "Nothing has come in on this channel yet."
		p.Action = "Set " + ch.ClientBase(c.opt.ProxyURL) + " as the FHIR base URL in the client and ask for metadata."
		return p
	}
	p.Outcome = proxy.ProbeOK
	p.Text = fmt.Sprintf("The last call (exchange %d) came at %s from %s.", last.Number, last.Timing.Start.UTC().Format(time.RFC3339), last.ClientAddr)
	leg := last.ClientLeg
	switch {
	case last.Failure != nil && last.Failure.Side == "client":
		p.Outcome, p.Side = proxy.ProbeProblem, "client"
		p.Text += " It failed: " + cmp.Or(last.Failure.Detail, string(last.Failure.Reason)) + "."
		p.Action = "Correct this in the client and call again."
	case leg != nil && leg.TLS != nil:
		p.Certificates = leg.TLS.Client
		if ch.Options.RequireClientCert && len(leg.TLS.Client) == 0 {
			p.Outcome, p.Side = proxy.ProbeProblem, "client"
			p.Text += " It presented no client certificate, which the channel requires."
			p.Action = "Configure the client's certificate and key."
		}
	case ch.Options.RequireClientCert:
		p.Outcome, p.Side = proxy.ProbeProblem, "client"
		p.Text += " It came in clear, and the channel requires a client certificate."
		p.Action = "Use the channel's https URL on the TLS listener."
	}
	return p
}
