package forward

import (
	"context"
	"crypto/x509"
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/record"
)

// Peers judges client certificates; *peers.Judge does.
type Peers interface {
	peers.Judging
	// ByCertificate is the id of the client system that a chain belongs to.
	ByCertificate(ctx context.Context, chain []*x509.Certificate) (id string, ok bool)
}

// admit notes what the client's certificate is worth, and refuses where the channel requires one that is accepted. told is the chain
// that the server is to know of.
func (s *Server) admit(p *record.Pending, r *http.Request, ch *proxy.Channel) (told []*x509.Certificate, ref *answer.Refusal) {
	var by peers.Judging
	if s.opt.Peers != nil {
		by = s.opt.Peers
	}
	a := peers.Admit(r.Context(), by, r.TLS, ch)
	if a.Noted {
		p.TrustClient(a.Trust, a.Detail)
	}
	switch {
	case a.Refused != "":
		return nil, answer.Certificate(a.Refused)
	case ch.Options.TellClientCert && a.Accepted && r.TLS != nil:
		return r.TLS.PeerCertificates, nil
	}
	return nil, nil
}
