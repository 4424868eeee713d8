package record

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
)

// Pending is an exchange under way. Its methods may be called from any goroutine; after the exchange is sealed they do nothing.
type Pending struct {
	rec     *Recorder
	inbound *http.Request // as the server gave it: its Trailer fills when the body ends
	request *capture      // nil without a body
	body    *teeBody      // likewise

	mu        sync.Mutex // guards what follows; the transport may still read the request while the response ends
	ex        proxy.Exchange
	phase     phase
	link      Connected // the connection to the server, where it describes itself
	upstream  *http.Response
	response  *capture
	forwarded *capture
	edits     func() []proxy.Edit
	failure   *proxy.Failure
	sealed    *sealed

	done chan struct{} // closed when stored, journaled or lost
}

// ID is the exchange's id.
func (p *Pending) ID() string { return p.ex.ID }

// AddEdits adds to the edits the exchange lists.
func (p *Pending) AddEdits(edits ...proxy.Edit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed == nil {
		p.ex.Edits = append(p.ex.Edits, edits...)
	}
}

// Edited says that the body Deliver is about to see differs, or may differ, from what the server sent. edits is called once, when
// the response has ended, for what was changed in it; it may be nil.
func (p *Pending) Edited(edits func() []proxy.Edit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forwarded = p.rec.newCapture(p.ex.ID + "-forwarded")
	p.edits = edits
}

// Deliver wraps res.Body, which must be in its final form, as the last reader before the client. Reading it to its end, an error or
// Close seals the exchange; the read that ends it returns when the exchange is safe (see the package comment).
func (p *Pending) Deliver(res *http.Response) {
	if res.StatusCode == http.StatusSwitchingProtocols {
		p.finish(nil, 0) // what follows is not HTTP
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	length := res.ContentLength
	if res.Request != nil && res.Request.Method == http.MethodHead {
		length = -1
	}
	res.Body = &delivery{p: p, src: res.Body, length: length, to: p.forwarded}
}

// Fail seals an exchange that does not run to its end, and waits until it is safe. The first failure noted stays.
func (p *Pending) Fail(f proxy.Failure) { p.finish(&f, 0) }

// Stored is closed when the Sink has the exchange, or the journal where the Sink did not take it.
func (p *Pending) Stored() <-chan struct{} { return p.done }

// finish seals and holds the caller until the exchange is safe.
func (p *Pending) finish(f *proxy.Failure, size int64) {
	s := p.seal(f)
	hold := p.rec.opt.HoldFor
	if size > p.rec.opt.HoldUpTo {
		hold = 0
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-s.done:
		return
	case <-timer.C:
	}
	patience := time.NewTimer(p.rec.opt.PrepareFor)
	defer patience.Stop()
	select {
	case <-s.prepared:
	case <-patience.C:
		p.rec.opt.Logger.Warn("response ended before its record was safe: searching it for secrets takes long", "exchange_id", s.ex.ID)
		return
	}
	if err := s.journal(); err != nil {
		// Neither memory nor disk is left to put it: the one case where the end of a response waits for the Sink.
		p.rec.opt.Logger.Error("journal unwritable: responses wait for the store", "exchange_id", s.ex.ID, "error", err)
		<-s.done
	}
}

// seal turns the Pending into an exchange, once, and starts storing it.
func (p *Pending) seal(f *proxy.Failure) *sealed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed != nil {
		return p.sealed
	}
	ex := p.ex
	ex.Timing.End = p.rec.opt.Clock()
	if ex.Failure = p.failure; ex.Failure == nil {
		ex.Failure = f
	}
	ex.Edits = slices.Clone(ex.Edits) // prepare masks them in place
	s := &sealed{rec: p.rec, ex: &ex, done: p.done, prepared: make(chan struct{}), bodies: map[proxy.Digest]*stored{}}
	s.request = freeze(p.request)
	ex.Request.Body = s.request.body
	if s.request.body.Complete {
		ex.Request.Trailer = fields(p.inbound.Trailer)
	}
	// The transport tells that it wrote the request from another goroutine, so for a short one perhaps after the response came.
	if t := &ex.Timing; !t.FirstByte.IsZero() && s.request.body.Complete && (t.RequestDone.IsZero() || p.request == nil && t.RequestDone.After(t.FirstByte)) {
		t.RequestDone = t.FirstByte
	}
	if p.upstream != nil {
		res := *ex.Response
		s.response = freeze(p.response)
		res.Body = s.response.body
		res.Trailer = fields(p.upstream.Trailer)
		if p.edits != nil {
			ex.Edits = append(ex.Edits, p.edits()...)
		}
		s.forwarded = freeze(p.forwarded)
		if b := s.forwarded.body; p.forwarded != nil && (b.Digest != res.Body.Digest || b.Size != res.Body.Size) {
			res.Forwarded = &b
		}
		ex.Response = &res
	}
	s.secret = oauthPath(ex.Request.URL) || oauthPath(ex.Request.Target)
	p.sealed = s
	p.rec.spool.own(ex.ID)
	ctx := context.WithoutCancel(p.inbound.Context())
	p.rec.waiting.Go(func() { p.rec.store(ctx, s) })
	return s
}

