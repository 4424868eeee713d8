package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"github.com/elazarl/goproxy"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/record"
	"fhirwire/proxy/upstream"
)

var errClosed = errors.New("the forward proxy connects by its own transport only")

// newEngine is goproxy without its defaults: they tunnel anything, send through proxies of the environment without looking at
// certificates, print URLs on stderr and hold a CA whose key is public (no ConnectAction of the package is used, since each refers
// to it).
func (s *Server) newEngine() *goproxy.ProxyHttpServer {
	e := goproxy.NewProxyHttpServer()
	e.Logger = silent{}
	e.KeepAcceptEncoding = true
	// Neither is ever reached, each request has a RoundTripper and each CONNECT an action: should one slip by, it fails.
	closed := func(string, string) (net.Conn, error) { return nil, errClosed }
	e.Tr = &http.Transport{DialContext: func(_ context.Context, network, addr string) (net.Conn, error) { return closed(network, addr) }}
	e.ConnectDial = closed
	e.NonproxyHandler = http.HandlerFunc(about)
	e.OnRequest().HandleConnectFunc(s.connect)
	e.OnRequest().DoFunc(s.request)
	return e
}

// silent is goproxy's logger: what it says has URLs in it, and broken exchanges are records.
type silent struct{}

func (silent) Printf(string, ...any) {}

func about(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte("fhirwire forward proxy. Name this address in your client's HTTP proxy setting and keep its URLs; registered servers only.\n"))
}

// connect decides on a CONNECT request.
func (s *Server) connect(_ string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
	r := ctx.Req
	ps := passageOf(r.Context())
	asked := r.RequestURI
	to, ref := s.vetConnect(r, ps)
	ps.asked = "https://" + asked
	arrival := record.Arrival{Mode: proxy.ModeForward, URL: ps.asked}
	if ref == nil {
		ps.target, ps.asked = to, to.authority.url("https")
		arrival.Channel, arrival.Matched, arrival.URL = to.name(), to.matched, ps.asked
		unread := to.channel != nil && to.channel.Options.Passthrough
		if unread {
			arrival.Mode = proxy.ModeTunnel
		}
		if ref = s.tunnels.reserve(); ref == nil {
			ps.reserved = true
			return &goproxy.ConnectAction{Action: goproxy.ConnectHijack, Hijack: func(_ *http.Request, client net.Conn, _ *goproxy.ProxyCtx) {
				ps.reserved = false
				t := &tunnel{Conn: client, set: &s.tunnels, asked: asked, target: to, request: r, arrival: arrival, raw: unread, done: make(chan struct{})}
				t.identity, _ = s.identify(r)
				s.tunnels.add(t)
				defer func() {
					if v := recover(); v != nil {
						_ = t.Close()
						panic(v)
					}
				}()
				if t.raw {
					s.passConnect(t)
				} else {
					s.intercept(t)
				}
			}}, asked
		}
	}
	r, p := s.rec.Begin(r, arrival)
	ps.pending = p
	ctx.Resp = sealed(ref, r, p) //nolint:bodyclose // goproxy writes it; its body is in memory
	return &goproxy.ConnectAction{Action: goproxy.ConnectReject}, asked
}

// vetConnect checks credentials before it says anything of what is registered.
func (s *Server) vetConnect(r *http.Request, ps *passage) (target, *answer.Refusal) {
	id, ref := s.identify(r)
	if ref != nil {
		return target{}, ref
	}
	a, err := parseAuthority(r.RequestURI, 0)
	if err != nil {
		return target{}, refuse(http.StatusBadRequest, "invalid", "CONNECT names no host:port.")
	}
	if ref := answer.HeaderLines(r.Header, s.opt.MaxHeaderFields); ref != nil {
		return target{}, ref
	}
	ps.scheme = "https"
	id.later = s.opt.Peers != nil && id.user == ""
	return s.resolve(r.Context(), id, a)
}

