package main

import (
	"cmp"

	"fhirwire/internal/mustsupport"
	"fhirwire/internal/scenarios"
	"fhirwire/proxy"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/validators/profile"
)

// judgePlans makes what judges the plans over channels, in the context of which judge does the same.
func (a *app) judgePlans(set *profile.Set) (*scenarios.Service, error) {
	source := scenarios.Source{Exchanges: a.store, Reports: a.store, Bodies: a.store}
	with := func(c *proxy.Channel) (validators.Context, error) {
		of, err := a.lib.Set(c.Options.Guides...)
		if err != nil {
			return validators.Context{}, err
		}
		return validators.Context{Guides: of.Packages(), Rules: validators.RulesVersion, Terminology: cmp.Or(a.cfg.TX, "offline")}, nil
	}
	o := scenarios.Options{Context: with, Former: a.plans.Plan, Publisher: a.hub, Clock: a.p.now, Logger: a.logger}
	return scenarios.New(a.plans.Now().Plans, source, a.store, a.store, checks.NewTable(set), o)
}

// mustSupport makes what counts the elements that recorded responses have.
func (a *app) mustSupport(set *profile.Set) *mustsupport.Service {
	return mustsupport.New(mustsupport.Source{Exchanges: a.store, Reports: a.store, Bodies: a.store}, set, set.Terms(), mustsupport.Options{})
}
