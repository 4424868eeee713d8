package forward

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

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

// refuse is a refusal of what the client asked for.
func refuse(status int, code, text string) *refusal {
	return &refusal{status: status, code: code, text: text, failure: proxy.Failure{Reason: proxy.ReasonRefused, Side: "client", Detail: strings.TrimSuffix(text, ".")}}
}

func unauthenticated(text string) *refusal {
	return refuse(http.StatusProxyAuthRequired, "login", text)
}

// faulty is a fault of ours.
func faulty(text string, err error) *refusal {
	return &refusal{status: http.StatusInternalServerError, code: "exception", text: text, failure: proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: err.Error()}}
}

// record seals r's exchange with the refusal and makes the response.
func (ref *refusal) record(r *http.Request, p *record.Pending) *http.Response {
	if r.Body != nil && r.Method != http.MethodConnect {
		_, _ = io.CopyN(io.Discard, r.Body, drainCap) // what cannot be read is not in the record
	}
	p.Fail(ref.failure)
	return ref.response(r, p.ID())
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

func (ref *refusal) response(r *http.Request, id string) *http.Response {
	text, err := json.Marshal(outcome{ResourceType: "OperationOutcome", Issue: []outcomeIssue{{
		Severity: "error", Code: ref.code, Diagnostics: fmt.Sprintf("%s (proxy exchange %s)", ref.text, id),
	}}})
	if err != nil {
		text = nil // strings always have a JSON form
	}
	text = append(text, '\n')
	h := http.Header{
		"Content-Type": {"application/fhir+json"}, "Content-Length": {strconv.Itoa(len(text))}, "X-Content-Type-Options": {"nosniff"},
	}
	if ref.status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", realm)
	}
	res := &http.Response{
		Status: http.StatusText(ref.status), StatusCode: ref.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: int64(len(text)), Body: io.NopCloser(bytes.NewReader(text)), Request: r,
	}
	res.Status = strconv.Itoa(ref.status) + " " + res.Status
	if r.Method == http.MethodConnect {
		res.Close = true // goproxy closes the connection after a refused CONNECT
	}
	return res
}

// failed is the answer to a request that got no response. The client learns the kind of failure, the record the cause.
func failed(f proxy.Failure) *refusal {
	ref := &refusal{status: http.StatusBadGateway, code: "transient", failure: f}
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
	case proxy.ReasonClientGone, proxy.ReasonClientTLS, proxy.ReasonNoChannel:
		ref.text = "The request broke off."
	case proxy.ReasonProxy:
		ref.code, ref.text = "exception", "The proxy failed."
	}
	return ref
}
