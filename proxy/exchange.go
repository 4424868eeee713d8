package proxy

import "time"

// Exchange is one request and its response as they passed the proxy. It is immutable once it reaches a Sink; findings about
// it live in a validators.Report under the same id. Secrets in it are fingerprints already (see Fingerprint).
type Exchange struct {
	// ID is a UUIDv7, so ids sort by the time the request arrived.
	ID string
	// Number counts exchanges in one database from 1; the store assigns it. It is what people say ("look at 121").
	Number int64
	// Channel is the name of the channel the request came in on; empty when none matched.
	Channel string
	// Matched says how the exchange was attributed to the channel ("channel URL").
	Matched string
	Mode    Mode
	// ClientAddr is the client's IP address and port.
	ClientAddr string
	// ClientLeg and ServerLeg are the connections on either side; nil where nothing is known (imported traffic, no connection).
	ClientLeg   *Leg
	ServerLeg   *Leg
	Interaction Interaction
	Request     Request
	// Response is nil when no response headers arrived from the server; Failure then says why.
	Response *Response
	// Failure is set when the exchange did not run to its end; the response may be there in part.
	Failure *Failure
	// Edits lists what the proxy changed between the received and the forwarded messages.
	Edits  []Edit
	Timing Timing
}

// Mode is the way traffic reached the recorder.
type Mode string

// The modes.
const (
	ModeReverse  Mode = "reverse"
	ModeForward  Mode = "forward"
	ModeImported Mode = "imported"
	// ModeTunnel is a TLS connection passed on unread by its server name: times and sizes only.
	ModeTunnel Mode = "tunnel"
	// ModePlayed is a request that the runner sent itself.
	ModePlayed Mode = "played"
)

// Message is what requests and responses have in common.
type Message struct {
	// Proto is the protocol as negotiated, "HTTP/1.1" or "HTTP/2.0".
	Proto string
	// Header is as received. net/http canonicalizes names and loses the order between different names.
	Header  Header
	Body    Body
	Trailer Header
}

// Request is the client's half.
type Request struct {
	Message
	Method string
	// URL is absolute and names the proxy, as the client sent it.
	URL string
	// Target is the absolute URL the request was forwarded to; empty when it was not forwarded.
	Target string
}

// Response is the server's half, as the server sent it. What the client got differs by Exchange.Edits only.
type Response struct {
	Message
	Status int
	// Forwarded is the body as handed to the client when the proxy edited it, else nil.
	Forwarded *Body
}

// Failure is why an exchange did not run to its end.
type Failure struct {
	Reason Reason
	// Side is at fault: "client", "server" or "proxy".
	Side string
	// Detail is the cause in words, for example "connection refused".
	Detail string
}

// Reason names a Failure.
type Reason string

// The reasons.
const (
	ReasonUpstreamDown    Reason = "upstream-down"    // no connection: refused, unreachable, name unknown
	ReasonUpstreamTimeout Reason = "upstream-timeout" // connected, no answer in time
	ReasonUpstreamTLS     Reason = "upstream-tls"     // handshake or certificate failed
	ReasonUpstreamReset   Reason = "upstream-reset"   // broke off before the response was complete
	ReasonUpstreamInvalid Reason = "upstream-invalid" // answered, but not in HTTP that can be passed on
	ReasonClientGone      Reason = "client-gone"      // client hung up before it had the whole response
	ReasonClientTLS       Reason = "client-tls"       // the client's handshake or certificate failed
	ReasonNoChannel       Reason = "no-channel"       // the URL names no channel
	ReasonRefused         Reason = "refused"          // the proxy does not forward this
	ReasonProxy           Reason = "proxy-error"      // our fault
)

// Timing holds the moments of an exchange; a zero time means it did not happen or was not seen.
type Timing struct {
	Start        time.Time // request line and headers received
	RequestDone  time.Time // request body forwarded
	Connected    time.Time // upstream connection ready (new or reused)
	FirstByte    time.Time // response headers received
	End          time.Time // last byte handed to the client, or the failure
	ReusedUpConn bool
}

// Duration is the time from the request's arrival to the end, zero while either is unknown.
func (t Timing) Duration() time.Duration {
	if t.Start.IsZero() || t.End.IsZero() {
		return 0
	}
	return t.End.Sub(t.Start)
}

// Status is the response's status code, 0 when there was no response.
func (e *Exchange) Status() int {
	if e.Response == nil {
		return 0
	}
	return e.Response.Status
}

// Insecure reports that the server's certificate was not verified, because a person switched that off for a time.
func (e *Exchange) Insecure() bool {
	return e.ServerLeg != nil && e.ServerLeg.TLS != nil && e.ServerLeg.TLS.Trust == TrustInsecure
}
