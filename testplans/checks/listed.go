package checks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
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

// listing is what was found in directory entries, which are as they were seen last, about certificates and hosts.
type listing struct {
	entries []Item
	told    map[listedKey]listed
}

type listedKey struct{ fingerprint, host, leg string }

// listed is the first entry with a certificate, or what kept us from knowing and how many entries lead to the host.
type listed struct {
	at    Item
	found bool
	doubt string
	leads int
}

// isListed: the certificate is one that a directory entry of an earlier step has; for a server, an entry that leads to the host asked for.
func isListed(ctx context.Context, c *Case, leaf *proxy.Certificate, asked string) (Outcome, error) {
	step, leg := c.Check.Connection.Listed, c.Check.Connection.Leg
	entries := c.Steps[step]
	if len(entries) == 0 {
		return notShown("step " + step + " was not seen, so there is no directory entry to compare with"), nil
	}
	known := c.Desk.listings[step]
	if known == nil || !same(known.entries, entries) {
		known = &listing{entries, map[listedKey]listed{}}
		c.Desk.listings[step] = known
	}
	key := listedKey{leaf.Fingerprint, hostOf(asked), leg}
	if leg != "server" {
		key.host = ""
	}
	l, told := known.told[key]
	if !told {
		var err error
		if l, err = c.Desk.listedIn(ctx, entries, key); err != nil {
			return Outcome{}, err
		}
		known.told[key] = l
	}
	switch {
	case l.found:
		return Outcome{Verdict: testplans.Pass, Items: []Item{l.at, c.Attempt}}, nil
	case l.doubt != "":
		return notChecked(l.doubt), nil
	case l.leads == 0:
		return notShown("no directory entry that was seen leads to " + hostOf(asked)), nil
	}
	return failed(fmt.Sprintf("the certificate of %s is not the one in the directory entry (step %s)", leaf.Subject, step)), nil
}

func (d *Desk) listedIn(ctx context.Context, entries []Item, key listedKey) (l listed, err error) {
	for _, it := range entries {
		list, why, err := d.endpoints(ctx, it)
		if err != nil {
			return l, err
		}
		if why != "" {
			l.doubt = why
			continue
		}
		for i := range list {
			e := &list[i]
			if key.leg == "server" && !e.leadsTo(key.host) {
				continue
			}
			l.leads++
			if slices.Contains(e.prints, key.fingerprint) {
				l.at, l.found = it, true
				return l, nil
			}
		}
	}
	return l, nil
}

// endpoint is an Endpoint of a directory: the hosts that it or servers behind it have, and the fingerprints of its certificates.
type endpoint struct{ hosts, prints []string }

func (e *endpoint) leadsTo(host string) bool {
	return slices.ContainsFunc(e.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// endpoints are those of a directory's answer; why says what keeps it from being read.
func (d *Desk) endpoints(ctx context.Context, it Item) (list []endpoint, why string, err error) {
	if it.Exchange.Response == nil {
		return nil, "", nil
	}
	m := &it.Exchange.Response.Message
	form := bodyForm{digest: m.Body.Digest, codings: strings.Join(coding.Of(m.Header), ",")}
	known := isWhole(&m.Body)
	if list, ok := d.directories[form]; ok && known {
		return list, "", nil
	}
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" {
		return nil, body.why(), err
	}
	if root, fault := body.JSON(); fault == "" {
		for e := range children(root.Member("entry")) {
			if r := e.Member("resource"); r.ResourceType() == "Endpoint" {
				list = append(list, endpointOf(r))
			}
		}
	}
	if known && len(d.directories) < maxKnownBodies {
		d.directories[form] = list
	}
	return list, "", nil
}

func endpointOf(r *fhirjson.Node) (e endpoint) {
	for _, to := range append(parts(r, "base-ext-associatedServers", "serverURL"), r.MemberText("address")) {
		if h := hostOf(to); h != "" {
			e.hosts = append(e.hosts, strings.Clone(h)) // it is a part of the body
		}
	}
	for _, text := range parts(r, "pdex-mtls-signedobject-extension", "Object") {
		sum := sha256.Sum256(certificateDER(text))
		e.prints = append(e.prints, hex.EncodeToString(sum[:]))
	}
	return e
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
