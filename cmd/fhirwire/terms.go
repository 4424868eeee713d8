package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"fhirwire/validators/inspect"
	"fhirwire/validators/instance"
	"fhirwire/validators/terminology"
	"fhirwire/validators/terminology/remote"
)

// hourlyTerms is what serve may ask of a terminology server in an hour; recorded traffic decides how much there is to ask.
const hourlyTerms = 2000

// openTerms makes the client of the terminology server, nil without one.
func (a *app) openTerms(ctx context.Context) (*remote.Service, error) {
	if a.cfg.TX == "" {
		return nil, nil
	}
	set, err := a.lib.Set()
	if err != nil {
		return nil, err
	}
	s, err := remote.New(ctx, a.cfg.TX, set.Terms(), remote.Options{
		CacheDir: filepath.Join(a.cfg.Data, "tx-cache"), Now: a.p.now, MaxRequests: hourlyTerms, Renew: time.Hour, Timeout: 5 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("tx: %w", err)
	}
	a.closers = append(a.closers, s.Close)
	return s, nil
}

// withTerms makes an inspector ask the terminology server.
func (a *app) withTerms(o inspect.Options) inspect.Options {
	if a.tx != nil {
		o.Terms = func(local *terminology.Service) instance.Terminology { return a.tx.Over(local) }
		o.TermsName = a.cfg.TX
	}
	return o
}

// terms is what a validator of the API asks.
func (a *app) terms(local *terminology.Service) (instance.Terminology, string) {
	if a.tx == nil {
		return local, "offline"
	}
	return a.tx.Over(local), a.cfg.TX
}
