package proxytest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
)

// Sink keeps exchanges and bodies in memory. The zero value is ready; it is safe for concurrent use.
type Sink struct {
	// Before, when set, runs at the start of each Put; its error is Put's.
	Before func(ctx context.Context, ex *proxy.Exchange) error

	mu        sync.Mutex
	exchanges []*proxy.Exchange
	bodies    Bodies
}

// Put keeps the exchange; one it has already is proxy.ErrConflict.
func (s *Sink) Put(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) error {
	if s.Before != nil {
		if err := s.Before(ctx, ex); err != nil {
			return err
		}
	}
	all := []proxy.Body{ex.Request.Body}
	if ex.Response != nil {
		all = append(all, ex.Response.Body)
		if ex.Response.Forwarded != nil {
			all = append(all, *ex.Response.Forwarded)
		}
	}
	read := Bodies{}
	for _, b := range all {
		if b.Digest == "" || b.Stored == 0 {
			continue
		}
		r, err := bodies.OpenBody(ctx, b.Digest)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		if int64(len(text)) != b.Stored {
			return fmt.Errorf("body %s: %d bytes, announced %d", b.Digest, len(text), b.Stored)
		}
		read[b.Digest] = text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.exchanges, func(e *proxy.Exchange) bool { return e.ID == ex.ID }) {
		return proxy.ErrConflict
	}
	kept := *ex
	kept.Number = int64(len(s.exchanges) + 1)
	s.exchanges = append(s.exchanges, &kept)
	if s.bodies == nil {
		s.bodies = Bodies{}
	}
	maps.Copy(s.bodies, read)
	return nil
}

// Exchanges lists what was put, in that order.
func (s *Sink) Exchanges() []*proxy.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// Wait returns the exchanges once there are n; it fails the test after five minutes.
func (s *Sink) Wait(t testing.TB, n int) []*proxy.Exchange {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
		if e := s.Exchanges(); len(e) >= n {
			return e
		}
		if time.Now().After(end) {
			t.Fatalf("%d exchanges recorded, want %d", len(s.Exchanges()), n)
		}
	}
}

// Body is the stored copy of b, nil where none is stored.
func (s *Sink) Body(b proxy.Body) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[b.Digest]
}

// OpenBody implements proxy.Bodies.
func (s *Sink) OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies.OpenBody(ctx, d)
}
