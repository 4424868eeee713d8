package reverse

import (
	"net/http"

	"fhirwire/proxy/upstream"
)

// NewTransport is the transport to servers without the settings of a channel: no proxy from the environment, nothing added to
// requests, certificates verified, and every address checked before it is dialed.
func NewTransport(o Options) *http.Transport { return upstream.NewTransport(o.upstream()) }

func (o Options) upstream() upstream.Options {
	return upstream.Options{Deny: o.Deny, Own: o.Own, DialTimeout: o.DialTimeout, ResponseTimeout: o.ResponseTimeout}
}
