package interaction

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// Classify says what ex is from its method, URL and headers. serverBase is the server's FHIR base URL; where it is empty or
// the URL is not under it, the base is guessed from the path.
func Classify(ex *proxy.Exchange, serverBase string) proxy.Interaction {
	if ex.Mode == proxy.ModeTunnel || ex.Request.Method == http.MethodConnect {
		return proxy.Interaction{Kind: proxy.KindTunnel}
	}
	r := requestOf(ex)
	rel, under := r.below(serverBase)
	if i, ok := wellKnown(r.segments); ok {
		return i
	}
	if under {
		if i, ok := restful(&r, rel); ok {
			return bulkOr(&r, i)
		}
	}
	if i, ok := oauth(r.segments); ok {
		return i
	}
	if i, ok := bulk(&r, false); ok {
		return i
	}
	if !under {
		for start := range r.segments {
			if i, ok := restful(&r, r.segments[start:]); ok && start < len(r.segments) && tells(r.segments[start]) {
				return bulkOr(&r, i)
			}
		}
	}
	if i, ok := bulk(&r, true); ok {
		return i
	}
	return proxy.Interaction{Kind: proxy.KindOther}
}

// request is what classification looks at.
type request struct {
	method   string
	url      *url.URL
	segments []string // of the path, decoded
	status   int
	// ndjson and pending are what the response shows: a file of resources, or 202 Accepted.
	ndjson, pending bool
}

func requestOf(ex *proxy.Exchange) request {
	raw := ex.Request.Target
	if raw == "" {
		raw = ex.Request.URL
	}
	u, err := url.Parse(raw)
	if err != nil {
		// What a URL parser refuses can still be told apart by its path.
		path, query, _ := strings.Cut(raw, "?")
		u = &url.URL{Path: path, RawQuery: query}
	}
	r := request{method: ex.Request.Method, url: u, segments: split(u.EscapedPath()), status: ex.Status()}
	if ex.Request.Target == "" && ex.Channel != "" && len(r.segments) > 0 && r.segments[0] == ex.Channel {
		r.segments = r.segments[1:]
	}
	if r.method == http.MethodHead {
		r.method = http.MethodGet
	}
	if ex.Response != nil {
		r.ndjson = strings.Contains(strings.ToLower(ex.Response.Header.Get("Content-Type")), "ndjson")
		r.pending = ex.Response.Status == http.StatusAccepted
	}
	return r
}

// split cuts a path into decoded segments; empty ones are dropped.
func split(escaped string) []string {
	var out []string
	for s := range strings.SplitSeq(escaped, "/") {
		if s == "" {
			continue
		}
		if d, err := url.PathUnescape(s); err == nil {
			s = d
		}
		out = append(out, s)
	}
	return out
}

// below is the path under base; false when the URL is elsewhere.
func (r *request) below(base string) ([]string, bool) {
	if base == "" {
		return nil, false
	}
	b, err := url.Parse(base)
	if err != nil || r.url.Host != "" && !sameHost(b, r.url) {
		return nil, false
	}
	prefix := split(b.EscapedPath())
	if len(r.segments) < len(prefix) || !slices.Equal(prefix, r.segments[:len(prefix)]) {
		return nil, false
	}
	return r.segments[len(prefix):], true
}

func sameHost(a, b *url.URL) bool { return strings.EqualFold(hostPort(a), hostPort(b)) }

// hostPort is the host with its port, the scheme's default where the URL names none.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return u.Hostname() + ":" + port
}

