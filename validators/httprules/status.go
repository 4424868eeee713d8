package httprules

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
)

func statusRules() []Rule {
	return []Rule{
		rule("http-status", validators.SeverityError, validators.CodeProcessing, validators.SideServer, fhirHTTP,
			"A success has the status that the interaction defines").when(successStatus),
		rule("http-server-error", validators.SeverityError, validators.CodeException, validators.SideServer, fhirHTTP,
			"Requests are not answered with a server error").when(serverError),
		rule("http-redirect", validators.SeverityWarning, validators.CodeProcessing, validators.SideServer, fhirHTTP,
			"FHIR requests are answered where they are sent").when(redirect),
		rule("http-create-location", validators.SeverityError, validators.CodeRequired, validators.SideServer, fhirHTTP,
			"A created resource is named by a Location header").when(createLocation),
		rule("http-www-authenticate", validators.SeverityWarning, validators.CodeLogin, validators.SideServer, rfc6749,
			"A 401 says how to authenticate", "P2P-TOK-06").when(wwwAuthenticate),
		rule("http-failure", validators.SeverityInformation, validators.CodeIncomplete, validators.SideServer, fhirHTTP,
			"Exchanges run to their end").when(failure),
	}
}

// successes lists the 2xx statuses an interaction defines.
var successes = map[proxy.Kind][]int{
	proxy.KindRead: {200}, proxy.KindVRead: {200}, proxy.KindSearchType: {200, 202}, proxy.KindSearchSystem: {200, 202},
	proxy.KindCapabilities: {200}, proxy.KindHistoryInstance: {200}, proxy.KindHistoryType: {200}, proxy.KindHistorySystem: {200},
	proxy.KindCreate: {201, 200}, proxy.KindUpdate: {200, 201}, proxy.KindPatch: {200}, proxy.KindDelete: {200, 202, 204},
	proxy.KindBatch: {200}, proxy.KindTransaction: {200}, proxy.KindOperation: {200, 201, 202, 204},
	proxy.KindBulkKickoff: {202}, proxy.KindBulkStatus: {200, 202}, proxy.KindBulkFile: {200, 206}, proxy.KindBulkDelete: {202},
	proxy.KindToken: {200, 201}, proxy.KindRegister: {201, 200}, proxy.KindSMARTConfig: {200}, proxy.KindUDAPConfig: {200}, proxy.KindOAuthConfig: {200},
}

// statusRequirement names what the status breaks, where a guide has an id for it.
var statusRequirement = map[proxy.Kind]string{
	proxy.KindBulkKickoff: "BULK-KO-20", proxy.KindBulkDelete: "BULK-DEL-01", proxy.KindBulkFile: "BULK-FI-05",
	proxy.KindRegister: "P2P-DCR-121", proxy.KindToken: "P2P-TOK-02",
}

func successStatus(c *Case, report func(finding)) {
	want := successes[c.kind()]
	if s := c.status(); s < 200 || s > 299 || want == nil || slices.Contains(want, s) {
		return
	}
	words := make([]string, len(want))
	for i, w := range want {
		words[i] = strconv.Itoa(w)
	}
	report(finding{
		part: validators.PartResponseStatus, requirement: statusRequirement[c.kind()],
		message:  fmt.Sprintf("%s is answered with %d.", c.Exchange.Interaction.Label(), c.status()),
		expected: strings.Join(words, " or "), found: strconv.Itoa(c.status()),
		doNext: fmt.Sprintf("Answer a success with %s.", strings.Join(words, " or ")),
	})
}

func serverError(c *Case, report func(finding)) {
	// A failed bulk job is told by a 5xx on its status URL; that is the protocol, not a fault in it.
	if c.status() < 500 || c.is(proxy.KindBulkStatus) && c.Response.resourceType() == "OperationOutcome" {
		return
	}
	report(finding{
		part:    validators.PartResponseStatus,
		message: fmt.Sprintf("The server failed with %d %s.", c.status(), http.StatusText(c.status())),
		found:   strconv.Itoa(c.status()), expected: "a success, or a 4xx that says what the client has to change",
		doNext: "Look into the server's log at this time; a request it cannot accept deserves a 4xx.",
	})
}

func redirect(c *Case, report func(finding)) {
	if s := c.status(); s < 300 || s > 399 || s == http.StatusNotModified || c.is(proxy.KindOther, proxy.KindAuthorize, proxy.KindBulkFile, proxy.KindBulkStatus) {
		return
	}
	report(finding{
		part:    validators.PartResponseStatus,
		message: fmt.Sprintf("The server redirects this request (%d) to %s.", c.status(), c.responseHeader("Location")),
		found:   strconv.Itoa(c.status()), expected: "an answer at this URL",
		doNext: "Register the base URL that answers by itself; many FHIR clients do not follow redirects.",
	})
}

func createLocation(c *Case, report func(finding)) {
	if c.kind() != proxy.KindCreate || c.status() != http.StatusCreated {
		return
	}
	loc := c.responseHeader("Location")
	switch t := c.Exchange.Interaction.ResourceType; {
	case loc == "":
		report(finding{
			part: validators.PartResponseHeader, message: "The 201 has no Location header.", expected: "Location: …/" + t + "/ID/_history/VERSION",
			found: "no Location", doNext: "Name the new resource in a Location header.",
		})
	case !strings.Contains(loc, t+"/"):
		report(finding{
			part: validators.PartResponseHeader, message: "The Location header does not name a " + t + ".", expected: "…/" + t + "/ID/_history/VERSION",
			found: loc, doNext: "Name the new resource in the Location header.",
		})
	}
}

func wwwAuthenticate(c *Case, report func(finding)) {
	if c.status() != http.StatusUnauthorized || c.responseHeader("WWW-Authenticate") != "" || c.is(proxy.KindToken) {
		return
	}
	report(finding{
		part: validators.PartResponseHeader, message: "The 401 has no WWW-Authenticate header.", expected: "WWW-Authenticate: Bearer",
		found: "none", doNext: "Send WWW-Authenticate: Bearer with every 401.",
	})
}

var failureWords = map[proxy.Reason]string{
	proxy.ReasonUpstreamDown:    "The server could not be reached",
	proxy.ReasonUpstreamTimeout: "The server did not answer in time",
	proxy.ReasonUpstreamTLS:     "TLS with the server failed",
	proxy.ReasonUpstreamReset:   "The server broke off before the answer was complete",
	proxy.ReasonClientGone:      "The client hung up before it had the whole answer",
	proxy.ReasonClientTLS:       "TLS with the client failed",
	proxy.ReasonNoChannel:       "The URL names no channel",
	proxy.ReasonRefused:         "The proxy does not forward this request",
	proxy.ReasonProxy:           "The proxy failed",
}

func failure(c *Case, report func(finding)) {
	f := c.Exchange.Failure
	if f == nil {
		return
	}
	words := failureWords[f.Reason]
	if words == "" {
		words = "The exchange broke off (" + string(f.Reason) + ")"
	}
	side := validators.Side(f.Side)
	if f.Side == "proxy" {
		side = validators.SideTool
	}
	message := words + "."
	if f.Detail != "" {
		message = words + ": " + strings.TrimSuffix(f.Detail, ".") + "."
	}
	// What broke off cannot be judged; it says nothing yet about conformance, so it is no error of anybody.
	report(finding{part: validators.PartExchange, message: message, found: f.Detail, side: side, notChecked: true})
}
