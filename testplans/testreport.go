package testplans

import (
	"cmp"
	"strings"
	"time"

	"fhirwire/validators"
)

// TestReport is a run's results as a FHIR R4 TestReport, ready to be encoded as JSON. Verdicts map as pass to pass, pass-notes to warning,
// fail to fail, error to error, and all others to skip with a message.
type TestReport struct {
	ResourceType string              `json:"resourceType"`
	ID           string              `json:"id,omitempty"`
	Text         reportNarrative     `json:"text"`
	Name         string              `json:"name,omitempty"`
	Status       string              `json:"status"`
	TestScript   reportReference     `json:"testScript"`
	Result       string              `json:"result"`
	Score        *float64            `json:"score,omitempty"`
	Tester       string              `json:"tester,omitempty"`
	Issued       string              `json:"issued,omitempty"`
	Participant  []reportParticipant `json:"participant,omitempty"`
	Test         []reportTest        `json:"test,omitempty"`
}

type reportNarrative struct {
	Status string `json:"status"`
	Div    string `json:"div"`
}

type reportReference struct {
	Identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	} `json:"identifier"`
	Display string `json:"display,omitempty"`
}

type reportParticipant struct {
	Type    string `json:"type"`
	URI     string `json:"uri"`
	Display string `json:"display,omitempty"`
}

type reportTest struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Action      []reportAction `json:"action"`
}

type reportAction struct {
	Assert reportAssert `json:"assert"`
}

type reportAssert struct {
	Result  string `json:"result"`
	Message string `json:"message,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// ReportOptions name what a TestReport says besides the results.
type ReportOptions struct {
	// ID is the resource's; Engine is the URI of the tool, Client and Server those of the systems, empty where they are not known.
	ID, Engine, Client, Server string
	// Issued is when the results were computed.
	Issued time.Time
	// Exchange gives the address of an exchange by its id, for the details; nil gives none.
	Exchange func(id string) string
}

// NewTestReport makes a TestReport of the results that a judging of plan gave. Results of other plans are left out.
func NewTestReport(plan *Plan, results []Result, o ReportOptions) TestReport {
	r := TestReport{ResourceType: "TestReport", ID: o.ID, Name: plan.ID, Status: "completed", Result: "pending", Tester: "fhirwire"}
	r.TestScript.Identifier.System, r.TestScript.Identifier.Value, r.TestScript.Display = "urn:fhirwire:plan", plan.ID, plan.Title
	if !o.Issued.IsZero() {
		r.Issued = o.Issued.UTC().Format(time.RFC3339)
	}
	for _, p := range []reportParticipant{
		{"test-engine", cmp.Or(o.Engine, "urn:fhirwire"), "fhirwire"}, {"client", o.Client, plan.Roles.Client}, {"server", o.Server, plan.Roles.Server},
	} {
		if p.URI != "" {
			r.Participant = append(r.Participant, p)
		}
	}
	tests := map[string]*reportTest{}
	r.Test = make([]reportTest, len(plan.Steps)) // pointers into it stay good
	for i := range plan.Steps {
		s := &plan.Steps[i]
		r.Test[i] = reportTest{Name: s.ID, Description: s.Claim}
		tests[s.ID] = &r.Test[i]
	}
	passed, asked := 0, 0
	for i := range results {
		res := &results[i]
		switch t := tests[res.Step]; {
		case res.Plan != plan.ID:
		case res.Step == "":
			r.Result = overall(res.Verdict)
		case t != nil && res.Check != "":
			t.Action = append(t.Action, reportAction{reportAssert{Result: outcomeOf(res.Verdict), Message: say(res), Detail: detail(res, o.Exchange)}})
			if res.Optional || res.Strength != validators.Shall || res.Verdict == NotApplicable {
				continue
			}
			asked++
			if res.Verdict == Pass || res.Verdict == PassNotes {
				passed++
			}
		}
	}
	if asked > 0 {
		score := float64(passed*1000/asked) / 10
		r.Score = &score
	}
	r.Text = reportNarrative{"generated", `<div xmlns="http://www.w3.org/1999/xhtml"><p>` + escapeXML(plan.Title) + ": " + r.Result + "</p>" + unverifiedNote(results) + "</div>"}
	return r
}

// overall is TestReport.result, which knows no notes: what is not decided is pending.
func overall(v Verdict) string {
	switch v {
	case Pass, PassNotes:
		return "pass"
	case Fail:
		return "fail"
	default:
		return "pending"
	}
}

func outcomeOf(v Verdict) string {
	switch v {
	case Pass:
		return "pass"
	case PassNotes:
		return "warning"
	case Fail:
		return "fail"
	case ToolError:
		return "error"
	default:
		return "skip"
	}
}

func say(r *Result) string {
	text := r.Check + ": " + r.Claim
	if r.Verdict != Pass {
		text += " (" + string(r.Verdict)
		if r.Side != "" {
			text += ", " + string(r.Side)
		}
		text += ")"
		if r.Message != "" {
			text += ": " + r.Message
		}
	}
	if len(r.Requirements) > 0 {
		text += " [" + strings.Join(r.Requirements, " ") + "]"
	}
	if r.Insecure > 0 {
		text += " " + SayUnverified(r.Insecure)
	}
	return text
}

// unverifiedNote is the narrative's: a TestReport has no place for it that programs would read.
func unverifiedNote(results []Result) string {
	if n := Unverified(results); n > 0 {
		return "<p>" + SayUnverified(n) + "</p>"
	}
	return ""
}

func detail(r *Result, address func(string) string) string {
	if address == nil {
		return ""
	}
	var out []string
	for _, e := range r.Evidence {
		out = append(out, address(e.Exchange))
	}
	return strings.Join(out, " ")
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
