package forward

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/elazarl/goproxy"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/proxy/upstream"
)

// Leaves gives the certificate that stands for a registered host towards clients.
type Leaves interface {
	Leaf(host string) (*tls.Certificate, error)
}

// Options are the proxy's settings; each zero value means the default.
type Options struct {
	// RequireCredentials asks every client for proxy credentials: off loopback always, since anyone may come by there.
	RequireCredentials bool
	// Users are user names with their passwords; a name that is a channel's or a client's also says which channel is meant.
	Users map[string]string
	// Token is the password of a channel's or client's name, "" for none; nil: only Users have passwords.
	Token func(user string) string
	// Transport sends requests to servers; it finds a request's channel by package upstream's context value. Default: upstream.New
	// with Own and Deny.
	Transport http.RoundTripper
	// Peers judges the certificates that clients present. Default: none is accepted.
	Peers Peers
	// Own lists this process's listeners, which nothing may reach; Deny adds to what is never connected to (see upstream.Options).
	Own  []netip.AddrPort
	Deny func(netip.AddrPort) error
	// MaxTunnels caps the tunnels open at a time; default 1000.
	MaxTunnels int
	// MaxHeaderFields caps the lines of a request's header, default 500; MaxHeader its bytes inside tunnels, default 256 KiB.
	MaxHeaderFields int
	MaxHeader       int
	// HeaderTimeout bounds the TLS handshake in a tunnel, and the arrival of each request's header; default 10 s. IdleTimeout ends
	// a tunnel in which nothing happens; default 2 min.
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	// Clock gives the time; default time.Now.
	Clock func() time.Time
	// Logger gets failures of the proxy itself; default: nothing is logged.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Transport == nil {
		o.Transport = upstream.New(upstream.Options{Own: o.Own, Deny: o.Deny, Clock: o.Clock})
	}
	o.MaxTunnels = cmp.Or(o.MaxTunnels, 1000)
	o.MaxHeaderFields = cmp.Or(o.MaxHeaderFields, 500)
	o.MaxHeader = cmp.Or(o.MaxHeader, 256<<10)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is the forward proxy: an http.Handler for its listener. It is safe for concurrent use.
type Server struct {
	register  register
	rec       *record.Recorder
	leaves    Leaves
	opt       Options
	transport http.RoundTripper
	dial      func(ctx context.Context, network, address string) (net.Conn, error) // for what is passed on unread
	engine    *goproxy.ProxyHttpServer
	tls       *tls.Config  // towards clients in tunnels
	inner     *http.Server // serves what comes out of tunnels
	tunnels   tunnels
}

// New returns the proxy. leaves may be nil: then no host is intercepted, and only plain requests and pass-through tunnels work.
func New(hosts Hosts, rec *record.Recorder, leaves Leaves, o Options) *Server {
	o = o.withDefaults()
	s := &Server{rec: rec, leaves: leaves, opt: o, transport: rec.Transport(o.Transport)}
	s.dial = upstream.NewTransport(upstream.Options{Own: o.Own, Deny: o.Deny, Clock: o.Clock}).DialContext
	s.register.hosts, s.register.clock = hosts, o.Clock
	s.tunnels.max = o.MaxTunnels
	s.engine = s.newEngine()
	s.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.leaf,
		ClientAuth: tls.RequestClientCert, // evidence, and what package peers judges; clients without one are as welcome
	}
	s.inner = &http.Server{
		Handler: http.HandlerFunc(s.inside), ReadHeaderTimeout: o.HeaderTimeout, IdleTimeout: o.IdleTimeout, MaxHeaderBytes: o.MaxHeader,
		ErrorLog:    log.New(io.Discard, "", 0), // broken exchanges are records
		BaseContext: func(l net.Listener) context.Context { return l.(*oneConn).tunnel.context() },
	}
	return s
}

// passage is one request, or one tunnel being opened, on its way through; it is in the request's context.
type passage struct {
	tunnel  *tunnel // the tunnel it came out of; nil outside
	asked   string  // scheme://authority as the client spelled it
	scheme  string
	rest    string // path and query, as the client spelled them
	target  target
	pending *record.Pending
	out     *writer
	upgrade bool // the client asks for a WebSocket
	// reserved: a place among the tunnels is taken for it and no tunnel has it yet.
	reserved bool
}

type passageKey struct{}

func passageOf(ctx context.Context) *passage { return ctx.Value(passageKey{}).(*passage) }

// ServeHTTP answers a request to the proxy.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect && !r.URL.IsAbs() {
		s.engine.NonproxyHandler.ServeHTTP(w, r)
		return
	}
	s.serve(w, r, &passage{scheme: r.URL.Scheme, asked: r.URL.Scheme + "://" + r.Host, rest: requestTarget(r)})
}

// inside answers a request that came out of a tunnel.
func (s *Server) inside(w http.ResponseWriter, r *http.Request) {
	t := tunnelOf(r.Context())
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	r.Host = cmp.Or(r.URL.Host, r.Host, t.asked) // HTTP/2 may have a URL where a path belongs
	ps := &passage{tunnel: t, scheme: scheme, asked: scheme + "://" + r.Host, rest: requestTarget(r)}
	if r.Method == http.MethodConnect {
		r, p := s.rec.Begin(r, record.Arrival{Mode: proxy.ModeForward, URL: ps.asked, Channel: t.target.name(), Matched: t.target.matched})
		writeResponse(w, sealed(refuse(http.StatusForbidden, "forbidden", "A tunnel inside a tunnel is not opened."), r, p)) //nolint:bodyclose // writeResponse does
		return
	}
	if r.URL.Scheme != "" && r.URL.Scheme != scheme {
		ps.scheme, ps.asked = r.URL.Scheme, r.URL.Scheme+"://"+r.Host // refused in vet, as asked
	}
	r.URL.Scheme, r.URL.Host = ps.scheme, r.Host // goproxy takes requests with absolute URLs only
	s.serve(w, r, ps)
}

// serve lets the engine answer, and ends what it leaves open: an exchange after a panic, a response that broke off, an upgraded
// connection.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, ps *passage) {
	ps.out = &writer{ResponseWriter: w, method: r.Method, tunnels: &s.tunnels}
	defer func() {
		fault := recover()
		ps.out.release()
		if ps.pending != nil {
			ps.pending.Release(w)
		}
		if ps.reserved {
			s.tunnels.giveBack()
		}
		if fault != nil {
			if ps.pending != nil {
				ps.pending.Fail(proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: "the proxy panicked"})
			}
			s.opt.Logger.ErrorContext(r.Context(), "forward proxy panicked", "panic", fault)
		}
		if fault != nil || ps.out.broken.Load() {
			panic(http.ErrAbortHandler) // goproxy would end a response that broke off as if it were whole
		}
	}()
	if r.Method != http.MethodConnect {
		// Without this net/http swallows what is left of the request when the response begins. HTTP/2 needs it not and says so.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	r = r.WithContext(context.WithValue(r.Context(), passageKey{}, ps))
	if r.ContentLength == 0 {
		r.Body = http.NoBody // HTTP/2 gives an empty one, of which the transport would make a chunked body
	}
	s.engine.ServeHTTP(ps.out, r)
}

// Shutdown refuses new tunnels, lets the requests in open ones finish and closes them; what is left when ctx ends is cut off.
// Connections that are passed on unread are closed as soon as nothing moves in them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.tunnels.refuse()
	err := s.inner.Shutdown(ctx)
	if ctx.Err() != nil {
		s.rec.Stopping()
	}
	if rest := s.tunnels.drain(ctx); err == nil {
		err = rest
	}
	return err
}
