package record

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"slices"
	"sync"

	"fhirwire/proxy"
)

// Connected is a connection that describes itself, as those of package upstream do. A Leg is shared by exchanges and must not change;
// the connection may give another one later, when a server has asked for a certificate by renegotiation.
type Connected interface{ Leg() *proxy.Leg }

// Chains describes certificate chains, each once: connections come and go, the certificates stay the same. The zero value is ready.
type Chains struct {
	mu    sync.Mutex
	known map[string]described // by the leaf's DER form
}

type described struct {
	chain []*x509.Certificate
	out   []proxy.Certificate
}

// maxChains bounds what is remembered; past it everything is forgotten.
const maxChains = 512

// Of is proxy.Chain(certs); the result is shared and must not change.
func (c *Chains) Of(certs []*x509.Certificate) []proxy.Certificate {
	if len(certs) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(a, b *x509.Certificate) bool { return a == b || bytes.Equal(a.Raw, b.Raw) }
	if d, ok := c.known[string(certs[0].Raw)]; ok && slices.EqualFunc(d.chain, certs, same) {
		return d.out
	}
	if c.known == nil || len(c.known) >= maxChains {
		c.known = map[string]described{}
	}
	d := described{slices.Clone(certs), proxy.Chain(certs)}
	c.known[string(certs[0].Raw)] = d
	return d.out
}

// Handshake describes cs without the peer's certificates and trust, which depend on the side.
func Handshake(cs *tls.ConnectionState) *proxy.TLS {
	out := &proxy.TLS{ServerName: cs.ServerName, Protocol: cs.NegotiatedProtocol, Resumed: cs.DidResume}
	if cs.Version != 0 { // a handshake may fail before both are settled
		out.Version = tls.VersionName(cs.Version)
	}
	if cs.CipherSuite != 0 {
		out.Cipher = tls.CipherSuiteName(cs.CipherSuite)
	}
	return out
}

// clientLeg is the connection that r came in on. Whether its certificate is accepted is said later, by TrustClient.
func (rec *Recorder) clientLeg(r *http.Request, a Arrival) *proxy.Leg {
	if r.RemoteAddr == "" && r.TLS == nil {
		return nil
	}
	leg := &proxy.Leg{Address: r.RemoteAddr}
	if r.TLS == nil && a.Gateway == "" {
		return leg
	}
	leg.TLS = &proxy.TLS{}
	shown := a.Said
	if r.TLS != nil {
		leg.TLS = Handshake(r.TLS)
		if a.Gateway == "" {
			shown = r.TLS.PeerCertificates
		}
	}
	leg.TLS.Gateway, leg.TLS.Client = a.Gateway, rec.chains.Of(shown)
	if len(shown) == 0 {
		leg.TLS.Trust = proxy.TrustNone
	}
	if r.TLS == nil {
		return leg
	}
	switch {
	case a.Mode == proxy.ModeForward:
		leg.TLS.Server = rec.chains.Of(a.Presented)
	case rec.opt.Presents != nil:
		leg.TLS.Server = rec.chains.Of(rec.opt.Presents(r.TLS.ServerName))
	}
	return leg
}

// uses notes the connection to the server.
func (p *Pending) uses(c net.Conn) {
	inner := c
	secure, _ := c.(*tls.Conn)
	if secure != nil {
		inner = secure.NetConn()
	}
	if own, ok := inner.(Connected); ok && own.Leg() != nil {
		p.mu.Lock()
		p.link = own
		p.mu.Unlock()
		p.ServerLeg()
		return
	}
	p.connected(p.rec.serverLeg(c, secure))
}

// serverLeg describes a connection that does not do so itself; secure is the same one if it is TLS.
func (rec *Recorder) serverLeg(c net.Conn, secure *tls.Conn) *proxy.Leg {
	leg := &proxy.Leg{Address: c.RemoteAddr().String()}
	if secure != nil {
		cs := secure.ConnectionState()
		leg.TLS = Handshake(&cs)
		leg.TLS.Server = rec.chains.Of(cs.PeerCertificates)
	}
	return leg
}

// TrustClient says what the client's certificate was accepted on, or why not. It changes nothing on a connection in clear.
func (p *Pending) TrustClient(t proxy.Trust, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed == nil && p.ex.ClientLeg != nil && p.ex.ClientLeg.TLS != nil {
		p.ex.ClientLeg.TLS.Trust, p.ex.ClientLeg.TLS.Detail = t, detail
	}
}

// ServerLeg is the connection to the server as far as it is known; it must not be changed.
func (p *Pending) ServerLeg() *proxy.Leg {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil && p.sealed == nil {
		p.ex.ServerLeg = p.link.Leg()
	}
	return p.ex.ServerLeg
}

// FreshConnection reports that the request went out as the first on its connection.
func (p *Pending) FreshConnection() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ex.Timing.Connected.IsZero() && !p.ex.Timing.ReusedUpConn
}

// connected notes the connection to the server; leg is not changed any more.
func (p *Pending) connected(leg *proxy.Leg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed == nil {
		p.ex.ServerLeg, p.link = leg, nil
	}
}
