package selfcheck

import (
	"context"
	"crypto/tls"
	"errors"
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
	var alert tls.AlertError
	switch {
	case errors.As(err, &header):
		return "the other side does not speak TLS on this port"
	case errors.As(err, &alert):
		return "the server refused it (" + strings.TrimPrefix(alert.Error(), "tls: ") + ")"
	default:
		return reason(err, "")
	}
}
