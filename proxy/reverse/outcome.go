package reverse

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// drainCap is how much of a refused request's body is read for the record.
const drainCap = 256 << 10

// refusal is an answer of the proxy itself.
type refusal struct {
	status  int
	code    string // FHIR IssueType
	text    string // for the client; details are the record's
	failure proxy.Failure
}

// outcome is the little of an OperationOutcome that is needed.
type outcome struct {
	ResourceType string         `json:"resourceType"`
	Issue        []outcomeIssue `json:"issue"`
}

type outcomeIssue struct {
	Severity    string `json:"severity"`
	Code        string `json:"code"`
	Diagnostics string `json:"diagnostics"`
}

// answer records the refusal and sends it.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, p *record.Pending, ref refusal) {
	if r.Body != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drainCap) // what cannot be read is not in the record
	}
	p.Fail(ref.failure)
	send(w, p.ID(), ref)
}

func send(w http.ResponseWriter, id string, ref refusal) {
	text, err := json.Marshal(outcome{ResourceType: "OperationOutcome", Issue: []outcomeIssue{{
		Severity: "error", Code: ref.code, Diagnostics: fmt.Sprintf("%s (proxy exchange %s)", ref.text, id),
	}}})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(ref.status)
	_, _ = w.Write(append(text, '\n')) // a client that is gone needs no answer
}

// failed ends an exchange that got no response. The client learns the kind of failure, the record the cause.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	p := passageOf(r.Context()).pending
	f := p.Classify(err)
	ref := refusal{status: http.StatusBadGateway, code: "transient", failure: f}
	switch f.Reason {
	case proxy.ReasonUpstreamTimeout:
		ref.status, ref.code, ref.text = http.StatusGatewayTimeout, "timeout", "The server did not answer in time."
	case proxy.ReasonUpstreamDown:
		ref.text = "The server could not be reached."
	case proxy.ReasonUpstreamTLS:
		ref.text = "The TLS connection to the server failed."
	case proxy.ReasonUpstreamReset:
		ref.text = "The server closed the connection before it answered."
	case proxy.ReasonUpstreamInvalid:
		ref.text = "The server's answer is not HTTP that can be passed on."
	case proxy.ReasonRefused:
		ref.code, ref.text = "forbidden", "The proxy does not connect to this server's address."
	case proxy.ReasonClientGone, proxy.ReasonNoChannel:
		ref.text = "The request broke off."
	default:
		ref.code, ref.text = "exception", "The proxy failed."
		h.opt.Logger.Error("request not forwarded", "exchange_id", p.ID(), "reason", string(f.Reason))
	}
	p.Fail(f)
	send(w, p.ID(), ref)
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
