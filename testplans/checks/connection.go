package checks

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// tlsVersions are the names that recording gives, lowest first.
var tlsVersions = []string{"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"}

// connection: the handshake that was recorded beside the exchange is as asked for. It speaks about the leg that the proxy took part in, and
// never about what lies behind it.
func connection(ctx context.Context, c *Case) (Outcome, error) {
	want, ex := c.Check.Connection, c.Attempt.Exchange
	leg, asked := ex.ServerLeg, ex.Request.Target
	if want.Leg == "client" {
		leg, asked = clientLeg(ex), ex.Request.URL
	}
	switch {
	case leg == nil:
		return notChecked("nothing was recorded of the " + want.Leg + "'s connection"), nil
	case leg.TLS == nil && want.TLS != "":
		return failed("the " + want.Leg + "'s connection is in clear, without TLS"), nil
	case leg.TLS == nil:
		return notShown("the " + want.Leg + "'s connection is in clear, so there was no handshake"), nil
	}
	t := leg.TLS
	if want.TLS != "" {
		at := slices.Index(tlsVersions, t.Version)
		if at < 0 {
			return notChecked(fmt.Sprintf("the version %q is not known", t.Version)), nil
		}
		if at < slices.Index(tlsVersions, "TLS "+want.TLS) {
			return failed(fmt.Sprintf("the version is %s, where TLS %s or later is expected", t.Version, want.TLS)), nil
		}
	}
	if len(want.Trust) > 0 && !slices.Contains(want.Trust, t.Trust) {
		message := fmt.Sprintf("the %s's certificate was accepted on %q", want.Leg, t.Trust)
		if t.Trust == "" {
			return notChecked("it was not recorded on what the " + want.Leg + "'s certificate was accepted"), nil
		}
		if t.Trust == proxy.TrustNone || t.Trust == proxy.TrustRefused {
			message = map[proxy.Trust]string{proxy.TrustNone: "there was no certificate", proxy.TrustRefused: "the certificate was not accepted"}[t.Trust]
		}
		if t.Detail != "" {
			message += ": " + t.Detail
		}
		return failed(message), nil
	}
	return certificate(ctx, c, t, asked)
}

// played is the client's leg of an exchange that the runner played: it is the client, and its one connection is both legs. On what the
// server accepted its certificate is not known.
func played(server *proxy.Leg) *proxy.Leg {
	if server == nil || server.TLS == nil {
		return server
	}
	t := *server.TLS
	t.Trust, t.Detail = "", ""
	return &proxy.Leg{TLS: &t}
}

func certificate(ctx context.Context, c *Case, t *proxy.TLS, asked string) (Outcome, error) {
	want := c.Check.Connection
	side := want.Presented
	if side == "" {
		side = want.Leg // the peer
	}
	chain := t.Server
	if side == "client" {
		chain = t.Client
	}
	needs := want.Presented != "" || want.Issued || want.Dated || want.Host || want.Names != "" || want.Listed != ""
	switch {
	case !needs:
		return passed, nil
	case len(chain) == 0 && t.Resumed:
		return notChecked("the session was resumed, so no certificate was shown in it"), nil
	case len(chain) == 0 && want.Leg == "server" && side == "client" && t.Asked:
		return notShown("the server asked for a client certificate, and there was none to present"), nil
	case len(chain) == 0:
		return failed("the " + side + " presented no certificate"), nil
	}
	leaf := &chain[0]
	_, names, miss, err := wanted(c.Desk, nil, want.Names)
	if err != nil || miss != "" {
		return missing(miss), err
	}
	start := c.Attempt.Exchange.Timing.Start
	switch {
	case want.Issued && leaf.Subject == leaf.Issuer:
		return failed("the certificate of " + leaf.Subject + " is self-signed"), nil
	case want.Dated && (start.Before(leaf.NotBefore) || start.After(leaf.NotAfter)):
		return failed(fmt.Sprintf("the certificate of %s is valid from %s to %s", leaf.Subject, leaf.NotBefore.Format("2006-01-02"), leaf.NotAfter.Format("2006-01-02"))), nil
	case names != nil && !slices.ContainsFunc(leaf.Names, names.MatchString):
		return failed(fmt.Sprintf("no name of the certificate matches %s: %s", want.Names, strings.Join(leaf.Names, ", "))), nil
	case want.Host && !namesHost(leaf.Names, asked):
		return failed(fmt.Sprintf("no name of the certificate is the host of %s: %s", asked, strings.Join(leaf.Names, ", "))), nil
	}
	if want.Listed != "" {
		return isListed(ctx, c, leaf, asked)
	}
	return passed, nil
}

var label = regexp.MustCompile(`^[^.]+\.`)

// namesHost reports whether one of a certificate's names is the host of a URL, with a wildcard for its first label (RFC 6125, 6.4.3).
func namesHost(names []string, raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := u.Hostname()
	return slices.ContainsFunc(names, func(n string) bool {
		if strings.EqualFold(n, host) {
			return true
		}
		rest, wild := strings.CutPrefix(n, "*.")
		return wild && net.ParseIP(host) == nil && strings.EqualFold(label.ReplaceAllString(host, ""), rest)
	})
}
