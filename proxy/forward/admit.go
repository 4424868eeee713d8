package forward

import (
	"context"
	"crypto/x509"
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/record"
)

// Peers judges client certificates; *peers.Judge does. client may be nil: it is looked up by the channel then.
type Peers interface {
	Of(ctx context.Context, chain []*x509.Certificate, ch *proxy.Channel, client *proxy.System) peers.Finding
	// ByCertificate is the id of the client system that a chain belongs to.
	ByCertificate(ctx context.Context, chain []*x509.Certificate) (id string, ok bool)
}

// admit notes what the client's certificate is worth, and refuses where the channel requires one that is accepted (as package
// reverse does).
func (s *Server) admit(p *record.Pending, r *http.Request, ch *proxy.Channel) *refusal {
	var chain []*x509.Certificate
	if r.TLS != nil {
		chain = r.TLS.PeerCertificates
	}
	if len(chain) == 0 && !ch.Options.RequireClientCert {
		return nil
	}
	f := peers.Finding{Trust: proxy.TrustRefused, Detail: "not judged: no client certificates are accepted here"}
	if s.opt.Peers != nil {
		f = s.opt.Peers.Of(r.Context(), chain, ch, nil)
	} else if len(chain) == 0 {
		f = peers.Finding{Trust: proxy.TrustNone, Detail: "no client certificate was presented"}
	}
	p.TrustClient(f.Trust, f.Detail)
	if !ch.Options.RequireClientCert || f.Accepted {
		return nil
	}
	if r.TLS == nil {
		f.Detail = "the channel requires a client certificate, and the connection is in clear"
	}
	return &refusal{
		status: http.StatusForbidden, code: "forbidden",
		text:    "The channel requires a client certificate that is accepted: " + f.Detail + ".",
		failure: proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client", Detail: f.Detail},
	}
}
