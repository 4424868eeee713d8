package httprules

import (
	"net/http"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

func authRules() []Rule {
	return []Rule{
		rule("oauth-token-answer", validators.SeverityError, validators.CodeStructure, validators.SideServer, rfc6749,
			"A token answer has its required members", "P2P-TOK-02").when(schemaRule(proxy.KindToken, success, "token.json")),
		rule("oauth-token-error", validators.SeverityError, validators.CodeStructure, validators.SideServer, rfc6749,
			"A refused token request says why in the terms of OAuth 2.0", "P2P-TOK-02").when(schemaRule(proxy.KindToken, refusal, "token-error.json")),
		rule("oauth-no-store", validators.SeverityWarning, validators.CodeSecurity, validators.SideServer, rfc6749,
			"Answers that carry credentials are not cached").when(noStore),
		rule("oauth-token-request", validators.SeverityError, validators.CodeStructure, validators.SideClient, rfc6749,
			"A token request is a form sent by POST", "P2P-TOK-111").when(tokenRequest),
		rule("oauth-registration-answer", validators.SeverityError, validators.CodeStructure, validators.SideServer, rfc7591,
			"A registration answer names the client", "P2P-DCR-121").when(schemaRule(proxy.KindRegister, success, "registration.json")),
		rule("oauth-registration-error", validators.SeverityError, validators.CodeStructure, validators.SideServer, rfc7591,
			"A refused registration says why in the terms of RFC 7591", "P2P-DCR-122").when(schemaRule(proxy.KindRegister, refusal, "registration-error.json")),
		rule("oauth-registration-request", validators.SeverityError, validators.CodeStructure, validators.SideClient, rfc7591,
			"Client metadata is well formed", "P2P-DCR-20").when(registrationRequest),
		rule("smart-configuration", validators.SeverityError, validators.CodeStructure, validators.SideServer, smartApp,
			"The SMART configuration has its required members", "P2P-DSC-01").when(schemaRule(proxy.KindSMARTConfig, success, "smart-configuration.json")),
		rule("oauth-assertion-audience", validators.SeverityWarning, validators.CodeSecurity, validators.SideClient, rfc7523,
			"An assertion names the endpoint it is sent to, by the URL its server knows, as its audience", "P2P-TOK-104").when(assertionAudience),
		rule("oauth-token-in-query", validators.SeverityError, validators.CodeSecurity, validators.SideClient, rfc6750,
			"Access tokens are sent in the Authorization header, never in the URL").when(tokenInQuery),
		rule("oauth-token-binding", validators.SeverityError, validators.CodeSecurity, validators.SideServer, rfc8705,
			"A token that is bound to a certificate is accepted with that certificate only", "P2P-TLS-08", "P2P-TLS-31").when(tokenBinding),
		rule("discovery-escape", validators.SeverityInformation, validators.CodeInformational, validators.SideServer, rfc8414,
			"What discovery, manifests and pages lead to is on the server or on one of its declared auxiliary servers").when(discoveryEscape),
	}
}

func success(status int) bool { return status >= 200 && status <= 299 }

// refusal leaves 401 and 5xx out: what a gateway says there is not the endpoint's word.
func refusal(status int) bool { return status == http.StatusBadRequest }

func schemaRule(kind proxy.Kind, applies func(int) bool, schema string) func(*Case, func(finding)) {
	return func(c *Case, report func(finding)) {
		if c.kind() != kind || !applies(c.status()) || !c.Response.Read {
			return
		}
		if c.Response.Root() == nil || c.Response.Root().Kind() != fhirjson.Object {
			report(finding{
				part: validators.PartResponseBody, at: c.Response.Root(), message: "The answer is not a JSON object.", expected: "a JSON object", found: bodyInWords(c.Response),
				doNext: "Answer with a JSON object sent as application/json.",
			})
			return
		}
		checkSchema(schema, c.Response, validators.PartResponseBody, report)
	}
}

func noStore(c *Case, report func(finding)) {
	if !c.is(proxy.KindToken, proxy.KindRegister) || !success(c.status()) || strings.Contains(strings.ToLower(c.responseHeader("Cache-Control")), "no-store") {
		return
	}
	report(finding{
		part: validators.PartResponseHeader, message: "The answer carries credentials and may be cached.", expected: "Cache-Control: no-store",
		found: inWords(c.responseHeader("Cache-Control")), doNext: "Add the header Cache-Control: no-store.",
	})
}

func tokenRequest(c *Case, report func(finding)) {
	if c.kind() != proxy.KindToken || c.Exchange.Request.Method == http.MethodOptions {
		return
	}
	switch {
	case c.Exchange.Request.Method != http.MethodPost:
		report(finding{
			part: validators.PartRequestLine, message: "The token request is a " + c.Exchange.Request.Method + ".", expected: "POST", found: c.Exchange.Request.Method,
			doNext: "Send the token request by POST.",
		})
	case c.Request.MediaType != "application/x-www-form-urlencoded":
		report(finding{
			part: validators.PartRequestHeader, message: "The token request is not sent as a form.", expected: "Content-Type: application/x-www-form-urlencoded",
			found: inWords(c.Request.MediaType), doNext: "Send the members as a form, not as JSON.",
		})
	}
}

func registrationRequest(c *Case, report func(finding)) {
	if c.kind() != proxy.KindRegister || c.Exchange.Request.Method != http.MethodPost || !c.Request.Read {
		return
	}
	if c.Request.Root() == nil || c.Request.Root().Kind() != fhirjson.Object {
		report(finding{
			part: validators.PartRequestBody, at: c.Request.Root(), message: "The registration request is not a JSON object.", expected: "client metadata in JSON",
			found: bodyInWords(c.Request), doNext: "Send the client metadata as a JSON object.",
		})
		return
	}
	checkSchema("registration-request.json", c.Request, validators.PartRequestBody, report)
}
