package proxytest

import (
	"golang.org/x/tools/txtar"

	"fhirwire/proxy"
	"fhirwire/proxy/transcript"
)

// Bodies are bodies in memory.
type Bodies = transcript.Bodies

// Describe is text as a complete, wholly stored body.
func Describe(text []byte) proxy.Body { return transcript.Describe(text) }

// Exchange is one that went well on the channel acme-ehr~diamond-payer: method and path (with query) of the request, and the status and
// JSON body of the response, which is kept in bodies. n makes the id and the time; change what the test is about afterwards.
func Exchange(bodies Bodies, n int, method, path string, status int, response string) *proxy.Exchange {
	ex := transcript.Request(n, method, path)
	ex.Request.Header = proxy.Header{{Name: "Host", Value: "127.0.0.1:8081"}, {Name: "Accept", Value: "application/fhir+json"}}
	ex.Response = &proxy.Response{
		Message: proxy.Message{Proto: "HTTP/1.1", Header: proxy.Header{{Name: "Content-Type", Value: "application/fhir+json"}}, Body: bodies.Add([]byte(response))},
		Status:  status,
	}
	return ex
}

// ID is the id of the nth built exchange; ids sort by n.
func ID(n int) string { return transcript.ID(n) }

// FromTxtar reads exchanges from an archive, as a transcript.
func FromTxtar(archive []byte) ([]*proxy.Exchange, Bodies, error) {
	return transcript.Read(txtar.Parse(archive).Files)
}
