package reverse

import (
	"net/http"
	"net/url"
	"strings"
)

// location is what a request's URL says.
type location struct {
	channel string // "" for the proxy's own pages
	rest    string // path and query for the server, in the client's spelling
	byHost  bool   // the channel was in the host name
}

// locate reads the channel from the host or from the first path segment. A host's first label is a channel if it has a tilde, which
// channel names always have and other host names never.
func locate(r *http.Request) location {
	target := requestTarget(r)
	if label, _, ok := strings.Cut(r.Host, "."); ok && strings.Contains(label, "~") {
		return location{channel: strings.ToLower(label), rest: target, byHost: true}
	}
	path := strings.TrimPrefix(target, "/")
	end := strings.IndexAny(path, "/?")
	if end < 0 {
		end = len(path)
	}
	name := path[:end]
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	rest := path[end:]
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return location{channel: name, rest: rest}
}

// requestTarget is path and query as on the request line; net/url does not keep every spelling.
func requestTarget(r *http.Request) string {
	t := r.RequestURI
	if t == "" {
		t = r.URL.RequestURI() // not from a listener
	}
	if i := strings.Index(t, "://"); i > 0 && !strings.HasPrefix(t, "/") {
		t = t[i+3:]
		if j := strings.IndexAny(t, "/?"); j >= 0 {
			t = t[j:]
		} else {
			t = "/"
		}
	}
	if !strings.HasPrefix(t, "/") {
		t = "/" + strings.TrimPrefix(t, "*")
	}
	return t
}

func requestScheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// base is the URL that stands for the server's origin at this client.
func (h *handler) base(r *http.Request, loc location) string {
	scheme := requestScheme(r)
	if loc.byHost {
		if strings.HasPrefix(h.opt.PublicURL, "https://") {
			scheme = "https"
		}
		return scheme + "://" + r.Host
	}
	if h.opt.PublicURL != "" {
		return strings.TrimSuffix(h.opt.PublicURL, "/") + "/" + loc.channel
	}
	return scheme + "://" + r.Host + "/" + loc.channel
}

func unescapePath(p string) string {
	if u, err := url.PathUnescape(p); err == nil {
		return u
	}
	return p
}