// headers notes the response's head as the server sent it.
func (p *Pending) headers(res *http.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ex.Timing.FirstByte = p.rec.opt.Clock()
	p.ex.Response = &proxy.Response{
		Message: proxy.Message{Proto: res.Proto, Header: responseHeader(res)},
		Status:  res.StatusCode,
	}
	p.upstream = res
	if res.Body == nil || res.Body == http.NoBody || res.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	p.response = p.rec.newCapture(p.ex.ID + "-response")
	p.response.secret = p.secretPath()
	res.Body = &teeBody{src: res.Body, to: p.response, length: res.ContentLength}
}

// sending notes the request as it goes out.
func (p *Pending) sending(target *url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ex.Request.Target = targetURL(target)
	p.phase = phaseConnect
	if p.request != nil {
		p.request.mu.Lock()
		p.request.secret = p.request.secret || p.secretPath()
		p.request.mu.Unlock()
	}
}

func (p *Pending) secretPath() bool {
	return oauthPath(p.ex.Request.URL) || oauthPath(p.ex.Request.Target)
}

func (p *Pending) note(ph phase, set func(t *proxy.Timing, now time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ph > phaseNone {
		p.phase = ph
	}
	if set != nil && p.sealed == nil {
		set(&p.ex.Timing, p.rec.opt.Clock())
	}
}

// targetURL spells u as it is sent: Opaque holds the escaped path where the forwarder wants it byte for byte.
func targetURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.RequestURI() }

// delivery is the body the client's side reads.
type delivery struct {
	p      *Pending
	src    io.ReadCloser
	to     *capture // copy of an edited body, else nil
	length int64    // announced, -1 unknown
	size   int64
	ended  bool
}

func (d *delivery) Read(b []byte) (int, error) {
	n, err := d.src.Read(b)
	d.size += int64(n)
	if d.to != nil {
		d.to.Write(b[:n])
	}
	switch {
	case d.ended:
	case err == io.EOF && d.length > d.size:
		d.end(&proxy.Failure{Reason: proxy.ReasonUpstreamReset, Side: sideServer, Detail: "response ended before its announced length"}, false)
	case err != nil && strings.Contains(err.Error(), excess):
		d.end(&proxy.Failure{Reason: proxy.ReasonUpstreamInvalid, Side: sideServer, Detail: "the server sent more than it announced (Content-Length); the rest is cut off"}, true)
	case err == io.EOF || d.length >= 0 && d.size >= d.length:
		d.end(nil, true)
	case err != nil:
		f := d.p.Classify(err)
		d.end(&f, false)
	}
	return n, err
}

// Close without the end having been read means that the client is gone.
func (d *delivery) Close() error {
	if !d.ended {
		f := proxy.Failure{Reason: proxy.ReasonClientGone, Side: sideClient, Detail: "client hung up before it had the whole response"}
		if d.p.rec.stopping.Load() {
			f = stopped
		}
		d.end(&f, false)
	}
	return d.src.Close()
}

func (d *delivery) end(f *proxy.Failure, complete bool) {
	d.ended = true
	if d.to != nil && complete {
		d.to.finish()
	}
	d.p.finish(f, d.size)
}
