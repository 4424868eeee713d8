package reverse

import (
	"net/http"
	"net/url"
	"strings"

	"fhirwire/proxy"
)

// location is what a request's URL says.
type location struct {
	channel string // "" for the proxy's own pages
	// auxiliary names the auxiliary server that the request is for; "" is the FHIR server.
	auxiliary string
	rest      string // path and query for the server, in the client's spelling; behind an auxiliary server's name it may be empty
	byHost    bool   // the channel was in the host name
	// wellKnown is the name of a metadata document whose path stands before the channel's (RFC 8414 3.1): rest is that of the issuer.
	wellKnown string
}

// wellKnown begins the paths of metadata documents.
const wellKnown = "/.well-known/"

// locate reads the channel from the host or from the first path segment. A host's first label is a channel if it has a tilde, which
// channel names always have and other host names never.
func locate(r *http.Request) location {
	target := requestTarget(r)
	document, issuer := metadataOf(target)
	if label, _, ok := strings.Cut(r.Host, "."); ok && strings.Contains(label, "~") {
		l := location{channel: strings.ToLower(label), rest: target, byHost: true}
		if strings.HasPrefix(issuer, "/"+proxy.AuxiliaryMark) {
			l.rest, l.wellKnown = issuer, document
		}
		return l.split()
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(issuer, "/"), "/"); strings.Contains(first, "~") {
		target = issuer
	} else {
		document = ""
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
	if !strings.HasPrefix(rest, "/") && document == "" {
		rest = "/" + rest
	}
	return location{channel: name, rest: rest, wellKnown: document}.split()
}

// metadataOf splits /.well-known/{document}/{path of the issuer}; both are empty for another target.
func metadataOf(target string) (document, issuer string) {
	after, ok := strings.CutPrefix(target, wellKnown)
	i := strings.IndexByte(after, '/')
	if !ok || i < 0 {
		return "", ""
	}
	return after[:i], after[i:]
}

// split takes the auxiliary server's name from the front of rest.
func (l location) split() location {
	after, ok := strings.CutPrefix(l.rest, "/"+proxy.AuxiliaryMark)
	if !ok {
		return l
	}
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	l.auxiliary, l.rest = after[:end], after[end:]
	return l
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
