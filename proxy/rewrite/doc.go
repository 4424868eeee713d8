// Package rewrite decides what must name the proxy instead of the server: Location, Content-Location and Link headers, a
// Bundle's links and fullUrls, and a bulk manifest's file URLs.
//
// NewMap knows one channel; Map.Headers, Map.JSON and Map.Reader turn what the server sent into what the client gets, and list
// the edits. All are functions of their input: no network, no clock. Everything at other places passes byte for byte. References
// and canonical URLs inside resources are never touched, nor are discovery documents yet.
package rewrite
