package record

import (
	"errors"
	"fmt"
	"sync"
)

// losses are the exchanges that could be neither stored nor journaled, such as on a full disk.
type losses struct {
	mu    sync.Mutex // guards what follows
	count int64
	now   error // why the last exchange was lost; nil once one is kept again
}

func (l *losses) lost(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.now = err
}

func (l *losses) kept() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = nil
}

// Lost counts the exchanges that were forwarded and could not be kept since the process began.
func (rec *Recorder) Lost() int64 {
	rec.losses.mu.Lock()
	defer rec.losses.mu.Unlock()
	return rec.losses.count
}

// Keeping is nil while exchanges are kept; the error says why the last one was lost.
func (rec *Recorder) Keeping() error {
	rec.losses.mu.Lock()
	defer rec.losses.mu.Unlock()
	if rec.losses.now == nil {
		return nil
	}
	return fmt.Errorf("exchanges are forwarded and not recorded, %d so far: %w", rec.losses.count, cause(rec.losses.now))
}

// cause is the innermost error of a chain, which says what to repair; what is around it names one exchange.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
			next = many.Unwrap()[0]
		}
		if next == nil {
			return err
		}
		err = next
	}
}
