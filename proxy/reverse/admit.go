package reverse

import (
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/peers"
)

// Peers judges client certificates; *peers.Judge does.
type Peers = peers.Judging

// admit notes what the client's certificate is worth, and says why the request is not forwarded where the channel requires one
// that is accepted.
func (h *handler) admit(ps *passage, r *http.Request, heard testimony) *answer.Refusal {
	conn := heard.connection(r)
	a := peers.Admit(r.Context(), h.opt.Peers, conn, ps.channel)
	if heard.fault != nil {
		a.Noted, a.Trust = true, proxy.TrustRefused
		a.Detail = "what the gateway says of the client's certificate cannot be read: " + heard.fault.Error()
		if a.Refused != "" {
			a.Refused = a.Detail
		}
	}
	if a.Noted {
		ps.pending.TrustClient(a.Trust, a.Detail)
	}
	if a.Refused != "" {
		return answer.Certificate(a.Refused)
	}
	if conn != nil {
		ps.shown, ps.accepted = conn.PeerCertificates, a.Accepted
	}
	return nil
}
