package testscript

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Script is a TestScript, as far as its assertions go.
type Script struct {
	ID          string     `json:"id"`
	URL         string     `json:"url"`
	Name        string     `json:"name"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Profile     []resource `json:"profile"`
	Variable    []variable `json:"variable"`
	Setup       *part      `json:"setup"`
	Test        []part     `json:"test"`
	Teardown    *part      `json:"teardown"`
}

type resource struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
}

type variable struct {
	Name         string `json:"name"`
	DefaultValue string `json:"defaultValue"`
	Expression   string `json:"expression"`
	HeaderField  string `json:"headerField"`
	Path         string `json:"path"`
	SourceID     string `json:"sourceId"`
}

type part struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Action      []action `json:"action"`
}

type action struct {
	Operation *operation `json:"operation"`
	Assert    *assert    `json:"assert"`
}

type operation struct {
	Type struct {
		Code string `json:"code"`
	} `json:"type"`
	Resource    string `json:"resource"`
	Label       string `json:"label"`
	Description string `json:"description"`
	Method      string `json:"method"`
	Params      string `json:"params"`
	RequestID   string `json:"requestId"`
	ResponseID  string `json:"responseId"`
	URL         string `json:"url"`
}

type assert struct {
	Label                     string `json:"label"`
	Description               string `json:"description"`
	Direction                 string `json:"direction"`
	CompareToSourceID         string `json:"compareToSourceId"`
	CompareToSourceExpression string `json:"compareToSourceExpression"`
	CompareToSourcePath       string `json:"compareToSourcePath"`
	ContentType               string `json:"contentType"`
	Expression                string `json:"expression"`
	HeaderField               string `json:"headerField"`
	MinimumID                 string `json:"minimumId"`
	NavigationLinks           bool   `json:"navigationLinks"`
	Operator                  string `json:"operator"`
	Path                      string `json:"path"`
	RequestMethod             string `json:"requestMethod"`
	RequestURL                string `json:"requestURL"`
	Resource                  string `json:"resource"`
	Response                  string `json:"response"`
	ResponseCode              string `json:"responseCode"`
	SourceID                  string `json:"sourceId"`
	ValidateProfileID         string `json:"validateProfileId"`
	Value                     string `json:"value"`
	WarningOnly               bool   `json:"warningOnly"`
}

// maxActions bounds a script.
const maxActions = 5000

// Is reports whether a JSON text is a TestScript.
func Is(src []byte) bool {
	var r struct {
		ResourceType string `json:"resourceType"`
	}
	return json.Unmarshal(src, &r) == nil && r.ResourceType == "TestScript"
}

// Read reads a TestScript.
func Read(src []byte) (*Script, error) {
	if !Is(src) {
		return nil, errors.New("this is no TestScript in JSON")
	}
	s := &Script{}
	if err := json.Unmarshal(src, s); err != nil {
		return nil, fmt.Errorf("TestScript: %w", err)
	}
	operations, total := 0, 0
	for _, p := range s.parts() {
		total += len(p.Action)
		for _, a := range p.Action {
			if a.Operation != nil {
				operations++
			}
		}
	}
	switch {
	case operations == 0:
		return nil, errors.New("TestScript: it has no operation, so nothing to look for")
	case total > maxActions:
		return nil, fmt.Errorf("TestScript: more than %d actions", maxActions)
	}
	return s, nil
}

// named is a part with what it is called in steps.
type named struct {
	*part
	id       string
	optional bool
}

func (s *Script) parts() []named {
	var out []named
	if s.Setup != nil {
		out = append(out, named{s.Setup, "setup", true})
	}
	for i := range s.Test {
		out = append(out, named{&s.Test[i], fmt.Sprintf("test-%d", i+1), false})
	}
	if s.Teardown != nil {
		out = append(out, named{s.Teardown, "teardown", true})
	}
	return out
}
