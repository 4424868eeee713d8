package selfcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"fhirwire/proxy/record"
)

func reason(err error, otherwise string) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return otherwise
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name is not known"
	case timedOut(err):
		return "no answer in time"
	case broken(err):
		return "the server closed the connection without an answer"
	case strings.Contains(err.Error(), "malformed HTTP"):
		return "what answers on this port does not speak HTTP"
	default:
		return strings.TrimSuffix(err.Error(), ".")
	}
}

func dialReason(err error) string {
	var no *record.RefusedError
	switch {
	case errors.As(err, &no):
		return no.Text
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused)"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way leads there"
	default:
		return reason(err, "")
	}
}

// alertOf is what the server's TLS alert says, "" when err is none. crypto/tls has no exported type for it.
func alertOf(err error) string {
	_, alert, _ := strings.Cut(err.Error(), "remote error: tls: ")
	return alert
}

// broken reports a connection that the other side ended. net/http closes its own side as soon as it reads of that end, so what it writes
// then fails with net.ErrClosed.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "closed idle connection")
}

func refused(err error) bool {
	var no *record.RefusedError
	return errors.As(err, &no)
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func handshakeReason(err error) string {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header):
		return "the other side does not speak TLS on this port"
	case alertOf(err) == "protocol version not supported":
		return "the server speaks no TLS 1.2 or later"
	case alertOf(err) == "handshake failure":
		return "the server found nothing in common (handshake failure), which most often means old cipher suites: with TLS 1.2 it needs one with ECDHE"
	case alertOf(err) != "":
		return "the server refused it (" + alertOf(err) + ")"
	default:
		return reason(err, "")
	}
}
