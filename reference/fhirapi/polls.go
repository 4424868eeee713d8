package fhirapi

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pollBurst is how many polls may follow each other at once (OPS-12).
const pollBurst = 5

// polls limits how often a job that is not finished is asked for, per job. It forgets jobs that were left alone.
type polls struct {
	every time.Duration // 0: no limit
	mu    sync.Mutex
	jobs  map[string]*rate.Limiter
}

// largestPolls is when limiters that are full again are thrown away.
const largestPolls = 1024

// wait is 0 when the poll may be answered, else in how many whole seconds to come again.
func (p *polls) wait(job string, now time.Time) int {
	if p.every <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.jobs) >= largestPolls {
		for id, l := range p.jobs {
			if l.TokensAt(now) >= pollBurst {
				delete(p.jobs, id)
			}
		}
	}
	l := p.jobs[job]
	if l == nil {
		l = rate.NewLimiter(rate.Every(p.every), pollBurst)
		p.jobs[job] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	missing := 1 - l.TokensAt(now)
	return max(1, int(math.Ceil(missing*p.every.Seconds())))
}
