package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/web/api"
)

// acmeOptions are the settings of certificates by ACME.
type acmeOptions struct {
	directory string                       // of the authority; "" is the library's, Let's Encrypt
	email     string                       // the authority may write to it
	roots     *x509.CertPool               // for the connection to the authority; nil: the machine's
	account   *acme.ExternalAccountBinding // nil: the authority knows no accounts of its own
	dir       string                       // holds the account and the certificates
	// retry is the wait after the first failure, which doubles up to look; look is how often a certificate is looked at.
	retry, look time.Duration
	clock       func() time.Time
	logger      *slog.Logger
}

// acmeCertificates gets certificates by ACME (RFC 8555, tls-alpn-01 on the TLS listener) and renews them. No handshake waits for the
// authority: a name that has no certificate yet, or none any more, is the local CA's.
type acmeCertificates struct {
	hosts []string
	opt   acmeOptions

	mu    sync.Mutex // guards what follows
	state map[string]*acmeState
}

// acmeState is what is known of one name. The manager is replaced after a failure, which it would remember for a while.
type acmeState struct {
	manager *autocert.Manager
	leaf    *x509.Certificate // nil: none was got
	chain   []proxy.Certificate
	err     error // of the latest attempt
}

// acmeHello is what certificates are got for: each client of today takes ECDSA.
func acmeHello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: name, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
}

func newACME(hosts []string, o acmeOptions) *acmeCertificates {
	o.retry, o.look = cmp.Or(o.retry, time.Minute), cmp.Or(o.look, time.Hour)
	a := &acmeCertificates{hosts: hosts, opt: o, state: make(map[string]*acmeState, len(hosts))}
	for _, h := range hosts {
		a.state[h] = &acmeState{manager: a.manager(h)}
	}
	return a
}

// acmeTimeout bounds each request to the authority.
const acmeTimeout = 30 * time.Second

func (a *acmeCertificates) manager(host string) *autocert.Manager {
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(host), Email: a.opt.email, Cache: autocert.DirCache(a.opt.dir),
		ExternalAccountBinding: a.opt.account,
		Client:                 &acme.Client{DirectoryURL: cmp.Or(a.opt.directory, autocert.DefaultACMEDirectory), UserAgent: "fhirwire/" + version},
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if a.opt.roots != nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.opt.roots}
	}
	m.Client.HTTPClient = &http.Client{Transport: transport, Timeout: acmeTimeout}
	return m
}

// isACMEChallenge recognizes the authority's look at the listener (RFC 8737).
func isACMEChallenge(hello *tls.ClientHelloInfo) bool {
	return slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto})
}

// challenge answers the authority.
func (a *acmeCertificates) challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	st := a.state[strings.ToLower(hello.ServerName)]
	a.mu.Unlock()
	if st == nil {
		return nil, fmt.Errorf("no certificate by ACME is got for %q", hello.ServerName)
	}
	return st.manager.GetCertificate(hello)
}

// current is the certificate for a server name, nil when there is none that holds.
func (a *acmeCertificates) current(name string) *tls.Certificate {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	a.mu.Lock()
	st, got := a.state[name], false
	if st != nil {
		got = st.leaf != nil
	}
	a.mu.Unlock()
	if !got { // the manager would get one while the client waits
		return nil
	}
	c, err := st.manager.GetCertificate(acmeHello(name))
	if err != nil || c.Leaf == nil || !a.opt.clock().Before(c.Leaf.NotAfter) {
		return nil
	}
	return c
}

