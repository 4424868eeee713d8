package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/har"
	"fhirwire/proxy/record"
)

// masker replaces the secrets of exchanges that other tools recorded, by passing them through the recorder: what counts as a secret is
// decided in one place.
type masker struct {
	rec *record.Recorder

	mu     sync.Mutex // guards what the Sink got
	ex     *proxy.Exchange
	bodies memoryBodies
}

func newMasker(key proxy.FingerprintKey) *masker {
	m := &masker{}
	m.rec = record.New(m, key, record.Options{HoldFor: time.Minute, MaxBody: 256 << 20})
	return m
}

func (m *masker) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = m.rec.Close(ctx) // only temporary files are left, if anything
}

// Put implements record.Sink.
func (m *masker) Put(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) error {
	read := memoryBodies{}
	all := []proxy.Body{ex.Request.Body}
	if ex.Response != nil {
		all = append(all, ex.Response.Body)
	}
	for _, b := range all {
		if b.Digest == "" || b.Stored == 0 {
			continue
		}
		r, err := bodies.OpenBody(ctx, b.Digest)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		read[b.Digest] = text
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ex, m.bodies = ex, read
	return nil
}

// mask gives an entry's exchange and bodies without secrets.
func (m *masker) mask(ctx context.Context, e har.Entry) (*proxy.Exchange, memoryBodies, error) {
	plain := e.Exchange
	r, err := http.NewRequestWithContext(ctx, plain.Request.Method, plain.Request.URL, bytes.NewReader(e.Request))
	if err != nil {
		return nil, nil, fmt.Errorf("request: %w", err)
	}
	r.Header = plain.Request.Header.Map()
	r.Header.Del("Host")
	r.Proto = plain.Request.Proto
	if len(e.Request) == 0 {
		r.Body = http.NoBody
	}
	r, pending := m.rec.Begin(r, record.Arrival{Mode: proxy.ModeImported, Matched: plain.Matched, URL: plain.Request.URL})
	res, err := m.rec.Transport(harAnswer{e}).RoundTrip(r)
	switch {
	case errors.Is(err, errNoAnswer):
		pending.Fail(*plain.Failure)
	case err != nil:
		return nil, nil, err
	default:
		pending.Deliver(res)
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return nil, nil, fmt.Errorf("response: %w", err)
		}
	}
	select {
	case <-pending.Stored():
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ex == nil {
		return nil, nil, errors.New("its secrets could not be replaced")
	}
	masked, bodies := *m.ex, m.bodies
	m.ex, m.bodies = nil, nil
	masked.ID, masked.Timing = plain.ID, plain.Timing
	keepWithheld(&masked.Request.Body, plain.Request.Body)
	if masked.Response != nil {
		keepWithheld(&masked.Response.Body, plain.Response.Body)
	}
	if masked.Request.Target == "" {
		masked.Request.Target = masked.Request.URL
	}
	return &masked, bodies, nil
}

// keepWithheld says of a body that its file does not have what the file says of it: the recorder saw none.
func keepWithheld(b *proxy.Body, plain proxy.Body) {
	if plain.Withheld != "" {
		*b = plain
	}
}

var errNoAnswer = errors.New("the entry has no response")

// harAnswer is the transport that gives an entry's response.
type harAnswer struct{ e har.Entry }

// RoundTrip implements http.RoundTripper.
func (a harAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, err := io.Copy(io.Discard, r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
	}
	res := a.e.Exchange.Response
	if res == nil {
		return nil, errNoAnswer
	}
	return &http.Response{
		Status: strconv.Itoa(res.Status) + " " + http.StatusText(res.Status), StatusCode: res.Status, Proto: res.Proto,
		Header: res.Header.Map(), Body: io.NopCloser(bytes.NewReader(a.e.Response)), ContentLength: -1, Request: r,
	}, nil
}
