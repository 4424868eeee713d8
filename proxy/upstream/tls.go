package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// secureDialer makes the connections of one channel's settings, for its transport.
type secureDialer struct {
	t         *Transports
	set       settings
	client    *held // nil: nothing is presented
	prepare   func() trust
	transport *http.Transport
	byHTTP1   func() *http.Transport // made when it is first needed
	old       sync.Map               // hosts that have asked for HTTP/1.1
	latest    sync.Map               // host:port to the *proxy.Leg of the latest handshake
}

// last is the latest connection to the host of u.
func (d *secureDialer) last(u *url.URL) *proxy.Leg {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	leg, _ := d.latest.Load(net.JoinHostPort(u.Hostname(), port))
	found, _ := leg.(*proxy.Leg)
	return found
}

// trust is what servers' certificates are verified by.
type trust struct {
	roots  *x509.CertPool
	given  []*x509.Certificate // by the server system's options
	broken error               // they are no certificates
}

func (d *secureDialer) trusted() trust {
	var tr trust
	tr.roots = d.t.roots()
	if d.set.ca == "" && d.t.opt.LocalRoot == nil {
		return tr
	}
	tr.roots = tr.roots.Clone()
	if d.t.opt.LocalRoot != nil {
		tr.roots.AddCert(d.t.opt.LocalRoot)
	}
	if d.set.ca != "" {
		tr.given, tr.broken = proxy.CertificatesFromPEM(d.set.ca)
	}
	for _, c := range tr.given {
		tr.roots.AddCert(c)
	}
	return tr
}

// attempt is one handshake.
type attempt struct {
	host     string
	raw      *conn
	asked    bool
	unlisted bool // the server named CAs it accepts, and the certificate is from none of them
}

// dial connects and shakes hands, so that what comes back is ready and described.
func (d *secureDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := d.t.guard.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tr := d.prepare()
	a := &attempt{host: host, raw: raw}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: tr.roots, NextProtos: offered(ctx), Time: d.t.opt.Clock,
		GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) { return d.present(a, asked), nil },
	}
	if d.client != nil {
		conf.Renegotiation = tls.RenegotiateOnceAsClient // some servers ask for certificates only for some paths
	}
	if !d.set.until.IsZero() {
		conf.InsecureSkipVerify = true //nolint:gosec // a person switched it off for a time; every exchange says so
	}
	secure := tls.Client(raw, conf)
	if tr := httptrace.ContextClientTrace(ctx); tr != nil && tr.TLSHandshakeStart != nil {
		tr.TLSHandshakeStart()
	}
	limited, cancel := context.WithTimeout(ctx, d.t.opt.DialTimeout)
	defer cancel()
	if err := secure.HandshakeContext(limited); err != nil {
		_ = raw.Close() // the handshake's error is the one to tell
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, d.failed(a, tr, raw, secure, err)
	}
	cs := secure.ConnectionState()
	leg := d.leg(a, tr, raw, &cs)
	raw.leg.Store(leg)
	d.latest.Store(address, leg)
	return secure, nil
}

// present gives the channel's certificate whatever CAs the server names: what it makes of it is its answer to record.
func (d *secureDialer) present(a *attempt, asked *tls.CertificateRequestInfo) *tls.Certificate {
	a.asked = true
	if d.client == nil {
		return &tls.Certificate{}
	}
	a.unlisted = len(asked.AcceptableCAs) > 0 && asked.SupportsCertificate(d.client.cert) != nil
	if before := a.raw.Leg(); before != nil { // by renegotiation, on a connection that carries requests
		leg, secure := *before, *before.TLS
		secure.Asked, secure.Client = true, d.presented(a)
		leg.TLS = &secure
		a.raw.leg.Store(&leg)
	}
	return d.client.cert
}

// presented is the chain shown to the server.
func (d *secureDialer) presented(a *attempt) []proxy.Certificate {
	if !a.asked || d.client == nil {
		return nil
	}
	return d.t.chains.Of(d.client.chain)
}

// leg describes a connection that stands.
func (d *secureDialer) leg(a *attempt, tr trust, raw net.Conn, cs *tls.ConnectionState) *proxy.Leg {
	leg := &proxy.Leg{Address: raw.RemoteAddr().String(), TLS: record.Handshake(cs)}
	leg.TLS.Server, leg.TLS.Client, leg.TLS.Asked = d.t.chains.Of(cs.PeerCertificates), d.presented(a), a.asked
	chains := cs.VerifiedChains
	if !d.set.until.IsZero() {
		leg.TLS.Trust = proxy.TrustInsecure
		leg.TLS.Detail = "verification is switched off until " + moment(d.set.until)
		if err := d.verify(a, tr, cs.PeerCertificates); err != nil {
			leg.TLS.Detail += "; it would fail: " + explainCertificate(err, a.host, tr.broken)
		} else {
			leg.TLS.Detail += "; it would succeed, so switch it on again"
		}
		return leg
	}
	leg.TLS.Trust, leg.TLS.Detail = d.trustOf(tr, chains)
	return leg
}

// trustOf says which roots a verified certificate comes from. Where several chains hold, what was set by people says most.
func (d *secureDialer) trustOf(tr trust, chains [][]*x509.Certificate) (proxy.Trust, string) {
	kind, detail := proxy.TrustPublic, ""
	for _, chain := range chains {
		root := chain[len(chain)-1]
		from := "issued under " + proxy.CertificateOf(root).Subject
		for _, given := range tr.given {
			if given.Equal(root) {
				return proxy.TrustServerCA, from
			}
		}
		switch {
		case d.t.opt.LocalRoot != nil && d.t.opt.LocalRoot.Equal(root):
			kind, detail = proxy.TrustLocalCA, from
		case detail == "":
			detail = from
		}
	}
	return kind, detail
}

func (d *secureDialer) verify(a *attempt, tr trust, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the server presented no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: a.host, Roots: tr.roots, Intermediates: between, CurrentTime: d.t.opt.Clock()})
	return err
}

// failed explains a handshake that did not come about.
func (d *secureDialer) failed(a *attempt, tr trust, raw net.Conn, secure *tls.Conn, err error) error {
	cs := secure.ConnectionState()
	leg := &proxy.Leg{Address: raw.RemoteAddr().String(), TLS: &proxy.TLS{ServerName: a.host, Asked: a.asked, Client: d.presented(a)}}
	if cs.Version != 0 {
		leg.TLS.Version = tls.VersionName(cs.Version)
	}
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		leg.TLS.Server = d.t.chains.Of(refused.UnverifiedCertificates)
		leg.TLS.Trust = proxy.TrustRefused
	}
	f := explain(err, a.host, leg.TLS, tr.broken)
	if a.unlisted && f.Side == sideProxy {
		f.Detail += "; the server names the CAs it accepts, and the certificate is from none of them"
	}
	leg.TLS.Detail = f.Detail
	return &record.FailedError{Failure: f, Leg: leg, Err: err}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
