package play

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy/record"
	"fhirwire/testplans"
)

// Values reads variables out of a JSON body; captures of headers never get here.
type Values interface {
	Values(ctx context.Context, c *testplans.Capture, body []byte) ([]string, error)
}

// Target is whom a plan is played against.
type Target struct {
	// Base is the server's FHIR base URL, without a trailing slash.
	Base string
	// Channel is the name that the exchanges are recorded under.
	Channel string
	// Inputs are values for the plan's inputs and for the variables of testplans.PlayVariables; those of the plan are the default.
	Inputs map[string]string
	// Edges says that the server is the built-in reference payer, which does on request what acts ask for with their edges.
	Edges bool
}

// Options tune New; each zero value means the default.
type Options struct {
	// Clock gives the time; default time.Now. Wait sleeps; default a timer.
	Clock func() time.Time
	Wait  func(context.Context, time.Duration) error
	// Unique gives texts that no other run has, for names and token ids; default random ones.
	Unique func() string
	// Key signs assertions; nil: a new P-384 key for each run. See ReadKey.
	Key *Key
	// Certificate is the client's, by which it registers where UDAP is asked for; nil: such acts are skipped.
	Certificate *tls.Certificate
	// Bare makes a context for a request that connects without the client's certificate; nil: there is none to leave out.
	Bare func(context.Context) context.Context
	// Stranger makes one for a request that presents a certificate which no directory lists; nil: such acts are skipped.
	Stranger func(context.Context) context.Context
	// UserAgent is sent with each request; default "fhirwire".
	UserAgent string
	// Patience bounds the wait for one export; default 30 minutes. MaxWait bounds one pause of it; default a minute.
	Patience, MaxWait time.Duration
	// Timeout bounds the wait for a response's head, and for more of its body each time; default 2 minutes.
	Timeout time.Duration
}

// Player plays plans. It is safe for concurrent use; each Run has its own variables.
type Player struct {
	rec       *record.Recorder
	transport http.RoundTripper
	values    Values
	o         Options
}

// New makes a player. transport must not add headers, ask for compression by itself or follow redirects; those of package
// upstream do none of it.
func New(rec *record.Recorder, transport http.RoundTripper, values Values, o Options) *Player {
	return &Player{rec: rec, transport: rec.Transport(transport), values: values, o: o.withDefaults()}
}

// State is how an act went.
type State string

// The states of an act.
const (
	Played  State = "played"
	Skipped State = "skipped" // a variable that it needs has no value
	Broken  State = "broken"  // no answer, or none that it could go on with; what there was is recorded
)

// Outcome is how an act went.
type Outcome struct {
	Act      string   `json:"act"`
	Shows    []string `json:"shows,omitempty"`
	State    State    `json:"state"`
	Why      string   `json:"why,omitempty"`
	Requests int      `json:"requests"`
}

// Event says what a run is at. Progress is the server's own word.
type Event struct {
	Act          string
	Index, Total int // 1-based
	// Method and URL are of the request that was just answered with Status, empty for other events; without query.
	Method, URL string
	Status      int
	// Bytes are those of the response so far.
	Bytes    int64
	Progress string
	// Wait is how long the run waits from now on.
	Wait time.Duration
	// Outcome ends an act.
	Outcome *Outcome
}

// ErrNotPlayable says that a plan has no script, or not with these inputs.
var ErrNotPlayable = errors.New("the plan cannot be played")

// Run plays the plan's acts in order. progress, which may be nil, gets events from the goroutine that called. The error is that of
// ctx, or ErrNotPlayable; what servers do is no error. The outcomes are those of the acts so far.
func (p *Player) Run(ctx context.Context, plan *testplans.Plan, to Target, progress func(Event)) ([]Outcome, error) {
	if progress == nil {
		progress = func(Event) {}
	}
	vars, err := p.variables(plan, to)
	if err != nil {
		return nil, err
	}
	r := &run{p: p, play: plan.Play, to: to, vars: vars, progress: progress, given: to.Inputs}
	if r.key = p.o.Key; r.key == nil {
		if r.key, err = newKey(); err != nil {
			return nil, err
		}
	}
	for i := range plan.Play.Acts {
		if err := ctx.Err(); err != nil {
			return r.outcomes, err
		}
		a := &plan.Play.Acts[i]
		r.act, r.index, r.requests = a, i+1, 0
		out := Outcome{Act: a.Name, Shows: a.Shows, State: Played}
		if err := r.each(ctx, a); err != nil {
			out.State, out.Why = Broken, err.Error()
			if _, ok := errors.AsType[*skipError](err); ok {
				out.State = Skipped
			}
		}
		out.Requests = r.requests
		r.outcomes = append(r.outcomes, out)
		r.say(Event{Outcome: &out})
	}
	return r.outcomes, ctx.Err()
}

