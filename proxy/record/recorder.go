package record

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fhirwire/proxy"
)

// Sink keeps exchanges. Put returns once the exchange is safe; the bodies can be opened during the call only. It may be called
// again for an exchange it has already (after a kill): the answer is then nil or proxy.ErrConflict. Calls are concurrent.
type Sink interface {
	Put(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) error
}

// Options are a Recorder's settings; each zero value means the default.
type Options struct {
	// SpoolDir holds bodies too large for memory and the journal of exchanges the Sink does not have yet. It belongs to one
	// process. Default: a temporary folder that Close removes, so that nothing survives the process.
	SpoolDir string
	// MaxBody caps the stored copy of a body, in bytes; the rest is forwarded, counted and hashed. Default 64 MiB.
	MaxBody int64
	// MemoryBody is the size up to which a body is kept in memory, in bytes. Default 256 KiB.
	MemoryBody int
	// Memory caps what all bodies together take, in bytes; past it bodies go to files at once. Default 32 MiB.
	Memory int64
	// InFlight caps concurrent calls of Put; past it exchanges are journaled. Default 64.
	InFlight int
	// HoldFor is how long the end of a response may wait for the Sink. Default 250 ms.
	HoldFor time.Duration
	// HoldUpTo is the response size, in bytes, past which its end waits for the journal only. Default 1 MiB.
	HoldUpTo int64
	// PrepareFor is how long it may wait for a large compressed body to be searched for secrets, before which it cannot be journaled.
	// Default 2 s.
	PrepareFor time.Duration
	// RestFor is how long the end of a response may wait for the rest of a request that was answered early (see Pending.Release).
	// Default 2 s.
	RestFor time.Duration
	// PutTimeout is the deadline of one Put. Default 30 s.
	PutTimeout time.Duration
	// Presents is the certificate chain that this process's listeners present for a server name, "" for none; nil when it is not known.
	Presents func(serverName string) []*x509.Certificate
	// Clock gives the time; default time.Now. NewID gives exchange ids; default UUIDv7.
	Clock func() time.Time
	NewID func() string
	// Logger gets what an operator must know; default: nothing is logged.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	def(&o.MaxBody, 64<<20)
	def(&o.MemoryBody, 256<<10)
	def(&o.Memory, 32<<20)
	def(&o.InFlight, 64)
	def(&o.HoldFor, 250*time.Millisecond)
	def(&o.HoldUpTo, 1<<20)
	def(&o.PrepareFor, 2*time.Second)
	def(&o.RestFor, 2*time.Second)
	def(&o.PutTimeout, 30*time.Second)
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Recorder records exchanges; it is safe for concurrent use.
type Recorder struct {
	sink Sink
	opt  Options
	mask masker

	chains  Chains
	spool   spool
	memory  atomic.Int64
	slots   chan struct{}
	waiting underway
	losses  losses
	// stopping: connections are being cut off by this process.
	stopping atomic.Bool
}

// New returns a Recorder that fingerprints secrets with key and gives exchanges to sink.
func New(sink Sink, key proxy.FingerprintKey, o Options) *Recorder {
	o = o.withDefaults()
	return &Recorder{
		sink:  sink,
		opt:   o,
		mask:  masker{key: key},
		spool: spool{dir: o.SpoolDir, prefix: o.NewID()},
		slots: make(chan struct{}, o.InFlight),
	}
}

// Arrival is what a forwarder knows of a request that came in.
type Arrival struct {
	Mode proxy.Mode
	// Channel and Matched are as in proxy.Exchange.
	Channel string
	Matched string
	// URL is the absolute URL the client asked for, in the client's spelling.
	URL string
	// Presented is the chain shown to the client in the tunnel that the request came out of; outside of tunnels Options.Presents knows.
	Presented []*x509.Certificate
	// Gateway is the address of a gateway that is believed about its client's certificate (RFC 9440), and Said what it says; empty for
	// none.
	Gateway string
	Said    []*x509.Certificate
}

// Begin starts the record of r. The request returned carries the Pending in its context and records its body as it is read;
// the forwarder goes on with it in place of r, and calls Release when it has answered.
func (rec *Recorder) Begin(r *http.Request, a Arrival) (*http.Request, *Pending) {
	p := &Pending{rec: rec, done: make(chan struct{})}
	p.ex = proxy.Exchange{
		ID: rec.opt.NewID(), Channel: a.Channel, Matched: a.Matched, Mode: a.Mode, ClientAddr: r.RemoteAddr,
		ClientLeg: rec.clientLeg(r, a),
		Timing:    proxy.Timing{Start: rec.opt.Clock()},
		Request: proxy.Request{
			Message: proxy.Message{Proto: r.Proto, Header: requestHeader(r)},
			Method:  r.Method, URL: a.URL,
		},
	}
	p.inbound = r
	r = r.WithContext(context.WithValue(r.Context(), pendingKey{}, p))
	if r.Body != nil && r.Body != http.NoBody {
		p.request = rec.newCapture(p.ex.ID + "-request")
		p.request.secret = oauthPath(a.URL) || isForm(r.Header.Get("Content-Type"))
		p.body = &teeBody{src: r.Body, to: p.request, length: r.ContentLength}
		r.Body = p.body
	}
	return r, p
}

type pendingKey struct{}

// FromContext is the Pending of the request that ctx belongs to, or nil.
func FromContext(ctx context.Context) *Pending {
	p, _ := ctx.Value(pendingKey{}).(*Pending)
	return p
}

// Run gives journaled exchanges to the Sink, those of an earlier process first, until ctx ends; then it waits, for PutTimeout at
// most, until what is under way is stored or journaled.
func (rec *Recorder) Run(ctx context.Context) error {
	if err := rec.spool.sweepOrphans(); err != nil {
		return fmt.Errorf("spool folder: %w", err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	attempts := map[string]int{}
	for {
		rec.replay(ctx, attempts)
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), rec.opt.PutTimeout)
			defer cancel()
			return rec.Close(end)
		case <-tick.C:
		}
	}
}

