package main

import (
	"context"

	"fhirwire/internal/live"
	"fhirwire/internal/store"
	"fhirwire/proxy"
)

// told is the store for the dashboard: what changes there is announced, to the local CA, the open pages and the runs.
type told struct {
	*store.Store

	hub *live.Hub
}

func (t told) announce(id string, err error) error {
	if err == nil {
		t.hub.Publish(live.Notice{Kind: live.KindSystem, ID: id})
	}
	return err
}

// SaveSystem saves and announces.
func (t told) SaveSystem(ctx context.Context, s *proxy.System) error {
	err := t.Store.SaveSystem(ctx, s) // may give it its id
	return t.announce(s.ID, err)
}

// DeleteSystem deletes and announces.
func (t told) DeleteSystem(ctx context.Context, id string) error {
	return t.announce(id, t.Store.DeleteSystem(ctx, id))
}

// SaveChannel saves and announces.
func (t told) SaveChannel(ctx context.Context, c *proxy.Channel) error {
	err := t.Store.SaveChannel(ctx, c)
	return t.announce(c.ID, err)
}

// DeleteChannel deletes and announces.
func (t told) DeleteChannel(ctx context.Context, id string) error {
	return t.announce(id, t.Store.DeleteChannel(ctx, id))
}
