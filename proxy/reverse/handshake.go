package reverse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// Handshakes records TLS connections of clients that end before there is a request: what a client says of our certificate, or that it
// speaks no TLS, is seen nowhere else.
type Handshakes struct {
	rec      *record.Recorder
	channels Channels
	opt      HandshakeOptions

	mu    sync.Mutex // guards what follows
	since time.Time
	count int
}

// HandshakeOptions are the settings of Handshakes; each zero value means the default.
type HandshakeOptions struct {
	// PerMinute caps what is recorded, so that nobody fills the store by knocking; default 60.
	PerMinute int
	// Clock gives the time; default time.Now.
	Clock func() time.Time
	// Logger gets what is not recorded; default: nothing is logged.
	Logger *slog.Logger
}

// NewHandshakes returns a recorder of failed handshakes; State is the http.Server's ConnState.
func NewHandshakes(channels Channels, rec *record.Recorder, o HandshakeOptions) *Handshakes {
	if o.PerMinute == 0 {
		o.PerMinute = 60
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handshakes{rec: rec, channels: channels, opt: o}
}

// State looks at connections that the server is done with.
func (h *Handshakes) State(c net.Conn, state http.ConnState) {
	secure, ok := c.(*tls.Conn)
	if !ok || state != http.StateClosed {
		return
	}
	cs := secure.ConnectionState()
	if cs.HandshakeComplete {
		return
	}
	ctx := context.Background() //nolint:forbidigo // a connection that failed has no context
	err := secure.HandshakeContext(ctx)
	var header tls.RecordHeaderError
	switch {
	case err == nil, errors.Is(err, net.ErrClosed): // the process is stopping
		return
	case cs.Version == 0 && cs.ServerName == "" && !errors.As(err, &header) && !strings.Contains(err.Error(), "tls: "):
		return // it never said anything: a port scanner, a health check
	case !h.may():
		h.opt.Logger.Debug("failed handshake not recorded: there are too many", "client", c.RemoteAddr().String(), "error", err)
		return
	}
	name := cs.ServerName
	if name == "" {
		name = c.LocalAddr().String()
	}
	a := record.Arrival{Mode: proxy.ModeReverse, URL: "https://" + name + "/"}
	if label, _, _ := strings.Cut(cs.ServerName, "."); strings.Contains(label, "~") {
		if ch, err := h.channels.ChannelByName(ctx, strings.ToLower(label)); err == nil {
			a.Channel, a.Matched = ch.Name, "TLS server name"
		}
	}
	// There was no request. It stands in the record like a connection that is passed on unread.
	r := (&http.Request{
		Method: http.MethodConnect, URL: &url.URL{Path: "/"}, Host: name, Proto: "TLS", Header: http.Header{}, RemoteAddr: c.RemoteAddr().String(), TLS: &cs,
	}).WithContext(ctx)
	_, p := h.rec.Begin(r, a)
	f := handshakeFailure(err)
	p.TrustClient("", f.Detail)
	p.Fail(f)
}

// may reports whether one more is recorded this minute.
func (h *Handshakes) may() bool {
	now := h.opt.Clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.since).Abs() >= time.Minute {
		h.since, h.count = now, 0
	}
	h.count++
	return h.count <= h.opt.PerMinute
}

// handshakeFailure says what a client's failed handshake means.
func handshakeFailure(err error) proxy.Failure {
	f := proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client"}
	text := err.Error()
	_, alert, isAlert := strings.Cut(text, "remote error: tls: ")
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header) && looksLikeHTTP(header.RecordHeader):
		f.Detail = "the client sent HTTP in clear to the TLS listener; its URL has to begin with https://"
	case errors.As(err, &header):
		f.Detail = "the client does not speak TLS to the TLS listener"
	case isAlert && (strings.Contains(alert, "certificate") || alert == "unknown CA" || strings.Contains(alert, "authority")):
		f.Detail = "the client does not accept the proxy's certificate (" + alert + ")"
	case isAlert:
		f.Detail = "the client broke the handshake off: " + alert
	case strings.Contains(text, "bad record MAC"): // an alert that came before the keys for it
		f.Detail = "the client broke the handshake off, most often because it does not trust the proxy's certificate"
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "protocol version"):
		f.Detail = "the client speaks no TLS 1.2 or later"
	case strings.Contains(text, "no cipher suite"):
		f.Detail = "the client offers no cipher suite that the proxy has"
	case errors.Is(err, io.EOF), strings.Contains(text, "reset by peer"), strings.Contains(text, "broken pipe"):
		f.Detail = "the client hung up during the handshake, most often because it does not trust the proxy's certificate"
	case timedOut(err):
		f.Detail = "the client did not finish the handshake in time"
	case strings.Contains(text, "certificate for"), strings.Contains(text, "no certificates configured"):
		f.Reason, f.Side, f.Detail = proxy.ReasonProxy, "proxy", "the proxy has no certificate for this name: "+strings.TrimPrefix(text, "tls: ")
	default:
		f.Detail = "the handshake with the client failed: " + strings.TrimPrefix(text, "tls: ")
	}
	return f
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// looksLikeHTTP recognizes the first bytes of a request in what should have been a TLS record.
func looksLikeHTTP(start [5]byte) bool {
	switch string(start[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *", "CONNE":
		return true
	}
	return false
}
