package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// policy lets pages use our own script, style and streams and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers of every answer. There is no CORS header on any.
func (s *Server) secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	c.Next()
}

// guard refuses what other sites make a browser send: a name that was rebound to our address, and changes from elsewhere.
func (s *Server) guard(c *gin.Context) {
	if !s.knownHost(c.Request) {
		s.fail(c, errHost)
		return
	}
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		s.fail(c, errOrigin)
		return
	}
	c.Next()
}

// knownHost reports whether the Host header is a loopback name, a configured one, or the address the request arrived at.
func (s *Server) knownHost(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || slices.Contains(s.opts.Hosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap() == ip.Unmap()
}

// recover turns a panic into our fault. A handler that meant to abort the connection still does.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.opts.Logger.Error("dashboard handler panicked", "path", c.FullPath(), "panic", p, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.fail(c, errPanic)
			}
		}
	}()
	c.Next()
}

// log notes every request by its route, so that no query, id or header gets into the log.
func (s *Server) log(c *gin.Context) {
	start := s.opts.Clock()
	c.Next()
	took := s.opts.Clock().Sub(start)
	route := c.FullPath()
	if route == "" {
		route = "none"
	}
	s.metrics.observe(c.Request.Method, route, c.Writer.Status(), took)
	s.opts.Logger.LogAttrs(context.WithoutCancel(c.Request.Context()), levelOf(c.Writer.Status()), "dashboard request",
		attrs(c.Request.Method, route, c.Writer.Status(), took)...)
}
