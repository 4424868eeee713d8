package main

import (
	"context"
	"time"

	"fhirwire/proxy/localca"
	"fhirwire/validators/tokens"
	"fhirwire/web"
	"fhirwire/web/api"
)

// choices are what the dashboard offers in the settings of channels.
type choices struct{ a *app }

// Guides implements api.Settings.
func (c choices) Guides() []api.Guide {
	var out []api.Guide
	for _, p := range c.a.lib.Packages() {
		out = append(out, api.Guide{ID: p.ID, Active: !p.Support})
	}
	return out
}

// ClientCertificates implements api.Settings.
func (c choices) ClientCertificates() []string {
	if c.a.ca == nil {
		return nil
	}
	var out []string
	for _, e := range c.a.ca.Entries() {
		if (e.Kind == localca.KindClient || e.Kind == localca.KindImported) && !e.Replaced {
			out = append(out, e.Name)
		}
	}
	return out
}

// ledgerEvery is how far the token ledger may be behind before a page asks for it: reading takes a fifth of a millisecond for each
// exchange, and an event has ten thousands of them.
const ledgerEvery = time.Minute

// followTokens keeps the ledger near what is stored until ctx ends.
func (a *app) followTokens(ctx context.Context) {
	tick := time.NewTicker(ledgerEvery)
	defer tick.Stop()
	for {
		if _, err := a.tokens.Ledger(ctx, ""); err != nil && ctx.Err() == nil {
			a.logger.WarnContext(ctx, "token ledger not up to date", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// withSettings adds the token ledger and the choices to what the dashboard works on.
func (a *app) withSettings(d web.Deps) web.Deps {
	a.tokens = tokens.NewDesk(a.store, a.store, tokens.DeskOptions{})
	d.Tokens = a.tokens
	d.Settings = choices{a}
	return d
}
