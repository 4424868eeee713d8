// Package upstream is the way to servers: transports that check every address they dial, verify servers by what is set for a
// channel, present the channel's client certificate, and tell what the handshake showed.
//
// New(Options{}) gives an http.RoundTripper; a forwarder puts the channel of a request into its context by WithChannel. Each channel
// has connections of its own, so that no setting of one leaks into another; a changed setting holds from the next request on.
// Connections describe themselves to package record (record.Connected), and handshakes that fail say why in words.
//
// It follows no redirect, retries nothing beyond what net/http does with idle connections, and never resumes TLS sessions, so that
// every handshake shows certificates.
package upstream