// isType reports whether a segment has the form of a resource type's name, of which Flag is among the shortest.
func isType(s string) bool {
	if len(s) < 4 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'a' || s[1] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// tells reports whether a segment can begin a path under a FHIR base that is not known.
func tells(s string) bool { return isType(s) || s == "metadata" || strings.HasPrefix(s, "$") }

// restful reads a path under the FHIR base (R4, RESTful API).
func restful(r *request, rel []string) (proxy.Interaction, bool) {
	if n := len(rel); n > 0 && strings.HasPrefix(rel[n-1], "$") {
		return operation(rel)
	}
	switch {
	case len(rel) == 0:
		return system(r)
	case len(rel) == 1 && rel[0] == "metadata":
		return proxy.Interaction{Kind: proxy.KindCapabilities}, true
	case len(rel) == 1 && rel[0] == "_history":
		return proxy.Interaction{Kind: proxy.KindHistorySystem}, true
	case len(rel) == 1 && rel[0] == "_search":
		return proxy.Interaction{Kind: proxy.KindSearchSystem}, true
	case !isType(rel[0]):
		return proxy.Interaction{}, false
	}
	i := proxy.Interaction{ResourceType: rel[0]}
	switch {
	case len(rel) == 1:
		i.Kind = byMethod[r.method].onType
	case len(rel) == 2 && rel[1] == "_search":
		i.Kind = proxy.KindSearchType
	case len(rel) == 2 && rel[1] == "_history":
		i.Kind = proxy.KindHistoryType
	case len(rel) == 2:
		i.Kind, i.ResourceID = byMethod[r.method].onInstance, rel[1]
	case len(rel) == 3 && rel[2] == "_history":
		i.Kind, i.ResourceID = proxy.KindHistoryInstance, rel[1]
	case len(rel) == 4 && rel[2] == "_history":
		i.Kind, i.ResourceID = proxy.KindVRead, rel[1]
	case (len(rel) == 3 || len(rel) == 4 && rel[3] == "_search") && (isType(rel[2]) || rel[2] == "*"):
		// A search in a compartment, Patient/1/Observation, is for the second type.
		i.Kind, i.ResourceType = proxy.KindSearchType, rel[2]
		if rel[2] == "*" {
			i.ResourceType = ""
		}
	}
	if i.Kind == "" {
		return proxy.Interaction{}, false
	}
	return i, true
}

// byMethod is the interaction of a method on [base]/Type and on [base]/Type/id. Without an id, update, patch and delete are
// the conditional ones.
var byMethod = map[string]struct{ onType, onInstance proxy.Kind }{
	http.MethodGet:    {proxy.KindSearchType, proxy.KindRead},
	http.MethodPost:   {proxy.KindCreate, ""},
	http.MethodPut:    {proxy.KindUpdate, proxy.KindUpdate},
	http.MethodPatch:  {proxy.KindPatch, proxy.KindPatch},
	http.MethodDelete: {proxy.KindDelete, proxy.KindDelete},
}

// system is a request to the FHIR base itself. Whether a Bundle is a batch or a transaction is in its body.
func system(r *request) (proxy.Interaction, bool) {
	switch {
	case r.method == http.MethodPost:
		return proxy.Interaction{Kind: proxy.KindBatch}, true
	case r.method == http.MethodGet && r.url.RawQuery != "":
		return proxy.Interaction{Kind: proxy.KindSearchSystem}, true
	case r.method == http.MethodOptions:
		return proxy.Interaction{Kind: proxy.KindCapabilities}, true
	}
	return proxy.Interaction{}, false
}

// kickoffs are the operations that begin a bulk export.
var kickoffs = []string{"$export", "$davinci-data-export"}

// operation reads a path that ends in $name, at system, type, instance or version level.
func operation(rel []string) (proxy.Interaction, bool) {
	name, rel := rel[len(rel)-1], rel[:len(rel)-1]
	i := proxy.Interaction{Kind: proxy.KindOperation, Operation: name}
	if slices.Contains(kickoffs, name) {
		i.Kind = proxy.KindBulkKickoff
	}
	switch {
	case len(rel) == 0:
	case !isType(rel[0]), len(rel) > 2 && !(len(rel) == 4 && rel[2] == "_history"):
		return proxy.Interaction{}, false
	case len(rel) == 1:
		i.ResourceType = rel[0]
	default:
		i.ResourceType, i.ResourceID = rel[0], rel[1]
	}
	return i, true
}

// wellKnown are discovery documents, below a FHIR base or at the root of a host.
func wellKnown(segments []string) (proxy.Interaction, bool) {
	n := len(segments)
	i := slices.Index(segments, ".well-known")
	if i < 0 || i == n-1 {
		return proxy.Interaction{}, false
	}
	switch segments[i+1] {
	case "openid-configuration", "oauth-authorization-server", "oauth-protected-resource": // the issuer's path may follow
		return proxy.Interaction{Kind: proxy.KindOAuthConfig}, true
	}
	if i != n-2 {
		return proxy.Interaction{}, false
	}
	switch segments[n-1] {
	case "smart-configuration":
		return proxy.Interaction{Kind: proxy.KindSMARTConfig}, true
	case "udap":
		return proxy.Interaction{Kind: proxy.KindUDAPConfig}, true
	}
	return proxy.Interaction{}, false
}

// oauthPaths are last segments under which servers put their OAuth endpoints.
var oauthPaths = map[string]proxy.Kind{
	"token":         proxy.KindToken,
	"register":      proxy.KindRegister,
	"registration":  proxy.KindRegister,
	"dcr":           proxy.KindRegister,
	"authorize":     proxy.KindAuthorize,
	"authorization": proxy.KindAuthorize,
	"introspect":    proxy.KindIntrospect,
	"introspection": proxy.KindIntrospect,
}

func oauth(segments []string) (proxy.Interaction, bool) {
	if len(segments) == 0 || len(segments) > 1 && isType(segments[len(segments)-2]) {
		return proxy.Interaction{}, false // Patient/token is a read
	}
	k, ok := oauthPaths[strings.ToLower(segments[len(segments)-1])]
	return proxy.Interaction{Kind: k}, ok
}

// bulkOr keeps i unless it is the shape in which servers answer bulk requests under their FHIR base: a poll operation, or
// a Binary of many resources.
func bulkOr(r *request, i proxy.Interaction) proxy.Interaction {
	switch {
	case i.Kind == proxy.KindOperation && i.Operation == "$export-poll-status",
		i.Kind == proxy.KindRead && i.ResourceType == "Binary" && r.ndjson:
		if b, ok := bulk(r, true); ok {
			return b
		}
	}
	return i
}

// statusWords are path segments that name a bulk job.
var statusWords = []string{
	"$export-poll-status", "bulkstatus", "bulk-status", "exportstatus", "export-status", "export-poll-status", "jobs", "job", "bulkdata",
}

// bulk recognizes the polls and downloads of a bulk request by the shape of the URL and, where asked, by the response. What
// earlier exchanges said is surer, see Classifier.
func bulk(r *request, byResponse bool) (proxy.Interaction, bool) {
	path := make([]string, len(r.segments))
	for i, s := range r.segments {
		path[i] = strings.ToLower(s)
	}
	n := len(path)
	status := r.url.Query().Has("_jobId") ||
		n >= 3 && path[n-1] == "status" && path[n-3] == "bulk" ||
		slices.ContainsFunc(path, func(s string) bool { return slices.Contains(statusWords, s) })
	file := byResponse && r.ndjson || n > 0 && strings.HasSuffix(path[n-1], ".ndjson") || n >= 4 && path[n-2] == "files" && path[n-4] == "bulk"
	switch {
	case r.method == http.MethodGet && file:
		return proxy.Interaction{Kind: proxy.KindBulkFile}, true
	case r.method == http.MethodGet && (status || byResponse && r.pending):
		return proxy.Interaction{Kind: proxy.KindBulkStatus}, true
	case r.method == http.MethodDelete && status:
		return proxy.Interaction{Kind: proxy.KindBulkDelete}, true
	}
	return proxy.Interaction{}, false
}
