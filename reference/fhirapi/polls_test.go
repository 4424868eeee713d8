package fhirapi

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// TestPolls: OPS-12, BULK-ST-04: a client that polls once a second is never refused, one that polls in a tight loop is, and
// told when to come again; another job is another matter.
func TestPolls(t *testing.T) {
	t.Parallel()
	p := polls{every: time.Second, jobs: map[string]*rate.Limiter{}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 60 {
		if wait := p.wait("steady", now.Add(time.Duration(i)*time.Second)); wait != 0 {
			t.Fatalf("poll %d, one a second: wait %d s", i, wait)
		}
	}
	refused := 0
	for range 20 {
		if wait := p.wait("hasty", now); wait > 0 {
			refused++
			if wait != 1 {
				t.Errorf("wait %d s, want 1", wait)
			}
		}
	}
	if refused != 20-pollBurst {
		t.Errorf("%d of 20 polls at once refused, want %d", refused, 20-pollBurst)
	}
	if wait := p.wait("hasty", now.Add(time.Second)); wait != 0 {
		t.Errorf("who waited as asked is refused for %d s more", wait)
	}
	if wait := p.wait("other", now); wait != 0 {
		t.Errorf("another job: %d", wait)
	}
	if off := (polls{}); off.wait("x", now) != 0 {
		t.Error("no limit, and yet one")
	}
}

func TestPollsForgets(t *testing.T) {
	t.Parallel()
	p := polls{every: time.Second, jobs: map[string]*rate.Limiter{}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 10 * largestPolls {
		p.wait(time.Duration(i).String(), now.Add(time.Duration(i)*time.Second))
	}
	if len(p.jobs) > largestPolls {
		t.Errorf("%d limiters are kept", len(p.jobs))
	}
}