// run gets and renews until ctx ends.
func (a *acmeCertificates) run(ctx context.Context) {
	wait := a.opt.retry
	for {
		fine := true
		for _, h := range a.hosts {
			fine = a.get(ctx, h) && fine
		}
		next := a.opt.look
		if !fine {
			next, wait = wait, min(2*wait, a.opt.look)
		} else {
			wait = a.opt.retry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// get looks at a name's certificate, and gets one where there is none.
func (a *acmeCertificates) get(ctx context.Context, host string) bool {
	a.mu.Lock()
	st := a.state[host]
	a.mu.Unlock()
	type result struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan result, 1)
	go func() { // it takes no context; it gives up by itself within minutes
		c, err := st.manager.GetCertificate(acmeHello(host))
		if err == nil && c.Leaf == nil {
			err = errors.New("it has no certificate")
		}
		if err == nil && !a.opt.clock().Before(c.Leaf.NotAfter) {
			err = fmt.Errorf("the certificate ended at %s and could not be renewed", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		done <- result{c, err}
	}()
	var got result
	select {
	case <-ctx.Done():
		return true
	case got = <-done:
	}
	a.note(ctx, host, got.cert, got.err)
	return got.err == nil
}

// note keeps what came of an attempt, and tells what is news.
func (a *acmeCertificates) note(ctx context.Context, host string, cert *tls.Certificate, err error) {
	next := &acmeState{err: err}
	if err != nil {
		next.manager = a.manager(host)
	}
	a.mu.Lock()
	before := a.state[host]
	if err == nil {
		next.manager, next.leaf = before.manager, cert.Leaf
		for _, raw := range cert.Certificate {
			if c, perr := x509.ParseCertificate(raw); perr == nil {
				next.chain = append(next.chain, proxy.CertificateOf(c))
			}
		}
	}
	a.state[host] = next
	a.mu.Unlock()
	switch {
	case err != nil:
		a.opt.logger.WarnContext(ctx, "no certificate by ACME; the local CA's is presented", "host", host, "error", err)
	case before.leaf == nil || !before.leaf.Equal(next.leaf):
		a.opt.logger.InfoContext(ctx, "certificate by ACME", "host", host, "issuer", next.leaf.Issuer.String(), "expires", next.leaf.NotAfter)
	}
}

// list is for the Certificates page.
func (a *acmeCertificates) list() []api.StoredCertificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]api.StoredCertificate, 0, len(a.hosts))
	for _, h := range a.hosts {
		st := a.state[h]
		e := api.StoredCertificate{Name: h, Kind: "acme", Chain: st.chain}
		switch {
		case st.err != nil:
			e.Warnings = []string{"The local CA's is presented: " + st.err.Error()}
		case st.leaf == nil:
			e.Warnings = []string{"The local CA's is presented until the authority has issued one"}
		default:
			e.Expires = st.leaf.NotAfter
			if left := st.leaf.NotAfter.Sub(a.opt.clock()); left < st.leaf.NotAfter.Sub(st.leaf.NotBefore)/6 {
				e.Warnings = []string{"It should have been renewed by now"}
			}
		}
		out = append(out, e)
	}
	return out
}

// openACME makes what gets certificates by ACME, nil when no host is named.
func (a *app) openACME() (*acmeCertificates, error) {
	hosts := a.cfg.acmeHosts()
	if len(hosts) == 0 {
		return nil, nil //nolint:nilnil // none is wanted
	}
	o := acmeOptions{
		directory: a.cfg.ACMEDirectory, email: a.cfg.ACMEEmail, dir: filepath.Join(caDir(a.cfg.Data), "acme"), clock: a.p.now, logger: a.logger,
	}
	if u, err := url.Parse(o.directory); err == nil && u.Host != "" { // what one authority issued is not to stand for another's
		o.dir = filepath.Join(o.dir, strings.NewReplacer(":", "_", "[", "", "]", "").Replace(u.Host))
	}
	var err error
	if o.account, err = a.cfg.externalAccount(); err != nil {
		return nil, err
	}
	if a.cfg.ACMECA != "" {
		if o.roots, err = certificatePool(a.cfg.ACMECA); err != nil {
			return nil, fmt.Errorf("acme-ca: %w", err)
		}
	}
	return newACME(hosts, o), nil
}

func (c *config) acmeHosts() []string {
	hosts := commaList(strings.ToLower(c.ACMEHosts))
	for i, h := range hosts {
		if name, err := localca.Host(h); err == nil {
			hosts[i] = name // as handshakes name it
		}
	}
	return hosts
}

// checkACME reports what cannot work.
func (c *config) checkACME() []error {
	var errs []error
	for _, h := range c.acmeHosts() {
		_, err := localca.Host(h)
		_, notAddr := netip.ParseAddr(h)
		if err != nil || notAddr == nil || strings.HasPrefix(h, "*") || !strings.Contains(h, ".") {
			errs = append(errs, fmt.Errorf("acme-hosts: %q is no full host name; addresses and wildcards cannot be had by tls-alpn-01", h))
		}
	}
	if c.ACMEHosts == "" && (c.ACMEDirectory != "" || c.ACMECA != "" || c.ACMEEmail != "") {
		errs = append(errs, errors.New("acme-hosts: which names certificates are to be got for is missing"))
	}
	if u, err := url.Parse(c.ACMEDirectory); c.ACMEDirectory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		errs = append(errs, errors.New("acme-directory: want the https URL of the authority's directory"))
	}
	if err := c.checkExternalAccount(); err != nil {
		errs = append(errs, err)
	}
	return errs
}
