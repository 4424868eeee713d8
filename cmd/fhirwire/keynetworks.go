package main

import (
	"fmt"
	"net/netip"
	"slices"
)

// keyNetworks says where a client's jwks_uri may lead, which is the client's word: into the networks that the reference payer's own
// listeners are in, or out of all of them. A payer that is offered to everybody is no way to what is private beside it. No listener
// is none: a listener on every address is one on a public one.
func keyNetworks(listeners []netip.Addr) func(netip.AddrPort) error {
	loopback := !slices.ContainsFunc(listeners, func(a netip.Addr) bool { return !a.IsLoopback() })
	private := !slices.ContainsFunc(listeners, func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsPrivate() })
	return func(to netip.AddrPort) error {
		ip := to.Addr().Unmap()
		switch {
		case (ip.IsLoopback() || ip.IsUnspecified()) && !loopback:
			return fmt.Errorf("the address %s is on this machine, and this server listens to others", ip)
		case (ip.IsPrivate() || sharedSpace.Contains(ip)) && !private:
			return fmt.Errorf("the address %s is private, and this server listens to the public", ip)
		}
		return nil
	}
}

// sharedSpace is what providers use behind their address translation, RFC 6598.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// payerAddresses are those that the reference payer listens on.
func (a *app) payerAddresses() []netip.Addr {
	out := []netip.Addr{a.reference.addrPort().Addr().Unmap()}
	if a.tls != nil {
		out = append(out, a.tls.addrPort().Addr().Unmap())
	}
	return out
}
