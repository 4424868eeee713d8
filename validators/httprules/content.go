package httprules

import (
	"fmt"
	"net/http"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
)

const fhirJSON = "application/fhir+json"

func contentRules() []Rule {
	return []Rule{
		rule("http-response-type", validators.SeverityError, validators.CodeStructure, validators.SideServer, fhirHTTP,
			"A FHIR resource in JSON is sent as application/fhir+json", "USC-CAP-03").when(responseType),
		rule("http-request-type", validators.SeverityError, validators.CodeStructure, validators.SideClient, fhirHTTP,
			"A FHIR resource in a request is sent as application/fhir+json", "BULK-KO-07").when(requestType),
		rule("http-body-missing", validators.SeverityError, validators.CodeRequired, validators.SideServer, fhirHTTP,
			"A successful read or search has a body").when(bodyMissing),
		rule("http-not-fhir", validators.SeverityError, validators.CodeStructure, validators.SideServer, fhirHTTP,
			"A FHIR interaction is answered with FHIR").when(notFHIR),
		rule("http-bundle-expected", validators.SeverityError, validators.CodeStructure, validators.SideServer, fhirHTTP,
			"The answer holds the kind of resource the interaction asks for").when(answerType),
	}
}

func responseType(c *Case, report func(finding)) {
	if !c.answered() || !FHIRKind(c.kind()) || c.Response.resourceType() == "" {
		return
	}
	f := finding{
		part: validators.PartResponseHeader, expected: "Content-Type: " + fhirJSON,
		doNext: "Send the header Content-Type: application/fhir+json with FHIR resources.",
	}
	switch mt := c.Response.MediaType; mt {
	case fhirJSON:
		return
	case "application/json", "application/json+fhir":
		f.severity = validators.SeverityWarning
		f.message = fmt.Sprintf("The %s is sent as %s, not as %s.", c.Response.resourceType(), mt, fhirJSON)
		f.found = "Content-Type: " + mt
	case "":
		f.message = fmt.Sprintf("The %s is sent without a Content-Type.", c.Response.resourceType())
		f.found = "no Content-Type"
	default:
		f.message = fmt.Sprintf("The %s is sent as %s.", c.Response.resourceType(), mt)
		f.found = "Content-Type: " + mt
	}
	report(f)
}

func requestType(c *Case, report func(finding)) {
	if !FHIRKind(c.kind()) || c.Request.Size == 0 || c.Request.resourceType() == "" {
		return
	}
	f := finding{
		part: validators.PartRequestHeader, expected: "Content-Type: " + fhirJSON,
		doNext: "Send the header Content-Type: application/fhir+json with the body.",
	}
	switch mt := c.Request.MediaType; mt {
	case fhirJSON:
		return
	case "application/json", "application/json+fhir":
		f.severity = validators.SeverityWarning
		f.message = fmt.Sprintf("The request body is a %s sent as %s, not as %s.", c.Request.resourceType(), mt, fhirJSON)
		f.found = "Content-Type: " + mt
	case "":
		f.message = fmt.Sprintf("The request body is a %s sent without a Content-Type.", c.Request.resourceType())
		f.found = "no Content-Type"
	default:
		f.message = fmt.Sprintf("The request body is a %s sent as %s.", c.Request.resourceType(), mt)
		f.found = "Content-Type: " + mt
	}
	report(f)
}

func bodyMissing(c *Case, report func(finding)) {
	if c.status() != http.StatusOK || c.Exchange.Request.Method == http.MethodHead || c.Response.Size > 0 || c.Exchange.Failure != nil ||
		!c.is(proxy.KindRead, proxy.KindVRead, proxy.KindSearchType, proxy.KindSearchSystem, proxy.KindCapabilities,
			proxy.KindHistoryInstance, proxy.KindHistoryType, proxy.KindHistorySystem, proxy.KindBatch, proxy.KindTransaction) {
		return
	}
	report(finding{
		part: validators.PartResponseBody, message: "The answer is 200 and has no body.",
		expected: "a FHIR resource", found: "0 bytes", doNext: "Send the resource, or the status that says why there is none.",
	})
}

func notFHIR(c *Case, report func(finding)) {
	if !FHIRKind(c.kind()) || c.status() < 200 || c.status() > 299 || c.Response.Size == 0 || !c.Response.Read || c.Response.Doc != nil || c.Exchange.Failure != nil || servesBytes(c) {
		return
	}
	report(finding{
		part: validators.PartResponseBody, message: fmt.Sprintf("The answer to %s is %s, not FHIR.", c.Exchange.Interaction.Label(), inWords(c.Response.MediaType)),
		expected: "a FHIR resource in JSON", found: inWords(c.Response.MediaType), doNext: "Check that the base URL is the FHIR base: a login or landing page answers here.",
	})
}

// servesBytes says that a Binary was read as what it holds, which may be anything (FHIR R4, RESTful API 2.21.0.7). A page that
// nobody asked for is still no Binary.
func servesBytes(c *Case) bool {
	k := c.kind()
	if k != proxy.KindRead && k != proxy.KindVRead || c.Exchange.Interaction.ResourceType != "Binary" {
		return false
	}
	return c.Response.MediaType != "text/html" || strings.Contains(c.requestHeader("Accept"), "text/")
}

// answerTypes names the resource an interaction answers with; "" is the type in the URL.
var answerTypes = map[proxy.Kind]string{
	proxy.KindRead: "", proxy.KindVRead: "",
	proxy.KindSearchType: "Bundle", proxy.KindSearchSystem: "Bundle", proxy.KindHistoryInstance: "Bundle",
	proxy.KindHistoryType: "Bundle", proxy.KindHistorySystem: "Bundle", proxy.KindBatch: "Bundle", proxy.KindTransaction: "Bundle",
	proxy.KindCapabilities: "CapabilityStatement",
}

func answerType(c *Case, report func(finding)) {
	want, known := answerTypes[c.kind()]
	got := c.Response.resourceType()
	if want == "" {
		want = c.Exchange.Interaction.ResourceType
	}
	if !known || c.status() != http.StatusOK || got == "" || want == "" || got == want {
		return
	}
	report(finding{
		part: validators.PartResponseBody, at: c.Response.Root().Member("resourceType"),
		message:  fmt.Sprintf("The answer to %s is a %s.", c.Exchange.Interaction.Label(), got),
		expected: "a " + want, found: "a " + got,
		doNext: fmt.Sprintf("Answer 200 with a %s, or another status with an OperationOutcome.", want),
	})
}
