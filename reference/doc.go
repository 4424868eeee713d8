// Package reference is the built-in payer: a FHIR server with members, claims and clinical data of its own, to play the other
// side of an exchange.
//
// New opens it over a database and a set of guides, Seed and Load fill it, Handler serves it and Run works on bulk exports
// until its context ends. It is a black box to the rest of the program: whoever talks to it does so over HTTP. It serves JSON only.
package reference
