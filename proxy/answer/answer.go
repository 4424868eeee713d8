package answer

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
)

// ContentType is that of Outcome.
const ContentType = "application/fhir+json"

// drainCap is how much of a refused request's body is read for the record.
const drainCap = 256 << 10

// Refusal is an answer of the proxy itself.
type Refusal struct {
	Status  int
	Code    string // FHIR IssueType
	Text    string // for the client; details are the record's
	Failure proxy.Failure
}

// Refused is a refusal whose words are those of the record, too; side is whose request or setting is at fault.
func Refused(side string, status int, code, text string) *Refusal {
	return &Refusal{Status: status, Code: code, Text: text, Failure: proxy.Failure{Reason: proxy.ReasonRefused, Side: side, Detail: strings.TrimSuffix(text, ".")}}
}

// Faulty is a fault of ours.
func Faulty(text string, err error) *Refusal {
	return &Refusal{Status: http.StatusInternalServerError, Code: "exception", Text: text, Failure: proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: err.Error()}}
}

// Certificate refuses a client whose certificate is not accepted on a channel that requires one.
func Certificate(why string) *Refusal {
	return &Refusal{
		Status: http.StatusForbidden, Code: "forbidden", Text: "The channel requires a client certificate that is accepted: " + why + ".",
		Failure: proxy.Failure{Reason: proxy.ReasonClientTLS, Side: "client", Detail: why},
	}
}

// HeaderLines refuses a header of more than limit lines, nil if it has not.
func HeaderLines(h http.Header, limit int) *Refusal {
	n := 0
	for _, v := range h {
		n += len(v)
	}
	if n <= limit {
		return nil
	}
	return Refused("client", http.StatusRequestHeaderFieldsTooLarge, "too-costly", fmt.Sprintf("The request has %d header lines, more than the %d the proxy passes.", n, limit))
}

// failures say what a client learns of a request that got no response.
var failures = map[proxy.Reason]struct {
	status     int
	code, text string
}{
	proxy.ReasonUpstreamTimeout: {http.StatusGatewayTimeout, "timeout", "The server did not answer in time."},
	proxy.ReasonUpstreamDown:    {http.StatusBadGateway, "transient", "The server could not be reached."},
	proxy.ReasonUpstreamTLS:     {http.StatusBadGateway, "transient", "The TLS connection to the server failed."},
	proxy.ReasonUpstreamReset:   {http.StatusBadGateway, "transient", "The server closed the connection before it answered."},
	proxy.ReasonUpstreamInvalid: {http.StatusBadGateway, "transient", "The server's answer is not HTTP that can be passed on."},
	proxy.ReasonRefused:         {http.StatusBadGateway, "forbidden", "The proxy does not connect to this server's address."},
	proxy.ReasonClientGone:      {http.StatusBadGateway, "transient", "The request broke off."},
	proxy.ReasonClientTLS:       {http.StatusBadGateway, "transient", "The request broke off."},
	proxy.ReasonNoChannel:       {http.StatusBadGateway, "transient", "The request broke off."},
	proxy.ReasonProxy:           {http.StatusBadGateway, "exception", "The proxy failed."},
}

// Failed is the answer to a request that got no response.
func Failed(f proxy.Failure) *Refusal {
	say, ok := failures[f.Reason]
	if !ok {
		say = failures[proxy.ReasonProxy]
	}
	return &Refusal{Status: say.status, Code: say.code, Text: say.text, Failure: f}
}

// Seal ends the exchange of r with the refusal.
func (ref *Refusal) Seal(r *http.Request, p *record.Pending) {
	if r.Body != nil && r.Method != http.MethodConnect {
		_, _ = io.CopyN(io.Discard, r.Body, drainCap) // what cannot be read is not in the record
	}
	p.Fail(ref.Failure)
}

// outcome is the little of an OperationOutcome that is needed.
type outcome struct {
	ResourceType string  `json:"resourceType"`
	Issue        []issue `json:"issue"`
}

type issue struct {
	Severity    string `json:"severity"`
	Code        string `json:"code"`
	Diagnostics string `json:"diagnostics"`
}

// Outcome is the refusal as an OperationOutcome that names the exchange.
func (ref *Refusal) Outcome(exchange string) []byte {
	text, err := json.Marshal(outcome{ResourceType: "OperationOutcome", Issue: []issue{{
		Severity: "error", Code: ref.Code, Diagnostics: fmt.Sprintf("%s (proxy exchange %s)", ref.Text, exchange),
	}}})
	if err != nil {
		text = nil // strings always have a JSON form
	}
	return append(text, '\n')
}
