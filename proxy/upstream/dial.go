package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// guard dials the very address it checked, so that a name cannot resolve to another one in between.
type guard struct {
	deny   func(netip.AddrPort) error
	own    []netip.AddrPort
	dialer net.Dialer
}

func (g *guard) dial(ctx context.Context, network, address string) (*conn, error) {
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
		c, err := g.dialer.DialContext(ctx, network, to.String())
		if err == nil {
			return &conn{Conn: c}, nil
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

// conn is a connection that knows its own description once it is ready for requests.
type conn struct {
	net.Conn
	leg atomic.Pointer[proxy.Leg]
}

// Leg implements record.Connected.
func (c *conn) Leg() *proxy.Leg { return c.leg.Load() }

// CloseWrite keeps half-closing possible for what is tunnelled after an upgrade.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

var _ record.Connected = (*conn)(nil)
