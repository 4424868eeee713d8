package reverse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"fhirwire/proxy/record"
)

// NewTransport is the transport to servers: no proxy from the environment, nothing added to requests, certificates verified, and every
// address checked before it is dialed.
func NewTransport(o Options) *http.Transport {
	g := &guard{deny: o.Deny, own: o.Own, dialer: net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.DialTimeout,
		ResponseHeaderTimeout:  o.ResponseTimeout,
		ExpectContinueTimeout:  2 * time.Second,
		IdleConnTimeout:        60 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// guard dials the very address it checked, so that a name cannot resolve to another one in between.
type guard struct {
	deny   func(netip.AddrPort) error
	own    []netip.AddrPort
	dialer net.Dialer
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.dialer.Timeout)
	defer cancel()
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		to := netip.AddrPortFrom(a.Unmap(), uint16(number)) //nolint:gosec // LookupPort gives 0 to 65535
		if err := g.check(ctx, to); err != nil {
			errs = append(errs, err)
			continue
		}
		conn, err := g.dialer.DialContext(ctx, network, to.String())
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (g *guard) check(ctx context.Context, to netip.AddrPort) error {
	ip := to.Addr()
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), ip.IsMulticast(), ip.IsUnspecified() && to.Port() == 0:
		return &record.RefusedError{Text: fmt.Sprintf("the server's address %s is link-local or multicast, which the proxy never connects to", ip)}
	case g.isOwn(ctx, to):
		return &record.RefusedError{Text: fmt.Sprintf("the server's address %s is a listener of this proxy", to)}
	case g.deny == nil:
		return nil
	}
	if err := g.deny(to); err != nil {
		return &record.RefusedError{Text: err.Error()}
	}
	return nil
}

// isOwn reports whether to reaches a listener of this process: one that is listed, or the one this request came in on.
func (g *guard) isOwn(ctx context.Context, to netip.AddrPort) bool {
	own := g.own
	if local, ok := ctx.Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		own = append(slices.Clone(own), local.AddrPort())
	}
	for _, o := range own {
		if o.Port() != to.Port() {
			continue
		}
		ip, listen := to.Addr(), o.Addr().Unmap()
		if ip == listen || ip.IsUnspecified() || ip.IsLoopback() && (listen.IsLoopback() || listen.IsUnspecified()) || listen.IsUnspecified() && isLocal(ip) {
			return true
		}
	}
	return false
}

// isLocal reports whether ip is an address of this machine; when that cannot be known, it is taken for one.
func isLocal(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}
