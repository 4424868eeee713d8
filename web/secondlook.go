package web

import (
	"context"
	"sync"
	"time"

	"fhirwire/testplans"
)

// secondLook remembers which decided runs have other results than those that were decided on. Knowing takes a judging each, so every
// page asks for a few at most, and for none that was asked for a moment ago; the review page asks for all.
type secondLook struct {
	mu   sync.Mutex
	seen map[string]looked
}

type looked struct {
	// digest is of the results that the decision was on.
	digest string
	at     time.Time
	stale  bool
}

const (
	lookAgain = 5 * time.Second
	lookMost  = 16
)

// known is what was found last on a decision, and whether that is recent.
func (l *secondLook) known(run, digest string, now time.Time) (stale, recent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.seen[run]
	if !ok || k.digest != digest {
		return false, false
	}
	return k.stale, now.Sub(k.at) < lookAgain
}

func (l *secondLook) note(run, digest string, now time.Time, stale bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]looked{}
	}
	l.seen[run] = looked{digest, now, stale}
}

// changedSince says whether a run has other results than those of a decision, as far as that is known; looks counts the judgings.
func (s *Server) changedSince(ctx context.Context, run *testplans.Run, last *testplans.Reviewed, looks *int) bool {
	now := s.opts.Clock()
	stale, recent := s.looked.known(run.ID, last.Digest, now)
	if recent || *looks >= lookMost {
		return stale
	}
	*looks++
	j, err := s.deps.Runs.JudgeRun(ctx, run.ID)
	if err != nil || j.State == testplans.NotTried {
		return stale
	}
	stale = j.Digest() != last.Digest
	s.looked.note(run.ID, last.Digest, now, stale)
	return stale
}
