// Package selfcheck looks at the two legs of a channel before an event: names, ports, certificates, mTLS, the CapabilityStatement,
// discovery documents, auxiliary servers and clocks. It says in plain words what was found and which side must act.
//
// New takes the dialer that the proxy itself uses, so that a check reaches nothing that an exchange would not; Check never fails as a
// whole: what cannot be looked at is a probe that says so. It sends GET requests only, follows no redirects, carries no credentials and
// records nothing.
package selfcheck
