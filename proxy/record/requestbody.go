package record

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// teeBody is a request's body towards the transport: what is read from src is copied to a capture.
type teeBody struct {
	src    io.Reader
	to     *capture
	length int64

	released atomic.Bool
	reading  sync.Mutex // held by a Read; guards what follows
	begun    bool
	size     int64
}

// Read implements io.Reader.
func (b *teeBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.released.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begun = true
	n, err := b.src.Read(p)
	b.to.Write(p[:n])
	b.size += int64(n)
	switch {
	case errors.Is(err, io.EOF) && b.size >= b.length, b.length > 0 && b.size == b.length:
		b.to.finish()
	case err != nil:
		b.to.fail(err)
	}
	return n, err
}

// Close leaves the body to net/http, which ends it after the handler: it would read the rest of it here, while the client may wait for
// the response.
func (b *teeBody) Close() error { return nil }

// maxRest bounds what Release reads, in bytes.
const maxRest = 256 << 10

// Release ends the reading of the request's body, when the handler has answered on w. A server may answer, or fail, before it has read
// the whole request, and transports may go on reading after they have returned. net/http expects neither where it was told not to
// swallow the rest before the response (EnableFullDuplex): it would break the client's connection. A small rest is read, so that the
// connection serves the next request; where the client keeps it back, or it is large, the connection ends after the response.
func (p *Pending) Release(w http.ResponseWriter) {
	if p.body == nil || p.inbound.ProtoMajor != 1 { // HTTP/2 has no such trouble
		return
	}
	b := p.body
	b.released.Store(true)
	if b.reading.TryLock() {
		unasked := !b.begun && p.inbound.Header.Get("Expect") != ""
		b.reading.Unlock()
		if unasked {
			return // a client that was not told to go on sends nothing; net/http closes its connection
		}
	}
	whole := make(chan bool, 1)
	go func() {
		b.reading.Lock()
		defer b.reading.Unlock()
		_, err := io.CopyN(io.Discard, b.src, maxRest)
		whole <- errors.Is(err, io.EOF)
	}()
	patience := time.NewTimer(p.rec.opt.RestFor)
	defer patience.Stop()
	select {
	case ok := <-whole:
		if ok {
			return
		}
	case <-patience.C:
		rc := http.NewResponseController(w)
		if rc.SetReadDeadline(time.Unix(1, 0)) != nil {
			return // hijacked: net/http reads no more
		}
		<-whole
		_ = rc.SetReadDeadline(time.Time{})
	}
	// How net/http is told to close a connection after the response: what comes on it now is the rest of a body.
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0))
}
