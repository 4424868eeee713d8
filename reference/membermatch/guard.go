package membermatch

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"
)

// guard hinders guessing (P2P-MM-27): it remembers which cards were tried in vain for one name and birth date by one client, and
// shuts the door for a while after too many different ones. The same request sent again is no guess.
type guard struct {
	max int

	mu     sync.Mutex // guards failed
	failed map[guessKey]*guesses
}

type guessKey uint64

type guesses struct {
	cards []uint64
	since time.Time // of the first failure; all is forgotten an hour later
}

const (
	guessWindow = time.Hour
	guessKeys   = 10000 // beyond this many remembered persons the oldest are forgotten
)

// guessOf hashes who asks about whom, and the card given: no member data stay in memory.
func (m *Matcher) guessOf(ctx context.Context, r *request) (guessKey, uint64) {
	who, card := fnv.New64a(), fnv.New64a()
	add := func(s string) { _, _ = who.Write([]byte(s + "\x00")) } // a hash never fails
	if m.opt.Requester != nil {
		add(m.opt.Requester(ctx))
	}
	add(r.birthDate)
	for _, n := range r.patient.AppendElements(nil, "name") {
		add(fold(n.MemberText("family")))
	}
	_, _ = card.Write([]byte(r.subscriberID))
	for _, id := range r.card {
		_, _ = card.Write([]byte("\x00" + id.System + "|" + id.Value))
	}
	return guessKey(who.Sum64()), card.Sum64()
}

// blocked is how long the client has to wait, 0 when it need not.
func (g *guard) blocked(key guessKey, now time.Time) time.Duration {
	if g.max < 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failed[key]
	if f == nil || len(f.cards) < g.max {
		return 0
	}
	if wait := f.since.Add(guessWindow).Sub(now); wait > 0 {
		return wait
	}
	delete(g.failed, key)
	return 0
}

// failure notes a card that matched nobody.
func (g *guard) failure(key guessKey, card uint64, now time.Time) {
	if g.max < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failed[key]
	if f == nil || now.Sub(f.since) >= guessWindow {
		if f == nil && len(g.failed) >= guessKeys {
			g.forget(now)
		}
		f = &guesses{since: now}
		g.failed[key] = f
	}
	if !slices.Contains(f.cards, card) {
		f.cards = append(f.cards, card)
	}
}

// forget makes room: what is over, or else the oldest one.
func (g *guard) forget(now time.Time) {
	var oldest guessKey
	first := now
	for k, f := range g.failed {
		if now.Sub(f.since) >= guessWindow {
			delete(g.failed, k)
		} else if !f.since.After(first) {
			oldest, first = k, f.since
		}
	}
	if len(g.failed) >= guessKeys {
		delete(g.failed, oldest)
	}
}
