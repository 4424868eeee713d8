package main

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/reverse"
	"fhirwire/proxy/rewrite"
	"fhirwire/reference/smartauth"
)

// keyTimeout bounds fetching a client's keys from its jwks_uri.
const keyTimeout = 10 * time.Second

// oauth are the settings of the reference payer's authorization server.
func (a *app) oauth() smartauth.Options {
	o := smartauth.Options{
		Audiences: a.tokenURLs, Origin: a.origin, Identify: a.identify, UDAP: a.udap().certificate,
		// The transport of the proxy checks each address before it is dialed: a jwks_uri is the client's word.
		HTTP: &http.Client{Timeout: keyTimeout, Transport: reverse.NewTransport(reverse.Options{
			DialTimeout: keyTimeout, ResponseTimeout: keyTimeout, Own: []netip.AddrPort{a.dashboard.addrPort(), a.proxy.addrPort(), a.reference.addrPort()},
			Deny: keyNetworks(a.payerAddresses()),
		})},
	}
	// On an address for everybody the listener cannot know by which name clients call it.
	if !a.reference.addrPort().Addr().IsUnspecified() {
		o.BaseURL = a.reference.url()
	}
	return o
}

// tokenURLs are those by which clients may call the token endpoint besides its own: localhost, and behind each channel to the
// reference payer.
func (a *app) tokenURLs(r *http.Request) []string {
	var out []string
	base, err := url.Parse(a.reference.url())
	if err == nil && a.reference.addrPort().Addr().IsLoopback() {
		out = append(out, "http://localhost:"+base.Port()+smartauth.TokenPath)
	}
	for _, origin := range a.tlsOrigins() {
		out = append(out, origin+smartauth.TokenPath)
	}
	channels, err := a.store.Channels(r.Context())
	if err != nil {
		a.logger.ErrorContext(r.Context(), "channels unreadable", "error", err)
		return out
	}
	origins := append([]string{a.proxyURL}, a.tlsOrigins()...)
	for _, ch := range channels {
		for _, origin := range origins {
			scheme, host, _ := strings.Cut(origin, "://")
			for _, base := range []string{origin + "/" + ch.Name, scheme + "://" + ch.Name + "." + host} {
				out = append(out, a.tokenURLsBehind(ch, base)...)
			}
		}
	}
	return out
}

// tokenURLsBehind are the URLs under which a channel shows the token endpoint: as the server's, or as an auxiliary server's.
func (a *app) tokenURLsBehind(ch *proxy.Channel, clientBase string) []string {
	links, err := rewrite.NewMap(ch, clientBase)
	if err != nil {
		return nil
	}
	bases := []string{ch.ServerURL}
	for _, aux := range ch.Server.Auxiliary {
		bases = append(bases, aux.URL)
	}
	var out []string
	for _, base := range bases {
		u, err := url.Parse(base)
		if err != nil || !a.isReference(u) {
			continue
		}
		if to, ok := links.URL(u.Scheme + "://" + u.Host + smartauth.TokenPath); ok && !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	return out
}

// isReference reports a URL of the reference payer's listener.
func (a *app) isReference(u *url.URL) bool {
	if a.onTLS(u) {
		return !namesChannel(u.Host, u)
	}
	at := a.reference.addrPort()
	if u.Scheme != "http" || u.Port() != strconv.Itoa(int(at.Port())) {
		return false
	}
	// A listener on every address is reached by names that it does not know.
	return at.Addr().IsUnspecified() || slices.Contains([]string{"localhost", "127.0.0.1", at.Addr().String()}, u.Hostname())
}
