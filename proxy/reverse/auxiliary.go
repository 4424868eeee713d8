package reverse

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/rewrite"
)

// locateServer sets the server that the request is for and returns the map for what it answers.
func (ps *passage) locateServer(links *rewrite.Map) (*rewrite.Map, error) {
	base := ps.channel.ServerURL
	if ps.auxiliary != "" {
		list := ps.channel.Server.Auxiliary
		i := slices.IndexFunc(list, func(a proxy.Auxiliary) bool { return a.Name == ps.auxiliary })
		if i < 0 {
			return nil, fmt.Errorf("no auxiliary server is called %q", ps.auxiliary)
		}
		base = list[i].URL
		links, _ = links.From(ps.auxiliary)
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("server URL: %w", err)
	}
	ps.server = u
	return links, nil
}

// toServer maps a path behind the channel, or behind the auxiliary server's name, to the path on the server.
func (ps *passage) toServer(path string) string {
	to := ps.channel.ToServer(path)
	if ps.auxiliary != "" {
		to = strings.TrimSuffix(ps.server.EscapedPath(), "/") + path
	}
	if ps.wellKnown != "" {
		to = wellKnown + ps.wellKnown + to
	}
	if to == "" {
		return "/"
	}
	return to
}

// placeCookies moves the cookies that a server sets for a path of its own to where that path is behind the channel, or a browser would
// not send them back, and drops their Domain, which is not the proxy's. A cookie for all of a server stays on its channel.
func placeCookies(ps *passage, h http.Header) []proxy.Edit {
	var edits []proxy.Edit
	lines := h["Set-Cookie"]
	for i, line := range lines {
		attributes := strings.Split(line, ";")
		kept := attributes[:1]
		for _, a := range attributes[1:] {
			name, value, _ := strings.Cut(strings.TrimSpace(a), "=")
			switch {
			case strings.EqualFold(name, "domain"):
				continue
			case strings.EqualFold(name, "path") && strings.HasPrefix(value, "/"):
				if to, ok := ps.links.URL(value); ok {
					if u, err := url.Parse(to); err == nil && u.EscapedPath() != "" {
						a = " Path=" + u.EscapedPath()
					}
				}
			}
			kept = append(kept, a)
		}
		if to := strings.Join(kept, ";"); to != line {
			if len(edits) == 0 {
				lines = slices.Clone(lines)
				h["Set-Cookie"] = lines
			}
			lines[i] = to
			edits = append(edits, proxy.Edit{Where: "response header", At: "Set-Cookie", From: line, To: to})
		}
	}
	return edits
}
