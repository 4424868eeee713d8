package record

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy"
)

// Transport sends requests on through next and records the original response and the moments of the connection, for requests whose
// context carries a Pending; others pass.
func (rec *Recorder) Transport(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ next http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	p := FromContext(r.Context())
	if p == nil {
		return t.next.RoundTrip(r)
	}
	p.sending(r.URL)
	trace := &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				p.note(phaseConnected, nil)
			}
		},
		TLSHandshakeStart: func() { p.note(phaseTLS, nil) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				p.note(phaseConnected, nil)
			}
		},
		GotConn: func(i httptrace.GotConnInfo) {
			p.uses(i.Conn)
			p.note(phaseSending, func(t *proxy.Timing, now time.Time) { t.Connected, t.ReusedUpConn = now, i.Reused })
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				p.note(phaseSent, func(t *proxy.Timing, now time.Time) { t.RequestDone = now })
			}
		},
	}
	res, err := t.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		var known *FailedError
		if errors.As(err, &known) && known.Leg != nil {
			p.connected(known.Leg)
		}
		return nil, err
	}
	p.ServerLeg()
	p.headers(res)
	return res, nil
}

// requestHeader is r's header as received, as far as net/http shows it: Host, Transfer-Encoding and Trailer are put back.
func requestHeader(r *http.Request) proxy.Header {
	h := proxy.Header{{Name: "Host", Value: r.Host}}
	return append(append(h, framing(r.TransferEncoding, r.Trailer)...), fields(r.Header)...)
}

func responseHeader(res *http.Response) proxy.Header {
	return append(framing(res.TransferEncoding, res.Trailer), fields(res.Header)...)
}

func framing(transferEncoding []string, trailer http.Header) proxy.Header {
	var h proxy.Header
	if len(transferEncoding) > 0 {
		h = append(h, proxy.Field{Name: "Transfer-Encoding", Value: strings.Join(transferEncoding, ", ")})
	}
	if len(trailer) > 0 {
		names := make([]string, 0, len(trailer))
		for k := range trailer {
			names = append(names, k)
		}
		slices.Sort(names)
		h = append(h, proxy.Field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	return h
}

// fields lists h by name, for lack of the order in which the lines came.
func fields(h http.Header) proxy.Header {
	names := make([]string, 0, len(h))
	for k := range h {
		names = append(names, k)
	}
	slices.Sort(names)
	var out proxy.Header
	for _, k := range names {
		for _, v := range h[k] {
			out = append(out, proxy.Field{Name: k, Value: v})
		}
	}
	return out
}
