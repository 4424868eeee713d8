package validators

import "strings"

// Severity is FHIR's issue-severity.
type Severity string

// The severities, worst first.
const (
	SeverityFatal       Severity = "fatal"
	SeverityError       Severity = "error"
	SeverityWarning     Severity = "warning"
	SeverityInformation Severity = "information"
)

// Rank orders severities: 0 is the worst.
func (s Severity) Rank() int {
	switch s {
	case SeverityFatal:
		return 0
	case SeverityError:
		return 1
	case SeverityWarning:
		return 2
	default:
		return 3
	}
}

// Code is FHIR's IssueType.
type Code string

// The issue types we use.
const (
	CodeInvalid       Code = "invalid"
	CodeStructure     Code = "structure"
	CodeRequired      Code = "required"
	CodeValue         Code = "value"
	CodeInvariant     Code = "invariant"
	CodeCodeInvalid   Code = "code-invalid"
	CodeExtension     Code = "extension"
	CodeNotFound      Code = "not-found"
	CodeNotSupported  Code = "not-supported"
	CodeTooLong       Code = "too-long"
	CodeTooCostly     Code = "too-costly"
	CodeBusinessRule  Code = "business-rule"
	CodeDuplicate     Code = "duplicate"
	CodeIncomplete    Code = "incomplete"
	CodeInformational Code = "informational"
	CodeProcessing    Code = "processing"
	CodeException     Code = "exception"
	CodeSecurity      Code = "security"
	CodeLogin         Code = "login"
)

// Side says who has to act on an issue.
type Side string

// The sides. Empty means unknown (a resource validated on its own).
const (
	SideClient Side = "client"
	SideServer Side = "server"
	SideBoth   Side = "both"
	SideTool   Side = "tool"
)

// Part is where in an exchange an issue was found; empty for a resource validated on its own.
type Part string

// The parts.
const (
	PartRequestLine    Part = "request-line"
	PartRequestHeader  Part = "request-header"
	PartRequestBody    Part = "request-body"
	PartResponseStatus Part = "response-status"
	PartResponseHeader Part = "response-header"
	PartResponseBody   Part = "response-body"
	PartExchange       Part = "exchange"
)

// Position is a place in the input bytes. Line and Column are 1-based, Column counts bytes; zero means no position.
type Position struct {
	Offset int `json:"offset"`
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Issue is one finding: a system did something, and this is what a rule says about it. Problems of our own are errors or,
// when they keep us from judging, issues with NotChecked set.
type Issue struct {
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	// MessageID is the stable id of the check, "cardinality-min".
	MessageID string `json:"messageId"`
	// Message is one sentence a tester can act on.
	Message string `json:"message"`
	// Expected and Found spell the difference out where there is one.
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	// DoNext says what to change, where we know.
	DoNext string `json:"doNext,omitempty"`

	// Expression is a FHIRPath with indices, "Patient.name[0].given[1]"; Pointer is an RFC 6901 JSON Pointer. Both are from
	// the root of the resource validated; for one resource of an NDJSON file that is its line.
	Expression string `json:"expression,omitempty"`
	Pointer    string `json:"pointer"`
	Position
	// Profile is the canonical (with |version) whose rule failed; Slice the slice's name; Constraint an invariant's key.
	Profile    string `json:"profile,omitempty"`
	Slice      string `json:"slice,omitempty"`
	Constraint string `json:"constraint,omitempty"`
	// Requirement is an id of a specification, "P2P-MM-104".
	Requirement string `json:"requirement,omitempty"`
	// NotChecked marks something that occurred and could not be judged (terminology, size, an expression beyond us).
	NotChecked bool `json:"notChecked,omitempty"`

	Side Side `json:"side,omitempty"`
	Part Part `json:"part,omitempty"`
	// Resource is the index in Report.Resources of the resource concerned, -1 for none.
	Resource int `json:"resource"`
}

// IsError reports whether the issue makes its subject invalid.
func (i *Issue) IsError() bool { return i.Severity.Rank() <= 1 }

// GroupKey is equal for issues that one cause makes again and again: the same rule of the same profile at the same element,
// whatever the index. It is stable, and means nothing by itself.
func (i *Issue) GroupKey() string { return i.groupKey(i.Expression) }

func (i *Issue) groupKey(path string) string {
	profile, _, _ := strings.Cut(i.Profile, "|")
	rule := i.MessageID
	if i.Constraint != "" {
		rule += ":" + i.Constraint
	}
	return rule + " " + profile + " " + withoutIndexes(path) + " " + i.Slice
}

// withoutIndexes takes [n] out of an expression.
func withoutIndexes(path string) string {
	if strings.IndexByte(path, '[') < 0 {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '[' {
			j := i + 1
			for j < len(path) && path[j] >= '0' && path[j] <= '9' {
				j++
			}
			if j > i+1 && j < len(path) && path[j] == ']' {
				i = j
				continue
			}
		}
		b = append(b, path[i])
	}
	return string(b)
}
