package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/web"
	"fhirwire/web/api"
)

// secure is the TLS listener with what it presents.
type secure struct {
	*listener

	certs *serverCertificates
}

// openTLS makes what the TLS listener presents and permits the local CA the hosts it may be needed for.
func (a *app) openTLS(ctx context.Context) error {
	if a.tls == nil {
		return a.permit(ctx)
	}
	names, err := a.listenerNames()
	if err != nil {
		return err
	}
	certs := &serverCertificates{ca: a.ca, names: names}
	if at := a.tls.addrPort().Addr().Unmap(); !at.IsUnspecified() {
		certs.addr = at.String()
	}
	if a.cfg.TLSCert != "" {
		if certs.file, err = openCertificateFile(a.cfg.TLSCert, a.cfg.TLSKey, a.p.now, a.logger); err != nil {
			return fmt.Errorf("tls-cert: %w", err)
		}
	}
	if certs.acme, err = a.openACME(); err != nil {
		return err
	}
	a.tls.certs, a.tls.tls = certs, certs.config()
	return a.permit(ctx)
}

// listenerNames are the names and addresses by which the TLS listener is reached; of names also what is below them, where channels
// are.
func (a *app) listenerNames() ([]string, error) {
	names := []string{anyName, "127.0.0.1", "::1"}
	names = append(names, a.cfg.hosts()...)
	names = append(names, commaList(a.cfg.TLSHosts)...)
	names = append(names, a.cfg.acmeHosts()...)
	switch at := a.tls.addrPort().Addr(); {
	case at.IsUnspecified():
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return nil, fmt.Errorf("tls-listen: %w", err)
		}
		for _, addr := range addrs {
			if p, err := netip.ParsePrefix(addr.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
				names = append(names, p.Addr().String())
			}
		}
	default:
		names = append(names, at.Unmap().String())
	}
	var out []string
	for _, n := range names {
		name, err := localca.Host(n)
		if err != nil {
			return nil, fmt.Errorf("tls-hosts: %w", err)
		}
		out = append(out, name)
		if _, err := netip.ParseAddr(name); err != nil && !strings.HasPrefix(name, "*.") {
			out = append(out, "*."+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// permit lets the local CA issue for the TLS listener and for the https hosts of registered servers, and for nothing else.
func (a *app) permit(ctx context.Context) error {
	var hosts []string
	if a.tls != nil {
		hosts = append(hosts, a.tls.certs.names...)
	}
	systems, err := a.store.Systems(ctx)
	if err != nil {
		return err
	}
	for _, s := range systems {
		for _, base := range serverURLs(s) {
			if u, err := url.Parse(base); err == nil && u.Scheme == "https" {
				name, err := localca.Host(u.Hostname())
				if err != nil {
					a.logger.WarnContext(ctx, "no certificate can be issued for a registered server", "system", s.Slug, "error", err)
					continue
				}
				hosts = append(hosts, name)
			}
		}
	}
	return a.ca.Permit(hosts)
}

func serverURLs(s *proxy.System) []string {
	if !s.Has(proxy.RoleServer) {
		return nil
	}
	out := []string{s.BaseURL}
	for _, aux := range s.Options.Auxiliary {
		out = append(out, aux.URL)
	}
	return out
}

// followSystems keeps the local CA's hosts up with the registered systems until ctx ends.
func (a *app) followSystems(ctx context.Context) {
	permit := func() {
		if err := a.permit(ctx); err != nil && ctx.Err() == nil {
			a.logger.ErrorContext(ctx, "the local CA's hosts could not be brought up to date", "error", err)
		}
	}
	for ctx.Err() == nil {
		notices := a.hub.Subscribe(ctx, 256)
		permit() // what happened while nobody listened
		for n := range notices {
			if n.Kind == live.KindSystem {
				permit()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // fell behind, or the hub is closing
		}
	}
}

// tlsHandler parts the TLS listener: what names a channel is the proxy's, the rest the reference server's.
func (a *app) tlsHandler(proxied, reference http.Handler) http.Handler {
	if reference == nil {
		return proxied
	}
	// The way to servers shuns the listener a request came in on. On this one the reference server is a server like others, and
	// loops tells it from channels.
	inner := proxied
	proxied = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, nil)))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if namesChannel(r.Host, r.URL) {
			proxied.ServeHTTP(w, r)
		} else {
			reference.ServeHTTP(w, r)
		}
	})
}

