package reverse

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/record"
	"fhirwire/proxy/rewrite"
	"fhirwire/proxy/upstream"
)

// Channels finds the channel a URL names; proxy.ErrNotFound when there is none.
type Channels interface {
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
}

// Options are the handler's settings; each zero value means the default.
type Options struct {
	// PublicURL is the proxy's URL as clients reach it, without a trailing slash, for rewritten URLs. Default: the scheme and host each
	// request came in with.
	PublicURL string
	// Transport sends requests to servers; it finds a request's channel by package upstream's context value. Default: upstream.New
	// with the fields below, without client certificates.
	Transport http.RoundTripper
	// Peers judges the certificates that clients present. Default: none is accepted.
	Peers Peers
	// Deny adds to the addresses that are never connected to; its error is what the exchange says. Link-local addresses, cloud metadata
	// among them, are always refused, loopback and private ones are not.
	Deny func(netip.AddrPort) error
	// Own lists this process's listeners, which no channel may reach.
	Own []netip.AddrPort
	// DialTimeout bounds connecting and the TLS handshake each; default 10 s. ResponseTimeout bounds the wait for response headers;
	// default 2 min.
	DialTimeout     time.Duration
	ResponseTimeout time.Duration
	// Gateways end TLS in front of the proxy. What they say of the client's certificate (RFC 9440) counts as if it had been presented
	// here; from everybody else it is taken out. Default: none.
	Gateways []netip.Prefix
	// MaxHeaderFields caps the lines of a request's header; default 500.
	MaxHeaderFields int
	// Loops says whether a server's URL leads back to this proxy, if that is known: a listener may be shared with other servers.
	// Default: it does if it is named as the request names the proxy.
	Loops func(server *url.URL) (loops, known bool)
	// Logger gets failures of the proxy itself; default: nothing is logged.
	Logger *slog.Logger
}

type handler struct {
	channels Channels
	rec      *record.Recorder
	opt      Options
	proxy    *httputil.ReverseProxy
}

// New returns the proxy's handler.
func New(channels Channels, rec *record.Recorder, o Options) http.Handler {
	if o.DialTimeout == 0 {
		o.DialTimeout = 10 * time.Second
	}
	if o.ResponseTimeout == 0 {
		o.ResponseTimeout = 2 * time.Minute
	}
	if o.MaxHeaderFields == 0 {
		o.MaxHeaderFields = 500
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = upstream.New(o.upstream())
	}
	h := &handler{channels: channels, rec: rec, opt: o}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        h.outbound,
		Transport:      rec.Transport(o.Transport),
		FlushInterval:  -1,
		BufferPool:     &bufferPool{},
		ModifyResponse: h.inbound,
		ErrorHandler:   h.failed,
		// Broken exchanges are records; the proxy's own words about them would repeat URLs with secrets in the log.
		ErrorLog: log.New(discard{}, "", 0),
	}
	return h
}

// passage is one request on its way through, in its context.
type passage struct {
	channel *proxy.Channel
	server  *url.URL // the FHIR server or the auxiliary one
	location
	links   *rewrite.Map
	pending *record.Pending
	// shown is the client's certificate with its chain, accepted whether it is accepted on the channel.
	shown    []*x509.Certificate
	accepted bool
}

type passageKey struct{}

func passageOf(ctx context.Context) *passage { return ctx.Value(passageKey{}).(*passage) }

const matchedByURL = "channel URL"

// ServeHTTP forwards a request of a known channel and answers everything else itself.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	loc := locate(r)
	if loc.channel == "" || loc.channel == "favicon.ico" {
		h.root(w, loc)
		return
	}
	base := h.base(r, loc)
	arrival := record.Arrival{Mode: proxy.ModeReverse, URL: requestScheme(r) + "://" + r.Host + requestTarget(r)}
	channel, err := h.channels.ChannelByName(r.Context(), loc.channel)
	if err != nil {
		r, p := h.rec.Begin(r, arrival)
		if errors.Is(err, proxy.ErrNotFound) {
			refuse(w, r, p, &answer.Refusal{
				Status: http.StatusNotFound, Code: "not-found",
				Failure: proxy.Failure{Reason: proxy.ReasonNoChannel, Side: "client", Detail: fmt.Sprintf("no channel is called %q", loc.channel)},
				Text:    "No channel has this URL. Register the client and the server system in the dashboard, open a channel between them and use its proxy URL as the FHIR base.",
			})
			return
		}
		h.opt.Logger.Error("channels unreadable", "error", err)
		refuse(w, r, p, answer.Faulty("The proxy could not look up the channel.", fmt.Errorf("channel lookup: %w", err)))
		return
	}
	arrival.Channel, arrival.Matched = channel.Name, matchedByURL
	heard := h.hear(r)
	arrival.Gateway, arrival.Said = heard.gateway, heard.chain
	r, p := h.rec.Begin(r, arrival)
	ps := &passage{channel: channel, location: loc, pending: p}
	ref := h.admit(ps, r, heard)
	if ref == nil {
		ref = h.vet(ps, r, base)
	}
	if ref != nil {
		refuse(w, r, p, ref)
		return
	}
	defer p.Release(w)
	// Without this net/http swallows what is left of the request when the response begins. HTTP/2 needs it not and says so.
	_ = http.NewResponseController(w).EnableFullDuplex()
	ctx := upstream.WithChannel(context.WithValue(r.Context(), passageKey{}, ps), channel)
	h.proxy.ServeHTTP(&quietWriter{ResponseWriter: w}, r.WithContext(ctx))
}

