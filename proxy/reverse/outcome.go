package reverse

import (
	"io"
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/answer"
	"fhirwire/proxy/record"
)

// refuse records the refusal and sends it.
func refuse(w http.ResponseWriter, r *http.Request, p *record.Pending, ref *answer.Refusal) {
	ref.Seal(r, p)
	send(w, p.ID(), ref)
}

func send(w http.ResponseWriter, id string, ref *answer.Refusal) {
	w.Header().Set("Content-Type", answer.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(ref.Status)
	_, _ = w.Write(ref.Outcome(id)) // a client that is gone needs no answer
}

// failed ends an exchange that got no response.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	p := passageOf(r.Context()).pending
	f := p.Classify(err)
	if f.Reason == proxy.ReasonProxy {
		h.opt.Logger.ErrorContext(r.Context(), "request not forwarded", "exchange_id", p.ID(), "reason", string(f.Reason))
	}
	p.Fail(f)
	send(w, p.ID(), answer.Failed(f))
}

// root answers for the proxy's own address.
func (h *handler) root(w http.ResponseWriter, loc location) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if loc.channel != "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, "fhirwire proxy. Clients use the proxy URL of their channel as FHIR base; register channels in the dashboard.\n")
}
