package directory

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// Endpoint is where an entry's payer is reached.
type Endpoint struct {
	ID          string
	Address     string
	Identifiers []Identifier
	// Certificates are those of the signed objects; MTLS those of secureExchangeArtifacts that are for mutual TLS.
	Certificates, MTLS []*x509.Certificate
	// Servers are the associated servers.
	Servers []AssociatedServer

	node *fhirjson.Node
}

// AssociatedServer is a server that goes with an endpoint: its type as a code, or as text where there is no code.
type AssociatedServer struct{ Type, URL string }

// fhirBaseText is how the type of a server reads that is a FHIR base: there is no code for it (P2P-DIR-21).
const fhirBaseText = "PDex FHIR base"

// RegistrationURL is where a client registers: the registration server, else the authorization server, else the address
// (P2P-DIR-21; the smart-configuration is for the caller to ask).
func (e *Endpoint) RegistrationURL() string {
	if e == nil {
		return ""
	}
	for _, typ := range []string{"authorization-registration-server", "authorization-authentication-server"} {
		if u := e.server(typ); u != "" {
			return u
		}
	}
	return e.Address
}

// FHIRBase is the FHIR base that the entry names, "" when it names none.
func (e *Endpoint) FHIRBase() string {
	if e == nil {
		return ""
	}
	return e.server(fhirBaseText)
}

func (e *Endpoint) server(typ string) string {
	for _, s := range e.Servers {
		if strings.EqualFold(s.Type, typ) {
			return s.URL
		}
	}
	return ""
}

func (c *checker) checkEndpoint() {
	nodes := c.resources("Endpoint")
	if len(nodes) != 1 {
		f := finding{message: "The Bundle has no Endpoint: there is nothing to connect to.", expected: "one Endpoint", found: "none", doNext: "Add an Endpoint of the mtls-endpoint profile with address and certificate."}
		if len(nodes) > 1 {
			f.message, f.found, f.doNext = "The Bundle has more than one Endpoint.", fmt.Sprint(len(nodes)), "Publish one Bundle per Endpoint."
		}
		c.report("dir-endpoint", c.bundle, f)
	}
	if len(nodes) == 0 {
		c.roles(nil)
		c.checkPlanIdentifier()
		return
	}
	n := nodes[0]
	e := &Endpoint{ID: n.MemberText("id"), Address: n.MemberText("address"), node: n}
	c.entry.Endpoint = e
	for _, id := range list(n, "identifier") {
		e.Identifiers = append(e.Identifiers, Identifier{id.MemberText("system"), id.MemberText("value")})
	}
	c.roles(n)
	c.checkPlanIdentifier()
	c.checkEndpointElements(n)
	c.checkExtensions(n)
	c.readCertificates(n)
	c.checkServers(n)
	c.checkCertificates(n)
}

var mimeTypes = []string{"application/fhir+json", "application/fhir+xml", "application/fhir+turtle"}

func (c *checker) checkEndpointElements(n *fhirjson.Node) {
	if s := n.MemberText("status"); s != "active" {
		c.report("dir-endpoint-status", or(n.Member("status"), n), finding{message: "The Endpoint is not active.", expected: "active", found: inWords(s), doNext: `Set Endpoint.status to "active".`})
	}
	if t := n.Member("connectionType"); t == nil || t.MemberText("code") == "" {
		c.report("dir-endpoint-connection", or(t, n), finding{message: "The Endpoint has no connection type.", expected: "hl7-fhir-rest of endpoint-connection-type", found: "none", doNext: "Set Endpoint.connectionType."})
	}
	if p := list(n, "payloadType"); len(p) != 1 {
		c.report("dir-endpoint-payload", n, finding{message: "The Endpoint has not exactly one payload type.", expected: "one: NA (PDex 2.0.0) or not-applicable (2.1 and later)", found: fmt.Sprint(len(p)), doNext: "Set one Endpoint.payloadType."})
	}
	for _, m := range list(n, "payloadMimeType") {
		if !slices.Contains(mimeTypes, m.Text()) {
			c.report("dir-endpoint-mime", m, finding{message: "The payload media type is none of FHIR's.", expected: strings.Join(mimeTypes, ", "), found: inWords(m.Text()), doNext: "Use application/fhir+json."})
		}
	}
	address := n.Member("address")
	if u, err := url.Parse(textOf(address)); err != nil || u.Scheme != "https" || u.Host == "" {
		c.report("dir-endpoint-address", or(address, n), finding{message: "The Endpoint's address is no absolute https URL.", expected: "https://…", found: inWords(textOf(address)), doNext: "Set Endpoint.address to the URL of the mutual-TLS gateway."})
	}
}

func (c *checker) checkServers(n *fhirjson.Node) {
	e := c.entry.Endpoint
	for _, x := range extensions(n, "base-ext-associatedServers") {
		s := AssociatedServer{URL: partText(x, "serverURL")}
		if t := part(x, "associatedServersType"); t != nil {
			s.Type = concept(t.Member("valueCodeableConcept")).code
			if s.Type == "" {
				s.Type = t.Member("valueCodeableConcept").MemberText("text")
			}
		}
		if s.URL != "" {
			e.Servers = append(e.Servers, s)
		}
	}
	if e.RegistrationURL() == e.Address && !slices.ContainsFunc(e.Servers, func(s AssociatedServer) bool { return s.URL == e.Address }) {
		c.report("dir-registration", n, finding{message: "No associated server says where clients register; they have to try the address.", expected: "an associated server of type authorization-registration-server", found: "none", doNext: "Add one with the registration URL."})
	}
	if e.FHIRBase() == "" {
		c.report("dir-fhir-base", n, finding{message: "No associated server names the FHIR base; no code exists for it, so partners have to be told.", expected: "an associated server with the text type " + fhirBaseText, found: "none", doNext: "Add one with the FHIR base."})
	}
}

func lower(s string) string { return strings.ToLower(s) }

// foldURL makes URLs comparable: scheme and host in lower case, no slash at the end.
func foldURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	u.Scheme, u.Host = lower(u.Scheme), lower(u.Host)
	return strings.TrimSuffix(u.String(), "/")
}
