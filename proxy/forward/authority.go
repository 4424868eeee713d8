package forward

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// authority is a host and a port in one spelling, so that equal ones compare equal.
type authority struct {
	host string // lower case, without brackets or the root's dot
	port uint16
}

func (a authority) String() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// url is the URL of the authority's root, the port only where it is not the scheme's own.
func (a authority) url(scheme string) string {
	if a.port == defaultPort(scheme) {
		if strings.Contains(a.host, ":") {
			return scheme + "://[" + a.host + "]"
		}
		return scheme + "://" + a.host
	}
	return scheme + "://" + a.String()
}

var errAuthority = errors.New("this is no host:port")

// parseAuthority reads HOST:PORT as in a CONNECT request or a Host field. port is assumed where none is named; 0: one must be.
// Numbers in other than dotted decimal form are names like any other: they are compared, never looked up.
func parseAuthority(s string, port uint16) (authority, error) {
	host, rest := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return authority{}, errAuthority
		}
		ip, err := netip.ParseAddr(s[1:end])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return authority{}, errAuthority
		}
		host, rest = ip.Unmap().String(), s[end+1:]
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, rest = s[:i], s[i:]
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.String()
		}
		if host = strings.TrimSuffix(strings.ToLower(host), "."); !isName(host) {
			return authority{}, errAuthority
		}
	}
	if rest != "" {
		digits := strings.TrimPrefix(rest, ":")
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || rest[0] != ':' || n == 0 || digits[0] == '0' || digits[0] == '+' {
			return authority{}, errAuthority
		}
		port = uint16(n)
	}
	if port == 0 {
		return authority{}, errAuthority
	}
	return authority{host: host, port: port}, nil
}

// isName allows what host names have, and underscores, which some use.
func isName(s string) bool {
	if s == "" || len(s) > 253 || strings.HasPrefix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// authorityOf is the scheme and authority of a registered URL.
func authorityOf(raw string) (string, authority, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", authority{}, err
	}
	scheme, host := strings.ToLower(u.Scheme), u.Host
	if name, err := idna.Lookup.ToASCII(u.Hostname()); err == nil && name != u.Hostname() {
		host = name
		if p := u.Port(); p != "" {
			host += ":" + p
		}
	}
	a, err := parseAuthority(host, defaultPort(scheme))
	return scheme, a, err
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}
