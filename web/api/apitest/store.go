package apitest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/api"
)

// Store holds everything in memory. It is safe for concurrent use.
type Store struct {
	Hub *live.Hub

	mu        sync.Mutex // guards all below
	systems   []*proxy.System
	channels  []*proxy.Channel
	exchanges []*proxy.Exchange // by Number
	reports   map[string]*validators.Report
	bodies    map[proxy.Digest][]byte
	judged    []string
	err       error
}

// NewStore returns an empty store with a hub.
func NewStore() *Store {
	return &Store{Hub: live.NewHub(), reports: map[string]*validators.Report{}, bodies: map[proxy.Digest][]byte{}}
}

// Deps is the store in every role, without a validator.
func (s *Store) Deps() api.Deps {
	return api.Deps{Systems: s, Channels: s, Exchanges: s, Reports: s, Bodies: s, Live: s.Hub, Judge: s}
}

// FailWith makes every read of exchanges fail from now on; nil ends that.
func (s *Store) FailWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Judged lists what was asked to be judged again.
func (s *Store) Judged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.judged)
}

// AddBody stores b and describes it.
func (s *Store) AddBody(b []byte) proxy.Body {
	sum := sha256.Sum256(b)
	body := proxy.Body{Size: int64(len(b)), Stored: int64(len(b)), Digest: proxy.Digest(hex.EncodeToString(sum[:])), Complete: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[body.Digest] = b
	return body
}

// AddExchange stores e under the next number and publishes it.
func (s *Store) AddExchange(e *proxy.Exchange) {
	s.mu.Lock()
	e.Number = int64(len(s.exchanges) + 1)
	s.exchanges = append(s.exchanges, e)
	s.mu.Unlock()
	s.Hub.Publish(live.Notice{Kind: live.KindExchange, ID: e.ID, Number: e.Number})
}

// AddReport stores r and publishes it.
func (s *Store) AddReport(r *validators.Report) {
	s.mu.Lock()
	s.reports[r.Subject] = r
	var number int64
	for _, e := range s.exchanges {
		if e.ID == r.Subject {
			number = e.Number
		}
	}
	s.mu.Unlock()
	s.Hub.Publish(live.Notice{Kind: live.KindReport, ID: r.Subject, Number: number})
}

// Systems is part of api.Systems.
func (s *Store) Systems(context.Context) ([]*proxy.System, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.systems), nil
}

// System is part of api.Systems.
func (s *Store) System(_ context.Context, id string) (*proxy.System, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sys := range s.systems {
		if sys.ID == id {
			c := *sys
			return &c, nil
		}
	}
	return nil, fmt.Errorf("system %s: %w", id, proxy.ErrNotFound)
}

// SaveSystem is part of api.Systems.
func (s *Store) SaveSystem(_ context.Context, sys *proxy.System) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.systems {
		if old.Slug == sys.Slug && old.ID != sys.ID {
			return fmt.Errorf("slug %s: %w", sys.Slug, proxy.ErrConflict)
		}
	}
	c := *sys
	if i := slices.IndexFunc(s.systems, func(o *proxy.System) bool { return o.ID == sys.ID }); i >= 0 {
		s.systems[i] = &c
		return nil
	}
	s.systems = append(s.systems, &c)
	return nil
}

// DeleteSystem is part of api.Systems.
func (s *Store) DeleteSystem(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.systems)
	s.systems = slices.DeleteFunc(s.systems, func(o *proxy.System) bool { return o.ID == id })
	if len(s.systems) == n {
		return proxy.ErrNotFound
	}
	return nil
}

// Channels is part of api.Channels.
func (s *Store) Channels(context.Context) ([]*proxy.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.channels), nil
}

// ChannelByName finds a channel as a store does.
func (s *Store) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		if c.Name == name {
			c := *c
			return &c, nil
		}
	}
	return nil, proxy.ErrNotFound
}

// Channel is part of api.Channels.
func (s *Store) Channel(_ context.Context, id string) (*proxy.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		if c.ID == id {
			c := *c
			return &c, nil
		}
	}
	return nil, proxy.ErrNotFound
}

// SaveChannel is part of api.Channels.
func (s *Store) SaveChannel(_ context.Context, c *proxy.Channel) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := *c
	for i, old := range s.channels {
		switch {
		case old.ID == c.ID:
			s.channels[i] = &k
			return nil
		case old.Name == c.Name:
			return fmt.Errorf("channel %s: %w", c.Name, proxy.ErrConflict)
		}
	}
	s.channels = append(s.channels, &k)
	return nil
}

