package api

import (
	"time"

	"fhirwire/proxy"
)

// StoredCertificate is one of the local CA: its root, an issuing certificate, or one that has a name.
type StoredCertificate struct {
	Name string
	// Kind is root, servers or clients (issuing), client, server, imported, or acme or file (the TLS listener's, not by the local CA).
	Kind    string
	Chain   []proxy.Certificate // leaf first; empty when it cannot be read
	Expires time.Time
	// Warnings are for people: expired, about to expire, unreadable.
	Warnings []string
	// Replaced marks what was issued earlier under the same name.
	Replaced bool
}

// Certificates is the local CA.
type Certificates interface {
	RootPEM() []byte
	// Hosts are those that server certificates may be issued for.
	Hosts() []string
	// Certificates begin with the root.
	Certificates() []StoredCertificate
}