// vet completes ps, or says why the request is not forwarded.
func (h *handler) vet(ps *passage, r *http.Request, base string) *answer.Refusal {
	no := func(status int, code, text string) *answer.Refusal {
		return answer.Refused("proxy", status, code, text)
	}
	if ref := answer.HeaderLines(r.Header, h.opt.MaxHeaderFields); ref != nil {
		return ref
	}
	links, err := rewrite.NewMap(ps.channel, base)
	if err != nil {
		return no(http.StatusBadGateway, "exception", "The server system's base URL is not usable.")
	}
	if ps.links, err = ps.locateServer(links); err != nil {
		return &answer.Refusal{
			Status: http.StatusNotFound, Code: "not-found",
			Failure: proxy.Failure{Reason: proxy.ReasonRefused, Side: "client", Detail: err.Error()},
			Text:    "The channel's server system has no auxiliary server of this name. Declare it on the server's page in the dashboard.",
		}
	}
	if h.loops(ps.server, r) {
		return no(http.StatusLoopDetected, "processing", "The channel's server is this proxy itself.")
	}
	return nil
}

// loops reports whether server is named as the proxy is. Other names for it end at the dialer (see guard).
func (h *handler) loops(server *url.URL, r *http.Request) bool {
	if h.opt.Loops != nil {
		if loops, known := h.opt.Loops(server); known {
			return loops
		}
	}
	own := []string{hostPort(requestScheme(r), r.Host)}
	if u, err := url.Parse(h.opt.PublicURL); err == nil && u.Host != "" {
		own = append(own, hostPort(u.Scheme, u.Host))
	}
	return slices.Contains(own, hostPort(server.Scheme, server.Host))
}

// outbound turns the client's request into the one for the server. Path and query go out in the client's spelling, so URL.Opaque
// carries them; net/url would normalize some.
func (h *handler) outbound(pr *httputil.ProxyRequest) {
	ps := passageOf(pr.In.Context())
	path, query, hasQuery := strings.Cut(ps.rest, "?")
	to := ps.toServer(path)
	if q, edits := audiences(ps, query, "request URL"); len(edits) > 0 {
		query = q
		ps.pending.AddEdits(edits...)
	}
	out := pr.Out
	out.URL = &url.URL{Scheme: ps.server.Scheme, Host: ps.server.Host, Opaque: to, RawQuery: query, ForceQuery: hasQuery}
	if strings.HasPrefix(to, "//") { // net/url takes such an Opaque for an authority
		out.URL.Opaque = ""
		out.URL.Path, out.URL.RawPath = unescapePath(to), to
	}
	out.Host = ps.server.Host
	authorizeForm(ps, out)
	out.Trailer = pr.In.Trailer // one map: its values come when the body has been read
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := pr.In.Header[name]; ok {
			out.Header[name] = v // as the client sent them; the proxy adds none of its own
		}
	}
	ps.tellServer(out.Header)
	if edits := stripCookies(out.Header); len(edits) > 0 {
		ps.pending.AddEdits(edits...)
	}
}

// bufferPool lends the copy buffers.
type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if v, ok := b.pool.Get().(*[]byte); ok {
		return *v
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(v []byte) { b.pool.Put(&v) }

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// quietWriter keeps net/http from adding what the server did not send: a sniffed Content-Type and a Date.
type quietWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *quietWriter) WriteHeader(status int) {
	if status == http.StatusContinue {
		return // net/http sends it when the transport, which waits for the server's, begins to read the body; twice would be one too many
	}
	if status >= 200 {
		for _, name := range []string{"Content-Type", "Date"} {
			if _, ok := w.Header()[name]; !ok {
				w.Header()[name] = nil
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach Flush and Hijack.
func (w *quietWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func hostPort(scheme, host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), ""
	}
	if port == "" {
		port = "80"
		if scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(strings.ToLower(name), port)
}
