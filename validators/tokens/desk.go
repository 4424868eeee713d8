package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/validators"
)

// Exchanges reads what was recorded.
type Exchanges interface {
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
}

// DeskOptions tune a Desk; each zero value means the default.
type DeskOptions struct {
	Options
	// Backlog bounds the exchanges that are read when the Desk is asked for the first time: the newest ones. Default 20,000.
	Backlog int
}

// Desk keeps a Ledger up to date with what is stored. It is safe for concurrent use.
type Desk struct {
	exchanges Exchanges
	bodies    proxy.Bodies
	opt       DeskOptions

	mu      sync.Mutex // guards what follows
	ledger  *Ledger
	number  int64 // of the last exchange read
	started bool
	partial bool
}

// NewDesk returns a Desk that has read nothing yet.
func NewDesk(exchanges Exchanges, bodies proxy.Bodies, o DeskOptions) *Desk {
	o.Backlog = cmp.Or(o.Backlog, 20_000)
	return &Desk{exchanges: exchanges, bodies: bodies, opt: o, ledger: New(o.Options)}
}

// Ledger is a channel's ledger as of now.
func (d *Desk) Ledger(ctx context.Context, channel string) (*validators.Ledger, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.catchUp(ctx); err != nil {
		return nil, err
	}
	out := d.ledger.Channel(channel)
	out.Partial = d.partial
	return &out, nil
}

// Authorization is what is known of one exchange's token as of now.
func (d *Desk) Authorization(ctx context.Context, ex *proxy.Exchange) (*validators.Authorization, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.catchUp(ctx); err != nil {
		return nil, err
	}
	out := d.ledger.Authorization(ex)
	return &out, nil
}

// pageSize is how many exchanges one query lists.
const pageSize = 500

// catchUp reads what was stored since the last time. What was read stays read when ctx ends.
func (d *Desk) catchUp(ctx context.Context) error {
	if !d.started {
		if err := d.start(ctx); err != nil || !d.started {
			return err
		}
	}
	for {
		page, err := d.exchanges.Exchanges(ctx, proxy.Query{After: d.number, Limit: pageSize, SkipTotal: true})
		if err != nil {
			return fmt.Errorf("token ledger: %w", err)
		}
		for _, brief := range slices.Backward(page.Exchanges) { // oldest first
			if err := d.read(ctx, brief); err != nil {
				return fmt.Errorf("token ledger: exchange %s: %w", brief.ID, err)
			}
			d.number = brief.Number
		}
		if !page.Newer {
			return nil
		}
	}
}

// start skips exchanges that are too many to read; while nothing is stored it starts nothing. The first of all exchanges is read
// here, since a Query has no cursor before it.
func (d *Desk) start(ctx context.Context) error {
	page, err := d.exchanges.Exchanges(ctx, proxy.Query{Limit: 1, SkipTotal: true})
	if err != nil {
		return fmt.Errorf("token ledger: %w", err)
	}
	if len(page.Exchanges) == 0 {
		return nil
	}
	if skip := page.Exchanges[0].Number - int64(d.opt.Backlog); skip > 0 {
		d.number, d.partial, d.started = skip, true, true
		return nil
	}
	if page, err = d.exchanges.Exchanges(ctx, proxy.Query{Before: 2, Limit: 1, SkipTotal: true}); err != nil {
		return fmt.Errorf("token ledger: %w", err)
	}
	for _, first := range page.Exchanges {
		if err := d.read(ctx, first); err != nil {
			return fmt.Errorf("token ledger: exchange %s: %w", first.ID, err)
		}
	}
	d.number, d.started = 1, true
	return nil
}

func (d *Desk) read(ctx context.Context, brief *proxy.Exchange) error {
	ex, err := d.exchanges.Exchange(ctx, brief.ID)
	if errors.Is(err, proxy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var request, response []byte
	if Wants(ex) {
		if request, err = d.body(ctx, &ex.Request.Message); err != nil {
			return err
		}
		if ex.Response != nil {
			if response, err = d.body(ctx, &ex.Response.Message); err != nil {
				return err
			}
		}
	}
	d.ledger.Add(ex, request, response)
	return nil
}

// maxBody bounds what is read of a body; token requests and answers are a few kilobytes.
const maxBody = 256 << 10

// body is a decoded body, nil where there is none that can be read.
func (d *Desk) body(ctx context.Context, m *proxy.Message) ([]byte, error) {
	if m.Body.Digest == "" || m.Body.Stored == 0 {
		return nil, nil
	}
	r, err := d.bodies.OpenBody(ctx, m.Body.Digest)
	if errors.Is(err, proxy.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	src, err := coding.NewReader(r, coding.Of(m.Header), coding.Limits{})
	if err != nil {
		return nil, nil //nolint:nilerror // not readable: nothing to enter
	}
	defer func() { _ = src.Close() }()
	out, err := io.ReadAll(io.LimitReader(src, maxBody))
	if err != nil && ctx.Err() == nil {
		return nil, nil //nolint:nilerror // a broken coding is the sender's, and found by inspection
	}
	return out, err
}
