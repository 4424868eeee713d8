// Package localca is the local certificate authority: one folder with a root, the issuing certificates below it, short-lived
// server certificates for registered hosts, and named client certificates.
//
// Open makes or reads the folder. Permit says for which hosts server certificates may be issued, Leaf issues them; IssueClient,
// IssueServer and Import fill the store of named certificates, TLS and Export read it.
//
// People install the root in their machines. What it is good for is therefore narrow: server certificates come from issuing
// certificates that are name-constrained to the permitted hosts and replaced, with their key, when those change; the key of the
// root is read only to do that. The package does not verify peers (package peers does) and speaks no ACME.
package localca
