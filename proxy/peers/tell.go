package peers

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// The fields in which gateways that end TLS name the client's certificate: RFC 9440, and what came before it.
const (
	FieldCert  = "Client-Cert"
	FieldChain = "Client-Cert-Chain"
	fieldOlder = "X-Forwarded-Client-Cert"
)

// MaxChain is how many certificates the fields may have.
const MaxChain = 16

// Tell takes what names a client certificate out of a request's header: a server that believes the proxy would take a client's own
// word for it. In its place come the certificates of shown, which is what was accepted, leaf first, or nil to tell nothing.
func Tell(header http.Header, shown []*x509.Certificate) []proxy.Edit {
	var edits []proxy.Edit
	for _, name := range namesOfClients(header) {
		for _, line := range header[name] {
			edits = append(edits, proxy.Edit{
				Where: "request header", At: name, From: line, Why: "what names a client certificate reaches a server only as the word of a gateway it believes",
			})
		}
		delete(header, name)
	}
	add := func(name string, certs []*x509.Certificate) {
		if len(certs) == 0 {
			return
		}
		var items []string
		for _, c := range certs {
			items = append(items, ":"+base64.StdEncoding.EncodeToString(c.Raw)+":")
		}
		line := strings.Join(items, ", ")
		header.Set(name, line)
		edits = append(edits, proxy.Edit{Where: "request header", At: name, To: line, Why: "the channel tells the server the client's certificate (RFC 9440)"})
	}
	shown = shown[:min(len(shown), MaxChain)]
	add(FieldCert, shown[:min(len(shown), 1)])
	add(FieldChain, shown[min(len(shown), 1):])
	return edits
}

// namesOfClients are the fields of header that name a client certificate to some server: those that take their header from variables
// of the environment (RFC 3875) make no difference between "-" and "_".
func namesOfClients(header http.Header) []string {
	var found []string
	for name := range header {
		if len(name) != len(FieldCert) && len(name) != len(FieldChain) && len(name) != len(fieldOlder) {
			continue
		}
		switch http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) {
		case FieldCert, FieldChain, fieldOlder:
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}
