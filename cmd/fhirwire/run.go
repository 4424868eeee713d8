package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/proxy/upstream"
	"fhirwire/reference/edgecases"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/play"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/guides"
)

// runFlags are what the command line of run says.
type runFlags struct {
	server, cert, certKey, ca, key  string
	sets, setFiles, attested        list
	format, out, data, har, channel string
	dryRun                          bool
	patience                        time.Duration
	edges                           list // hidden: what the built-in reference payer is to do wrong
}

func runRun(ctx context.Context, p *process, args []string) (int, error) {
	var f runFlags
	fs := newFlags(p, "run", "PLAN [--server URL] [flags]",
		"Plays the client's side of a test plan against a server, records it, and judges what was recorded. Without --server the built-in\n"+
			"reference payer is the server. Requests that may change data are sent only where the plan says that it writes. To test a client instead,\n"+
			"point it at the proxy or the reference payer of fhirwire serve, and judge its channel. Exits with 1 if a SHALL check failed\n"+
			"or the run was stopped; Ctrl-C judges what there is.\n")
	fs.StringVar(&f.server, "server", "", "FHIR base `URL` of the server; none: the built-in reference payer")
	fs.StringVar(&f.cert, "client-cert", "", "PEM `FILE` with the client's certificate, for mutual TLS")
	fs.StringVar(&f.certKey, "client-key", "", "PEM `FILE` with the key of --client-cert, if it is not in the same file")
	fs.StringVar(&f.ca, "ca", "", "PEM `FILE` with CAs that the server's certificate may come from, besides the machine's")
	fs.StringVar(&f.key, "key", "", "`FILE` with the client's private key for private_key_jwt, JWK or PEM; none: a new one for this run")
	fs.Var(&f.sets, "set", "`NAME=VALUE` of an input or variable of the plan; may be given again")
	fs.Var(&f.setFiles, "set-file", "`NAME=FILE`: the value is the file's content without the space around it; for secrets")
	fs.Var(&f.attested, "attest", "`STEP/CHECK=NAME`: this person says that the check passes; may be given again")
	fs.StringVar(&f.format, "format", "text", judgeFormatsHelp)
	fs.StringVar(&f.out, "out", "-", "the `FILE` to write, - for standard output")
	fs.StringVar(&f.data, "data", "", "`DIR` of serve to keep the evidence in, which may be running; none: nothing is kept")
	fs.StringVar(&f.har, "har", "", "`FILE` to write what was recorded to, as HAR 1.2 without secrets")
	fs.StringVar(&f.channel, "channel", "", "`NAME` that the exchanges are recorded under; none: fhirwire-runner~HOST")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the requests and send none")
	fs.DurationVar(&f.patience, "patience", 30*time.Minute, "how long to wait for one export")
	rest, err := parseFlags(fs, takeEdges(&f, args))
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) != 1:
		return exitUsage, usagef("name one plan")
	}
	if err := f.vet(); err != nil {
		return exitUsage, err
	}
	r := runner{p: p, f: f, inputs: map[string]string{}}
	if err := r.readInputs(); err != nil {
		return exitUsage, err
	}
	if r.lib, err = loadLibrary(cmp.Or(f.data, dataDir(p))); err != nil {
		return exitUsage, err
	}
	set, err := r.lib.Set()
	if err != nil {
		return exitUsage, err
	}
	if r.plan, err = findPlan(rest[0], set); err != nil {
		return exitUsage, err
	}
	if r.attestations, err = attestations(r.plan, f.attested, p.now()); err != nil {
		return exitUsage, err
	}
	r.model = set
	if f.dryRun {
		return r.dryRun()
	}
	j, err := r.run(ctx)
	if err != nil {
		return exitUsage, err
	}
	return r.report(j)
}

// takeEdges takes --edge NAME out of the arguments: what the built-in reference payer is to do wrong, for the tests of plans. It is no
// setting for people and not in the help.
func takeEdges(f *runFlags, args []string) []string {
	var rest []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--edge" && i+1 < len(args) {
			i++
			f.edges = append(f.edges, args[i])
			continue
		}
		rest = append(rest, args[i])
	}
	return rest
}

