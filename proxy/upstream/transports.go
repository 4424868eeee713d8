package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// Certificates finds the client certificates that channels name (proxy.ChannelOptions.ClientCert).
type Certificates interface {
	TLS(name string) (*tls.Certificate, error)
}

// Options are the settings of transports; each zero value means the default.
type Options struct {
	// Deny adds to the addresses that are never connected to; its error is what the exchange says. Link-local addresses, cloud metadata
	// among them, are always refused, loopback and private ones are not.
	Deny func(netip.AddrPort) error
	// Own lists this process's listeners, which no request may reach.
	Own []netip.AddrPort
	// Certificates has the client certificates; without it a channel that names one does not connect.
	Certificates Certificates
	// LocalRoot is the root of fhirwire's own CA, from which servers on this machine may have their certificate; nil for none.
	LocalRoot *x509.Certificate
	// Roots are the roots that servers' certificates come from; default the machine's.
	Roots *x509.CertPool
	// DialTimeout bounds connecting and the TLS handshake each; default 10 s. ResponseTimeout bounds the wait for response headers;
	// default 2 min.
	DialTimeout     time.Duration
	ResponseTimeout time.Duration
	// MaxChannels bounds how many channels have connections at a time; default 512.
	MaxChannels int
	// Clock gives the time; default time.Now.
	Clock func() time.Time
}

func (o Options) withDefaults() Options {
	if o.DialTimeout == 0 {
		o.DialTimeout = 10 * time.Second
	}
	if o.ResponseTimeout == 0 {
		o.ResponseTimeout = 2 * time.Minute
	}
	if o.MaxChannels == 0 {
		o.MaxChannels = 512
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	return o
}

type channelKey struct{}

// WithChannel says which channel's settings hold for requests with the context. A request without a channel goes by the defaults.
func WithChannel(ctx context.Context, ch *proxy.Channel) context.Context {
	return context.WithValue(ctx, channelKey{}, ch)
}

// settings are what connections of a channel depend on. They are compared to tell whether connections still fit.
type settings struct {
	cert        string // name of the client certificate
	fingerprint string // of its leaf, which changes when it is renewed
	ca          string
	until       time.Time // verification is off until then; zero: it is on
}

// entry is a channel's transport.
type entry struct {
	*secureDialer
	used time.Time
}

// Transports sends each request by the settings of its channel. It is safe for concurrent use.
type Transports struct {
	opt    Options
	guard  *guard
	chains *record.Chains
	roots  func() *x509.CertPool
	plain  *secureDialer

	mu       sync.Mutex // guards what follows
	channels map[string]*entry
	certs    map[string]*held
}

// held is a client certificate as last looked up.
type held struct {
	cert        *tls.Certificate
	chain       []*x509.Certificate
	fingerprint string
	at          time.Time
}

// New returns transports by o.
func New(o Options) *Transports {
	o = o.withDefaults()
	t := &Transports{
		opt: o, chains: &record.Chains{}, channels: map[string]*entry{}, certs: map[string]*held{},
		guard: &guard{deny: o.Deny, own: o.Own, dialer: net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}},
	}
	t.roots = sync.OnceValue(func() *x509.CertPool {
		if o.Roots != nil {
			return o.Roots
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			return x509.NewCertPool() // then no certificate is trusted, and failures say so
		}
		return pool
	})
	t.plain = t.dialer(settings{}, nil)
	return t
}

// NewTransport is the transport for requests without a channel: no proxy from the environment, nothing added to requests,
// certificates verified, and every address checked before it is dialed.
func NewTransport(o Options) *http.Transport { return New(o).plain.transport }

// dialer makes connections by set, presenting client where the server asks.
func (t *Transports) dialer(set settings, client *held) *secureDialer {
	d := &secureDialer{t: t, set: set, client: client}
	d.prepare = sync.OnceValue(d.trusted)
	d.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            t.dialPlain,
		DialTLSContext:         d.dial,
		ResponseHeaderTimeout:  t.opt.ResponseTimeout,
		ExpectContinueTimeout:  2 * time.Second,
		IdleConnTimeout:        60 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	d.byHTTP1 = sync.OnceValue(d.newHTTP1)
	return d
}

