package forward

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"fhirwire/proxy/answer"
	"fhirwire/proxy/record"
)

// refuse is a refusal of what the client asked for.
func refuse(status int, code, text string) *answer.Refusal {
	return answer.Refused("client", status, code, text)
}

func unauthenticated(text string) *answer.Refusal {
	return refuse(http.StatusProxyAuthRequired, "login", text)
}

// sealed seals r's exchange with the refusal and makes the response.
func sealed(ref *answer.Refusal, r *http.Request, p *record.Pending) *http.Response {
	ref.Seal(r, p)
	return responseTo(r, ref, p.ID())
}

// responseTo is the refusal as the response to r.
func responseTo(r *http.Request, ref *answer.Refusal, id string) *http.Response {
	text := ref.Outcome(id)
	h := http.Header{"Content-Type": {answer.ContentType}, "Content-Length": {strconv.Itoa(len(text))}, "X-Content-Type-Options": {"nosniff"}}
	if ref.Status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", realm)
	}
	res := &http.Response{
		Status: strconv.Itoa(ref.Status) + " " + http.StatusText(ref.Status), StatusCode: ref.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: int64(len(text)), Body: io.NopCloser(bytes.NewReader(text)), Request: r,
	}
	if r.Method == http.MethodConnect {
		res.Close = true // goproxy closes the connection after a refused CONNECT
	}
	return res
}
