package httprules

import (
	"fmt"
	"strconv"

	"fhirwire/proxy"
	"fhirwire/validators"
)

func outcomeRules() []Rule {
	return []Rule{
		rule("http-error-outcome", validators.SeverityWarning, validators.CodeRequired, validators.SideServer, fhirHTTP,
			"An error is explained by an OperationOutcome", "USC-ERR-06").when(errorOutcome),
		rule("http-outcome-in-success", validators.SeverityError, validators.CodeProcessing, validators.SideServer, fhirHTTP,
			"A failure is not sent as a success").when(outcomeInSuccess),
	}
}

func errorOutcome(c *Case, report func(finding)) {
	fhir := FHIRKind(c.kind()) || c.is(proxy.KindBulkStatus, proxy.KindBulkDelete)
	if !fhir || c.status() < 400 || c.Response.resourceType() == "OperationOutcome" || c.Exchange.Request.Method == "HEAD" {
		return
	}
	f := finding{
		part:     validators.PartResponseBody,
		message:  fmt.Sprintf("The %d carries no OperationOutcome.", c.status()),
		expected: "an OperationOutcome that says what went wrong", found: bodyInWords(c.Response),
		doNext: "Send an OperationOutcome with diagnostics a client developer can act on.",
	}
	switch {
	case c.is(proxy.KindBulkKickoff) && c.status() != 401:
		f.severity, f.requirement = validators.SeverityError, "BULK-KO-21"
	case c.is(proxy.KindBulkDelete):
		f.severity, f.requirement = validators.SeverityError, "BULK-DEL-04"
	case c.is(proxy.KindBulkStatus) && c.status() == 404:
		f.severity, f.requirement = validators.SeverityError, "BULK-DEL-02"
	case c.Exchange.Interaction.Operation == "$member-match":
		f.requirement = "P2P-MM-24"
	}
	report(f)
}

func bodyInWords(b Content) string {
	switch rt := b.resourceType(); {
	case rt != "":
		return "a " + rt
	case b.Size == 0:
		return "no body"
	case b.MediaType == "":
		return strconv.FormatInt(b.Size, 10) + " bytes without a Content-Type"
	default:
		return b.MediaType
	}
}

func outcomeInSuccess(c *Case, report func(finding)) {
	if !FHIRKind(c.kind()) || c.status() != 200 || c.Response.resourceType() != "OperationOutcome" || c.Exchange.Interaction.ResourceType == "OperationOutcome" {
		return
	}
	for issue := c.Response.Root().Member("issue").FirstOrNil(); issue != nil; issue = issue.Next() {
		if sev := issue.MemberText("severity"); sev == "error" || sev == "fatal" {
			report(finding{
				part: validators.PartResponseStatus, at: issue,
				message:  "The answer is 200 and holds nothing but an OperationOutcome of severity " + sev + ".",
				expected: "a 4xx or 5xx", found: "200", doNext: "Answer a request that failed with the status that says so.",
			})
			return
		}
	}
}
