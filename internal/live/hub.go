package live

import (
	"context"
	"sync"
)

// The kinds of notices.
const (
	KindExchange = "exchange" // an exchange was stored
	KindReport   = "report"   // an exchange was judged
	KindSystem   = "system"   // a system or channel changed
	KindVerdict  = "verdict"  // a run's results changed
	KindRun      = "run"      // a run was made, stopped, attested or reviewed
	KindPlans    = "plans"    // the test plans changed, or what is wrong with their files
)

// Notice says that something changed.
type Notice struct {
	Kind string
	// ID is of what changed: an exchange's for KindExchange and KindReport, a run's for KindVerdict and KindRun.
	ID string
	// Number is the exchange's, 0 for other kinds.
	Number int64
}

// Hub passes notices from publishers to subscribers. It is ready to use after NewHub and safe for concurrent use.
type Hub struct {
	mu     sync.Mutex // guards all below
	subs   map[*subscription]struct{}
	closed bool
}

type subscription struct{ ch chan Notice }

// NewHub returns a hub without subscribers.
func NewHub() *Hub { return &Hub{subs: make(map[*subscription]struct{})} }

// Publish hands n to every subscriber and never waits: a subscriber whose buffer is full is dropped.
func (h *Hub) Publish(n Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		select {
		case s.ch <- n:
		default:
			h.drop(s)
		}
	}
}

// Subscribe returns a channel of notices published from now on, with room for buffer of them (at least 1). It closes when
// ctx ends, when the subscriber falls behind, and when the hub closes.
func (h *Hub) Subscribe(ctx context.Context, buffer int) <-chan Notice {
	s := &subscription{ch: make(chan Notice, max(buffer, 1))}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || ctx.Err() != nil {
		close(s.ch)
		return s.ch
	}
	h.subs[s] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(s)
	})
	return s.ch
}

// Subscribers counts live subscriptions.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// Close ends all subscriptions, so that long-lived requests return at shutdown; later ones end at once.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		h.drop(s)
	}
}

// drop ends s once; the caller holds mu, and only holders of mu send or close.
func (h *Hub) drop(s *subscription) {
	if _, ok := h.subs[s]; ok {
		delete(h.subs, s)
		close(s.ch)
	}
}
