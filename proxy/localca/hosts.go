package localca

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// subdomains before a name permits all names below it: "*.localhost". The name itself is another entry.
const subdomains = "*."

// normal is the form of a host in certificates: lower case, ASCII, no port, brackets or closing dot.
func normal(host string) (string, error) {
	h := strings.TrimSpace(host)
	if name, _, err := net.SplitHostPort(h); err == nil {
		h = name
	}
	h = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(h, "]"), "["), ".")
	if ip, err := netip.ParseAddr(h); err == nil {
		return ip.Unmap().WithZone("").String(), nil
	}
	base, below := strings.CutPrefix(h, subdomains)
	ascii, err := idna.Lookup.ToASCII(base)
	if err != nil { // a channel's name has a "~", which is no letter of host names and no harm
		ascii = strings.ToLower(base)
	}
	if !plain(ascii) {
		return "", fmt.Errorf("%q is no host name or IP address", host)
	}
	if below {
		return subdomains + ascii, nil
	}
	return ascii, nil
}

// Host is the form in which a host is permitted; an error says that there can be no certificate for it.
func Host(host string) (string, error) { return normal(host) }

// Covers reports whether hosts, in the form of Host, permit host.
func Covers(hosts []string, host string) bool {
	name, err := normal(host)
	return err == nil && covers(hosts, name)
}

func plain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '~'
		}) {
			return false
		}
	}
	return true
}

// normalSet sorts and thins out hosts.
func normalSet(hosts []string) ([]string, error) {
	set := map[string]bool{}
	for _, h := range hosts {
		n, err := normal(h)
		if err != nil {
			return nil, err
		}
		set[n] = true
	}
	return slices.Sorted(maps.Keys(set)), nil
}

// covers reports whether hosts has host, itself or by its parent's "*.".
func covers(hosts []string, host string) bool {
	if slices.Contains(hosts, host) {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return slices.ContainsFunc(hosts, func(h string) bool {
		base, below := strings.CutPrefix(h, subdomains)
		return below && strings.HasSuffix(host, "."+base)
	})
}

// groups parts hosts so that no name of a group is below another one. A constraint to a name holds for the names below it as
// well, unless those are excluded, and they could not be if one of them were in the same group.
func groups(hosts []string) [][]string {
	depth := func(h string) int {
		base := strings.TrimPrefix(h, subdomains)
		n := 0
		seen := map[string]bool{}
		for _, other := range hosts {
			o := strings.TrimPrefix(other, subdomains)
			if !seen[o] && strings.HasSuffix(base, "."+o) {
				seen[o] = true
				n++
			}
		}
		return n
	}
	by := map[int][]string{}
	for _, h := range hosts {
		d := depth(h)
		by[d] = append(by[d], h)
	}
	var out [][]string
	for _, d := range slices.SortedFunc(maps.Keys(by), cmp.Compare) {
		out = append(out, by[d])
	}
	return out
}