// request decides on a request with an absolute URL, and turns it into the one for the server.
func (s *Server) request(r *http.Request, ctx *goproxy.ProxyCtx) (*http.Request, *http.Response) {
	ps := passageOf(r.Context())
	ctx.RoundTripper = goproxy.RoundTripperFunc(s.send)
	to, ref := s.vet(r, ps)
	arrival := record.Arrival{Mode: proxy.ModeForward, URL: ps.asked + strings.TrimPrefix(ps.rest, "*")}
	if ps.tunnel != nil {
		arrival.Presented = ps.tunnel.presented
	}
	switch {
	case to.channel != nil:
		arrival.Channel, arrival.Matched = to.channel.Name, to.matched
	case ps.tunnel != nil:
		arrival.Channel, arrival.Matched = ps.tunnel.target.name(), ps.tunnel.target.matched
	}
	r, ps.pending = s.rec.Begin(r, arrival)
	if ref != nil {
		return r, sealed(ref, r, ps.pending)
	}
	told, ref := s.admit(ps.pending, r, to.channel)
	if ref != nil {
		return r, sealed(ref, r, ps.pending)
	}
	ps.target = to
	out := outbound(r, ps)
	if edits := peers.Tell(out.Header, told); len(edits) > 0 {
		ps.pending.AddEdits(edits...)
	}
	return out, nil
}

func (s *Server) vet(r *http.Request, ps *passage) (target, *answer.Refusal) {
	var id identity
	var ref *answer.Refusal
	if ps.tunnel != nil {
		id = ps.tunnel.identity
		if s.opt.Peers != nil && id.user == "" && r.TLS != nil {
			id.client, _ = s.opt.Peers.ByCertificate(r.Context(), r.TLS.PeerCertificates)
		}
	} else if id, ref = s.identify(r); ref != nil {
		return target{}, ref
	}
	if ps.scheme != "http" && ps.scheme != "https" {
		return target{}, refuse(http.StatusBadRequest, "not-supported", "This proxy passes on http and https only.")
	}
	a, err := parseAuthority(r.Host, defaultPort(ps.scheme))
	switch {
	case r.URL.User != nil: // RFC 9110 4.2.4
		return target{}, refuse(http.StatusBadRequest, "invalid", "The URL has a user name or password in it, which does not belong there.")
	case err != nil:
		return target{}, refuse(http.StatusBadRequest, "invalid", "The request names no host.")
	case ps.tunnel != nil && a != ps.tunnel.target.authority:
		return target{}, refuse(http.StatusMisdirectedRequest, "forbidden", fmt.Sprintf("The request is for %s, but the tunnel was opened to %s.", a, ps.tunnel.target.authority))
	case ps.tunnel != nil && (ps.scheme == "https") != (r.TLS != nil):
		return target{}, refuse(http.StatusMisdirectedRequest, "forbidden", "The request's URL has another scheme than its connection.")
	case ps.tunnel == nil && ps.scheme == "https":
		return target{}, refuse(http.StatusForbidden, "forbidden", "https URLs go through a CONNECT tunnel: this request would cross the way to the proxy in clear.")
	}
	if ref := answer.HeaderLines(r.Header, s.opt.MaxHeaderFields); ref != nil {
		return target{}, ref
	}
	to, ref := s.resolve(r.Context(), id, a)
	if ref == nil && ps.tunnel != nil && ps.tunnel.target.channel != nil && to.channel.ID != ps.tunnel.target.channel.ID {
		ref = refuse(http.StatusMisdirectedRequest, "forbidden", "The tunnel belongs to a channel that is not the one to this host any more; connect again.")
	}
	if ref == nil && to.scheme != ps.scheme {
		ref = refuse(http.StatusForbidden, "forbidden", fmt.Sprintf("%s is registered as %s; the request came as %s.", a, to.authority.url(to.scheme), ps.scheme))
	}
	if ref == nil && to.channel.Options.Passthrough && ps.scheme == "https" {
		ref = refuse(http.StatusMisdirectedRequest, "forbidden", "The channel passes connections on unread since a moment ago; connect again.")
	}
	if ref != nil {
		return target{}, ref
	}
	return to, nil
}

