package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"fhirwire/proxy"
	"fhirwire/reference/resources"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
)

// demoSeed and demoMembers make the same payer on every machine.
const (
	demoSeed    = 1
	demoMembers = 20
)

// demo seeds the reference server, registers the demo systems and plays the client. A failure to play is logged and ends
// nothing: the dashboard is there to show it.
func (a *app) demo(ctx context.Context) error {
	start := a.p.now()
	gen := synth.New(synth.Options{Seed: demoSeed, Members: demoMembers, Today: start})
	loaded, err := a.payer.Seed(ctx, gen.All(), resources.LoadOptions{})
	if err != nil {
		return fmt.Errorf("demo data: %w", err)
	}
	channel, err := a.registerDemo(ctx)
	if err != nil {
		return fmt.Errorf("demo systems: %w", err)
	}
	d := demoClient{
		base: channel.ClientBase(a.proxyURL), origin: a.proxyURL + "/" + channel.Name, tokens: a.cfg.ReferenceAuth != string(smartauth.Off),
		http: &http.Client{Timeout: time.Minute}, now: a.p.now, logger: a.logger,
	}
	if err := d.play(ctx); err != nil && ctx.Err() == nil {
		a.logger.ErrorContext(ctx, "the demo client stopped", "error", err)
		return nil
	}
	if ctx.Err() == nil {
		_, _ = fmt.Fprintf(a.p.stdout, "Demo played in %s over %d resources. Open %s\n", a.p.now().Sub(start).Round(100*time.Millisecond), loaded.Created+loaded.Updated+loaded.Unchanged, a.dashboard.url())
	}
	return nil
}

// registerDemo registers the demo systems and channels that are not there yet, and returns the demo client's channel.
func (a *app) registerDemo(ctx context.Context) (*proxy.Channel, error) {
	server, err := a.demoSystem(ctx, proxy.System{
		Slug: "reference", Name: "Reference payer", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: a.reference.url() + "/fhir", Simulated: true,
	})
	if err != nil {
		return nil, err
	}
	client, err := a.demoSystem(ctx, proxy.System{Slug: "demo-client", Name: "Demo client", Roles: []proxy.Role{proxy.RoleClient}, Simulated: true})
	if err != nil {
		return nil, err
	}
	newman, err := a.demoSystem(ctx, proxy.System{Slug: "newman", Name: "Newman", Roles: []proxy.Role{proxy.RoleClient}})
	if err != nil {
		return nil, err
	}
	// The public client collection has this path written into its requests.
	if _, err := a.demoChannel(ctx, newman, server, proxy.ChannelOptions{Track: "Payer to payer", BasePath: "/custom/pdex_payer_client/fhir"}); err != nil {
		return nil, err
	}
	return a.demoChannel(ctx, client, server, proxy.ChannelOptions{Track: "Payer to payer"})
}

func (a *app) demoSystem(ctx context.Context, want proxy.System) (*proxy.System, error) {
	have, err := a.store.SystemBySlug(ctx, want.Slug)
	switch {
	case errors.Is(err, proxy.ErrNotFound):
		have = &want
		have.Created = a.p.now()
	case err != nil:
		return nil, err
	case have.BaseURL == want.BaseURL:
		return have, nil
	default:
		have.BaseURL = want.BaseURL // the reference server listens elsewhere now
	}
	if err := a.store.SaveSystem(ctx, have); err != nil {
		return nil, err
	}
	return a.store.SystemBySlug(ctx, want.Slug)
}

func (a *app) demoChannel(ctx context.Context, client, server *proxy.System, o proxy.ChannelOptions) (*proxy.Channel, error) {
	name := proxy.ChannelName(client, server)
	have, err := a.store.ChannelByName(ctx, name)
	if err == nil || !errors.Is(err, proxy.ErrNotFound) {
		return have, err
	}
	ch := &proxy.Channel{Name: name, ClientID: client.ID, ServerID: server.ID, Options: o, Created: a.p.now()}
	if err := a.store.SaveChannel(ctx, ch); err != nil {
		return nil, err
	}
	return a.store.ChannelByName(ctx, name)
}