func (t *Transports) dialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := t.guard.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.leg.Store(&proxy.Leg{Address: c.RemoteAddr().String()})
	return c, nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transports) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.plain
	ch, _ := r.Context().Value(channelKey{}).(*proxy.Channel)
	if ch != nil {
		var err error
		if next, err = t.of(ch, r.URL.Scheme == "https"); err != nil {
			return nil, err
		}
	}
	limited, hints := withInterim(forUpgrade(r))
	res, err := next.send(limited)
	switch {
	case err != nil && hints.tooMany():
		return nil, errInterim
	case err != nil:
		return nil, next.late(r, err)
	}
	return res, nil
}

// CloseIdleConnections closes connections that carry no request.
func (t *Transports) CloseIdleConnections() {
	t.plain.closeIdle()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.channels {
		e.closeIdle()
	}
}

// of makes the connections of ch as its settings are now. Connections by other settings end with the request they carry.
func (t *Transports) of(ch *proxy.Channel, secure bool) (*secureDialer, error) {
	now := t.opt.Clock()
	set := settings{ca: ch.Server.CA}
	if now.Before(ch.Server.InsecureUntil) {
		set.until = ch.Server.InsecureUntil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var client *held
	if name := ch.Options.ClientCert; name != "" && secure {
		var err error
		if client, err = t.certificate(name, now); err != nil {
			return nil, &record.FailedError{
				Failure: proxy.Failure{
					Reason: proxy.ReasonUpstreamTLS, Side: sideProxy,
					Detail: fmt.Sprintf("the channel presents the client certificate %q, which cannot be used: %v", name, err),
				},
				Err: err,
			}
		}
		set.cert, set.fingerprint = name, client.fingerprint
	}
	key := ch.ID
	if key == "" {
		key = "name:" + ch.Name
	}
	if !secure {
		key += " in clear" // settings about TLS do not end these
		set = settings{}
	}
	e := t.channels[key]
	if e == nil || e.set != set {
		if e != nil {
			e.closeIdle()
		} else {
			t.makeRoom()
		}
		e = &entry{secureDialer: t.dialer(set, client)}
		t.channels[key] = e
	}
	e.used = now
	return e.secureDialer, nil
}

// makeRoom drops the channel that was used longest ago. t.mu is held.
func (t *Transports) makeRoom() {
	if len(t.channels) < t.opt.MaxChannels {
		return
	}
	var oldest string
	for key, e := range t.channels {
		if oldest == "" || e.used.Before(t.channels[oldest].used) {
			oldest = key
		}
	}
	t.channels[oldest].closeIdle()
	delete(t.channels, oldest)
}

// certificateAge is how old the answer of Certificates may be; a renewed certificate is presented after that.
const certificateAge = time.Second

// certificate is the client certificate called name. t.mu is held.
func (t *Transports) certificate(name string, now time.Time) (*held, error) {
	have := t.certs[name]
	if have != nil && now.Sub(have.at).Abs() < certificateAge {
		return have, nil
	}
	if t.opt.Certificates == nil {
		return nil, fmt.Errorf("there is no certificate store")
	}
	cert, err := t.opt.Certificates.TLS(name)
	if err != nil {
		return nil, err
	}
	if have != nil && have.cert == cert {
		have.at = now
		return have, nil
	}
	h := &held{cert: cert, at: now}
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of its chain: %w", len(h.chain)+1, err)
		}
		h.chain = append(h.chain, c)
	}
	if len(h.chain) == 0 {
		return nil, fmt.Errorf("it has no certificate")
	}
	h.fingerprint = proxy.CertificateOf(h.chain[0]).Fingerprint
	if len(t.certs) >= t.opt.MaxChannels {
		clear(t.certs)
	}
	t.certs[name] = h
	return h, nil
}
