package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/reference/resources"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
)

// demoSeed and demoMembers make the same payer on every machine.
const (
	demoSeed    = 1
	demoMembers = 20
)

// demoTimeout bounds one request of the demo, downloads included. A demo that gives up has played nothing to the end.
const demoTimeout = 10 * time.Minute

// demoStories are the tracks' scenarios with the client that plays each. Payer to payer goes by tokens wherever the server looks
// at them; the others show the same without OAuth, unless it is required.
var demoStories = []struct {
	slug, name, track string
	tokens            map[smartauth.Mode]bool
	play              func(*demoClient, context.Context) error
}{
	{"demo-client", "Demo client", "Payer to payer", map[smartauth.Mode]bool{smartauth.Optional: true, smartauth.Required: true}, (*demoClient).payerToPayer},
	{"demo-provider", "Demo provider", "Payer to provider", map[smartauth.Mode]bool{smartauth.Required: true}, (*demoClient).providerAccess},
	{"demo-app", "Demo app", "Formulary", map[smartauth.Mode]bool{smartauth.Required: true}, (*demoClient).formulary},
}

// demo seeds the reference server, registers the demo systems and plays the client. A failure to play is logged and ends
// nothing: the dashboard is there to show it.
func (a *app) demo(ctx context.Context) error {
	start := a.p.now()
	gen := synth.New(synth.Options{Seed: demoSeed, Members: demoMembers, Today: start})
	loaded, err := a.payer.Seed(ctx, gen.All(), resources.LoadOptions{})
	if err != nil {
		return fmt.Errorf("demo data: %w", err)
	}
	if err := a.payer.SeedDeleted(ctx, synth.StoryMember); err != nil {
		return fmt.Errorf("demo data: %w", err)
	}
	channels, err := a.registerDemo(ctx)
	if err != nil {
		return fmt.Errorf("demo systems: %w", err)
	}
	if a.demoTLS() {
		ch, err := a.registerDemoTLS(ctx)
		if err != nil {
			return fmt.Errorf("demo systems: %w", err)
		}
		if err := a.playDemoTLS(ctx, ch); err != nil && ctx.Err() == nil {
			a.logger.ErrorContext(ctx, "a demo client stopped", "client", demoPayer, "error", err)
		}
	}
	for i, story := range demoStories {
		d := demoClient{
			base: channels[i].ClientBase(a.proxyURL), origin: a.proxyURL + "/" + channels[i].Name, tokens: story.tokens[smartauth.Mode(a.cfg.ReferenceAuth)],
			http: &http.Client{Timeout: demoTimeout}, now: a.p.now, logger: a.logger,
		}
		if err := story.play(&d, ctx); err != nil && ctx.Err() == nil {
			a.logger.ErrorContext(ctx, "a demo client stopped", "client", story.slug, "error", err)
			return nil
		}
	}
	if ctx.Err() == nil {
		_, _ = fmt.Fprintf(a.p.stdout, "Demo played in %s over %d resources. Open %s\n", a.p.now().Sub(start).Round(100*time.Millisecond), loaded.Created+loaded.Updated+loaded.Unchanged, a.dashboard.url())
	}
	return nil
}

// registerDemo registers the demo systems and channels that are not there yet, and returns the channels of demoStories.
func (a *app) registerDemo(ctx context.Context) ([]*proxy.Channel, error) {
	server, err := a.demoSystem(ctx, proxy.System{
		Slug: "reference", Name: "Reference payer", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: a.reference.url() + "/fhir", Simulated: true,
	})
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
	var channels []*proxy.Channel
	for _, story := range demoStories {
		client, err := a.demoSystem(ctx, proxy.System{Slug: story.slug, Name: story.name, Roles: []proxy.Role{proxy.RoleClient}, Simulated: true})
		if err != nil {
			return nil, err
		}
		ch, err := a.demoChannel(ctx, client, server, proxy.ChannelOptions{Track: story.track})
		if err != nil {
			return nil, err
		}
		channels = append(channels, ch)
	}
	return channels, a.demoCertificates()
}

// demoCertificates issues a client certificate for each demo client that has none, or whose own has run out.
func (a *app) demoCertificates() error {
	have := map[string]bool{}
	for _, e := range a.ca.Entries() {
		have[e.Name] = len(e.Warnings) == 0
	}
	requests := []localca.ClientRequest{{Name: "newman", Organization: "Newman"}}
	for _, story := range demoStories {
		requests = append(requests, localca.ClientRequest{Name: story.slug, Organization: story.name})
	}
	for _, r := range requests {
		if have[r.Name] {
			continue
		}
		if _, err := a.ca.IssueClient(r); err != nil {
			return err
		}
	}
	return nil
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
