package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// gateways are the addresses from which what is said of client certificates is believed.
func (c *config) gateways() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, item := range commaList(c.Gateways) {
		if !strings.Contains(item, "/") {
			addr, err := netip.ParseAddr(item)
			if err != nil {
				return nil, fmt.Errorf("gateways: %q is no IP address", item)
			}
			out = append(out, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(item)
		switch {
		case err != nil:
			return nil, fmt.Errorf("gateways: %q is no prefix such as 192.0.2.0/24", item)
		case p.Bits() == 0:
			return nil, fmt.Errorf("gateways: %s would believe everybody", item)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
