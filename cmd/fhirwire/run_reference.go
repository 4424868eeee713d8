package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/edgecases"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
	"fhirwire/testplans"
)

// ownServer is the reference payer of one run.
type ownServer struct {
	base   string
	guides []string
	cancel context.CancelFunc
	group  *errgroup.Group
	db     *sqldb.DB
	dir    string
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
	if own.db, err = sqldb.Open(ctx, sqldb.SQLiteDSN(filepath.Join(dir, "reference.db")), sqldb.Options{Logger: quiet}); err != nil {
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
	payer, err := reference.New(ctx, own.db, set, reference.Options{
		DataDir: filepath.Join(dir, "files"), Logger: quiet, Clock: r.p.now, Version: version, Auth: authOf(&r.plan), Guides: own.guides,
		OAuth: smartauth.Options{BaseURL: l.url()},
		Match: membermatch.Options{
			Plan: []string{synth.PayerNPI, synth.CollectionPayerNPI}, PlanName: synth.PayerName, UnsegmentedTag: synth.TagSystem + "|" + synth.TagUnsegmented,
		},
	})
	if err != nil {
		return fail(errors.Join(err, l.ln.Close()))
	}
	gen := synth.New(synth.Options{Seed: demoSeed, Members: demoMembers, Today: r.p.now()})
	if _, err := payer.Seed(ctx, gen.All(), resources.LoadOptions{}); err != nil {
		return fail(errors.Join(err, l.ln.Close()))
	}
	if len(r.f.edges) > 0 {
		if err := payer.Edges().Set(edgecases.Switch{Client: edgecases.Everybody, Edges: edgesOf(r.f.edges)}); err != nil {
			return fail(errors.Join(err, l.ln.Close()))
		}
	}
	own.group.Go(func() error { return payer.Run(serving) })
	own.group.Go(func() error { return l.serve(serving, payer.Handler(), quiet) })
	own.base = l.url() + "/fhir"
	return own, nil
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
