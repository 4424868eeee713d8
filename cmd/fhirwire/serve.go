package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"fhirwire/internal/blobs"
	"fhirwire/internal/live"
	"fhirwire/internal/pipeline"
	"fhirwire/internal/planfiles"
	"fhirwire/internal/scenarios"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/proxy/localca"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
	"fhirwire/reference"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
	"fhirwire/validators/instance"
	"fhirwire/validators/interaction"
	"fhirwire/validators/terminology/remote"
	"fhirwire/validators/tokens"
	"fhirwire/web"
)

func runServe(ctx context.Context, p *process, args []string) (int, error) {
	cfg, err := loadConfig(p, args)
	if err != nil {
		return exitUsage, err
	}
	if p.getenv("GOGC") == "" && p.getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(serveGC)
		debug.SetMemoryLimit(serveMemory)
		go followHeap(ctx)
	}
	a, err := newApp(ctx, cfg, p)
	if err != nil {
		return exitUsage, errors.Join(err, a.close())
	}
	a.announce()
	err = a.run(ctx)
	if err = errors.Join(err, a.close()); err != nil {
		return exitUsage, err
	}
	return exitFine, nil
}

// app is the wiring of one serve process.
type app struct {
	cfg    config
	p      *process
	logger *slog.Logger

	dashboard, proxy, reference *listener
	forward                     *listener // nil without
	tls                         *secure   // nil without

	db, refDB *sqldb.DB
	store     *store.Store
	hub       *live.Hub
	lib       *guides.Library
	tx        *remote.Service // nil without
	pipeline  *pipeline.Pipeline
	recorder  *record.Recorder
	payer     *reference.Server
	page      *web.Server
	plans     *planfiles.Files
	scenarios *scenarios.Service
	tokens    *tokens.Desk
	proxyURL  string
	ca        *localca.Authority
	peers     *peers.Judge
	listed    *directoryPeers
	closers   []func() error

	forwardUsers map[string]string
	// forwardToken is the forward proxy's password of a channel's or client's name.
	forwardToken func(user string) string
}

