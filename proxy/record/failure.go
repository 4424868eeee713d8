package record

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"fhirwire/proxy"
)

const (
	sideClient = "client"
	sideServer = "server"
	sideProxy  = "proxy"
)

// phase is how far the way to the server got.
type phase uint8

const (
	phaseNone phase = iota
	phaseConnect
	phaseTLS
	phaseConnected
	phaseSending
	phaseSent
)

// RefusedError is why the proxy does not forward a request. A dialer returns it; Classify recognizes it.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// FailedError is an error whose explanation is known where it arose, as in a TLS handshake; Classify tells it as it is.
type FailedError struct {
	Failure proxy.Failure
	// Leg is what was seen of the connection to the server; nil when nothing was.
	Leg *proxy.Leg
	Err error
}

func (e *FailedError) Error() string { return e.Failure.Detail }

// Unwrap gives the error that was met.
func (e *FailedError) Unwrap() error { return e.Err }

// Classify says why the exchange broke off, from the error that forwarding or reading met.
func (p *Pending) Classify(err error) proxy.Failure {
	if p.rec.stopping.Load() {
		return stopped
	}
	p.mu.Lock()
	ph, began := p.phase, p.upstream != nil
	p.mu.Unlock()
	if p.request != nil {
		if rerr := p.request.failure(); rerr != nil {
			return proxy.Failure{Reason: proxy.ReasonClientGone, Side: sideClient, Detail: "request broke off: " + rerr.Error()}
		}
	}
	if p.inbound.Context().Err() != nil {
		return proxy.Failure{Reason: proxy.ReasonClientGone, Side: sideClient, Detail: "client hung up before the response was complete"}
	}
	f := classify(err, ph)
	if f.Detail == incomplete && !began {
		f.Detail = "connection closed without an answer"
	}
	return f
}

// stopped is what breaks off because the process ends.
var stopped = proxy.Failure{Reason: proxy.ReasonProxy, Side: sideProxy, Detail: "fhirwire was stopped before the exchange was complete"}

const incomplete = "connection closed before the response was complete"

func classify(err error, ph phase) proxy.Failure {
	server := func(r proxy.Reason, detail string) proxy.Failure {
		return proxy.Failure{Reason: r, Side: sideServer, Detail: detail}
	}
	var known *FailedError
	var refused *RefusedError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	h2, isH2 := http2Failure(err.Error())
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case errors.As(err, &known):
		return known.Failure
	case errors.As(err, &refused):
		return proxy.Failure{Reason: proxy.ReasonRefused, Side: sideProxy, Detail: refused.Text}
	case errors.As(err, &dns) && dns.IsNotFound:
		return server(proxy.ReasonUpstreamDown, "unknown host "+dns.Name)
	case errors.As(err, &dns):
		return server(proxy.ReasonUpstreamDown, "name lookup failed: "+dns.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		return server(proxy.ReasonUpstreamDown, "connection refused")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return server(proxy.ReasonUpstreamDown, "host unreachable")
	case ph == phaseTLS && late:
		return server(proxy.ReasonUpstreamTLS, "TLS handshake timed out")
	case ph == phaseTLS, isTLS(err):
		return server(proxy.ReasonUpstreamTLS, err.Error())
	case late && ph <= phaseConnect:
		return server(proxy.ReasonUpstreamDown, "no connection in time")
	case late:
		return server(proxy.ReasonUpstreamTimeout, "no answer in time: "+err.Error())
	case isH2:
		return h2
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return server(proxy.ReasonUpstreamReset, "connection reset")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "closed idle connection"),
		ph >= phaseConnected && errors.Is(err, net.ErrClosed): // net/http closes its side once it reads of the end, in the middle of its own writing
		return server(proxy.ReasonUpstreamReset, incomplete)
	case ph <= phaseConnect:
		return server(proxy.ReasonUpstreamDown, err.Error())
	case isProtocol(err):
		return server(proxy.ReasonUpstreamInvalid, quotedShort(strings.TrimPrefix(err.Error(), brokenHTTP1)))
	}
	return proxy.Failure{Reason: proxy.ReasonProxy, Side: sideProxy, Detail: err.Error()}
}

func isTLS(err error) bool {
	var (
		record   tls.RecordHeaderError
		verify   *tls.CertificateVerificationError
		alert    tls.AlertError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &verify) || errors.As(err, &alert) ||
		errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// brokenHTTP1 begins what net/http says of an answer that is not HTTP/1.
const brokenHTTP1 = "net/http: HTTP/1.x transport connection broken: "

// excess is what net/http says when more comes in HTTP/2 than was announced. It cuts the rest off.
const excess = "server replied with more than declared Content-Length"

// isProtocol recognizes what net/http says of answers that are not HTTP; it has no types for them.
func isProtocol(err error) bool {
	text := err.Error()
	for _, s := range []string{brokenHTTP1, excess, "malformed", "invalid", "server response headers exceeded", "http2: ", "unsupported transfer encoding", "too many 1xx", "missing status pseudo"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
