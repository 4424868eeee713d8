package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/record"
)

// tunnel is a client's connection that net/http has let go of: after a CONNECT, or after an upgrade.
type tunnel struct {
	net.Conn
	src      io.Reader // what Read reads from, where bytes were read ahead
	set      *tunnels
	asked    string // authority as in CONNECT
	target   target
	identity identity
	request  *http.Request // the CONNECT
	arrival  record.Arrival
	raw      bool // bytes of which only the counts are known

	hello hello // of the intercepted handshake
	// presented is the chain of our certificate in it; none when the client resumed a session.
	presented []*x509.Certificate
	fault     error // why the handshake was broken off by us
	moved     atomic.Int64
	end       sync.Once
	done      chan struct{} // closed by Close
}

type tunnelKey struct{}

func tunnelOf(ctx context.Context) *tunnel { return ctx.Value(tunnelKey{}).(*tunnel) }

// context is that of the requests in it; they outlive the CONNECT's.
func (t *tunnel) context() context.Context {
	return context.WithValue(context.WithoutCancel(t.request.Context()), tunnelKey{}, t)
}

// Read and Write count, so that Shutdown knows what stands still.
func (t *tunnel) Read(b []byte) (int, error) {
	src := t.src
	if src == nil {
		src = t.Conn
	}
	n, err := src.Read(b)
	t.moved.Add(int64(n))
	return n, err
}

func (t *tunnel) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.moved.Add(int64(n))
	return n, err
}

// unread makes b the next that is read.
func (t *tunnel) unread(b []byte) {
	src := t.src
	if src == nil {
		src = t.Conn
	}
	t.src = io.MultiReader(bytes.NewReader(b), src)
}

// Close implements net.Conn; it may be called more than once.
func (t *tunnel) Close() error {
	err := t.Conn.Close()
	t.end.Do(func() {
		t.set.remove(t)
		close(t.done)
	})
	return err
}

// tunnels are the open ones.
type tunnels struct {
	max int

	mu     sync.Mutex // guards what follows
	taken  int        // places: of the open ones, and of those about to open
	open   map[*tunnel]bool
	closed bool
}

// reserve takes a place for a tunnel about to open.
func (s *tunnels) reserve() *answer.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return refuse(http.StatusServiceUnavailable, "transient", "The proxy is shutting down.")
	case s.taken >= s.max:
		return refuse(http.StatusServiceUnavailable, "throttled", fmt.Sprintf("%d tunnels are open, which is as many as this proxy serves.", s.max))
	}
	s.taken++
	return nil
}

// giveBack frees a place that no tunnel came to have.
func (s *tunnels) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
}

// add enters t, which is complete, under the place reserved for it.
func (s *tunnels) add(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*tunnel]bool{}
	}
	s.open[t] = true
}

func (s *tunnels) remove(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
	s.taken--
}

func (s *tunnels) places() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *tunnels) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *tunnels) list() []*tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*tunnel, 0, len(s.open))
	for t := range s.open {
		out = append(out, t)
	}
	return out
}

// drain waits until no tunnel is open, closing those that only carry bytes as soon as none move, and cuts the rest off when ctx ends.
func (s *tunnels) drain(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	moved := map[*tunnel]int64{}
	for {
		if s.places() == 0 {
			return nil
		}
		for _, t := range s.list() {
			now := t.moved.Load()
			if before, ok := moved[t]; ok && before == now && t.raw {
				_ = t.Close()
			}
			moved[t] = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, t := range s.list() {
				_ = t.Close()
			}
			return fmt.Errorf("forward proxy: tunnels cut off: %w", ctx.Err())
		}
	}
}