// DeleteChannel is part of api.Channels.
func (s *Store) DeleteChannel(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.channels)
	s.channels = slices.DeleteFunc(s.channels, func(o *proxy.Channel) bool { return o.ID == id })
	if len(s.channels) == n {
		return proxy.ErrNotFound
	}
	return nil
}

// Exchange is part of api.Exchanges.
func (s *Store) Exchange(_ context.Context, id string) (*proxy.Exchange, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.exchanges {
		if e.ID == id {
			return e, s.err
		}
	}
	return nil, cmp.Or(s.err, fmt.Errorf("exchange %s: %w", id, proxy.ErrNotFound))
}

// Exchanges is part of api.Exchanges.
func (s *Store) Exchanges(_ context.Context, q proxy.Query) (proxy.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return proxy.Page{}, s.err
	}
	limit := cmp.Or(q.Limit, 100)
	var p proxy.Page
	var in []*proxy.Exchange
	for _, e := range s.exchanges {
		if !s.matches(q.Filter, e) {
			continue
		}
		p.Total++
		switch {
		case q.After > 0 && e.Number <= q.After:
			p.Older = true
		case q.Before > 0 && e.Number >= q.Before:
			p.Newer = true
		default:
			in = append(in, e)
		}
	}
	if len(in) > limit {
		if q.After > 0 {
			in, p.Newer = in[:limit], true
		} else {
			in, p.Older = in[len(in)-limit:], true
		}
	}
	p.Exchanges = slices.Clone(in)
	slices.Reverse(p.Exchanges)
	return p, nil
}

// found reports whether an exchange has findings of a kind.
func (s *Store) found(id, kind string) bool {
	r := s.reports[id]
	if r == nil {
		return false
	}
	switch sum := r.Summary; kind {
	case "error":
		return sum.Errors > 0
	case "warning":
		return sum.Warnings > 0
	case "unchecked":
		return sum.NotChecked > 0
	default:
		return sum.Errors+sum.Warnings+sum.Information > 0
	}
}

func (s *Store) matches(f proxy.Filter, e *proxy.Exchange) bool {
	for _, t := range f.Terms {
		ok := false
		for _, v := range t.Values {
			switch t.Key {
			case proxy.KeyChannel:
				ok = ok || e.Channel == v
			case proxy.KeyStatus:
				n, _ := strconv.Atoi(v)
				ok = ok || e.Status() == n || t.Op == proxy.OpGe && e.Status() >= n
			case proxy.KeySince, proxy.KeyUntil:
				at, known := proxy.Moment(v, e.Timing.Start)
				ok = ok || known && (t.Key == proxy.KeySince && !e.Timing.Start.Before(at) || t.Key == proxy.KeyUntil && !e.Timing.Start.After(at))
			case proxy.KeyVerdict:
				r := s.reports[e.ID]
				ok = ok || r != nil && string(testplans.OfReport(r.Summary)) == v
			case proxy.KeyRule:
				r := s.reports[e.ID]
				ok = ok || r != nil && slices.ContainsFunc(r.Issues, func(is validators.Issue) bool { return is.MessageID == v })
			case proxy.KeyFinding:
				ok = ok || s.found(e.ID, v)
			case proxy.KeyServer:
				_, server, _ := strings.Cut(e.Channel, "~")
				ok = ok || server == v
			default:
				ok = ok || strings.Contains(e.Request.URL, v)
			}
		}
		if ok == t.Not {
			return false
		}
	}
	return true
}

// Neighbours is part of api.Exchanges.
func (s *Store) Neighbours(_ context.Context, id string) (prev, next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.exchanges {
		if e.ID != id {
			continue
		}
		if i > 0 {
			prev = s.exchanges[i-1].ID
		}
		if i+1 < len(s.exchanges) {
			next = s.exchanges[i+1].ID
		}
		return prev, next, nil
	}
	return "", "", proxy.ErrNotFound
}

// Report is part of api.Reports.
func (s *Store) Report(_ context.Context, id string) (*validators.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.reports[id]; r != nil {
		return r, nil
	}
	return nil, proxy.ErrNotFound
}

// Summaries is part of api.Reports.
func (s *Store) Summaries(_ context.Context, ids []string) (map[string]validators.Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]validators.Summary, len(ids))
	for _, id := range ids {
		if r := s.reports[id]; r != nil {
			out[id] = r.Summary
		}
	}
	return out, nil
}

// CountUnjudged is part of api.Reports.
func (s *Store) CountUnjudged(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.exchanges) - len(s.reports), nil
}

// OpenBody is proxy.Bodies.
func (s *Store) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bodies[d]
	if !ok {
		return nil, proxy.ErrNoBody
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// Judge is api.Judge.
func (s *Store) Judge(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judged = append(s.judged, id)
	return nil
}
