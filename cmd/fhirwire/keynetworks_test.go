package main

import (
	"net/netip"
	"testing"
)

func TestKeyNetworks(t *testing.T) {
	for _, tt := range []struct {
		listeners         []string
		loopback, private bool
	}{
		{[]string{"127.0.0.1"}, true, true},
		{[]string{"127.0.0.1", "::1"}, true, true},
		{[]string{"10.1.2.3"}, false, true},
		{[]string{"127.0.0.1", "192.168.0.7"}, false, true},
		{[]string{"0.0.0.0"}, false, false},
		{[]string{"127.0.0.1", "::"}, false, false},
		{[]string{"203.0.113.9"}, false, false},
	} {
		var own []netip.Addr
		for _, l := range tt.listeners {
			own = append(own, netip.MustParseAddr(l))
		}
		deny := keyNetworks(own)
		for addr, allowed := range map[string]bool{
			"127.0.0.1": tt.loopback, "::1": tt.loopback, "0.0.0.0": tt.loopback, "::ffff:127.0.0.1": tt.loopback,
			"10.0.0.5": tt.private, "172.16.3.4": tt.private, "fd12::1": tt.private, "100.64.9.9": tt.private,
			"203.0.113.10": true, "2001:db8::1": true,
		} {
			if err := deny(netip.AddrPortFrom(netip.MustParseAddr(addr), 443)); (err == nil) != allowed {
				t.Errorf("listening on %v: %s: %v", tt.listeners, addr, err)
			}
		}
	}
}