// referenceLabel in front of a name of the listener is the reference server's whatever the path.
const referenceLabel = "reference"

// namesChannel reports whether host or path name a channel: their names have a "~", and no path of the reference server begins so.
func namesChannel(host string, u *url.URL) bool {
	switch label, _, ok := strings.Cut(host, "."); {
	case ok && strings.Contains(label, "~"):
		return true
	case ok && strings.EqualFold(label, referenceLabel):
		return false
	}
	path := strings.TrimPrefix(u.Path, "/")
	if document, ok := strings.CutPrefix(path, ".well-known/"); ok { // of an issuer behind a channel
		_, path, _ = strings.Cut(document, "/")
	}
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, "~")
}

// loops says of servers on the TLS listener whether they are the proxy; the reference server is there, too.
func (a *app) loops(server *url.URL) (loops, known bool) {
	if !a.onTLS(server) {
		return false, false
	}
	return namesChannel(server.Host, server), true
}

// tlsURL is how people reach the TLS listener: by the first of --tls-hosts, or by its address.
func (a *app) tlsURL() string {
	if hosts := commaList(a.cfg.TLSHosts); len(hosts) > 0 {
		return "https://" + net.JoinHostPort(strings.TrimPrefix(hosts[0], "*."), strconv.Itoa(int(a.tls.addrPort().Port())))
	}
	return a.tls.url()
}

// onTLS reports a URL of the TLS listener.
func (a *app) onTLS(u *url.URL) bool {
	return a.tls != nil && u.Scheme == "https" && portOf(u) == strconv.Itoa(int(a.tls.addrPort().Port())) && localca.Covers(a.tls.certs.names, u.Hostname())
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

// tlsOrigins are the origins by which the TLS listener is reached, without those of channels.
func (a *app) tlsOrigins() []string {
	if a.tls == nil {
		return nil
	}
	port := strconv.Itoa(int(a.tls.addrPort().Port()))
	var out []string
	for _, name := range a.tls.certs.names {
		if !strings.HasPrefix(name, "*.") {
			out = append(out, "https://"+net.JoinHostPort(name, port))
		}
	}
	return out
}

// origin is how a request to the reference server came in: by the TLS listener under one of its names, or in clear.
func (a *app) origin(r *http.Request) string {
	if r.TLS == nil || a.tls == nil {
		return ""
	}
	if localca.Covers(a.tls.certs.names, r.Host) {
		return "https://" + r.Host
	}
	return a.tls.url()
}

func commaList(s string) []string {
	var out []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// presents is record.Options.Presents.
func (a *app) presents() func(string) []*x509.Certificate {
	if a.tls == nil {
		return nil
	}
	return a.tls.certs.presents
}

// certificateStore shows the local CA to the dashboard.
type certificateStore struct {
	*localca.Authority

	acme *acmeCertificates // nil without
	file *certificateFile  // nil without
}

// Certificates implements web's api.Certificates.
func (s certificateStore) Certificates() []api.StoredCertificate {
	var out []api.StoredCertificate
	for _, e := range slices.Concat(s.Issuers(), s.Entries()) {
		out = append(out, api.StoredCertificate{Name: e.Name, Kind: string(e.Kind), Chain: e.Chain, Expires: e.Expires, Warnings: e.Warnings, Replaced: e.Replaced})
	}
	if s.acme != nil {
		out = append(out, s.acme.list()...)
	}
	if s.file != nil {
		out = append(out, s.file.list()...)
	}
	return out
}

// withCertificates gives the dashboard the local CA and the TLS listener's URL.
func (a *app) withCertificates(d *web.Deps, o *web.Options) {
	store := certificateStore{Authority: a.ca}
	if a.tls != nil {
		store.acme, store.file, o.TLSURL = a.tls.certs.acme, a.tls.certs.file, a.tlsURL()
	}
	d.Certificates = store
}
