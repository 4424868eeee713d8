package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fhirwire/validators/terminology"
)

// Offline is the terminology without a server; *terminology.Service is one.
type Offline interface {
	Member(valueSet, system, code string) terminology.Answer
	Code(system, code string) (display string, a terminology.Answer)
	Known(valueSet string) bool
}

// Options bound what a Service costs. The zero value is the house default.
type Options struct {
	// CacheDir is where answers are kept between runs; empty for memory only.
	CacheDir string
	// MaxAge is how long a kept answer counts; 0 is 30 days. It needs Now.
	MaxAge time.Duration
	// Now is the clock for MaxAge; nil keeps answers for ever.
	Now func() time.Time
	// Client does the requests; nil is a client that stays on the server's host.
	Client *http.Client
	// Timeout ends one request; 0 is 10 s.
	Timeout time.Duration
	// MaxRequests is the budget of one Service; 0 is 5,000.
	MaxRequests int
	// Renew is the time after which the budget starts afresh and a server that failed is asked again, for a process that runs on;
	// 0 is never. It needs Now.
	Renew time.Duration
	// MaxFailures in a row end the asking; 0 is 3.
	MaxFailures int
	// Concurrency is how many requests run at a time; 0 is 4.
	Concurrency int
	// ExpandAfter is how many codes are asked one by one before a value set is expanded; 0 is 3, negative never expands.
	ExpandAfter int
}

func (o Options) orDefault() Options {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&o.MaxRequests, 5000)
	set(&o.MaxFailures, 3)
	set(&o.Concurrency, 4)
	set(&o.ExpandAfter, 3)
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxAge == 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	return o
}

// Service answers offline where it can and asks a server where it cannot. It is safe for concurrent use.
type Service struct {
	offline Offline
	base    string
	o       Options
	within  func() (context.Context, context.CancelFunc)
	slots   chan struct{}
	disk    *disk

	mu       sync.Mutex
	cells    map[question]*cell
	sets     map[string]*set
	asked    int // requests begun
	spent    int // of these, from the present budget
	since    time.Time
	failed   int    // requests that failed
	inARow   int    // failures since the last answer
	stopped  string // why no more is asked
	answered int
}

// question is what is asked: whether a value set has a code, or with no value set whether the system has it.
type question struct{ valueSet, system, code string }

// answer is what the server said; Unknown with the reason where it did not.
type answer struct {
	terminology.Answer
	display string
}

// cell is a question being asked or answered, once.
type cell struct {
	once sync.Once
	a    answer
	done atomic.Bool
}

// Stats say what the server was good for.
type Stats struct {
	Asked    int // requests made
	Answered int // of these, answered
	Failed   int // of these, failed
	// Stopped says why the server is asked no more, "" while it is.
	Stopped string
}

// New makes a Service for the server at base. ctx ends all requests.
func New(ctx context.Context, base string, offline Offline, o Options) (*Service, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the base URL of a terminology server: want http(s)://host/path", base)
	}
	o = o.orDefault()
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: stayOnHost}
	}
	s := &Service{
		offline: offline, base: strings.TrimRight(base, "/"), o: o,
		within: func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, o.Timeout) },
		slots:  make(chan struct{}, o.Concurrency), cells: map[question]*cell{}, sets: map[string]*set{},
	}
	if o.CacheDir != "" {
		if s.disk, err = openDisk(o, s.base); err != nil {
			return nil, fmt.Errorf("terminology cache: %w", err)
		}
	}
	return s, nil
}

func stayOnHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || len(via) > 3 {
		return errors.New("it redirects elsewhere")
	}
	return nil
}

// Close ends the keeping of answers.
func (s *Service) Close() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.close()
}

// Stats are the numbers so far.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Asked: s.asked, Answered: s.answered, Failed: s.failed, Stopped: s.stopped}
}

// Known reports whether the value set is at hand offline.
func (s *Service) Known(valueSet string) bool { return s.Over(s.offline).Known(valueSet) }

// Member says whether code of system is in the value set.
func (s *Service) Member(valueSet, system, code string) terminology.Answer {
	return s.Over(s.offline).Member(valueSet, system, code)
}

// Code says whether a code system has a code, and its display where it is known.
func (s *Service) Code(system, code string) (string, terminology.Answer) {
	return s.Over(s.offline).Code(system, code)
}

// Codes and canonicals longer than these are not worth a request; they come from recorded traffic and may be anything.
const (
	maxCode = 256
	maxURI  = 1024
	// maxCells bounds what is remembered: an expansion answers without spending the budget.
	maxCells = 200_000
)

// ask answers from what is kept, or asks the server once.
func (s *Service) ask(q question, why string) answer {
	if q.code == "" || len(q.code) > maxCode || len(q.system) > maxURI || len(q.valueSet) > maxURI || q.valueSet == "" && q.system == "" {
		return unknown(why, "")
	}
	s.mu.Lock()
	s.renew()
	c := s.cells[q]
	if c == nil {
		if kept, ok := s.disk.get(q); ok {
			s.mu.Unlock()
			return kept
		}
		if s.stopped != "" {
			stopped := s.stopped
			s.mu.Unlock()
			return unknown(why, stopped)
		}
		if len(s.cells) >= maxCells {
			s.mu.Unlock()
			return unknown(why, fmt.Sprintf("more than %d different codes were asked about", maxCells))
		}
		c = new(cell)
		q = question{strings.Clone(q.valueSet), strings.Clone(q.system), strings.Clone(q.code)} // they may lie in a pooled tree
		s.cells[q] = c
	}
	s.mu.Unlock()
	c.once.Do(func() {
		c.a = s.answer(q)
		s.disk.put(q, c.a)
		c.done.Store(true)
	})
	if c.a.Value == terminology.Unknown {
		return unknown(why, c.a.Why)
	}
	return c.a
}

// unknown joins why it is not known offline and why the server does not help.
func unknown(offline, server string) answer {
	if offline != "" && server != "" {
		offline += "; "
	}
	return answer{Answer: terminology.Answer{Why: offline + server}}
}

func (s *Service) answer(q question) answer {
	if q.valueSet != "" {
		if a, ok := s.fromExpansion(q); ok {
			return a
		}
	}
	v := url.Values{"code": {q.code}}
	path := "/CodeSystem/$validate-code"
	if q.valueSet == "" {
		addCanonical(v, "url", "version", q.system)
	} else {
		path = "/ValueSet/$validate-code"
		addCanonical(v, "url", "valueSetVersion", q.valueSet)
		if q.system == "" {
			v.Set("inferSystem", "true")
		} else {
			addCanonical(v, "system", "systemVersion", q.system)
		}
	}
	var p parameters
	if err := s.get(path, v, maxAnswer, &p); err != nil {
		return answer{Answer: terminology.Answer{Why: err.Error()}}
	}
	return p.answer()
}

func addCanonical(v url.Values, name, versionName, canonical string) {
	u, version, _ := strings.Cut(canonical, "|")
	v.Set(name, u)
	if version != "" {
		v.Set(versionName, version)
	}
}
