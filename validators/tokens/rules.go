package tokens

import (
	"fmt"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

var (
	smartBackend = validators.Source{Guide: "hl7.fhir.uv.smart-app-launch", Version: "2.2.0", Section: "Backend Services", URL: "http://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html"}
	smartScopes  = validators.Source{Guide: "hl7.fhir.uv.smart-app-launch", Version: "2.2.0", Section: "Scopes and Launch Context", URL: "http://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"}
	rfc6750      = validators.Source{Guide: "RFC 6750", Section: "5", URL: "https://www.rfc-editor.org/rfc/rfc6750#section-5"}
	rfc7523      = validators.Source{Guide: "RFC 7523", Section: "3", URL: "https://www.rfc-editor.org/rfc/rfc7523#section-3"}
	rfc8705      = validators.Source{Guide: "RFC 8705", Section: "3", URL: "https://www.rfc-editor.org/rfc/rfc8705#section-3"}
	pdexToken    = validators.Source{Guide: "hl7.fhir.us.davinci-pdex", Version: "2.0.0", Section: "Payer-to-Payer Exchange", URL: "http://hl7.org/fhir/us/davinci-pdex/STU2/payertopayerexchange.html"}
)

// Rules are the rules of the ledger. Their severity is the worst that a finding can have.
func Rules() []validators.Rule {
	rule := func(id string, sev validators.Severity, src validators.Source, title string, requirements ...string) validators.Rule {
		return validators.Rule{ID: id, Severity: sev, Code: validators.CodeSecurity, Title: title, Source: src, Requirements: requirements}
	}
	return []validators.Rule{
		rule("token-expired", validators.SeverityError, smartBackend, "Tokens are neither used nor accepted after they have expired", "P2P-TOK-04"),
		rule("token-other-client", validators.SeverityError, rfc6750, "A token is used by the client that it was issued to", "P2P-TLS-21"),
		rule("token-other-server", validators.SeverityError, rfc6750, "A token is sent to the server that it was issued for"),
		rule("token-before-issue", validators.SeverityWarning, rfc6750, "A token is used after it was issued"),
		rule("token-unknown", validators.SeverityInformation, rfc6750, "Tokens are issued by token requests that were recorded"),
		rule("token-scope", validators.SeverityWarning, smartScopes, "Requests are covered by the scopes of their token", "P2P-TOK-04", "P2P-TOK-15"),
		rule("token-patient", validators.SeverityError, pdexToken, "A token for one member opens no other member's data", "P2P-TOK-21"),
		rule("token-certificate", validators.SeverityWarning, rfc8705, "A token that was asked for with a client certificate is used with the same one", "P2P-TLS-08"),
		rule("token-refused", validators.SeverityWarning, rfc6750, "A server accepts the tokens it issued while they are valid", "P2P-TOK-06"),
		rule("token-in-query", validators.SeverityError, rfc6750, "Tokens are sent in the Authorization header"),
		rule("token-unused", validators.SeverityInformation, rfc6750, "Tokens that were asked for are used"),
		rule("assertion-reused", validators.SeverityError, rfc7523, "An assertion, and its jti, is used once", "P2P-TOK-112"),
	}
}

// skew is what clocks may differ by; the proxy's own is the one compared with.
const skew = 10 * time.Second

func issue(id string, sev validators.Severity, side validators.Side, message, expected, found, next string) validators.Issue {
	is := validators.Issue{
		Severity: sev, Code: validators.CodeSecurity, MessageID: id, Message: message, Expected: expected, Found: found, DoNext: next, Side: side,
		Part: validators.PartRequestHeader, Resource: -1,
	}
	for _, r := range Rules() {
		if r.ID == id && len(r.Requirements) > 0 {
			is.Requirement = r.Requirements[0]
		}
	}
	return is
}

// use is one use of a token with what judging it needs beside it.
type use struct {
	validators.TokenUse
	need        need
	certificate string
	patient     string // whose record the request names
}

func useOf(ex *proxy.Exchange, p presented) use {
	n := needOf(ex)
	u := use{
		TokenUse: validators.TokenUse{Ref: refOf(ex), Channel: ex.Channel, What: ex.Interaction.Label(), Status: ex.Status(), Needs: n.String(), Query: p.query},
		need:     n, certificate: certificateOf(ex),
	}
	if ex.Interaction.ResourceType == "Patient" {
		u.patient = ex.Interaction.ResourceID
	}
	return u
}

func (u *use) accepted() bool { return u.Status >= 200 && u.Status <= 299 }

// judge holds a use against what the token was issued for. u.Enough is set before.
func judge(g *validators.Grant, u *use) []validators.Issue {
	var out []validators.Issue
	add := func(is validators.Issue) { out = append(out, is) }
	if u.Query {
		add(issue("token-in-query", validators.SeverityError, validators.SideClient, "The access token is in the URL, which logs and caches keep.",
			"Authorization: Bearer …", "access_token in the query", "Send the token in the Authorization header."))
	}
	if g.Request.ID == "" {
		return out
	}
	if u.At.Before(g.Request.At) {
		add(issue("token-before-issue", validators.SeverityWarning, validators.SideClient, "The token was used before the recorded token request that issued it.",
			"a use after "+clock(g.Request.At), clock(u.At), "Look for an earlier token request that went past the proxy."))
	}
	elsewhere := elsewhere(g, u)
	if elsewhere != nil {
		add(*elsewhere)
	}
	expired := !g.Expires.IsZero() && u.At.After(g.Expires.Add(skew))
	switch {
	case !expired:
	case u.accepted():
		add(issue("token-expired", validators.SeverityError, validators.SideServer, "The server accepted a token that had expired.",
			"401 after "+clock(g.Expires), fmt.Sprintf("%d at %s", u.Status, clock(u.At)), "Check the expiry of tokens on every request."))
	default:
		add(issue("token-expired", validators.SeverityInformation, validators.SideClient, "The client used a token that had expired.",
			"a use before "+clock(g.Expires), clock(u.At), "Ask for a new token when the old one has expired."))
	}
	switch {
	case u.Enough != validators.EnoughNo:
	case u.accepted():
		add(issue("token-scope", validators.SeverityWarning, validators.SideServer, "The server answered a request that the token's scopes do not cover.",
			"a scope for "+u.Needs, scopeText(g.Scopes), "Refuse what the scopes do not cover with 403."))
	case u.Status != 0:
		add(issue("token-scope", validators.SeverityInformation, validators.SideClient, "The client asked for what its token's scopes do not cover.",
			"a scope for "+u.Needs, scopeText(g.Scopes), "Ask for a token with a scope for "+u.Needs+"."))
	}
	if g.Patient != "" && u.patient != "" && u.patient != g.Patient && u.accepted() {
		add(issue("token-patient", validators.SeverityError, validators.SideServer, "The server answered for a patient that the token is not for.",
			"Patient/"+g.Patient, "Patient/"+u.patient, "Refuse other members' data with 403."))
	}
	if g.Certificate != "" && u.certificate != g.Certificate {
		found := "another certificate"
		if u.certificate == "" {
			found = "no certificate"
		}
		add(issue("token-certificate", validators.SeverityWarning, validators.SideClient,
			"The token was asked for with a client certificate and used with "+found+"; were it bound to the certificate, it would not be valid here.",
			"the certificate "+short(g.Certificate), found, "Use one certificate for token requests and for data."))
	}
	if u.Status == 401 && !expired && elsewhere == nil && u.Enough != validators.EnoughNo {
		add(issue("token-refused", validators.SeverityWarning, validators.SideServer, "The server refused a token that was issued here and has not expired.",
			"no 401 before "+clock(g.Expires), "401 at "+clock(u.At), "See what the answer's WWW-Authenticate header says; the token may have been revoked."))
	}
	return out
}

// elsewhere is the finding on a token that turns up on another pair's channel.
func elsewhere(g *validators.Grant, u *use) *validators.Issue {
	if g.Channel == u.Channel || g.Channel == "" || u.Channel == "" {
		return nil
	}
	gotClient, gotServer := sides(g.Channel)
	client, server := sides(u.Channel)
	var is validators.Issue
	switch {
	case client != gotClient:
		is = issue("token-other-client", validators.SeverityError, validators.SideClient, "The token was issued to another client.", gotClient, client,
			"Ask for a token of your own; find out how this one got here.")
	case server != gotServer:
		is = issue("token-other-server", validators.SeverityError, validators.SideClient, "The token was issued for another server, which could use it now.", gotServer, server,
			"Keep tokens per server.")
	default:
		return nil
	}
	return &is
}

// sides are the client's and the server's part of a channel's name.
func sides(channel string) (client, server string) {
	client, rest, _ := strings.Cut(channel, "~")
	server, _, _ = strings.Cut(rest, "~")
	return client, server
}

func scopeText(scopes []string) string { return strings.Join(scopes, " ") }

func short(fingerprint string) string { return fingerprint[:min(16, len(fingerprint))] }

func clock(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}