// runner is one use of the command.
type runner struct {
	p            *process
	f            runFlags
	lib          *guides.Library
	model        fhirpath.Model
	plan         testplans.Plan
	inputs       map[string]string
	attestations []testplans.Attestation
	outcomes     []play.Outcome
	stopped      bool // by Ctrl-C
	// watch, if set, gets the events of the play too.
	watch func(play.Event)
	// around, if set, stands in front of the built-in reference payer, which then lets itself be polled without a limit.
	around func(http.Handler) http.Handler
	// members, if set, puts the built-in reference payer's database with its members of an era at a path; else it is filled anew.
	members func(ctx context.Context, era, path string) error
}

func (r *runner) readInputs() error {
	for _, text := range r.f.sets {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("--set: %q is not NAME=VALUE", text)
		}
		r.inputs[name] = value
	}
	for _, text := range r.f.setFiles {
		name, file, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("--set-file: %q is not NAME=FILE", text)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("set-file %s: %w", name, err)
		}
		r.inputs[name] = strings.TrimSpace(string(content))
	}
	return nil
}

func (r *runner) options() (play.Options, error) {
	o := play.Options{Clock: r.p.now, UserAgent: "fhirwire/" + version, Patience: r.f.patience}
	if r.f.key != "" {
		text, err := os.ReadFile(r.f.key)
		if err != nil {
			return o, fmt.Errorf("key: %w", err)
		}
		if o.Key, err = play.ReadKey(text); err != nil {
			return o, err
		}
	}
	return o, nil
}

// runCertificate is the name that the client's certificate of a run goes by.
const runCertificate = "run"

// strangerCertificate is the name of one that no directory lists.
const strangerCertificate = "stranger"

// runCertificates are those that a run presents, by name.
type runCertificates map[string]*tls.Certificate

// TLS implements upstream.Certificates.
func (c runCertificates) TLS(name string) (*tls.Certificate, error) { return c[name], nil }

// reach is how the server is reached: with the client's certificate, and the CAs given. What the player needs of that goes into o.
func (r *runner) reach(ctx context.Context, channel string, own *ownServer, o *play.Options) (context.Context, *upstream.Transports, error) {
	ch := &proxy.Channel{Name: channel}
	certs := runCertificates{}
	switch {
	case r.f.cert != "":
		pair, err := tls.LoadX509KeyPair(r.f.cert, cmp.Or(r.f.certKey, r.f.cert))
		if err != nil {
			return ctx, nil, fmt.Errorf("client-cert: %w", err)
		}
		certs[runCertificate] = &pair
	case own != nil && own.client != nil:
		certs[runCertificate], certs[strangerCertificate] = own.client, own.stranger
	}
	// as makes a context for connections of their own, which present another certificate or none.
	as := func(certificate string) func(context.Context) context.Context {
		other := *ch
		other.Name, other.Options.ClientCert = channel+" as "+certificate, certificate
		return func(ctx context.Context) context.Context { return upstream.WithChannel(ctx, &other) }
	}
	if certs[runCertificate] != nil {
		ch.Options.ClientCert = runCertificate
	}
	switch {
	case r.f.ca != "":
		text, err := os.ReadFile(r.f.ca)
		if err != nil {
			return ctx, nil, fmt.Errorf("ca: %w", err)
		}
		if certs, err := proxy.CertificatesFromPEM(string(text)); err != nil || len(certs) == 0 {
			return ctx, nil, fmt.Errorf("ca: no certificate in %s", r.f.ca)
		}
		ch.Server.CA = string(text)
	case own != nil:
		ch.Server.CA = string(own.ca)
	}
	if o.Certificate = certs[runCertificate]; o.Certificate != nil {
		o.Bare = as("")
	}
	if certs[strangerCertificate] != nil {
		o.Stranger = as(strangerCertificate)
	}
	return upstream.WithChannel(ctx, ch), upstream.New(upstream.Options{Certificates: certs, Clock: r.p.now}), nil
}

