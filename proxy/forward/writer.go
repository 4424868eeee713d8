package forward

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// writer is what goproxy answers to. It passes everything on at once, keeps net/http from adding what the server did not send (a
// sniffed Content-Type, a Date), and remembers what goproxy forgets.
type writer struct {
	http.ResponseWriter
	method   string
	tunnels  *tunnels
	upgraded *tunnel     // the connection after an upgrade, which goproxy does not close
	broken   atomic.Bool // the server's response broke off
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if status >= 200 {
		for _, name := range []string{"Content-Type", "Date"} {
			if _, ok := w.Header()[name]; !ok {
				w.Header()[name] = nil
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
	if w.method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified && w.Header().Get("Content-Length") == "" {
		w.Flush() // events may take their time
	}
}

// interim passes a 1xx response on.
func (w *writer) interim(status int, h map[string][]string) {
	header := w.Header()
	maps.Copy(header, h)
	w.ResponseWriter.WriteHeader(status)
	clear(header)
}

// Write passes b on at once: goproxy flushes event streams only.
func (w *writer) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	if err == nil {
		w.Flush()
	}
	return n, err
}

// buffers lends the copy buffers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// ReadFrom implements io.ReaderFrom.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, *buf)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap lets http.ResponseController reach the rest.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker. Of a CONNECT goproxy drops what net/http had read ahead, so the connection gives it again; after
// an upgrade it reads that itself, but leaves the connection open and unknown to Shutdown.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if w.method == http.MethodConnect {
		ahead, _ := rw.Reader.Peek(rw.Reader.Buffered()) // never more than there is
		return again(conn, ahead), rw, nil
	}
	if ref := w.tunnels.reserve(); ref != nil {
		_ = conn.Close()
		return nil, nil, errors.New(ref.Text)
	}
	w.upgraded = &tunnel{set: w.tunnels, Conn: conn, done: make(chan struct{}), raw: true}
	w.tunnels.add(w.upgraded)
	return w.upgraded, rw, nil
}

// release closes an upgraded connection.
func (w *writer) release() {
	if w.upgraded != nil {
		_ = w.upgraded.Close()
	}
}

// again is conn with what was read of it before its next bytes.
func again(conn net.Conn, read []byte) net.Conn {
	if len(read) == 0 {
		return conn
	}
	return &rereading{Conn: conn, r: io.MultiReader(bytes.NewReader(bytes.Clone(read)), conn)}
}

type rereading struct {
	net.Conn
	r io.Reader
}

func (c *rereading) Read(b []byte) (int, error) { return c.r.Read(b) }

// watched notes that a response broke off, of which goproxy says nothing.
type watched struct {
	io.ReadCloser
	out *writer
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.out.broken.Store(true)
	}
	return n, err
}

// writeResponse answers where goproxy does not.
func writeResponse(w http.ResponseWriter, res *http.Response) {
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body) // a client that is gone needs no answer
	_ = res.Body.Close()
}
