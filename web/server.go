package web

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"fhirwire/web/api"
	"fhirwire/web/static"
)

// Deps is what the dashboard works on.
type Deps = api.Deps

// Options are the dashboard's settings; the zero value works.
type Options struct {
	// ProxyURL is the proxy listener's public URL without a trailing slash; default http://127.0.0.1:8081.
	ProxyURL string
	// ReferenceURL is the built-in payer's FHIR base, offered when a server is registered; empty: not offered.
	ReferenceURL string
	// TLSURL is the TLS listener's URL without a trailing slash; empty: there is none.
	TLSURL  string
	Version string
	// Event names the connectathon in the rail; empty: nothing is shown.
	Event  string
	Logger *slog.Logger
	// Clock is the time, in the zone that pages show; default the system's.
	Clock func() time.Time
	// NewID makes ids; default UUIDv7.
	NewID func() string
	// ChannelSuffix makes the unguessable part of channel names when the proxy is reachable from elsewhere; nil: none.
	ChannelSuffix func() string
	// Forward is the forward proxy; the zero value is none.
	Forward Forward
	// Hosts are names, without port, under which the dashboard may be reached beside the loopback names and the address a
	// request arrived at.
	Hosts []string
	// Ready says why the process cannot serve yet, nil when it can; default always ready.
	Ready func(context.Context) error
	// Metrics is where the dashboard's metrics are registered and what /metrics shows; default a registry of its own.
	Metrics *prometheus.Registry
	// Assets is read instead of the embedded stylesheet and script, on every request, while working on them.
	Assets fs.FS
}

// Server is the dashboard.
type Server struct {
	deps     Deps
	opts     Options
	registry *api.Registry
	files    *static.Files
	handler  http.Handler
	since    time.Time
	done     chan struct{}
	stop     sync.Once
	metrics  *metrics
	checked  checked
	looked   secondLook
	deciding sync.Mutex // held while a decision is compared with what was decided meanwhile, and stored
}

// New returns a dashboard over d.
func New(d Deps, o Options) (*Server, error) {
	files, err := static.New(o.Assets)
	if err != nil {
		return nil, err
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	s := &Server{files: files, done: make(chan struct{})}
	shared := api.Options{
		ProxyURL: o.ProxyURL, Version: o.Version, Logger: o.Logger, Clock: o.Clock, NewID: o.NewID,
		ChannelSuffix: o.ChannelSuffix, Done: s.done,
	}.WithDefaults()
	o.ProxyURL, o.Logger, o.Clock, o.NewID = shared.ProxyURL, shared.Logger, shared.Clock, shared.NewID
	s.deps, s.opts, s.since = d, o, o.Clock()
	s.registry = api.NewRegistry(d, shared)
	if s.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("dashboard metrics: %w", err)
	}
	if d.Certificates != nil {
		if err := o.Metrics.Register(newCertificateDays(d.Certificates, o.Clock)); err != nil {
			return nil, fmt.Errorf("dashboard metrics: %w", err)
		}
	}
	s.handler = s.routes(api.New(d, shared))
	return s, nil
}

// Handler answers for the dashboard's listener.
func (s *Server) Handler() http.Handler { return s.handler }

// Close ends live streams, so that the listener's Shutdown does not wait for browsers. It may be called more than once.
func (s *Server) Close() { s.stop.Do(func() { close(s.done) }) }

// routes builds the router. gin keeps its mode in a process-wide switch; release mode only stops it from printing.
func (s *Server) routes(a *api.API) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.ForwardedByClientIP = false
	r.Use(s.log, s.recover, s.secure, s.guard)
	r.NoRoute(func(c *gin.Context) { s.fail(c, errNoPage) })
	r.NoMethod(func(c *gin.Context) { s.fail(c, errNoMethod) })

	page := func(method, path string, h func(*gin.Context) error) {
		r.Handle(method, path, s.page(h))
		if method == http.MethodGet && path != "/events" {
			r.HEAD(path, s.page(h))
		}
	}
	page(http.MethodGet, "/", s.live)
	page(http.MethodGet, "/events", s.events)
	page(http.MethodGet, "/exchanges/:id", s.exchange)
	page(http.MethodGet, "/exchanges/:id/:part", s.exchange)
	page(http.MethodPost, "/exchanges/:id/judge", s.judge)
	page(http.MethodGet, "/findings", s.findings)
	page(http.MethodGet, "/scenarios", s.scenarios)
	page(http.MethodGet, "/scenarios/:plan", s.run)
	page(http.MethodPost, "/scenarios/:plan/attest", s.attest)
	page(http.MethodPost, "/scenarios/:plan/review", s.review)
	page(http.MethodPost, "/scenarios/:plan/window", s.window)
	page(http.MethodPost, "/scenarios/:plan/stop", s.stopRun)
	page(http.MethodGet, "/results", s.results)
	page(http.MethodGet, allResultsPath, s.resultsAll)
	page(http.MethodGet, "/results/sheet", s.sheet)
	page(http.MethodGet, "/results/csv", s.sheetCSV)
	page(http.MethodGet, "/review", s.reviewQueue)
	page(http.MethodGet, "/coverage", s.coverage)
	page(http.MethodGet, "/systems", s.systems)
	page(http.MethodPost, "/systems", s.register)
	page(http.MethodGet, "/systems/:id", s.editSystem)
	page(http.MethodPost, "/systems/:id", s.changeSystem)
	page(http.MethodGet, "/systems/:id/delete", s.confirmSystem)
	page(http.MethodPost, "/systems/:id/delete", s.deleteSystem)
	page(http.MethodPost, "/channels", s.connect)
	page(http.MethodGet, "/channels/:id", s.channelPage)
	page(http.MethodPost, "/channels/:id", s.changeChannel)
	page(http.MethodGet, "/channels/:id/auth", s.auth)
	page(http.MethodPost, "/systems/:id/options", s.changeOptions)
	page(http.MethodGet, "/channels/:id/delete", s.confirmChannel)
	page(http.MethodPost, "/channels/:id/delete", s.deleteChannel)
	page(http.MethodGet, "/channels/:id/check", s.check)
	page(http.MethodPost, "/channels/:id/check", s.runCheck)
	page(http.MethodGet, "/certificates", s.certificates)
	page(http.MethodGet, rootPath, s.rootPEM)
	page(http.MethodPost, "/theme", s.theme)
	r.GET(static.Prefix+"*name", gin.WrapH(s.files))
	r.HEAD(static.Prefix+"*name", gin.WrapH(s.files))

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, "/healthz", s.healthz)
		r.Handle(method, "/readyz", s.readyz)
	}
	r.GET("/metrics", gin.WrapH(s.metrics.handler))
	a.Register(r.Group("/api/v1"))
	return r
}
