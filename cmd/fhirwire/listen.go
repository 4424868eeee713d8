package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// listener is one of serve's addresses with the server on it.
type listener struct {
	name string
	ln   net.Listener
	srv  *http.Server
	tls  *tls.Config // nil in clear
	// state is the http.Server's ConnState.
	state func(net.Conn, http.ConnState)
	// cut is called before connections are cut off at shutdown; nil for none.
	cut func()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func listenOn(ctx context.Context, name, key, addr string) (*listener, error) {
	var lc net.ListenConfig
	var malformed *net.AddrError
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another program, perhaps another fhirwire: give the %s another address with --%s (port 0 is any free one)", key, addr, name, key)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s: ports below 1024 are the system's; give the %s another with --%s", key, addr, name, key)
	case errors.As(err, &malformed):
		return nil, fmt.Errorf("%s: %q is no address to listen on (%s): want HOST:PORT, such as 127.0.0.1:8080 or :8080", key, addr, malformed.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &listener{name: name, ln: ln}, nil
}

// url is how to reach the listener from this machine.
func (l *listener) url() string {
	addr := l.addrPort()
	host := addr.Addr()
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	scheme := "http://"
	if l.tls != nil {
		scheme = "https://"
	}
	return scheme + netip.AddrPortFrom(host, addr.Port()).String()
}

func (l *listener) addrPort() netip.AddrPort {
	addr, err := netip.ParseAddrPort(l.ln.Addr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return addr
}

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 256 << 10
	drainTimeout  = 10 * time.Second
)

// serve answers requests until ctx ends, then lets running ones finish for a while. There is no write timeout: events and
// downloads may take as long as they take.
func (l *listener) serve(ctx context.Context, h http.Handler, logger *slog.Logger, onShutdown ...func()) error {
	l.srv = &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(serverLog{logger, l.name}, "", 0),
		TLSConfig:   l.tls,
		ConnState:   l.state,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	for _, f := range onShutdown {
		l.srv.RegisterOnShutdown(f)
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := l.srv.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			logger.WarnContext(ctx, "requests were still running at shutdown", "listener", l.name)
			if l.cut != nil {
				l.cut()
			}
			err = l.srv.Close()
		}
		stopped <- err
	}()
	start := l.srv.Serve
	if l.tls != nil {
		start = func(ln net.Listener) error { return l.srv.ServeTLS(ln, "", "") }
	}
	if err := start(l.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	return <-stopped
}

// recorded are the listeners of which there are records.
func (a *app) recorded() []*listener {
	all := []*listener{a.proxy}
	if a.forward != nil {
		all = append(all, a.forward)
	}
	if a.tls != nil {
		all = append(all, a.tls.listener)
	}
	return all
}

// serverLog takes net/http's own complaints. They are about connections, not about us: debug.
type serverLog struct {
	logger *slog.Logger
	name   string
}

func (s serverLog) Write(b []byte) (int, error) {
	s.logger.Debug("http server", "listener", s.name, "detail", string(b))
	return len(b), nil
}
