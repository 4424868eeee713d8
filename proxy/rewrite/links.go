package rewrite

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// Map turns URLs of one channel's server and of its auxiliary servers into URLs behind the proxy, and back.
type Map struct {
	channel *proxy.Channel
	client  string // what precedes the path at the client: "http://127.0.0.1:8081/acme~payer", or the channel's own host
	base    string // origin of client
	server  server
	// auxiliary servers, longest path first.
	auxiliary []server
	// from is the server that the mapped documents come from: its root is what a URL that begins with "/" is relative to.
	from server
}

// server is the FHIR server or an auxiliary one.
type server struct {
	scheme string // lower case
	host   string // host:port, lower case, port explicit
	origin string // scheme and host as registered, which nearly every link has too
	path   string // escaped path of its base, without a trailing slash
	client string // what stands for origin (of an auxiliary server: for origin and path) at the client
	name   string // of an auxiliary server
}

// NewMap maps for channel. clientBase is the URL that stands for the server's origin at the client, without a trailing slash:
// "http://127.0.0.1:8081/acme~payer" or "http://acme~payer.localhost:8081".
func NewMap(channel *proxy.Channel, clientBase string) (*Map, error) {
	m := &Map{channel: channel, client: clientBase, base: clientBase}
	var err error
	if m.server, err = newServer(channel.ServerURL, clientBase); err != nil {
		return nil, fmt.Errorf("channel %s: server URL: %w", channel.Name, err)
	}
	m.from = m.server
	for _, a := range channel.Server.Auxiliary {
		s, err := newServer(a.URL, clientBase+"/"+proxy.AuxiliaryMark+a.Name)
		if err != nil {
			return nil, fmt.Errorf("channel %s: auxiliary server %s: %w", channel.Name, a.Name, err)
		}
		s.name = a.Name
		m.auxiliary = append(m.auxiliary, s)
	}
	slices.SortStableFunc(m.auxiliary, func(a, b server) int { return cmp.Compare(len(b.path), len(a.path)) })
	if i := strings.Index(clientBase, "://"); i >= 0 {
		if j := strings.IndexByte(clientBase[i+3:], '/'); j >= 0 {
			m.base = clientBase[:i+3+j]
		}
	}
	return m, nil
}

func newServer(base, client string) (server, error) {
	u, err := url.Parse(base)
	if err != nil {
		return server{}, err
	}
	if u.Host == "" {
		return server{}, fmt.Errorf("%q names no host", base)
	}
	scheme := strings.ToLower(u.Scheme)
	return server{
		scheme: scheme, host: hostPort(scheme, u.Host), origin: u.Scheme + "://" + u.Host,
		path: strings.TrimSuffix(u.EscapedPath(), "/"), client: client,
	}, nil
}

// From is the map for documents that come from the auxiliary server of this name; false when there is none.
func (m *Map) From(auxiliary string) (*Map, bool) {
	i := slices.IndexFunc(m.auxiliary, func(s server) bool { return s.name == auxiliary })
	if i < 0 {
		return nil, false
	}
	out := *m
	out.from = m.auxiliary[i]
	return &out, true
}

// URL is what the client must see for ref, and whether that differs. A URL of another origin, a fragment and a reference
// relative to the document stay as they are; one relative to the server's root becomes absolute where it would lose the channel.
func (m *Map) URL(ref string) (string, bool) {
	if rest, ok := strings.CutPrefix(ref, m.from.origin); ok && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0) {
		return m.place(ref, m.from.scheme, m.from.host, rest)
	}
	switch {
	case strings.HasPrefix(ref, "//"):
		host, rest := splitAuthority(ref[2:])
		return m.place(ref, m.from.scheme, hostPort(m.from.scheme, host), rest)
	case strings.HasPrefix(ref, "/"):
		to, ok := m.place(ref, m.from.scheme, m.from.host, ref)
		if !ok || to == m.base+ref {
			return ref, false
		}
		return to, true
	}
	scheme, after, ok := strings.Cut(ref, "://")
	if !ok {
		return ref, false
	}
	scheme = strings.ToLower(scheme)
	host, rest := splitAuthority(after)
	return m.place(ref, scheme, hostPort(scheme, host), rest)
}

// place maps rest, a path with query and fragment on scheme and host. Of the bases it is below the longest wins; what is elsewhere
// on the FHIR server's origin is the FHIR server's. A path that would not come back to the same place is left alone.
func (m *Map) place(ref, scheme, host, rest string) (string, bool) {
	path, tail := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, tail = rest[:i], rest[i:]
	}
	ours := m.server.at(scheme, host)
	for i := range m.auxiliary {
		a := &m.auxiliary[i]
		if !a.at(scheme, host) {
			continue
		}
		below, ok := under(path, a.path)
		if _, server := under(path, m.server.path); !ok || ours && server && len(m.server.path) >= len(a.path) {
			continue
		}
		out := a.client + below + tail
		return out, out != ref
	}
	if !ours {
		return ref, false
	}
	to := path
	if m.channel.Options.BasePath != "" {
		if to = m.channel.ToClient(path); m.channel.ToServer(to) != path {
			return ref, false
		}
	}
	if strings.HasPrefix(to, "/"+proxy.AuxiliaryMark) {
		return ref, false
	}
	out := m.client + to + tail
	return out, out != ref
}

func (s *server) at(scheme, host string) bool { return s.scheme == scheme && s.host == host }

// under cuts base from path where path is base or below it.
func under(path, base string) (string, bool) {
	rest, ok := strings.CutPrefix(path, base)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Server is URL's inverse: the server's own URL for one that names the proxy, and whether ref is such a URL.
func (m *Map) Server(ref string) (string, bool) {
	rest, ok := strings.CutPrefix(ref, m.client)
	if !ok || rest != "" && strings.IndexByte("/?#", rest[0]) < 0 {
		return ref, false
	}
	path, tail := rest, ""
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		path, tail = rest[:i], rest[i:]
	}
	if name, ok := strings.CutPrefix(path, "/"+proxy.AuxiliaryMark); ok {
		name, below, slash := strings.Cut(name, "/")
		if slash {
			below = "/" + below
		}
		for i := range m.auxiliary {
			if a := &m.auxiliary[i]; a.name == name {
				return a.origin + a.path + below + tail, true
			}
		}
		return ref, false
	}
	return m.server.origin + m.channel.ToServer(path) + tail, true
}

// escapes reports whether ref, which URL left alone, is an absolute URL that leads past the proxy, and its host.
func (m *Map) escapes(ref string) (host string, ok bool) {
	scheme, after, cut := strings.Cut(ref, "://")
	if scheme = strings.ToLower(scheme); !cut || scheme != "http" && scheme != "https" {
		return "", false
	}
	host, _ = splitAuthority(after)
	if host == "" || strings.HasPrefix(ref, m.base) {
		return "", false
	}
	return hostPort(scheme, host), true
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
