package membermatch

import (
	"encoding/json"
	"fmt"

	"fhirwire/validators"
)

// issue is one reason for a refusal. Expression is set where a place in the request is at fault.
type issue struct {
	code       validators.Code
	text       string
	expression string
}

func refuse(status int, issues ...issue) (Result, error) {
	return refuseAs("$member-match", status, issues)
}

func refuseAs(operation string, status int, issues []issue) (Result, error) {
	type text struct {
		Text string `json:"text"`
	}
	type entry struct {
		Severity    validators.Severity `json:"severity"`
		Code        validators.Code     `json:"code"`
		Details     text                `json:"details"`
		Diagnostics string              `json:"diagnostics"`
		Expression  []string            `json:"expression,omitempty"`
	}
	entries := make([]entry, 0, len(issues))
	for _, i := range issues {
		e := entry{validators.SeverityError, i.code, text{i.text}, operation + ": " + i.text, nil}
		if i.expression != "" {
			e.Expression = []string{i.expression}
		}
		entries = append(entries, e)
	}
	body, err := json.Marshal(struct {
		ResourceType string  `json:"resourceType"`
		Issue        []entry `json:"issue"`
	}{"OperationOutcome", entries})
	if err != nil {
		return Result{}, fmt.Errorf("member match outcome: %w", err)
	}
	return Result{Status: status, Body: body}, nil
}
