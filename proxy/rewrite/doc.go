// Package rewrite decides what must name the proxy instead of the server or of one of its auxiliary servers: Location,
// Content-Location, Link and WWW-Authenticate headers, a Bundle's links and fullUrls, a bulk manifest's file URLs, and the URLs of
// discovery documents in the channel's mode.
//
// NewMap knows one channel; Map.Headers, Map.JSON and Map.Reader turn what the server sent into what the client gets, and list
// the edits, with the URLs that were left and why. Map.Server is the way back. All are functions of their input: no network, no
// clock. Everything at other places passes byte for byte. References and canonical URLs inside resources are never touched, nor
// are scopes, identifiers and signed data in discovery documents.
package rewrite
