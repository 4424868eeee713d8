package rewrite

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"fhirwire/proxy"
)

// Map turns URLs of one channel's server into URLs behind the proxy.
type Map struct {
	channel *proxy.Channel
	scheme  string
	host    string // host:port, lower case, port explicit
	origin  string // scheme and host as the channel spells them, which nearly every link does too
	client  string // what precedes the path at the client: "http://127.0.0.1:8081/acme~payer", or the channel's own host
	base    string // origin of client
}

// NewMap maps for channel. clientBase is the URL that stands for the server's origin at the client, without a trailing slash:
// "http://127.0.0.1:8081/acme~payer" or "http://acme~payer.localhost:8081".
func NewMap(channel *proxy.Channel, clientBase string) (*Map, error) {
	server, err := url.Parse(channel.ServerURL)
	if err != nil {
		return nil, fmt.Errorf("channel %s: server URL: %w", channel.Name, err)
	}
	if server.Host == "" {
		return nil, fmt.Errorf("channel %s: server URL %q names no host", channel.Name, channel.ServerURL)
	}
	m := &Map{channel: channel, scheme: strings.ToLower(server.Scheme), client: clientBase, base: clientBase}
	m.origin = server.Scheme + "://" + server.Host
	m.host = hostPort(m.scheme, server.Host)
	if i := strings.Index(clientBase, "://"); i >= 0 {
		if j := strings.IndexByte(clientBase[i+3:], '/'); j >= 0 {
			m.base = clientBase[:i+3+j]
		}
	}
	return m, nil
}

// URL is what the client must see for ref, and whether that differs. A URL of another origin, a fragment and a reference
// relative to the document stay as they are; one relative to the server's root becomes absolute where it would lose the channel.
func (m *Map) URL(ref string) (string, bool) {
	if rest, ok := strings.CutPrefix(ref, m.origin); ok && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0) {
		return m.path(ref, rest)
	}
	switch {
	case strings.HasPrefix(ref, "//"):
		host, rest := splitAuthority(ref[2:])
		if hostPort(m.scheme, host) != m.host {
			return ref, false
		}
		return m.path(ref, rest)
	case strings.HasPrefix(ref, "/"):
		to, ok := m.path(ref, ref)
		if !ok || to == m.base+ref {
			return ref, false
		}
		return to, true
	}
	scheme, after, ok := strings.Cut(ref, "://")
	if !ok || !strings.EqualFold(scheme, m.scheme) {
		return ref, false
	}
	host, rest := splitAuthority(after)
	if hostPort(m.scheme, host) != m.host {
		return ref, false
	}
	return m.path(ref, rest)
}

// path maps rest, which is a path with query and fragment. A path that would not come back to the same place is left alone.
func (m *Map) path(ref, rest string) (string, bool) {
	path, tail := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, tail = rest[:i], rest[i:]
	}
	to := path
	if m.channel.Options.BasePath != "" {
		if to = m.channel.ToClient(path); m.channel.ToServer(to) != path {
			return ref, false
		}
	}
	out := m.client + to + tail
	return out, out != ref
}

// splitAuthority cuts host[:port] from the front; a URL with user information is nobody's link and yields no host.
func splitAuthority(s string) (host, rest string) {
	i := strings.IndexAny(s, "/?#")
	if i < 0 {
		i = len(s)
	}
	if strings.ContainsAny(s[:i], "@\\") {
		return "", s
	}
	return s[:i], s[i:]
}

func hostPort(scheme, host string) string {
	h, port, err := net.SplitHostPort(host)
	if err != nil {
		h, port = strings.Trim(host, "[]"), ""
	}
	if port == "" {
		switch scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	return net.JoinHostPort(strings.ToLower(h), port)
}
