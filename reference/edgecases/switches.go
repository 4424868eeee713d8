package edgecases

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Header names the switches of an answer; a client may also send it to ask for them for one request.
const Header = "X-Fhirwire-Edge"

// Edge is something that can go wrong.
type Edge string

// The edges.
const (
	NoMatch          Edge = "no-match"
	SeveralMatches   Edge = "several-matches"
	ConsentRefused   Edge = "consent-refused"
	Throttled        Edge = "throttled"
	SlowJob          Edge = "slow-job"
	FailingFile      Edge = "failing-file"
	ExpiredToken     Edge = "expired-token"
	BrokenResource   Edge = "broken-resource"
	WrongContentType Edge = "wrong-content-type"
	FailedJob        Edge = "failed-job"
	OpenFiles        Edge = "open-files"
	StatusRequired   Edge = "status-required"
)

// Description says what an edge does.
type Description struct {
	Edge Edge   `json:"edge"`
	Does string `json:"does"`
}

// Edges lists what there is.
func Edges() []Description {
	return []Description{
		{NoMatch, "$member-match answers 422: nobody matches"},
		{SeveralMatches, "$member-match answers 422: more than one member matches"},
		{ConsentRefused, "$member-match answers 422: the consent cannot be complied with"},
		{Throttled, "every FHIR request but metadata answers 429 with Retry-After"},
		{SlowJob, "the status of an export stays 202 for some seconds after its first poll"},
		{FailingFile, "the files of an export answer 500"},
		{ExpiredToken, "every FHIR request with an access token answers 401: it has expired"},
		{BrokenResource, "the first resource of an answer or file has an element that FHIR does not know"},
		{WrongContentType, "FHIR answers say that they are text/html"},
		{FailedJob, "the status of an export answers 500: it has failed"},
		{OpenFiles, "the files of an export need no token, and its manifest says so"},
		{StatusRequired, "a search by patient without a status answers 400, where the type has one"},
	}
}

func known(e Edge) bool {
	return slices.ContainsFunc(slices.Concat(Edges(), Mutations()), func(d Description) bool { return d.Edge == e })
}

// Everybody is the client of a switch for every client.
const Everybody = "*"

// Switch is what is on for a client: its OAuth client id, the address it calls from, or Everybody.
type Switch struct {
	Client string `json:"client"`
	Edges  []Edge `json:"edges"`
	// Times is how many answers are changed before the switch turns itself off; 0: until it is turned off.
	Times int `json:"times,omitempty"`
	// Seconds is how long SlowJob holds an export, and what Retry-After asks for. Default 30.
	Seconds int `json:"seconds,omitempty"`
}

const (
	defaultSeconds = 30
	maxSeconds     = 3600
	// maxSwitches and maxHeld bound what strangers' names and job URLs can make us remember.
	maxSwitches = 1000
	maxHeld     = 10_000
)

// ErrSwitch is wrapped by the errors of Set.
var ErrSwitch = errors.New("switch refused")

// Options tune New. Clock is required.
type Options struct {
	Clock func() time.Time
	// Client is the OAuth client of a request, "" for none. Nil: nobody is known by name.
	Client func(*http.Request) string
}

// Switches are what is on. They are safe for concurrent use.
type Switches struct {
	o Options

	mu    sync.RWMutex         // guards what follows
	on    map[string]*Switch   // by client
	first map[string]time.Time // first poll of a held export, by path
	open  map[string]string    // clients of exports whose files need no token, by the path of their status
}

// New makes switches that are all off.
func New(o Options) *Switches {
	if o.Client == nil {
		o.Client = func(*http.Request) string { return "" }
	}
	return &Switches{o: o, on: map[string]*Switch{}, first: map[string]time.Time{}, open: map[string]string{}}
}

// Set replaces what is on for a client.
func (s *Switches) Set(w Switch) error {
	switch {
	case w.Client == "" || len(w.Client) > 255:
		return fmt.Errorf("%w: a client of 1 to 255 characters is wanted", ErrSwitch)
	case len(w.Edges) == 0:
		return fmt.Errorf("%w: no edge is named", ErrSwitch)
	case w.Times < 0 || w.Seconds < 0 || w.Seconds > maxSeconds:
		return fmt.Errorf("%w: times is at least 0, seconds 0 to %d", ErrSwitch, maxSeconds)
	}
	for _, e := range w.Edges {
		if !known(e) {
			return fmt.Errorf("%w: there is no edge %q", ErrSwitch, e)
		}
	}
	w.Edges = slices.Compact(slices.Sorted(slices.Values(w.Edges)))
	w.Seconds = cmp.Or(w.Seconds, defaultSeconds)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on[w.Client] == nil && len(s.on) >= maxSwitches {
		return fmt.Errorf("%w: %d clients have switches already", ErrSwitch, maxSwitches)
	}
	s.on[w.Client] = &w
	return nil
}

// Clear turns off what is on for a client and reports whether anything was.
func (s *Switches) Clear(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.on[client]
	delete(s.on, client)
	if len(s.on) == 0 {
		clear(s.first)
	}
	return was
}

// List is what is on, by client.
func (s *Switches) List() []Switch {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Switch, 0, len(s.on))
	for _, client := range slices.Sorted(maps.Keys(s.on)) {
		w := *s.on[client]
		w.Edges = slices.Clone(w.Edges)
		out = append(out, w)
	}
	return out
}

// active is what holds for one request: the edges and the switch that each comes from.
type active struct {
	edges   []Edge
	seconds int
	clients []string // with a switch
}

func (a *active) has(e Edge) bool { return slices.Contains(a.edges, e) }

// of is what is on for a request.
func (s *Switches) of(r *http.Request) active {
	a := active{seconds: defaultSeconds}
	for name := range strings.SplitSeq(r.Header.Get(Header), ",") {
		if e := Edge(strings.TrimSpace(name)); known(e) {
			a.edges = append(a.edges, e)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.on) == 0 {
		return a
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	for _, client := range []string{s.o.Client(r), host, Everybody} {
		w := s.on[client]
		if w == nil {
			continue
		}
		a.clients = append(a.clients, client)
		a.seconds = w.Seconds
		for _, e := range w.Edges {
			if !a.has(e) {
				a.edges = append(a.edges, e)
			}
		}
	}
	return a
}

// played counts an answer that e changed against the switches that asked for it.
func (s *Switches) played(a *active, e Edge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range a.clients {
		w := s.on[client]
		if w == nil || w.Times == 0 || !slices.Contains(w.Edges, e) {
			continue
		}
		if w.Times--; w.Times == 0 {
			delete(s.on, client)
		}
	}
}

// held reports how long an export's status is still held back.
func (s *Switches) held(path string, seconds int) time.Duration {
	now := s.o.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok := s.first[path]
	if !ok {
		if len(s.first) >= maxHeld {
			return 0
		}
		since = now
		s.first[path] = now
	}
	return time.Duration(seconds)*time.Second - now.Sub(since)
}

// asked is when an export's status was first asked for, as far as it was held back.
func (s *Switches) asked(path string) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.first[path]
}