// oneConn is a listener that has one connection to give, and waits for its end.
type oneConn struct {
	tunnel *tunnel
	conn   net.Conn
	given  atomic.Bool
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	if l.given.CompareAndSwap(false, true) {
		return l.conn, nil
	}
	select {
	case <-l.tunnel.done:
	case <-l.closed:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener; the connection stays.
func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.tunnel.LocalAddr() }

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// intercept serves what comes through a tunnel as if it were the server.
func (s *Server) intercept(t *tunnel) {
	conn, ok := s.open(t)
	if !ok {
		_ = t.Close()
		return
	}
	l := &oneConn{tunnel: t, conn: conn, closed: make(chan struct{})}
	// Serve returns when the connection is closed, or at shutdown, which then waits for what is under way.
	if err := s.inner.Serve(l); errors.Is(err, http.ErrServerClosed) && !l.given.Load() {
		_ = t.Close()
	}
}

// open answers the CONNECT and does the handshake, if there is one.
func (s *Server) open(t *tunnel) (net.Conn, bool) {
	idle := time.AfterFunc(s.opt.IdleTimeout, func() { _ = t.Close() })
	defer idle.Stop()
	if _, err := io.WriteString(t, established); err != nil {
		return nil, false
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(t, first); err != nil {
		return nil, false // a client may connect ahead and not come back
	}
	t.unread(first)
	if first[0] != handshakeRecord {
		return t, true
	}
	// net/http hands a *tls.Conn to its HTTP/2 server, if it is one.
	conn := tls.Server(t, s.tlsFor(t))
	ctx, cancel := context.WithTimeout(t.context(), s.opt.HeaderTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_, p := s.rec.Begin(t.request, t.arrival)
		p.Fail(t.handshakeFailure(err))
		return nil, false
	}
	return conn, true
}

const handshakeRecord = 22 // TLS record type

func (s *Server) tlsFor(t *tunnel) *tls.Config {
	return &tls.Config{
		MinVersion: s.tls.MinVersion,
		GetConfigForClient: func(in *tls.ClientHelloInfo) (*tls.Config, error) {
			t.hello = helloOf(in)
			if name := t.hello.serverName; name != "" && !strings.EqualFold(strings.TrimSuffix(name, "."), t.target.host) {
				t.fault = fmt.Errorf("the client asks for the server name %q in a tunnel to %s", name, t.target.authority)
				return nil, t.fault
			}
			return s.tls, nil
		},
	}
}

// leaf is the certificate for the host that the connection's tunnel leads to: clients send no server name for an IP address.
func (s *Server) leaf(in *tls.ClientHelloInfo) (*tls.Certificate, error) {
	t, ok := in.Conn.(*tunnel)
	if !ok {
		return nil, errors.New("no tunnel")
	}
	if s.leaves == nil {
		t.fault = errors.New("no local CA")
		return nil, t.fault
	}
	c, err := s.leaves.Leaf(t.target.host)
	if err != nil {
		t.fault = fmt.Errorf("certificate for %s: %w", t.target.host, err)
		return nil, t.fault
	}
	for _, der := range c.Certificate {
		if one, err := x509.ParseCertificate(der); err == nil {
			t.presented = append(t.presented, one)
		}
	}
	return c, nil
}

// handshakeFailure puts into words why there is no TLS connection with the client.
func (t *tunnel) handshakeFailure(err error) proxy.Failure {
	client := func(r proxy.Reason, text string) proxy.Failure {
		return proxy.Failure{Reason: r, Side: "client", Detail: text}
	}
	if t.fault != nil {
		if strings.HasPrefix(t.fault.Error(), "the client") {
			return client(proxy.ReasonRefused, t.fault.Error())
		}
		return proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: t.fault.Error()}
	}
	const trust = "; most often the client does not trust fhirwire's certificates yet: give it the root certificate of fhirwire's local CA"
	text := err.Error()
	switch {
	case strings.Contains(text, "remote error: tls: ") && (strings.Contains(text, "certificate") || strings.Contains(text, "unknown")):
		return client(proxy.ReasonClientTLS, "the client refused the proxy's certificate ("+text+")"+trust)
	case strings.Contains(text, "bad record MAC"): // how OpenSSL's alert arrives, which it sends before it has the keys for it
		return client(proxy.ReasonClientTLS, "the client broke the TLS handshake off"+trust)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), strings.Contains(text, "reset by peer"):
		return client(proxy.ReasonClientTLS, "the client hung up during the TLS handshake"+trust)
	case errors.Is(err, context.DeadlineExceeded):
		return client(proxy.ReasonClientTLS, "the client did not finish the TLS handshake in time")
	}
	return client(proxy.ReasonClientTLS, "TLS handshake with the client: "+text)
}
