package record

import (
	"context"
	"sync"
)

// underway counts what runs beside the traffic. Unlike a sync.WaitGroup it takes more while somebody waits: a response may end
// during Close, and its exchange is waited for as well. The zero value is ready.
type underway struct {
	mu   sync.Mutex // guards what follows
	n    int
	idle chan struct{} // closed when n is 0 again; nil while nobody waits
}

// Go runs f.
func (u *underway) Go(f func()) {
	u.mu.Lock()
	u.n++
	u.mu.Unlock()
	go func() {
		defer u.ended()
		f()
	}()
}

func (u *underway) ended() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n--; u.n == 0 && u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
}

// wait returns when nothing runs, or with ctx's error when that ends first.
func (u *underway) wait(ctx context.Context) error {
	u.mu.Lock()
	if u.n == 0 {
		u.mu.Unlock()
		return nil
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	idle := u.idle
	u.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
