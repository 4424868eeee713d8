package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"fhirwire/internal/sqldb"
	"fhirwire/proxy/localca"
	"fhirwire/reference"
	entries "fhirwire/reference/directory"
	"fhirwire/reference/edgecases"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
	"fhirwire/testplans"
)

// ownServer is the reference payer of one run.
type ownServer struct {
	base, directory string
	guides          []string
	// ca and client are set where the server is reached by mutual TLS: its CA, and a certificate that it accepts.
	ca     []byte
	client *tls.Certificate
	// identity signs for the payer: its UDAP configuration and its directory entry. listed is the directory, roots what clients'
	// certificates and software statements lead to.
	identity *tls.Certificate
	stranger *tls.Certificate // verifies as client's does, and is not in the directory
	listed   *directoryPeers
	roots    *x509.CertPool
	cancel   context.CancelFunc
	group    *errgroup.Group
	db       *sqldb.DB
	dir      string
}

// eraOf is the era of guides that a plan is for: the older one unless the plan rules it out.
func eraOf(plan *testplans.Plan) string {
	for _, era := range slices.Backward(slices.Sorted(maps.Keys(eras))) {
		fits := true
		for _, id := range eras[era] {
			name, version, _ := strings.Cut(id, "#")
			if span, named := plan.Guides[name]; named {
				in, err := testplans.InRange(version, span)
				fits = fits && err == nil && in
			}
		}
		if fits {
			return era
		}
	}
	return "stu2"
}

// authOf is whether the reference payer asks for tokens: where the plan gets one.
func authOf(plan *testplans.Plan) smartauth.Mode {
	if plan.Play != nil && slices.ContainsFunc(plan.Play.Acts, func(a testplans.Act) bool { return a.Token != nil }) {
		return smartauth.Required
	}
	return smartauth.Optional
}

// needsTLS reports a plan that asks about handshakes.
func needsTLS(plan *testplans.Plan) bool {
	for _, s := range plan.Steps {
		if slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Connection != nil }) {
			return true
		}
	}
	return false
}

// secure makes the listener one of mutual TLS, with certificates of a CA that lives as long as the run.
func (s *ownServer) secure(l *listener, now func() time.Time) (origin string, err error) {
	ca, err := localca.Open(filepath.Join(s.dir, "ca"), localca.Options{Clock: now, Name: "fhirwire run"})
	if err != nil {
		return "", err
	}
	host := l.addrPort().Addr().String()
	if err := ca.Permit([]string{host, runnerHost}); err != nil {
		return "", err
	}
	server, err := ca.Leaf(host)
	if err != nil {
		return "", err
	}
	runner, err := ca.Leaf(runnerHost)
	if err != nil {
		return "", err
	}
	origin = "https" + strings.TrimPrefix(l.url(), "http")
	for name, uri := range map[string]string{runnerSlug: runnerURI, "run-reference": origin + "/fhir", strangerCertificate: "https://stranger.example/fhir"} {
		if _, err := ca.IssueClient(localca.ClientRequest{Name: name, Organization: "fhirwire", URIs: []string{uri}}); err != nil {
			return "", err
		}
	}
	if s.client, err = ca.TLS(runnerSlug); err != nil {
		return "", err
	}
	if s.identity, err = ca.TLS("run-reference"); err != nil {
		return "", err
	}
	if s.stranger, err = ca.TLS(strangerCertificate); err != nil {
		return "", err
	}
	s.ca, s.roots = ca.RootPEM(), ca.ClientRoots()
	l.ln = tls.NewListener(l.ln, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*server}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.roots,
		NextProtos: []string{"http/1.1"},
	})
	return origin, s.publish(origin, server, runner, now())
}

