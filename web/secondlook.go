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
	// idle: nothing of it was tried, as far as its traffic shows now, and so it is not listed.
	idle bool
}

const (
	lookAgain = 5 * time.Second
	lookMost  = 16
)

// known is what was found last on a run whose last decision was on results of a digest.
func (l *secondLook) known(run, digest string) (looked, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.seen[run]
	return k, ok && k.digest == digest
}

func (l *secondLook) note(run string, k looked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]looked{}
	}
	l.seen[run] = k
}

// lookedAt notes how a judged run stands beside the last decision on it.
func (s *Server) lookedAt(run string, j *testplans.Judgement, last *testplans.Reviewed) looked {
	k := looked{digest: last.Digest, at: s.opts.Clock(), idle: j.State == testplans.NotTried}
	k.stale = !k.idle && j.Digest() != last.Digest
	s.looked.note(run, k)
	return k
}

// waiting says whether a run waits for a decision, as far as that is known: nobody decided for good, or its results changed since.
// looks counts the judgings.
func (s *Server) waiting(ctx context.Context, run *testplans.Run, last *testplans.Reviewed, looks *int) bool {
	k, ok := s.looked.known(run.ID, last.Digest)
	unknown := !ok && !open(last.State) // what nobody decided on is listed, unless it is known to be idle
	if (unknown || ok && s.opts.Clock().Sub(k.at) >= lookAgain && (k.idle || !open(last.State))) && *looks < lookMost {
		*looks++
		if j, err := s.deps.Runs.JudgeRun(ctx, run.ID); err == nil {
			k = s.lookedAt(run.ID, &j, last)
		}
	}
	return !k.idle && (open(last.State) || k.stale)
}
