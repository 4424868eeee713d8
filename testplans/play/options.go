package play

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"
	"time"
)

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	if o.Unique == nil {
		o.Unique = func() string { return strings.ToLower(rand.Text()) }
	}
	o.UserAgent = cmp.Or(o.UserAgent, "fhirwire")
	o.Patience = cmp.Or(o.Patience, 30*time.Minute)
	o.MaxWait = cmp.Or(o.MaxWait, time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Minute)
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// after ends a request that gets nothing for too long; again begins the wait anew, end calls it off.
func (p *Player) after(cancel context.CancelCauseFunc) (again, end func()) {
	t := time.AfterFunc(p.o.Timeout, func() { cancel(errLate) })
	return func() { t.Reset(p.o.Timeout) }, func() { t.Stop() }
}
