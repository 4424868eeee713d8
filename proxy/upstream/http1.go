package upstream

import (
	"context"
	"net"
	"net/http"

	"fhirwire/proxy/record"
)

// Some servers answer a request in HTTP/1.1 only and say so when it comes by HTTP/2 (RFC 9113 7, HTTP_1_1_REQUIRED): those that
// renegotiate TLS for a client certificate, for one. net/http does not ask again.

// send sends r by HTTP/1.1 where the host has asked for that before, and again by it where it asks now and nothing of a body is gone.
func (d *secureDialer) send(r *http.Request) (*http.Response, error) {
	if _, ok := d.old.Load(r.URL.Host); ok {
		return d.byHTTP1().RoundTrip(r)
	}
	res, err := d.transport.RoundTrip(r)
	if err == nil || !record.WantsHTTP1(err) {
		return res, err
	}
	d.old.Store(r.URL.Host, true)
	if r.Body != nil && r.Body != http.NoBody {
		return nil, err // the next one will arrive
	}
	return d.byHTTP1().RoundTrip(r)
}

// newHTTP1 is d's transport without HTTP/2. It shares d's settings and its dialer.
func (d *secureDialer) newHTTP1() *http.Transport {
	t := d.transport.Clone()
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return d.dial(context.WithValue(ctx, upgradeKey{}, true), network, address)
	}
	return t
}

// closeIdle closes connections that carry no request.
func (d *secureDialer) closeIdle() {
	d.transport.CloseIdleConnections()
	d.byHTTP1().CloseIdleConnections()
}
