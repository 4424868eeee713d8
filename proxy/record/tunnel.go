package record

import "fhirwire/proxy"

// Tunneled ends the record of a connection that was passed on unread, to target at the address server. There is no response in it,
// and nothing failed.
func (p *Pending) Tunneled(t proxy.Tunnel, target, server string) {
	p.mu.Lock()
	if p.sealed == nil {
		leg := proxy.Leg{}
		if p.ex.ClientLeg != nil {
			leg = *p.ex.ClientLeg
		}
		leg.Tunnel = &t
		p.ex.ClientLeg, p.ex.ServerLeg = &leg, &proxy.Leg{Address: server}
		p.ex.Request.Target = target
	}
	p.mu.Unlock()
	p.finish(nil, 0)
}
