package forward

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
)

// Hosts knows what is registered.
type Hosts interface {
	Channels(ctx context.Context) ([]*proxy.Channel, error)
	Systems(ctx context.Context) ([]*proxy.System, error)
	// ChannelByName is asked for each request; the error wraps proxy.ErrNotFound when there is none.
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
}

// lead is a channel that leads to a host.
type lead struct {
	channel string
	client  string // slug of the client system
	id      string // of the client system
	opaque  bool   // not in https, or passed on unread: no certificate shows
}

// target is where a request goes.
type target struct {
	authority
	scheme  string
	channel *proxy.Channel
	matched string
}

// name is the channel's, "" for none.
func (t target) name() string {
	if t.channel == nil {
		return ""
	}
	return t.channel.Name
}

// register is the registered hosts by authority. What it says of one channel is checked at each use; that a further channel leads
// to a host, it learns within registerAge.
type register struct {
	hosts Hosts
	clock func() time.Time
	load  singleflight.Group

	mu     sync.Mutex // guards what follows; the maps are replaced, never changed
	at     time.Time
	leads  map[authority][]lead
	names  map[string]bool     // channel names and client slugs
	sealed map[string][]target // of channels that pass connections on unread, by host
}

const registerAge = time.Second

// to lists the channels that lead to a, and whether user names a channel or a client at all.
func (g *register) to(ctx context.Context, a authority, user string) ([]lead, bool, error) {
	g.mu.Lock()
	leads, known, fresh := g.leads[a], g.names[user], g.clock().Sub(g.at) < registerAge
	g.mu.Unlock()
	if fresh && len(leads) > 0 && (user == "" || known) {
		return leads, known, nil
	}
	if err := g.reload(ctx); err != nil {
		return nil, false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leads[a], g.names[user], nil
}

// unread lists where connections to a host are passed on unread.
func (g *register) unread(ctx context.Context, host string) ([]target, error) {
	g.mu.Lock()
	fresh := g.clock().Sub(g.at) < registerAge
	g.mu.Unlock()
	if !fresh {
		if err := g.reload(ctx); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sealed[host], nil
}

func (g *register) reload(ctx context.Context) error {
	_, err, _ := g.load.Do("", func() (any, error) {
		ctx := context.WithoutCancel(ctx) // others wait for it too
		at := g.clock()
		systems, err := g.hosts.Systems(ctx)
		if err != nil {
			return nil, fmt.Errorf("registered systems: %w", err)
		}
		channels, err := g.hosts.Channels(ctx)
		if err != nil {
			return nil, fmt.Errorf("registered channels: %w", err)
		}
		slugs := make(map[string]string, len(systems))
		for _, sys := range systems {
			slugs[sys.ID] = sys.Slug
		}
		leads, names, sealed := map[authority][]lead{}, map[string]bool{}, map[string][]target{}
		for _, ch := range channels {
			client := slugs[ch.ClientID]
			names[ch.Name], names[client] = true, true
			for a, scheme := range registered(ch) {
				leads[a] = append(leads[a], lead{channel: ch.Name, client: client, id: ch.ClientID, opaque: scheme != "https" || ch.Options.Passthrough})
				if ch.Options.Passthrough && scheme == "https" {
					sealed[a.host] = append(sealed[a.host], target{authority: a, scheme: scheme, channel: ch, matched: matchedByName})
				}
			}
		}
		delete(names, "")
		g.mu.Lock()
		defer g.mu.Unlock()
		g.at, g.leads, g.names, g.sealed = at, leads, names, sealed
		return nil, nil
	})
	return err
}

// registered are the authorities of a channel's server system, with their schemes.
func registered(ch *proxy.Channel) map[authority]string {
	out := make(map[authority]string, 1+len(ch.Server.Auxiliary))
	add := func(raw string) {
		if scheme, a, err := authorityOf(raw); err == nil && out[a] == "" {
			out[a] = scheme
		}
	}
	add(ch.ServerURL)
	for _, aux := range ch.Server.Auxiliary {
		add(aux.URL)
	}
	return out
}

const (
	matchedByUser = "proxy user name"
	matchedByCert = "client certificate"
	matchedAlone  = "the only channel to this host"
)

// resolve finds the channel by which id reaches a. The target has none where the client's certificate, still to come, is to say.
func (s *Server) resolve(ctx context.Context, id identity, a authority) (target, *answer.Refusal) {
	for range 2 {
		leads, known, err := s.register.to(ctx, a, id.user)
		if err != nil {
			s.opt.Logger.ErrorContext(ctx, "registered hosts unreadable", "error", err)
			return target{}, answer.Faulty("The proxy could not look up what is registered.", err)
		}
		if len(leads) == 0 {
			return target{}, refuse(403, "forbidden", fmt.Sprintf("%s is not the address of a registered server that a channel leads to; this proxy passes on nothing else. Register the system and open a channel in the dashboard.", a))
		}
		matched := matchedAlone
		switch {
		case known:
			leads = slices.DeleteFunc(slices.Clone(leads), func(l lead) bool { return l.channel != id.user && l.client != id.user })
			matched = matchedByUser + " " + id.user
			if len(leads) == 0 {
				return target{}, refuse(403, "forbidden", fmt.Sprintf("No channel of the proxy user %q leads to %s.", id.user, a))
			}
		case id.user != "" && !id.shared:
			return target{}, refuse(403, "forbidden", fmt.Sprintf("The proxy user name %q is neither the name of a channel nor a client's.", id.user))
		}
		if len(leads) > 1 && id.client != "" {
			if mine := slices.DeleteFunc(slices.Clone(leads), func(l lead) bool { return l.id != id.client }); len(mine) > 0 {
				leads, matched = mine, matchedByCert
			}
		}
		if len(leads) > 1 && id.later && !slices.ContainsFunc(leads, func(l lead) bool { return l.opaque }) {
			return target{authority: a, scheme: "https"}, nil
		}
		if len(leads) > 1 {
			return target{}, refuse(403, "multiple-matches", fmt.Sprintf("%d channels lead to %s. Say which one is meant: give the channel's name, as in client~server, as proxy user name, or present a client certificate that is on record for one client.", len(leads), a))
		}
		ch, err := s.register.hosts.ChannelByName(ctx, leads[0].channel)
		if err == nil {
			if scheme, ok := registered(ch)[a]; ok {
				return target{authority: a, scheme: scheme, channel: ch, matched: matched}, nil
			}
		}
		if err := s.register.reload(ctx); err != nil { // it changed a moment ago
			return target{}, answer.Faulty("The proxy could not look up what is registered.", err)
		}
	}
	return target{}, refuse(403, "forbidden", fmt.Sprintf("%s was registered a moment ago and is not any more.", a))
}
