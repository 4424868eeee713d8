package reverse

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"fhirwire/proxy/peers"
)

// maxSaidBytes bounds a certificate in base64.
const maxSaidBytes = 64 << 10

// testimony is what a gateway in front of the proxy says of the client's certificate.
type testimony struct {
	gateway string // its address; "" when the request came from nobody who is believed
	chain   []*x509.Certificate
	fault   error // what it says cannot be read
}

// hear reads what the sender of r says, if it is a gateway that is believed.
func (h *handler) hear(r *http.Request) testimony {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !slices.ContainsFunc(h.opt.Gateways, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap().WithZone("")) }) {
		return testimony{}
	}
	t := testimony{gateway: from.Addr().Unmap().String()}
	if len(r.Header[peers.FieldCert]) > 0 || len(r.Header[peers.FieldChain]) > 0 { // or its client presented none
		t.chain, t.fault = certificatesIn(r.Header)
	}
	return t
}

// certificatesIn reads the fields of RFC 9440: one byte sequence, and a list of them.
func certificatesIn(header http.Header) ([]*x509.Certificate, error) {
	leaf := header[peers.FieldCert]
	if len(leaf) != 1 {
		return nil, fmt.Errorf("there are %d %s fields", len(leaf), peers.FieldCert)
	}
	items := leaf
	for _, line := range header[peers.FieldChain] {
		items = append(slices.Clip(items), strings.Split(line, ",")...)
	}
	if len(items) > peers.MaxChain {
		return nil, fmt.Errorf("%d certificates are more than %d", len(items), peers.MaxChain)
	}
	var chain []*x509.Certificate
	for _, item := range items {
		item = strings.Trim(item, " \t")
		text, ok := strings.CutPrefix(item, ":")
		text, closed := strings.CutSuffix(text, ":")
		if !ok || !closed || len(text) > maxSaidBytes {
			return nil, errors.New("a certificate is not :BASE64: (RFC 9440)")
		}
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("a certificate is not in base64")
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// connection is the one whose client certificate counts: the client's with the gateway, else that with the proxy.
func (t testimony) connection(r *http.Request) *tls.ConnectionState {
	if t.gateway == "" {
		return r.TLS
	}
	return &tls.ConnectionState{PeerCertificates: t.chain}
}

// tellServer takes what names a client certificate out of the request, and puts in the client's own where the channel says so.
func (ps *passage) tellServer(header http.Header) {
	var shown []*x509.Certificate
	if ps.channel.Options.TellClientCert && ps.accepted {
		shown = ps.shown
	}
	if edits := peers.Tell(header, shown); len(edits) > 0 {
		ps.pending.AddEdits(edits...)
	}
}
