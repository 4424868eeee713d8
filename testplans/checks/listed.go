package checks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators/fhirjson"
)

// ClientCertificate reports whether the client presented a certificate; it is known only of a handshake after which there was an answer.
// Where the client presented none and the channel one of its own, the server met a certificate: that it answered is no fault of its.
func ClientCertificate(ex *proxy.Exchange) (presented, known bool) {
	leg := clientLeg(ex)
	if leg == nil || leg.TLS == nil || leg.TLS.Resumed || ex.Response == nil {
		return false, false
	}
	if s := ex.ServerLeg; len(leg.TLS.Client) == 0 && s != nil && s.TLS != nil && len(s.TLS.Client) > 0 {
		return false, false
	}
	return len(leg.TLS.Client) > 0, true
}

// clientLeg is the client's connection; of a played exchange, that of the runner.
func clientLeg(ex *proxy.Exchange) *proxy.Leg {
	if ex.ClientLeg == nil && ex.Mode == proxy.ModePlayed {
		return played(ex.ServerLeg)
	}
	return ex.ClientLeg
}

// isListed: the certificate is one that a directory entry of an earlier step has; for a server, an entry that leads to the host asked for.
func isListed(ctx context.Context, c *Case, leaf *proxy.Certificate, asked string) (Outcome, error) {
	step, leg := c.Check.Connection.Listed, c.Check.Connection.Leg
	entries := c.Steps[step]
	if len(entries) == 0 {
		return notShown("step " + step + " was not seen, so there is no directory entry to compare with"), nil
	}
	doubt, leads := "", 0
	for _, it := range entries {
		body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
		if err != nil {
			return Outcome{}, err
		}
		if body.Why != "" {
			doubt = body.Why
			continue
		}
		root, fault := body.JSON()
		if fault != "" {
			continue
		}
		for e := range children(root.Member("entry")) {
			endpoint := e.Member("resource")
			if endpoint.ResourceType() != "Endpoint" || leg == "server" && !leadsTo(endpoint, asked) {
				continue
			}
			leads++
			if certificateIn(endpoint, leaf.Fingerprint) {
				return Outcome{Verdict: testplans.Pass, Items: []Item{it, c.Attempt}}, nil
			}
		}
	}
	switch {
	case doubt != "":
		return notChecked(doubt), nil
	case leads == 0:
		return notShown("no directory entry that was seen leads to " + hostOf(asked)), nil
	}
	return failed(fmt.Sprintf("the certificate of %s is not the one in the directory entry (step %s)", leaf.Subject, step)), nil
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}

// parts are the values in the complex extensions of an element whose URL ends like this.
func parts(n *fhirjson.Node, extension, part string) []string {
	var out []string
	for x := range children(n.Member("extension")) {
		if !strings.HasSuffix(x.MemberText("url"), "/"+extension) {
			continue
		}
		for p := range children(x.Member("extension")) {
			if p.MemberText("url") != part {
				continue
			}
			for _, value := range []string{"valueBase64Binary", "valueString", "valueUrl", "valueUri"} {
				if s := p.MemberText(value); s != "" {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// leadsTo reports whether an Endpoint's address, or a server behind it, has the host and port of a URL.
func leadsTo(endpoint *fhirjson.Node, raw string) bool {
	host := hostOf(raw)
	for _, to := range append(parts(endpoint, "base-ext-associatedServers", "serverURL"), endpoint.MemberText("address")) {
		if h := hostOf(to); h != "" && strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// certificateIn reports whether one of the Endpoint's signed objects is the certificate of a fingerprint.
func certificateIn(endpoint *fhirjson.Node, fingerprint string) bool {
	for _, text := range parts(endpoint, "pdex-mtls-signedobject-extension", "Object") {
		sum := sha256.Sum256(certificateDER(text))
		if hex.EncodeToString(sum[:]) == fingerprint {
			return true
		}
	}
	return false
}

// certificateDER decodes a certificate as published examples have it: base64 of DER, of PEM, or of base64 once more (P2P-DIR-24).
func certificateDER(text string) []byte {
	raw := []byte(text)
	for range 3 {
		if b, _ := pem.Decode(raw); b != nil {
			return b.Bytes
		}
		next, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(raw)), ""))
		if err != nil {
			return raw
		}
		raw = next
	}
	return raw
}
