package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"

	"fhirwire/internal/blobs"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators/guides"
	"fhirwire/validators/interaction"
)

// runEvidence is where a run's exchanges go.
type runEvidence struct {
	st       *store.Store
	db       *sqldb.DB
	key      proxy.FingerprintKey
	spool    string
	classify *interaction.Classifier
	answered atomic.Bool // there was a response
	own      *ownServer  // the reference payer of the run; nil for another server
}

func (r *runner) openEvidence(ctx context.Context, dir string) (*runEvidence, error) {
	key := passingKey()
	if r.f.data != "" {
		var err error
		if key, err = fingerprintKey(dir); err != nil {
			return nil, err
		}
	}
	db, err := sqldb.Open(ctx, sqldb.SQLiteDSN(filepath.Join(dir, "fhirwire.db")), sqldb.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	ev := &runEvidence{db: db, key: key, spool: filepath.Join(dir, "run-spool")}
	bodies, err := blobs.OpenDir(filepath.Join(dir, "blobs"), blobs.Options{Clock: r.p.now})
	if err == nil {
		ev.st, err = store.Open(ctx, db, bodies, store.Options{Clock: r.p.now})
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	ev.classify = interaction.NewClassifier(ev.st, ev.st, interaction.Options{})
	return ev, nil
}

// Put implements record.Sink; a running serve judges what it finds in its store.
func (ev *runEvidence) Put(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) error {
	if ex.Response != nil {
		ev.answered.Store(true)
	}
	if ev.own != nil && ex.ClientLeg == nil {
		ex.ClientLeg = ev.own.accepted(ctx, ex.ServerLeg)
	}
	ex.Interaction = ev.classify.Classify(ctx, ex, bodies)
	return ev.st.Put(ctx, ex, bodies)
}

// runnerSlug is the client system of every run: one side is ours, so its evidence is simulated.
const runnerSlug = "fhirwire-runner"

// channel registers the runner, the server and the channel between them, as far as they are not there, and gives its name.
func (ev *runEvidence) channel(ctx context.Context, r *runner, base string, guideIDs []string) (string, error) {
	if r.f.channel != "" {
		ch, err := ev.st.ChannelByName(ctx, r.f.channel)
		if err == nil {
			return ch.Name, nil
		}
		if errors.Is(err, proxy.ErrNotFound) {
			err = fmt.Errorf("channel %q is not registered in the data folder", r.f.channel)
		}
		return "", err
	}
	client, err := ev.system(ctx, r, proxy.System{Slug: runnerSlug, Name: "fhirwire runner", Roles: []proxy.Role{proxy.RoleClient}, Simulated: true})
	if err != nil {
		return "", err
	}
	server, err := ev.system(ctx, r, serverSystem(base, r.f.server == ""))
	if err != nil {
		return "", err
	}
	name := proxy.ChannelName(client, server)
	ch, err := ev.st.ChannelByName(ctx, name)
	if errors.Is(err, proxy.ErrNotFound) {
		ch, err = &proxy.Channel{Name: name, ClientID: client.ID, ServerID: server.ID, Created: r.p.now()}, nil
	}
	if err != nil {
		return "", err
	}
	ch.Options.Guides, ch.Options.Track = guideIDs, r.plan.Track
	return name, ev.st.SaveChannel(ctx, ch)
}

// serverSystem is the system of a FHIR base; its slug is made of the host.
func serverSystem(base string, ours bool) proxy.System {
	if ours {
		return proxy.System{Slug: "run-reference", Name: "Reference payer of runs", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: base, Simulated: true}
	}
	host, path := base, ""
	if u, err := url.Parse(base); err == nil {
		host, path = u.Host, u.Path
	}
	slug := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		default:
			return '-'
		}
	}, host+path)
	parts := strings.FieldsFunc(slug, func(c rune) bool { return c == '-' })
	slug = strings.Join(parts, "-")
	return proxy.System{Slug: strings.Trim(slug[:min(len(slug), 40)], "-"), Name: host, Roles: []proxy.Role{proxy.RoleServer}, BaseURL: base}
}

func (ev *runEvidence) system(ctx context.Context, r *runner, want proxy.System) (*proxy.System, error) {
	have, err := ev.st.SystemBySlug(ctx, want.Slug)
	switch {
	case errors.Is(err, proxy.ErrNotFound):
		have = &want
		have.Created = r.p.now()
	case err != nil:
		return nil, err
	case have.BaseURL == want.BaseURL:
		return have, nil
	default:
		have.BaseURL = want.BaseURL
	}
	if err := ev.st.SaveSystem(ctx, have); err != nil {
		return nil, err
	}
	return ev.st.SystemBySlug(ctx, want.Slug)
}

// guidesFor are the guides known without those versions that a plan is not for.
func guidesFor(lib *guides.Library, plan *testplans.Plan) []string {
	var out []string
	for _, g := range lib.Packages() {
		if span, named := plan.Guides[g.Name]; named {
			if in, err := testplans.InRange(g.Version, span); err != nil || !in {
				continue
			}
		} else if g.Support {
			continue
		}
		out = append(out, g.ID)
	}
	return out
}