// variables are those that a run begins with.
func (p *Player) variables(plan *testplans.Plan, to Target) (vars, error) {
	if plan.Play == nil {
		return nil, fmt.Errorf("%w: %s says nothing of how to play it", ErrNotPlayable, plan.ID)
	}
	known := testplans.PlayVariables()
	v := vars{}
	for _, in := range plan.Play.Inputs {
		known = append(known, in.Name)
		if in.Default != "" {
			v[in.Name] = []string{in.Default}
		}
	}
	for name, value := range to.Inputs {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: it has no input %s; there are %s", ErrNotPlayable, name, strings.Join(known, ", "))
		}
		if value != "" {
			v[name] = []string{value}
		}
	}
	now := p.o.Clock().UTC()
	v["base"] = []string{strings.TrimRight(to.Base, "/")}
	v["unique"] = []string{p.o.Unique()}
	for name, text := range map[string]string{
		"now": now.Format(time.RFC3339), "today": now.Format(time.DateOnly), "tomorrow": now.AddDate(0, 0, 1).Format(time.DateOnly),
		"lastMonth": now.AddDate(0, -1, 0).Format(time.DateOnly), "lastYear": now.AddDate(-1, 0, 0).Format(time.RFC3339),
		"nextYear": now.AddDate(1, 0, 0).Format(time.DateOnly),
	} {
		if _, set := v[name]; !set {
			v[name] = []string{text}
		}
	}
	for name, list := range v { // defaults may use the moments
		if text, missing := v.fill(list[0], plain); missing == "" {
			v[name] = []string{text}
		}
	}
	return v, nil
}

// run is the state of one Run.
type run struct {
	p        *Player
	play     *testplans.Play
	to       Target
	vars     vars
	given    map[string]string
	key      *Key
	method   string // of the registration
	progress func(Event)
	outcomes []Outcome

	act      *testplans.Act
	index    int
	requests int
	late     int // requests in a row that had no answer in time
}

func (r *run) say(e Event) {
	e.Act, e.Index, e.Total = r.act.Name, r.index, len(r.play.Acts)
	r.progress(e)
}

// skipError is why an act is not played.
type skipError struct{ why string }

func (e *skipError) Error() string { return e.why }

func lacks(name string) error { return &skipError{"there is no value for " + name} }

// each plays an act once, or once for each value. A value that goes wrong does not keep the others from being played.
func (r *run) each(ctx context.Context, a *testplans.Act) error {
	if len(a.Edges) > 0 && !r.to.Edges {
		return &skipError{"the built-in reference payer is asked for " + strings.Join(a.Edges, ", ") + ", and this is another server"}
	}
	if a.Each == nil {
		return r.once(ctx, a)
	}
	values, err := r.vars.list(a.Each.Of)
	if err != nil {
		return err
	}
	defer delete(r.vars, a.Each.As)
	var errs []error
	for _, value := range values {
		r.vars[a.Each.As] = []string{value}
		if err := r.once(ctx, a); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, skipped := errors.AsType[*skipError](err); skipped {
				return err
			}
			errs = append(errs, fmt.Errorf("%s: %w", value, err))
		}
	}
	return errors.Join(errs...)
}

func (r *run) once(ctx context.Context, a *testplans.Act) error {
	var last answer
	var err error
	switch {
	case a.Request != nil:
		last, err = r.request(ctx, a.Request)
	case a.Register != nil:
		last, err = r.register(ctx, a.Register)
	case a.Token != nil:
		last, err = r.token(ctx, a.Token)
	case a.Export != nil:
		last, err = r.export(ctx, a.Export)
	case a.Directory != nil:
		last, err = r.directory(ctx, a.Directory)
	default:
		err = fmt.Errorf("%w: act %s has no kind", ErrNotPlayable, a.Name)
	}
	if err != nil {
		return err
	}
	return r.capture(ctx, a, last)
}

// capture takes an act's variables from its last answer. What is not there leaves the variable as it was.
func (r *run) capture(ctx context.Context, a *testplans.Act, last answer) error {
	var errs []error
	for i := range a.Capture {
		c := &a.Capture[i]
		if r.given[c.Name] != "" {
			continue // the person's word wins
		}
		var values []string
		if c.Header != "" {
			values = last.header.Values(c.Header)
		} else if len(last.body) > 0 {
			var err error
			if values, err = r.p.values.Values(ctx, c, last.body); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
			}
		}
		if len(values) > 0 {
			r.vars[c.Name] = values
		}
	}
	return errors.Join(errs...)
}