func (r *runner) dryRun() (int, error) {
	o, err := r.options()
	if err != nil {
		return exitUsage, err
	}
	player := play.New(record.New(discard{}, passingKey(), record.Options{}), http.DefaultTransport, nil, o)
	lines, err := player.Describe(&r.plan, play.Target{Base: cmp.Or(r.f.server, "${base}"), Inputs: r.inputs, Edges: r.f.server == ""})
	if err != nil {
		return exitUsage, err
	}
	return exitFine, describeRun(r.p.stdout, &r.plan, lines)
}

// discard is a sink for a recorder that records nothing.
type discard struct{}

func (discard) Put(context.Context, *proxy.Exchange, proxy.Bodies) error { return nil }

// run plays and judges. What there is when a person stops it is judged too.
func (r *runner) run(ctx context.Context) (j *judgement, err error) {
	dir := r.f.data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "fhirwire-run-"); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	base := strings.TrimRight(r.f.server, "/")
	var guideIDs []string
	var own *ownServer
	if base == "" {
		if own, err = startReference(ctx, r, filepath.Join(dir, "run-reference")); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, own.stop()) }()
		base, guideIDs = own.base, own.guides
	} else {
		guideIDs = guidesFor(r.lib, &r.plan)
	}
	ev, err := r.openEvidence(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ev.db.Close()) }()
	ev.own = own
	r.inputs = own.inputs(&r.plan, r.inputs)
	channel, err := ev.channel(ctx, r, base, guideIDs)
	if err != nil {
		return nil, err
	}
	started := r.p.now()
	if err := r.play(ctx, ev, base, channel, own); err != nil {
		return nil, err
	}
	if !ev.answered.Load() && !r.stopped {
		for _, o := range r.outcomes {
			if o.State == play.Broken {
				return nil, fmt.Errorf("the server gave no answer at all: %s", inFlags(o.Why))
			}
		}
	}
	after := context.WithoutCancel(ctx)
	j = &judgement{
		p: r.p, plan: r.plan, lib: r.lib, table: checks.NewTable(r.model),
		run: testplans.Run{State: testplans.Evaluating, Channel: channel, Since: started, Attestations: r.attestations},
	}
	if err := j.channel(after, dir, "", channel); err != nil {
		return nil, err
	}
	if r.f.har != "" {
		text := fmt.Sprintf("channel:%s", channel)
		if err := exportHAR(after, r.p, dir, "", text, r.f.har); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (r *runner) play(ctx context.Context, ev *runEvidence, base, channel string, own *ownServer) error {
	o, err := r.options()
	if err != nil {
		return err
	}
	ctx, t, err := r.reach(ctx, channel, own, &o)
	if err != nil {
		return err
	}
	defer t.CloseIdleConnections()
	rec := record.New(ev, ev.key, record.Options{SpoolDir: ev.spool, Clock: r.p.now})
	show := newRunProgress(r.p)
	r.outcomes, err = play.New(rec, t, bodyValues{r.model}, o).Run(ctx, &r.plan, play.Target{Base: base, Channel: channel, Inputs: r.inputs, Edges: own != nil}, func(e play.Event) {
		show.event(e)
		if r.watch != nil {
			r.watch(e)
		}
	})
	show.end()
	if errors.Is(err, context.Canceled) {
		r.stopped, err = true, nil
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, rec.Close(end))
}

// report writes the results and gives the exit code.
func (r *runner) report(j *judgement) (int, error) {
	r.explain()
	code, err := j.finish(r.f.format, r.f.out)
	if err == nil && r.stopped {
		code = max(code, exitFindings) // a part of the plan says nothing about the rest
	}
	return code, err
}

// edgesOf reads what the reference payer is to do wrong.
func edgesOf(names []string) []edgecases.Edge {
	out := make([]edgecases.Edge, len(names))
	for i, n := range names {
		out[i] = edgecases.Edge(n)
	}
	return out
}