// newApp opens everything serve needs, so that what cannot work is said before the first request. On an error the app
// returned holds what close has to close.
func newApp(ctx context.Context, cfg config, p *process) (*app, error) {
	level, err := cfg.level()
	if err != nil {
		return &app{}, err
	}
	a := &app{cfg: cfg, p: p, logger: slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level})), hub: live.NewHub()}
	for _, step := range []func(context.Context) error{a.listen, a.open, a.openCertificates, a.openTLS, a.openForward, a.judge, a.simulate, a.show} {
		if err := step(ctx); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *app) listen(ctx context.Context) error {
	var errs []error
	on := func(name, key, addr string) *listener {
		l, err := listenOn(ctx, name, key, addr)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		a.closers = append(a.closers, func() error { return ignoreClosed(l.ln.Close()) })
		return l
	}
	a.dashboard = on("dashboard", "listen", a.cfg.Listen)
	a.proxy = on("proxy", "proxy-listen", a.cfg.ProxyListen)
	if a.cfg.ReferenceListen != off {
		a.reference = on("reference", "reference-listen", a.cfg.ReferenceListen)
	}
	if a.cfg.TLSListen != off && a.cfg.TLSListen != "" {
		a.tls = &secure{listener: on("TLS", "tls-listen", a.cfg.TLSListen)}
	}
	if a.cfg.ForwardListen != off {
		a.forward = on("forward proxy", "forward-listen", a.cfg.ForwardListen)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := a.checkForward(); err != nil {
		return err
	}
	if a.proxyURL = a.cfg.ProxyURL; a.proxyURL == "" {
		a.proxyURL = a.proxy.url()
	}
	return nil
}

// ownListeners are those that no channel may reach.
func (a *app) ownListeners() []netip.AddrPort {
	own := []netip.AddrPort{a.dashboard.addrPort(), a.proxy.addrPort()}
	if a.forward != nil {
		own = append(own, a.forward.addrPort())
	}
	return own
}

func (a *app) open(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if err := a.lockData(); err != nil {
		return err
	}
	dsn := a.cfg.Database
	if dsn == "" {
		dsn = sqldb.SQLiteDSN(filepath.Join(a.cfg.Data, "fhirwire.db"))
	}
	var err error
	if a.db, err = sqldb.Open(ctx, dsn, sqldb.Options{Logger: a.logger}); err != nil {
		return err
	}
	a.closers = append(a.closers, a.db.Close)
	dir, err := blobs.OpenDir(a.cfg.blobDir(), blobs.Options{Clock: a.p.now})
	if err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	if a.store, err = store.Open(ctx, a.db, dir, store.Options{Clock: a.p.now}); err != nil {
		return err
	}
	return nil
}

// judge makes what turns traffic into evidence and evidence into reports.
func (a *app) judge(ctx context.Context) error {
	var err error
	if a.lib, err = loadLibrary(a.cfg.Data); err != nil {
		return err
	}
	key, err := fingerprintKey(a.cfg.Data)
	if err != nil {
		return err
	}
	if a.tx, err = a.openTerms(ctx); err != nil {
		return err
	}
	inspector := inspect.New(a.lib, a.store, a.withTerms(inspect.Options{Channels: a.store, Now: a.p.now}))
	classifier := interaction.NewClassifier(a.store, a.store, interaction.Options{Logger: a.logger})
	a.pipeline = pipeline.New(a.store, classifier, inspector, a.hub, pipeline.Options{Logger: a.logger, Clock: a.p.now})
	spool := filepath.Join(a.cfg.Data, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	a.recorder = record.New(a.pipeline, key, record.Options{SpoolDir: spool, MaxBody: a.cfg.MaxBody, Clock: a.p.now, Logger: a.logger, Presents: a.presents()})
	return nil
}

// eras are the guides the reference payer can follow: those of the 2022 tracks, and those with matches of many members.
var eras = map[string][]string{
	"stu2": {
		"hl7.fhir.us.davinci-pdex#2.0.0", "hl7.fhir.us.core#3.1.1", "hl7.fhir.us.davinci-hrex#1.0.0", "hl7.fhir.us.davinci-drug-formulary#2.0.1",
		"hl7.fhir.us.davinci-atr#2.1.0", "hl7.fhir.us.carin-bb#2.0.0",
	},
	"2.2": {
		"hl7.fhir.us.davinci-pdex#2.2.0", "hl7.fhir.us.core#6.1.0", "hl7.fhir.us.davinci-hrex#1.0.0", "hl7.fhir.us.davinci-drug-formulary#2.0.1",
		"hl7.fhir.us.davinci-atr#2.1.0", "hl7.fhir.us.carin-bb#2.0.0",
	},
}

// simulate makes the reference payer.
func (a *app) simulate(ctx context.Context) error {
	if a.reference == nil {
		return nil
	}
	var err error
	if a.refDB, err = sqldb.Open(ctx, sqldb.SQLiteDSN(filepath.Join(a.cfg.Data, "reference.db")), sqldb.Options{Logger: a.logger}); err != nil {
		return err
	}
	a.closers = append(a.closers, a.refDB.Close)
	set, err := a.lib.Set(eras[a.cfg.ReferenceGuides]...)
	if err != nil {
		return err
	}
	directory := filepath.Join(a.cfg.Data, "directory")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	oauth := a.oauth()
	if oauth.InitialTokens, err = initialTokens(a.cfg.ReferenceInitialTokens); err != nil {
		return err
	}
	oauth.RequireInitialToken = len(oauth.InitialTokens) > 0
	if oauth.RegistrationsPerMinute = int(a.cfg.ReferenceRegistrations); oauth.RegistrationsPerMinute == 0 {
		oauth.RegistrationsPerMinute = -1 // no bound
	}
	a.payer, err = reference.New(ctx, a.refDB, set, reference.Options{
		DataDir: filepath.Join(a.cfg.Data, "reference"), Logger: a.logger, Clock: a.p.now, Version: version, Guides: eras[a.cfg.ReferenceGuides],
		Auth: smartauth.Mode(a.cfg.ReferenceAuth), OAuth: oauth, Directory: os.DirFS(directory),
		Match: membermatch.Options{
			Plan: []string{synth.PayerNPI, synth.CollectionPayerNPI}, PlanName: synth.PayerName,
			UnsegmentedTag: synth.TagSystem + "|" + synth.TagUnsegmented,
			// The public client collection's consent ended in January 2025, and its match is to succeed.
			HonourPastConsents: []string{synth.CollectionMember},
		},
	})
	return err
}

func (a *app) announce() {
	_, _ = fmt.Fprintf(a.p.stdout, "fhirwire %s\n  dashboard  %s\n  proxy      %s\n", version, a.dashboard.url(), a.proxyURL)
	if a.reference != nil {
		_, _ = fmt.Fprintf(a.p.stdout, "  reference  %s/fhir\n", a.reference.url())
	}
	if a.forward != nil {
		_, _ = fmt.Fprintf(a.p.stdout, "  forward    %s\n", a.forward.url())
	}
	if a.tls != nil {
		_, _ = fmt.Fprintf(a.p.stdout, "  TLS        %s\n  local CA   %s, SHA-256 %s\n", a.tlsURL(), filepath.Join(caDir(a.cfg.Data), "root.pem"), colons(a.ca.Fingerprint()))
	}
	_, _ = fmt.Fprintf(a.p.stdout, "  data       %s\n", a.cfg.Data)
}

// run serves until ctx ends, then stops in order: listeners, recorder, pipeline, hub.
func (a *app) run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	recording, stopRecording := context.WithCancel(work)
	defer stopRecording()

	var workers, recorders errgroup.Group
	workers.Go(func() error { return a.pipeline.Run(work) })
	recorders.Go(func() error { return a.recorder.Run(recording) })

	workers.Go(func() error { a.followTokens(work); return nil })
	workers.Go(func() error { a.scenarios.Run(work, a.hub); return nil })
	workers.Go(func() error { a.followPlans(work); return nil })
	workers.Go(func() error { a.followSystems(work); return nil })

	servers, serving := errgroup.WithContext(ctx)
	servers.Go(func() error { return a.dashboard.serve(serving, a.page.Handler(), a.logger, a.page.Close) })
	toServers := a.toServers()
	gateways, err := a.cfg.gateways()
	if err != nil {
		return err
	}
	proxied := func(publicURL string) http.Handler {
		return reverse.New(a.store, a.recorder, reverse.Options{
			PublicURL: publicURL, Transport: toServers, Peers: a.peers, Loops: a.loops, Logger: a.logger, Gateways: gateways,
		})
	}
	for _, l := range a.recorded() {
		l.cut = a.recorder.Stopping
	}
	servers.Go(func() error { return a.proxy.serve(serving, proxied(a.cfg.ProxyURL), a.logger) })
	fwd := a.newForward(toServers)
	servers.Go(func() error { return a.drainForward(serving, fwd) })
	if a.forward != nil {
		servers.Go(func() error { return a.forward.serve(serving, fwd, a.logger) })
	}
	if a.tls != nil {
		if a.tls.certs.acme != nil {
			servers.Go(func() error { a.tls.certs.acme.run(serving); return nil })
		}
		a.tls.ln = fwd.Listener(a.tls.ln)
		a.tls.state = reverse.NewHandshakes(a.store, a.recorder, reverse.HandshakeOptions{Clock: a.p.now, Logger: a.logger}).State
		servers.Go(func() error { return a.tls.serve(serving, a.tlsHandler(proxied(""), a.mutualReference()), a.logger) })
	}
	if a.payer != nil {
		servers.Go(func() error { return a.payer.Run(serving) })
		servers.Go(func() error { return a.reference.serve(serving, a.payer.Handler(), a.logger) })
	}
	if len(a.cfg.Load) > 0 {
		servers.Go(func() error { return a.load(serving) })
	}
	if a.cfg.Demo {
		servers.Go(func() error { return a.demo(serving) })
	}
	err = servers.Wait()
	stopRecording()
	err = errors.Join(err, recorders.Wait())
	stopWork()
	err = errors.Join(err, workers.Wait())
	a.hub.Close()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// show makes the dashboard.
func (a *app) show(ctx context.Context) error {
	set, err := a.lib.Set()
	if err != nil {
		return err
	}
	if err := a.openPlans(ctx, set); err != nil {
		return err
	}
	if a.scenarios, err = a.judgePlans(set); err != nil {
		return err
	}
	terms, termsName := a.terms(set.Terms())
	deps := web.Deps{
		Systems: told{a.store, a.hub}, Channels: told{a.store, a.hub}, Exchanges: a.store, Reports: a.store, Bodies: a.store, Live: a.hub, Judge: a.pipeline,
		Scenarios: a.scenarios, Runs: a.scenarios, PlanFiles: planDesk{a.plans, a.scenarios}, Support: a.mustSupport(set), Exporter: harExporter{a.store}, Checker: a.checker(),
		Validator: resourceValidator{instance.New(set, terms, instance.Options{Now: a.p.now, TerminologyName: termsName})},
	}
	if deps.ScenarioCheck, err = scenarioChecks(); err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), a.backlog(), a.lost())
	o := web.Options{
		Metrics: metrics, ProxyURL: a.proxyURL, Version: version, Event: a.cfg.Event, Logger: a.logger, Clock: a.p.now, Hosts: a.cfg.hosts(), Ready: a.ready,
	}
	a.withCertificates(&deps, &o)
	o.Forward = a.forwardHowTo()
	if a.reference != nil {
		o.ReferenceURL = a.reference.url() + "/fhir"
	}
	if !a.proxy.addrPort().Addr().IsLoopback() {
		o.ChannelSuffix = rand.Text
	}
	a.page, err = web.New(a.withSettings(deps), o)
	return err
}

// ready reports what keeps the process from serving.
func (a *app) ready(ctx context.Context) error {
	sqlDB, err := a.db.Read.DB()
	if err != nil {
		return err
	}
	if err := sqlDB.PingContext(ctx); err != nil {
		return err
	}
	return a.recorder.Keeping()
}

// resourceValidator validates what is posted to the API.
type resourceValidator struct{ v *instance.Validator }

func (r resourceValidator) Validate(ctx context.Context, body []byte, profiles []string) (validators.Report, error) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	return r.v.ValidateDocument(ctx, doc, profiles...)
}

func (a *app) close() error {
	var errs []error
	for _, closeIt := range slices.Backward(a.closers) {
		errs = append(errs, closeIt())
	}
	return errors.Join(errs...)
}