// outbound is the request for the server. Path and query go out in the client's spelling, so URL.Opaque carries them; net/url would
// normalize some.
func outbound(r *http.Request, ps *passage) *http.Request {
	out := r.WithContext(upstream.WithChannel(r.Context(), ps.target.channel))
	path, query, hasQuery := strings.Cut(ps.rest, "?")
	host := r.Host // as the client spelled it, which assertions may name
	if strings.HasPrefix(host, "[") || strings.Contains(host+":", ".:") {
		host = ps.target.authority.String()
	}
	out.URL = &url.URL{Scheme: ps.target.scheme, Host: host, Opaque: path, RawQuery: query, ForceQuery: hasQuery}
	if strings.HasPrefix(path, "//") {
		// net/url takes such an Opaque for an authority
		out.URL.Opaque, out.URL.Path, out.URL.RawPath = "", path, path
		if plain, err := url.PathUnescape(path); err == nil {
			out.URL.Path = plain
		}
	}
	out.RequestURI, out.Close = "", false
	out.Header = r.Header.Clone()
	ps.upgrade = r.ProtoMajor == 1 && hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
	trailers := hasToken(r.Header["Te"], "trailers")
	removeHopByHop(out.Header)
	if trailers {
		out.Header.Set("Te", "trailers")
	}
	if ps.upgrade {
		out.Header.Set("Connection", "Upgrade")
		out.Header["Upgrade"] = r.Header["Upgrade"]
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // keeps net/http from adding its own
	}
	return out
}

// send is the RoundTripper of every request. It always has a response to give: of errors goproxy would tell the client the cause.
func (s *Server) send(r *http.Request, _ *goproxy.ProxyCtx) (*http.Response, error) {
	ps := passageOf(r.Context())
	var mu sync.Mutex // the trace may be called after RoundTrip returned
	returned := false
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		if !returned && code != http.StatusContinue && code != http.StatusSwitchingProtocols {
			ps.out.interim(code, h)
		}
		return nil
	}}
	res, err := s.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	mu.Lock()
	returned = true
	mu.Unlock()
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols && !(ps.upgrade && hasToken(res.Header["Connection"], "upgrade") && hasToken(res.Header["Upgrade"], "websocket")) {
		_ = res.Body.Close()
		err = errors.New("invalid answer: it switches protocols unasked")
	}
	if err != nil {
		ref := answer.Failed(ps.pending.Classify(err))
		if ref.Failure.Reason == proxy.ReasonProxy {
			s.opt.Logger.ErrorContext(r.Context(), "request not forwarded", "exchange_id", ps.pending.ID())
		}
		ps.pending.Fail(ref.Failure)
		return responseTo(r, ref, ps.pending.ID()), nil
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		ps.pending.Deliver(res)
		return res, nil
	}
	removeHopByHop(res.Header)
	ps.pending.Deliver(res)
	res.Body = &watched{ReadCloser: res.Body, out: ps.out}
	return res, nil
}

// hopByHop are the fields between two neighbours (RFC 9110 7.6.1), besides those that Connection names.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", "Te", "Transfer-Encoding", "Upgrade",
}

func removeHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// requestTarget is path and query as on the request line; net/url does not keep every spelling.
func requestTarget(r *http.Request) string {
	t := r.RequestURI
	if i := strings.Index(t, "://"); i > 0 && !strings.HasPrefix(t, "/") {
		t = t[i+3:]
		if j := strings.IndexAny(t, "/?"); j >= 0 {
			t = t[j:]
		} else {
			t = "/"
		}
	}
	if !strings.HasPrefix(t, "/") && t != "*" {
		t = "/" + t
	}
	return t
}
