package reverse

import (
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/record"
)

// Peers judges client certificates; *peers.Judge does.
type Peers = peers.Judging

// admit notes what the client's certificate is worth, and says why the request is not forwarded where the channel requires one
// that is accepted.
func (h *handler) admit(p *record.Pending, r *http.Request, ch *proxy.Channel) *answer.Refusal {
	a := peers.Admit(r.Context(), h.opt.Peers, r.TLS, ch)
	if a.Noted {
		p.TrustClient(a.Trust, a.Detail)
	}
	if a.Refused == "" {
		return nil
	}
	return answer.Certificate(a.Refused)
}
