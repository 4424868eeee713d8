package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/record"
)

const matchedByName = "TLS server name"

// passConnect opens a tunnel of a channel that passes connections on unread.
func (s *Server) passConnect(t *tunnel) {
	defer func() { _ = t.Close() }()
	r, p := s.rec.Begin(t.request, t.arrival)
	server, err := s.dial(r.Context(), "tcp", t.target.authority.String())
	if err != nil {
		_ = sealed(answer.Failed(p.Classify(err)), r, p).Write(t.Conn) //nolint:bodyclose // Write does, and a client that is gone needs no answer
		return
	}
	defer func() { _ = server.Close() }()
	if _, err := io.WriteString(t, established); err != nil {
		p.Fail(proxy.Failure{Reason: proxy.ReasonClientGone, Side: "client", Detail: "client hung up before the tunnel was open"})
		return
	}
	h, read, err := s.hear(t)
	if err != nil {
		p.Fail(proxy.Failure{Reason: proxy.ReasonRefused, Side: "client", Detail: "only TLS is passed on unread: " + err.Error()})
		return
	}
	if h.serverName != "" && !strings.EqualFold(strings.TrimSuffix(h.serverName, "."), t.target.host) {
		p.Fail(proxy.Failure{Reason: proxy.ReasonRefused, Side: "client", Detail: fmt.Sprintf("the client asks for the server name %q in a tunnel to %s", h.serverName, t.target.authority)})
		return
	}
	t.unread(read)
	s.splice(t, server, p, h)
}

// hear reads a ClientHello within HeaderTimeout.
func (s *Server) hear(t *tunnel) (hello, []byte, error) {
	late := time.AfterFunc(s.opt.HeaderTimeout, func() { _ = t.Close() })
	defer late.Stop()
	return readHello(t)
}

// splice carries bytes both ways until both ends are done, one breaks off or nothing moves, and records how many.
func (s *Server) splice(t *tunnel, server net.Conn, p *record.Pending, h hello) {
	counted := proxy.Tunnel{ServerName: h.serverName, Protocols: h.protocols}
	cut := func() {
		_ = t.Close()
		_ = server.Close()
	}
	idle := time.AfterFunc(s.opt.IdleTimeout, cut)
	defer idle.Stop()
	carry := func(to, from net.Conn, n *int64) {
		var err error
		if *n, err = copyOn(to, from, func() { idle.Reset(s.opt.IdleTimeout) }); err != nil || !closeWrite(to) {
			cut()
		}
	}
	var both sync.WaitGroup
	both.Go(func() { carry(server, t, &counted.Sent) })
	carry(t, server, &counted.Received)
	both.Wait()
	p.Tunneled(counted, t.target.authority.url("https"), server.RemoteAddr().String())
}

// copyOn copies until from ends.
func copyOn(to io.Writer, from io.Reader, moved func()) (n int64, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		k, err := from.Read(*buf)
		if k > 0 {
			moved()
			w, werr := to.Write((*buf)[:k])
			n += int64(w)
			if werr != nil {
				return n, werr
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// closeWrite tells the other end that nothing more comes and leaves the way back open, if the connection can.
func closeWrite(c net.Conn) bool {
	for {
		switch on := c.(type) {
		case interface{ CloseWrite() error }:
			return on.CloseWrite() == nil
		case *tunnel:
			c = on.Conn
		case *rereading:
			c = on.Conn
		default:
			return false
		}
	}
}

// Listener takes from a TLS listener's connections those whose server name is a host of a channel that passes connections on unread.
// The others come out as they are, for tls.NewListener.
func (s *Server) Listener(ln net.Listener) net.Listener { return &sorting{Listener: ln, server: s} }

type sorting struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l *sorting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sorted{Conn: c, server: l.server}, nil
}

// sorted looks at its first bytes when it is first read, which the TLS server does in a goroutine of the connection. One that is
// passed on lives in that Read, and to the TLS server ends there.
type sorted struct {
	net.Conn
	server *Server
	once   sync.Once
	src    io.Reader
}

// Read implements net.Conn.
func (c *sorted) Read(b []byte) (int, error) {
	c.once.Do(func() {
		h, read, err := readHello(c.Conn)
		c.src = again(c.Conn, read)
		if err == nil && h.serverName != "" && c.server.passNamed(c, h) {
			c.src = ended{}
		}
	})
	return c.src.Read(b)
}

type ended struct{}

func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// passNamed passes the connection on, if its server name says so.
func (s *Server) passNamed(c *sorted, h hello) bool {
	ctx := context.Background() //nolint:forbidigo // a connection has no context; it ends by itself and at Shutdown
	to, ref := s.named(ctx, h.serverName)
	if to.channel == nil && ref == nil {
		return false
	}
	asked := "https://" + h.serverName
	r := (&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Host: h.serverName}, Host: h.serverName, Proto: "TLS", Header: http.Header{}, RemoteAddr: c.RemoteAddr().String(),
	}).WithContext(context.WithValue(ctx, http.LocalAddrContextKey, c.LocalAddr()))
	arrival := record.Arrival{Mode: proxy.ModeTunnel, URL: asked, Matched: matchedByName}
	if to.channel != nil {
		arrival.Channel = to.channel.Name
	}
	if ref == nil {
		ref = s.tunnels.reserve()
	}
	var server net.Conn
	var err error
	if ref == nil {
		if server, err = s.dial(r.Context(), "tcp", to.authority.String()); err != nil {
			s.tunnels.giveBack()
			if own := (*record.RefusedError)(nil); errors.As(err, &own) {
				return false // the server is the listener itself, or nobody's to reach: it is served here
			}
		}
	}
	r, p := s.rec.Begin(r, arrival)
	if ref != nil {
		p.Fail(ref.Failure)
		return true
	}
	if err != nil {
		p.Fail(p.Classify(err))
		return true
	}
	defer func() { _ = server.Close() }()
	t := &tunnel{Conn: c.Conn, src: c.src, set: &s.tunnels, asked: h.serverName, target: to, request: r, raw: true, done: make(chan struct{})}
	s.tunnels.add(t)
	defer func() { _ = t.Close() }()
	_ = t.SetDeadline(time.Time{}) // net/http bounds the handshake by deadlines, which are not for what follows
	s.splice(t, server, p, h)
	return true
}

// named finds the pass-through channel whose server has the name; a zero target when there is none.
func (s *Server) named(ctx context.Context, name string) (target, *answer.Refusal) {
	a, err := parseAuthority(name, defaultPort("https"))
	if err != nil {
		return target{}, nil
	}
	found, err := s.register.unread(ctx, a.host)
	switch {
	case err != nil:
		return target{}, answer.Faulty("", err)
	case len(found) == 0:
		return target{}, nil
	case len(found) == 1:
		return found[0], nil
	}
	return target{}, refuse(http.StatusForbidden, "multiple-matches", fmt.Sprintf("%d channels that pass connections on lead to %s; a server name alone does not say which one is meant", len(found), name))
}
