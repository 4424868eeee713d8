// Package edgecases makes the reference server answer wrongly on request, so that clients can be tried with what goes wrong:
// no match, several matches, a refused consent, throttling, a slow export, a failing file, an expired token, a broken
// resource, a wrong content type. The edges named mutation-… make one mistake each that servers make, so that test plans can be tried.
//
// New makes the switches, all off. Wrap stands between the authorization and the FHIR API and plays what is switched on for
// the client of a request; Admin turns switches over HTTP, from this machine only. Every answer to a client with a switch on
// says so in the header X-Fhirwire-Edge. Switches are forgotten when the process ends, and none is ever on by itself.
package edgecases
