package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/proxy/reverse"
	"fhirwire/proxy/selfcheck"
)

// checkTimeout bounds reaching a server that is looked at.
const checkTimeout = 10 * time.Second

func runCheck(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "check", "URL | --channel NAME [flags]",
		"Looks at a connection before the event: the server's name, port, certificate, mTLS, metadata, discovery documents, auxiliary servers\n"+
			"and clock; for a channel also the client's leg. Says who has to do what. Records nothing. Exits with 1 when something is in the way.\n")
	channel := fs.String("channel", "", "`NAME` of a channel of the data folder, in place of the FHIR base URL of a server")
	data := fs.String("data", dataDir(p), "`DIR` of serve, which may be running")
	database := fs.String("database", p.getenv(envName("database")), "postgres://… where serve has its evidence there")
	proxyURL := fs.String("proxy-url", p.getenv(envName("proxy-url")), "`URL` by which clients reach the proxy, to look at the client's leg too")
	caFile := fs.String("ca", "", "PEM `FILE` with CAs that the server's certificate may come from, besides the machine's")
	certFile := fs.String("client-cert", "", "PEM `FILE` with the client certificate to present")
	keyFile := fs.String("client-key", "", "PEM `FILE` with its key")
	var auxiliary list
	fs.Var(&auxiliary, "auxiliary", "`NAME=URL` of another server that clients are sent to, for example auth=https://auth.example (repeatable)")
	format := fs.String("format", "text", "text or json")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) > 1 || (len(rest) == 1) == (*channel != ""):
		return exitUsage, usagef("name one server's FHIR base URL, or --channel NAME")
	case (*certFile == "") != (*keyFile == ""):
		return exitUsage, usagef("--client-cert and --client-key go together")
	case *format != "text" && *format != "json":
		return exitUsage, usagef("--format %q is none of text, json", *format)
	}
	o := selfcheck.Options{ProxyURL: *proxyURL, Clock: p.now}
	ch := &proxy.Channel{}
	if *channel != "" {
		st, closeAll, err := openStore(ctx, p, *data, *database)
		if err != nil {
			return exitUsage, err
		}
		defer func() { _ = closeAll() }() // it was only read
		if ch, err = st.ChannelByName(ctx, *channel); err != nil {
			return exitUsage, err
		}
		copied := *ch
		ch, o.Exchanges = &copied, st
	} else if err := proxy.ValidateBaseURL(rest[0]); err != nil {
		return exitUsage, usagef("%s: %s", rest[0], err)
	} else {
		ch.ServerURL = strings.TrimSuffix(rest[0], "/")
	}
	if err := checkWith(ch, &o, *data, *caFile, *certFile, *keyFile, auxiliary, p); err != nil {
		return exitUsage, err
	}
	dial := reverse.NewTransport(reverse.Options{DialTimeout: checkTimeout}).DialContext
	got := selfcheck.New(dial, o).Check(ctx, ch)
	write := checkText
	if *format == "json" {
		write = checkJSON
	}
	if err := write(p.stdout, &got); err != nil {
		return exitUsage, err
	}
	if got.Worst() == proxy.ProbeProblem {
		return exitFindings, nil
	}
	return exitFine, nil
}

// checkWith adds what the command line says of certificates and servers.
func checkWith(ch *proxy.Channel, o *selfcheck.Options, data, caFile, certFile, keyFile string, auxiliary []string, p *process) error {
	ca, err := localca.Load(filepath.Join(data, "ca"), localca.Options{Clock: p.now})
	switch {
	case err == nil:
		o.Roots, o.Certificates = x509.NewCertPool(), ca
		o.Roots.AddCert(ca.Root())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("client certificate: %w", err)
		}
		ch.Options.ClientCert, o.Certificates = filepath.Base(certFile), onePair{&pair}
	}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		if _, err := proxy.CertificatesFromPEM(string(text)); err != nil {
			return fmt.Errorf("--ca %s: %w", caFile, err)
		}
		ch.Server.CA += "\n" + string(text)
	}
	for _, a := range auxiliary {
		name, to, ok := strings.Cut(a, "=")
		if !ok {
			return usagef("--auxiliary: %q is not NAME=URL", a)
		}
		ch.Server.Auxiliary = append(ch.Server.Auxiliary, proxy.Auxiliary{Name: name, URL: strings.TrimSuffix(to, "/")})
	}
	return ch.Server.Validate()
}

// onePair is the certificate of the command line, under whatever name.
type onePair struct{ pair *tls.Certificate }

// TLS implements selfcheck.Certificates.
func (o onePair) TLS(string) (*tls.Certificate, error) { return o.pair, nil }

func checkJSON(w io.Writer, c *proxy.ConnectionCheck) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(c)
}

var probeWords = map[proxy.ProbeOutcome]string{
	proxy.ProbeOK: "ok", proxy.ProbeWarning: "remark", proxy.ProbeProblem: "PROBLEM", proxy.ProbeNotChecked: "not checked",
}

func checkText(w io.Writer, c *proxy.ConnectionCheck) error {
	var b strings.Builder
	count := map[proxy.ProbeOutcome]int{}
	leg := ""
	for i := range c.Probes {
		p := &c.Probes[i]
		if p.Leg != leg {
			leg = p.Leg
			fmt.Fprintln(&b, map[string]string{"client": "Client to proxy", "server": "Proxy to server"}[leg])
		}
		count[p.Outcome]++
		fmt.Fprintf(&b, "  %-11s  %s: %s\n", probeWords[p.Outcome], p.Title, printable(p.Text))
		if p.Action != "" {
			fmt.Fprintf(&b, "  %-11s  the %s's side: %s\n", "", p.Side, printable(p.Action))
		}
		for j := range p.Certificates {
			cert := &p.Certificates[j]
			fmt.Fprintf(&b, "  %-11s    %s, until %s, SHA-256 %s\n", "", printable(cert.Subject), cert.NotAfter.Format("2006-01-02"), cert.Fingerprint)
		}
	}
	fmt.Fprintf(&b, "%s, %s, %d not checked.\n", counted(count[proxy.ProbeProblem], "problem"), counted(count[proxy.ProbeWarning], "remark"), count[proxy.ProbeNotChecked])
	_, err := io.WriteString(w, b.String())
	return err
}

// checker looks at channels for the dashboard, through the dialer that exchanges use.
func (a *app) checker() *selfcheck.Checker {
	o := reverse.Options{DialTimeout: checkTimeout, Own: []netip.AddrPort{a.dashboard.addrPort(), a.proxy.addrPort()}}
	roots := x509.NewCertPool()
	roots.AddCert(a.ca.Root())
	return selfcheck.New(reverse.NewTransport(o).DialContext, selfcheck.Options{
		Roots: roots, Certificates: a.ca, Exchanges: a.store, ProxyURL: a.proxyURL, Clock: a.p.now, Logger: a.logger,
	})
}