// oauth are the settings of the authorization server. Over TLS it admits whom the directory lists, and software statements of the run's CA.
func (s *ownServer) oauth(origin string) smartauth.Options {
	// Nobody knows the initial access token, and nobody needs one: who presents another is refused.
	o := smartauth.Options{BaseURL: origin, InitialTokens: []string{rand.Text()}}
	if s.client != nil {
		o.RequireTLS, o.Identify, o.StatementRoots = true, s.identify, s.roots
		o.UDAP = func(string) (*tls.Certificate, error) { return s.identity, nil }
	}
	return o
}

// startReference starts the reference payer on a free port of this machine, with the members of the demo, in the era of the plan.
func startReference(ctx context.Context, r *runner, dir string) (own *ownServer, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	quiet := slog.New(slog.DiscardHandler)
	own = &ownServer{dir: dir, guides: eras[eraOf(&r.plan)]}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	own.cancel = cancel
	own.group = &errgroup.Group{}
	file := filepath.Join(dir, "reference.db")
	if r.members != nil {
		if err := r.members(ctx, eraOf(&r.plan), file); err != nil {
			cancel()
			return nil, err
		}
	}
	if own.db, err = sqldb.Open(ctx, sqldb.SQLiteDSN(file), sqldb.Options{Logger: quiet}); err != nil {
		cancel()
		return nil, err
	}
	fail := func(err error) (*ownServer, error) { return nil, errors.Join(err, own.stop()) }
	set, err := r.lib.Set(own.guides...)
	if err != nil {
		return fail(err)
	}
	l, err := listenOn(ctx, "reference", "reference", "127.0.0.1:0")
	if err != nil {
		return fail(err)
	}
	origin := l.url()
	if needsTLS(&r.plan) {
		if origin, err = own.secure(l, r.p.now); err != nil {
			return fail(errors.Join(err, l.ln.Close()))
		}
	}
	var directory fs.FS
	if own.listed != nil {
		directory = os.DirFS(own.listed.dir)
	}
	around, pollEvery := func(h http.Handler) http.Handler { return h }, time.Duration(0)
	if r.around != nil {
		around, pollEvery = r.around, -1
	}
	payer, err := reference.New(ctx, own.db, set, reference.Options{
		DataDir: filepath.Join(dir, "files"), Logger: quiet, Clock: r.p.now, Version: version, Auth: authOf(&r.plan), Guides: own.guides,
		OAuth: own.oauth(origin), Directory: directory, PollEvery: pollEvery,
		Match: membermatch.Options{
			Plan: []string{synth.PayerNPI, synth.CollectionPayerNPI}, PlanName: synth.PayerName, UnsegmentedTag: synth.TagSystem + "|" + synth.TagUnsegmented,
		},
	})
	if err != nil {
		return fail(errors.Join(err, l.ln.Close()))
	}
	if r.members == nil {
		if err := seedMembers(ctx, payer, r.p.now()); err != nil {
			return fail(errors.Join(err, l.ln.Close()))
		}
	}
	if len(r.f.edges) > 0 {
		if err := payer.Edges().Set(edgecases.Switch{Client: edgecases.Everybody, Edges: edgesOf(r.f.edges)}); err != nil {
			return fail(errors.Join(err, l.ln.Close()))
		}
	}
	own.group.Go(func() error { return payer.Run(serving) })
	own.group.Go(func() error { return l.serve(serving, around(payer.Handler()), quiet) })
	own.base, own.directory = origin+"/fhir", origin+entries.Prefix+"/index.json"
	return own, nil
}

// seedMembers gives a payer the members of the demo.
func seedMembers(ctx context.Context, payer *reference.Server, today time.Time) error {
	gen := synth.New(synth.Options{Seed: demoSeed, Members: demoMembers, Today: today})
	if _, err := payer.Seed(ctx, gen.All(), resources.LoadOptions{}); err != nil {
		return err
	}
	return payer.SeedDeleted(ctx, synth.StoryMember)
}

// stop ends the server and removes what it kept.
func (s *ownServer) stop() error {
	s.cancel()
	err := s.group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.db.Close(), os.RemoveAll(s.dir))
}
