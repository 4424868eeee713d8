package main

import (
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

// withSettings adds the token ledger and the choices to what the dashboard works on.
func (a *app) withSettings(d web.Deps) web.Deps {
	d.Tokens = tokens.NewDesk(a.store, a.store, tokens.DeskOptions{})
	d.Settings = choices{a}
	return d
}
