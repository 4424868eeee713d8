// Package peers judges the certificates that clients present: whose they are and whether they are accepted on a channel.
//
// New(Options{}).Of(ctx, chain, channel, nil) gives a Finding, which says in words what was decided. A certificate is accepted when
// its fingerprint is on record for the channel's client system; for a client without fingerprints also when it comes from the
// event's CA, from fhirwire's own CA, or belongs to an entry of the endpoint directory. One that belongs to another system is never
// accepted. ByCertificate answers the reverse question, for requests whose URL names no client.
//
// It does not ask revocation services, and it does not decide what happens to the request: that is the forwarder's rule.
package peers
