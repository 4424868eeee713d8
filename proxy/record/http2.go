package record

import (
	"regexp"

	"fhirwire/proxy"
)

// net/http has no types for what goes wrong in HTTP/2. These are its texts.
var (
	streamForm     = regexp.MustCompile(`stream error: stream ID \d+; ([A-Z0-9_]+)(?:; (.+))?$`)
	connectionForm = regexp.MustCompile(`connection error: ([A-Z0-9_]+)$`)
	goAwayForm     = regexp.MustCompile(`http2: .*GOAWAY.*ErrCode[:=]([A-Z0-9_]+)`)
)

const (
	fromPeer = "received from peer"
	// oldProtocol is how a server says that it answers a request in HTTP/1.1 only (RFC 9113 7).
	oldProtocol = "HTTP_1_1_REQUIRED"
)

// http2Failure says what an error of the connection to a server means, if it is one of HTTP/2.
func http2Failure(text string) (proxy.Failure, bool) {
	server := func(r proxy.Reason, detail string) (proxy.Failure, bool) {
		return proxy.Failure{Reason: r, Side: sideServer, Detail: detail}, true
	}
	if m := streamForm.FindStringSubmatch(text); m != nil {
		switch {
		case m[2] == fromPeer && m[1] == oldProtocol:
			return server(proxy.ReasonUpstreamReset, "the server answers this request in HTTP/1.1 only, and it came by HTTP/2 ("+oldProtocol+")")
		case m[2] == fromPeer:
			return server(proxy.ReasonUpstreamReset, "the server broke the request off (HTTP/2 stream reset, "+m[1]+")")
		case m[2] != "":
			return server(proxy.ReasonUpstreamInvalid, "the server's answer breaks HTTP/2: "+m[2])
		}
		return server(proxy.ReasonUpstreamInvalid, "the server's answer breaks HTTP/2 ("+m[1]+")")
	}
	if m := connectionForm.FindStringSubmatch(text); m != nil {
		if m[1] == "COMPRESSION_ERROR" {
			return server(proxy.ReasonUpstreamInvalid, "the header of the server's answer cannot be unpacked, or is longer than 1 MB (HTTP/2, COMPRESSION_ERROR)")
		}
		return server(proxy.ReasonUpstreamInvalid, "the server's connection breaks HTTP/2 ("+m[1]+")")
	}
	if m := goAwayForm.FindStringSubmatch(text); m != nil {
		return server(proxy.ReasonUpstreamReset, "the server closed the HTTP/2 connection with the request on it (GOAWAY, "+m[1]+")")
	}
	return proxy.Failure{}, false
}

// WantsHTTP1 reports whether err is a server's word that it answers a request in HTTP/1.1 only.
func WantsHTTP1(err error) bool {
	m := streamForm.FindStringSubmatch(err.Error())
	return m != nil && m[1] == oldProtocol && m[2] == fromPeer
}
