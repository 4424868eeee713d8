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
	if why := never(to.Addr()); why != "" {
		return &record.RefusedError{Text: fmt.Sprintf("the server's address %s is %s, which the proxy never connects to", to.Addr(), why)}
	}
	switch {
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

// metadata are the addresses of cloud metadata services that are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
	netip.MustParseAddr("168.63.129.16"),
}

// never says of an address what it is when no FHIR server can be there. An IPv4 address in an IPv6 one counts as itself.
func never(ip netip.Addr) string {
	ip = ip.WithZone("")
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "link-local or multicast"
	case slices.Contains(metadata, ip):
		return "a cloud's metadata service"
	}
	if inner, ok := embedded(ip); ok {
		if why := never(inner); why != "" {
			return why + " (" + inner.String() + ")"
		}
	}
	return ""
}

// embedded is the IPv4 address that a gateway would make of an IPv6 address.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	four := func(at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }
	zeros := func(from, to int) bool { return !slices.ContainsFunc(b[from:to], func(x byte) bool { return x != 0 }) }
	switch {
	case ip.Is4():
		return netip.Addr{}, false
	case ip.Is4In6():
		return ip.Unmap(), true
	case b[0] == 0x20 && b[1] == 0x02: // 6to4, RFC 3056
		return four(2), true
	case b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b && zeros(4, 12): // NAT64, RFC 6052
		return four(12), true
	case zeros(0, 12) && !zeros(12, 14): // IPv4-compatible, RFC 4291 2.5.5.1; ::1 is none
		return four(12), true
	}
	return netip.Addr{}, false
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
		if ip == listen || ip.IsUnspecified() || // which dials loopback
			ip.IsLoopback() && (listen.IsLoopback() || listen.IsUnspecified()) || listen.IsUnspecified() && isLocal(ip) {
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