// Stopping says that the process cuts connections off from now on: what breaks off then is no doing of clients or servers.
func (rec *Recorder) Stopping() { rec.stopping.Store(true) }

// Close waits until every sealed exchange is stored or journaled, or ctx ends. No Begin may follow.
func (rec *Recorder) Close(ctx context.Context) error {
	if err := rec.waiting.wait(ctx); err != nil {
		return fmt.Errorf("recorder: exchanges still being stored: %w", err)
	}
	return rec.spool.removeTemporary()
}

// put gives one prepared exchange to the Sink.
func (rec *Recorder) put(ctx context.Context, s *sealed) error {
	ctx, cancel := context.WithTimeout(ctx, rec.opt.PutTimeout)
	defer cancel()
	ex := *s.ex // the Sink numbers and classifies its own; the journal may be reading this one
	err := rec.sink.Put(ctx, &ex, s)
	if errors.Is(err, proxy.ErrConflict) {
		return nil
	}
	return err
}

// store is the life of a sealed exchange from preparation to the Sink; it runs beside the traffic.
func (rec *Recorder) store(ctx context.Context, s *sealed) {
	defer close(s.done)
	defer rec.spool.disown(s.ex.ID)
	s.prepare()
	select {
	case rec.slots <- struct{}{}:
		defer func() { <-rec.slots }()
	default:
		// The Sink is behind: the evidence goes to disk and Run brings it later.
		if err := s.journal(); err == nil {
			rec.losses.kept()
			s.letGo()
			return
		}
		rec.slots <- struct{}{}
		defer func() { <-rec.slots }()
	}
	if err := rec.put(ctx, s); err != nil {
		if jerr := s.journal(); jerr != nil {
			rec.losses.lost(errors.Join(jerr, err))
			rec.opt.Logger.Error("exchange lost: neither stored nor journaled", "exchange_id", s.ex.ID, "error", errors.Join(err, jerr))
			return
		}
		rec.losses.kept()
		s.letGo()
		rec.opt.Logger.Warn("exchange journaled: the store did not take it", "exchange_id", s.ex.ID, "error", err)
		return
	}
	rec.losses.kept()
	s.discard()
}

func (rec *Recorder) newCapture(name string) *capture { return newCapture(rec, name) }
