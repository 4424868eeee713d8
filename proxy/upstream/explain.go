package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// The sides of a failure. What the channel's own settings lack is the proxy's.
const (
	sideServer = "server"
	sideProxy  = "proxy"
)

// remoteAlert begins what crypto/tls says of an alert that came from the peer; it has no exported type.
const remoteAlert = "remote error: tls: "

// explain says in words why a handshake with host failed. seen is what it showed.
func explain(err error, host string, seen *proxy.TLS, brokenCA error) proxy.Failure {
	f := proxy.Failure{Reason: proxy.ReasonUpstreamTLS, Side: sideServer}
	var verify *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	_, alert, isAlert := strings.Cut(err.Error(), remoteAlert)
	switch {
	case errors.As(err, &verify):
		f.Detail = explainCertificate(verify.Err, host, brokenCA)
	case errors.As(err, &header):
		f.Detail = host + " does not speak TLS on this port"
	case isAlert:
		f.Side, f.Detail = explainAlert(alert, host, seen)
	case timedOut(err):
		f.Detail = "TLS handshake timed out"
	case broken(err) && seen.Asked:
		f.Side, f.Detail = sideProxy, refusedClient("it closed the connection", seen)
	case broken(err):
		f.Detail = "the server closed the connection during the TLS handshake"
	default:
		f.Detail = "TLS handshake: " + strings.TrimPrefix(err.Error(), "tls: ")
	}
	return f
}

// late explains a failure after the handshake that it caused: with TLS 1.3 a server judges the client's certificate when the client
// is ready to send, so its refusal meets the first request. The alert can get lost when the connection is reset behind it.
func (d *secureDialer) late(r *http.Request, err error) error {
	var known *record.FailedError
	if r.URL.Scheme != "https" || r.Context().Err() != nil || errors.As(err, &known) {
		return err
	}
	p := record.FromContext(r.Context())
	var leg *proxy.Leg
	if p != nil {
		leg = p.ServerLeg()
	}
	unused := strings.Contains(err.Error(), "client conn could not be established") // HTTP/2 has no exported error for it
	if leg == nil {
		leg = d.last(r.URL)
	}
	if leg == nil || leg.TLS == nil {
		return err
	}
	_, alert, isAlert := strings.Cut(err.Error(), remoteAlert)
	f := proxy.Failure{Reason: proxy.ReasonUpstreamTLS}
	switch {
	case strings.Contains(err.Error(), "tls: no renegotiation"):
		f.Side, f.Detail = sideProxy, "the server renegotiates TLS, as servers do that ask for a client certificate for some paths only, and the channel presents none; choose one in the channel's settings"
	case isAlert:
		f.Side, f.Detail = explainAlert(alert, r.URL.Hostname(), leg.TLS)
	case unused && !leg.TLS.Asked:
		f = proxy.Failure{Reason: proxy.ReasonUpstreamReset, Side: sideServer, Detail: "connection closed before the first request"}
	case unused, broken(err) && leg.TLS.Asked && len(leg.TLS.Client) == 0 && p != nil && p.FreshConnection():
		f.Side, f.Detail = sideProxy, refusedClient("it closed the connection without an answer", leg.TLS)
	case broken(err) && leg.TLS.Asked && p != nil && p.FreshConnection():
		f = proxy.Failure{
			Reason: proxy.ReasonUpstreamReset, Side: sideServer,
			Detail: "connection closed on its first request; it had been given the client certificate " + leg.TLS.Client[0].Subject + " and may have refused it",
		}
	default:
		return err
	}
	return &record.FailedError{Failure: f, Leg: leg, Err: err}
}

// explainAlert says what an alert of the server means.
func explainAlert(alert, host string, seen *proxy.TLS) (side, text string) {
	switch alert {
	case "unrecognized name":
		return sideServer, "the server knows no site called " + host
	case "protocol version not supported":
		return sideServer, "the server speaks no TLS 1.2 or later"
	case "internal error":
		return sideServer, "the server had an internal error in the TLS handshake"
	}
	if seen.Asked {
		return sideProxy, refusedClient(alert, seen)
	}
	if alert == "handshake failure" || alert == "insufficient security level" {
		return sideServer, "the server found nothing in common in the TLS handshake (" + alert + "): most often its cipher suites are old; with TLS 1.2 it needs one with ECDHE"
	}
	return sideServer, "the server refused the TLS handshake: " + alert
}

// refusedClient says that the server did not accept what the channel presented.
func refusedClient(how string, seen *proxy.TLS) string {
	if len(seen.Client) == 0 {
		return "the server asked for a client certificate and the channel presents none (" + how + "); choose one in the channel's settings"
	}
	leaf := seen.Client[0]
	return fmt.Sprintf("the server refused the channel's client certificate %s, issued by %s, good until %s (%s)", leaf.Subject, leaf.Issuer, moment(leaf.NotAfter), how)
}

// explainCertificate says what is wrong with the server's certificate.
func explainCertificate(err error, host string, brokenCA error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		text     string
	)
	switch {
	case errors.As(err, &hostname):
		text = "the server's certificate is made out to " + madeOutTo(hostname.Certificate) + ", not to " + host
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		which := "the server's certificate"
		if invalid.Cert.IsCA {
			which = "the CA certificate " + invalid.Cert.Subject.String()
		}
		c := invalid.Cert
		text = fmt.Sprintf("%s is good from %s to %s, which is not now", which, moment(c.NotBefore), moment(c.NotAfter))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		text = "the server's certificate is not for servers (extended key usage)"
	case errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName:
		text = "the CA of the server's certificate may not issue for this name: " + invalid.Detail
	case errors.As(err, &unknown) && unknown.Cert != nil && slices.Equal(unknown.Cert.RawSubject, unknown.Cert.RawIssuer):
		text = "the server's certificate leads to " + unknown.Cert.Subject.String() + ", which is self-signed and not trusted; add it to the server system's CA certificates if it is theirs"
	case errors.As(err, &unknown) && unknown.Cert != nil:
		text = "the server's certificate is issued by " + unknown.Cert.Issuer.String() + ", which is not trusted here; add its CA certificate to the server system, or have the server send its whole chain"
	default:
		text = "the server's certificate: " + strings.TrimPrefix(err.Error(), "x509: ")
	}
	if brokenCA != nil {
		text += " (the CA certificates set for the server system cannot be read: " + brokenCA.Error() + ")"
	}
	return text
}

func madeOutTo(c *x509.Certificate) string {
	names := proxy.CertificateOf(c).Names
	switch {
	case len(names) == 0:
		return "no name (its subject is " + c.Subject.String() + ", which does not count)"
	case len(names) > 8:
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// broken reports a connection that the peer ended. net/http closes its own side as soon as it reads of that end, so what it writes then
// fails with net.ErrClosed.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "closed idle connection")
}
