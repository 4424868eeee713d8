package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"fhirwire/proxy"
)

// Judging judges client certificates; *Judge does. client may be nil: it is looked up by the channel then.
type Judging interface {
	Of(ctx context.Context, chain []*x509.Certificate, ch *proxy.Channel, client *proxy.System) Finding
}

// Admission is what a request's connection means for its channel.
type Admission struct {
	Finding
	// Noted is whether the record has to say something of the certificate: one was presented, or is required.
	Noted bool
	// Refused says why the request is not forwarded, "" where it is.
	Refused string
}

// Admit judges the client of a request on ch. Without the channel's requirement every request passes, and a certificate that is not
// accepted shows in the record. by may be nil: then no certificate is accepted. conn is nil for a connection in clear.
func Admit(ctx context.Context, by Judging, conn *tls.ConnectionState, ch *proxy.Channel) Admission {
	var chain []*x509.Certificate
	if conn != nil {
		chain = conn.PeerCertificates
	}
	required := ch.Options.RequireClientCert
	a := Admission{Finding: Finding{Trust: proxy.TrustNone, Detail: "no client certificate was presented"}, Noted: len(chain) > 0 || required}
	switch {
	case by != nil && a.Noted:
		a.Finding = by.Of(ctx, chain, ch, nil)
	case len(chain) > 0:
		a.Finding = Finding{Trust: proxy.TrustRefused, Detail: "not judged: no client certificates are accepted here"}
	}
	if !required || a.Accepted {
		return a
	}
	if a.Refused = a.Detail; conn == nil {
		a.Refused = "the channel requires a client certificate, and the connection is in clear"
	}
	return a
}
