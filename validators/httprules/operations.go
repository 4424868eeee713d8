package httprules

import (
	"net/http"

	"fhirwire/proxy"
	"fhirwire/validators"
)

const memberMatch = "$member-match"

func operationRules() []Rule {
	return []Rule{
		rule("member-match-method", validators.SeverityError, validators.CodeProcessing, validators.SideClient, hrexMM,
			"$member-match is called by POST on Patient", "P2P-MM-01").when(memberMatchMethod),
		rule("member-match-answer", validators.SeverityError, validators.CodeStructure, validators.SideServer, hrexMM,
			"A match is answered with Parameters that hold the member's identifier", "P2P-MM-02").when(memberMatchAnswer),
		rule("member-match-leak", validators.SeverityError, validators.CodeSecurity, validators.SideServer, hrexMM,
			"A refused match names no member", "P2P-MM-23").when(memberMatchLeak),
		rule("metadata-fhir-version", validators.SeverityError, validators.CodeValue, validators.SideServer, uscore,
			"The CapabilityStatement is for FHIR 4.0.1", "USC-CAP-02").when(fhirVersion),
	}
}

func memberMatchMethod(c *Case, report func(finding)) {
	in := c.Exchange.Interaction
	if in.Operation != memberMatch || c.Exchange.Request.Method == http.MethodOptions {
		return
	}
	switch {
	case c.Exchange.Request.Method != http.MethodPost:
		report(finding{
			part: validators.PartRequestLine, message: "$member-match is called by " + c.Exchange.Request.Method + ".", expected: "POST", found: c.Exchange.Request.Method,
			doNext: "Send the Parameters by POST; the operation changes state, so GET is not allowed.",
		})
	case in.ResourceType != "Patient" || in.ResourceID != "":
		report(finding{
			part: validators.PartRequestLine, message: "$member-match is not called on the type Patient.", expected: "POST [base]/Patient/$member-match", found: c.target().Path,
			doNext: "Call the operation on Patient, without an id.",
		})
	}
}

func memberMatchAnswer(c *Case, report func(finding)) {
	if c.Exchange.Interaction.Operation != memberMatch || c.status() != http.StatusOK || !c.Response.Read {
		return
	}
	f := finding{part: validators.PartResponseBody, at: c.Response.Root(), expected: "Parameters with one MemberIdentifier", doNext: "Answer a unique match with Parameters.parameter MemberIdentifier, and anything else with 422."}
	if rt := c.Response.resourceType(); rt != "Parameters" {
		f.message, f.found = "The match is not answered with Parameters.", bodyInWords(c.Response)
		report(f)
		return
	}
	n := 0
	for p := c.Response.Root().Member("parameter").FirstOrNil(); p != nil; p = p.Next() {
		if name := p.MemberText("name"); name == "MemberIdentifier" || name == "MemberId" {
			n++
		}
	}
	if n == 0 {
		f.message, f.found = "The answer to the match names no member.", "no parameter MemberIdentifier"
		report(f)
	}
}

func memberMatchLeak(c *Case, report func(finding)) {
	if c.Exchange.Interaction.Operation != memberMatch || c.status() < 400 || c.Response.resourceType() != "Parameters" {
		return
	}
	for p := c.Response.Root().Member("parameter").FirstOrNil(); p != nil; p = p.Next() {
		if name := p.MemberText("name"); name == "MemberIdentifier" || name == "MemberId" {
			report(finding{
				part: validators.PartResponseBody, at: p, message: "The refused match names a member all the same.", expected: "an OperationOutcome without identifiers", found: name,
				doNext: "Leave every identifier out of a refusal.",
			})
			return
		}
	}
}

func fhirVersion(c *Case, report func(finding)) {
	if c.kind() != proxy.KindCapabilities || c.Response.resourceType() != "CapabilityStatement" {
		return
	}
	at := c.Response.Root().Member("fhirVersion")
	if at != nil && at.Text() == "4.0.1" {
		return
	}
	f := finding{
		part: validators.PartResponseBody, at: c.Response.Root(), expected: "4.0.1", found: "none", message: "The CapabilityStatement names no FHIR version.",
		doNext: "The guides are built on FHIR 4.0.1; register the server's R4 base URL.",
	}
	if at != nil {
		f.at, f.found, f.message = at, at.Text(), "The server speaks FHIR "+at.Text()+"."
	}
	report(f)
}
