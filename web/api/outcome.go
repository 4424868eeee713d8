package api

import (
	"encoding/json"
	"fmt"

	"fhirwire/validators"
)

// outcome is FHIR's OperationOutcome as far as a report needs it.
type outcome struct {
	ResourceType string         `json:"resourceType"`
	Issue        []outcomeIssue `json:"issue"`
}

type outcomeIssue struct {
	Extension   []outcomeExtension `json:"extension,omitempty"`
	Severity    string             `json:"severity"`
	Code        string             `json:"code"`
	Details     outcomeDetails     `json:"details"`
	Diagnostics string             `json:"diagnostics,omitempty"`
	Expression  []string           `json:"expression,omitempty"`
}

type outcomeDetails struct {
	Text string `json:"text"`
}

type outcomeExtension struct {
	URL          string `json:"url"`
	ValueInteger *int   `json:"valueInteger,omitempty"`
	ValueString  string `json:"valueString,omitempty"`
}

// Extensions that HL7 defines for the place of an issue and the id of its message.
const (
	extLine      = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
	extColumn    = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col"
	extMessageID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
)

// Outcome is r as an OperationOutcome. A report without issues gives one informational issue, since FHIR wants one.
func Outcome(r *validators.Report) ([]byte, error) {
	out := outcome{ResourceType: "OperationOutcome"}
	for i := range r.Issues {
		is := &r.Issues[i]
		oi := outcomeIssue{Severity: string(is.Severity), Code: string(is.Code), Details: outcomeDetails{Text: is.Message}}
		if is.Line > 0 {
			oi.Extension = append(oi.Extension, outcomeExtension{URL: extLine, ValueInteger: &is.Line}, outcomeExtension{URL: extColumn, ValueInteger: &is.Column})
		}
		if is.MessageID != "" {
			oi.Extension = append(oi.Extension, outcomeExtension{URL: extMessageID, ValueString: is.MessageID})
		}
		if is.Profile != "" {
			oi.Diagnostics = "Profile " + is.Profile
			if is.Constraint != "" {
				oi.Diagnostics += ", constraint " + is.Constraint
			}
		}
		if is.Expression != "" {
			oi.Expression = []string{is.Expression}
		}
		out.Issue = append(out.Issue, oi)
	}
	if r.IssuesCut > 0 {
		out.Issue = append(out.Issue, outcomeIssue{
			Severity: string(validators.SeverityInformation), Code: string(validators.CodeInformational),
			Details: outcomeDetails{Text: fmt.Sprintf("Not listed: %d further findings, the mildest.", r.IssuesCut)},
		})
	}
	if len(out.Issue) == 0 {
		out.Issue = []outcomeIssue{{Severity: string(validators.SeverityInformation), Code: string(validators.CodeInformational), Details: outcomeDetails{Text: "No issues found."}}}
	}
	return json.Marshal(out)
}
