package httprules

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// assertion is a signed statement of a request: the member it came in and its claims.
type assertion struct {
	member string
	claims *proxy.Claims
}

// assertions are those of a token or registration request.
func (c *Case) assertions() []assertion {
	var out []assertion
	add := func(member, value string) {
		if _, claims, ok := proxy.ReadMasked(value); ok && claims != nil {
			out = append(out, assertion{member, claims})
		}
	}
	if c.is(proxy.KindToken) {
		add("client_assertion", c.Request.Form.Get("client_assertion"))
		if c.Request.Form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			add("assertion", c.Request.Form.Get("assertion"))
		}
	}
	// A software statement of RFC 7591 need not name an audience; one of UDAP does.
	if root := c.Request.Root(); c.is(proxy.KindRegister) && root != nil && root.Kind() == fhirjson.Object {
		add("software_statement", root.MemberText("software_statement"))
	}
	return slices.DeleteFunc(out, func(a assertion) bool { return len(a.claims.Audience) == 0 })
}

// assertionAudience compares the audience with the URL that the server was asked under. Behind a proxy the client may know the
// endpoint by another URL, and what it signed cannot be changed. A server that accepts the assertion nevertheless knows that URL.
func assertionAudience(c *Case, report func(finding)) {
	target, asked := withoutQuery(c.Exchange.Request.Target), withoutQuery(c.Exchange.Request.URL)
	if target == "" {
		return
	}
	for _, a := range c.assertions() {
		if slices.Contains(a.claims.Audience, target) {
			continue
		}
		named := strings.Join(a.claims.Audience, ", ")
		f := finding{
			part: validators.PartRequestBody, expected: target, found: named,
			message: fmt.Sprintf("The audience of %s is not the URL under which the server was asked.", a.member),
			doNext:  "Sign the assertion for the URL of the server's endpoint exactly.",
		}
		if asked != target && slices.Contains(a.claims.Audience, asked) {
			f.message = fmt.Sprintf("The audience of %s is the proxy's URL of the endpoint, which the server does not know as its own.", a.member)
			f.doNext = "In the channel's settings choose the discovery mode that keeps the token endpoint, or sign for " + target + "; or use forward mode, which changes no URLs."
		}
		if success(c.status()) {
			f.severity = validators.SeverityInformation
			f.message += " This server accepted it."
		}
		report(f)
	}
}

func withoutQuery(u string) string {
	if i := strings.IndexAny(u, "?#"); i >= 0 {
		return u[:i]
	}
	return u
}

// tokenInQuery looks at requests for data; what endpoints of the authorization server take in a query is theirs.
func tokenInQuery(c *Case, report func(finding)) {
	if c.is(proxy.KindToken, proxy.KindRegister, proxy.KindIntrospect, proxy.KindAuthorize) || !c.target().Query().Has("access_token") {
		return
	}
	report(finding{
		part: validators.PartRequestLine, message: "The access token is in the URL, which logs and caches keep.",
		expected: "Authorization: Bearer …", found: "access_token in the query", doNext: "Send the token in the Authorization header.",
	})
}

// tokenBinding compares the certificate that a token names with the one that the server saw, which is the proxy's where TLS ends at
// the proxy.
func tokenBinding(c *Case, report func(finding)) {
	_, value, _ := strings.Cut(c.requestHeader("Authorization"), " ")
	_, claims, ok := proxy.ReadMasked(value)
	if !ok || claims == nil || claims.Certificate == "" || c.Exchange.ServerLeg == nil || !c.answered() {
		return
	}
	seen := ""
	if tls := c.Exchange.ServerLeg.TLS; tls != nil && len(tls.Client) > 0 {
		if sum, err := hex.DecodeString(tls.Client[0].Fingerprint); err == nil {
			seen = base64.RawURLEncoding.EncodeToString(sum)
		}
	}
	f := finding{part: validators.PartRequestHeader, expected: "the certificate " + claims.Certificate, found: "the certificate " + seen}
	if seen == "" {
		f.found = "no certificate"
	}
	switch {
	case seen == claims.Certificate:
		return
	case success(c.status()):
		f.message = "The server accepted a token that is bound to another certificate than the one it saw."
		f.doNext = "Compare cnf x5t#S256 of the token with the certificate of the connection, and answer 401 where they differ."
	case c.status() == http.StatusUnauthorized:
		f.severity, f.side, f.requirement = validators.SeverityWarning, validators.SideClient, "P2P-TLS-31"
		f.message = "The token is bound to another certificate than the one the server sees."
		f.doNext = "Ask for the token through this channel (its discovery mode has to rewrite the token endpoint), so that it is bound to the certificate that the channel presents; or pass TLS through unread."
	default:
		return
	}
	report(f)
}

// discoveryEscape tells what the proxy left in a response although clients that follow it go past the proxy.
func discoveryEscape(c *Case, report func(finding)) {
	for _, e := range c.Exchange.Edits {
		if !e.Left() {
			continue
		}
		f := finding{part: validators.PartResponseBody, expected: "a URL of the server or of an auxiliary server", found: e.From}
		if e.Where == "response header" {
			f.part = validators.PartResponseHeader
		} else if root := c.Response.Root(); root != nil && e.At != "" {
			f.at = root.At(e.At)
		}
		switch e.Why {
		case proxy.WhyEscape:
			f.message = "A client that follows this URL goes past the proxy: its requests will not be recorded."
			f.doNext = "Declare the URL's server as an auxiliary server of this system, if its traffic belongs to the test. If it is the server itself under another name, register it by that name."
		case proxy.WhySigned:
			f.message = "The URLs in the signed metadata cannot be changed: a client that follows them goes past the proxy."
			f.expected, f.doNext = "metadata that may be changed", "Use forward mode for this client: there URLs stay as they are."
		case proxy.WhyForm:
			f.message = "This discovery document is in a form that the proxy does not rewrite: the URLs in it lead past the proxy."
			f.expected, f.doNext = "JSON", "Ask for the document in JSON: Accept: application/json."
		default:
			continue
		}
		report(f)
	}
}
