package validators

import (
	"strings"
	"time"
)

// Report is what the inspection of one subject (an exchange, or a resource) found.
type Report struct {
	// Subject is the opaque id of what was inspected.
	Subject   string           `json:"subject"`
	Context   Context          `json:"context"`
	Resources []ResourceResult `json:"resources,omitempty"`
	// Issues are sorted by severity rank, then by position.
	Issues []Issue `json:"issues"`
	// IssuesCut counts issues that a cap dropped, after counting them in Summary.
	IssuesCut int `json:"issuesCut,omitempty"`
	// Checked counts resources validated, also those beyond the list in Resources.
	Checked int       `json:"checked"`
	At      time.Time `json:"at"`
	Summary Summary   `json:"summary"`
}

// Context is what a report was computed with, so that it can be computed again.
type Context struct {
	// Guides are package ids with versions: "hl7.fhir.us.core#3.1.1".
	Guides []string `json:"guides"`
	// Rules is the version of our own rules (RulesVersion).
	Rules int `json:"rules"`
	// Terminology is "offline" or the URL of a terminology server.
	Terminology string `json:"terminology"`
}

// RulesVersion counts changes of our rules that can change a verdict. A stored report with a lower number is computed again.
//
// It goes up by one with a release in which a recorded exchange may get another verdict than before: a new rule of severity error
// or fatal, one that is gone, one that is found at another place or in other cases, an erratum, another version of a built-in
// guide. It stays for words, positions within a value, speed, and rules that only inform. 2: paths of resources of no known type,
// Bundles read in parts, definitions judged as such, content codings on top of each other. 3: definitions, value sets, code systems,
// search parameters and operations judged by more, entities of HTML in narratives, content that a type repeats.
const RulesVersion = 3

// ResourceResult says what one resource in the subject was validated against and how that went.
type ResourceResult struct {
	ResourceType string          `json:"resourceType"`
	ID           string          `json:"id,omitempty"`
	Part         Part            `json:"part,omitempty"`
	Expression   string          `json:"expression,omitempty"` // "Bundle.entry[3].resource" where nested
	Line         int             `json:"line,omitempty"`       // where it starts
	Profiles     []ProfileChoice `json:"profiles,omitempty"`
	Errors       int             `json:"errors"`
	Warnings     int             `json:"warnings"`
}

// ProfileChoice is a profile that was used and why.
type ProfileChoice struct {
	URL string `json:"url"`
	// Why: "base type", "claimed in meta.profile", "asked for", "channel setting", "rule of hl7.fhir.us.davinci-pdex#2.0.0 …".
	Why string `json:"why"`
}

// Summary is the report in a list row.
type Summary struct {
	Errors      int `json:"errors"`
	Warnings    int `json:"warnings"`
	Information int `json:"information"`
	// NotChecked counts what occurred and could not be judged.
	NotChecked int `json:"notChecked"`
	// Side is at fault for the errors: client, server, both or tool.
	Side Side `json:"side,omitempty"`
	// Headline is the message of the worst issue, for the second line of a row.
	Headline string `json:"headline,omitempty"`
	// Unjudged says in words why nothing in the exchange could be judged (encrypted, cut off, not FHIR); empty otherwise.
	Unjudged string `json:"unjudged,omitempty"`
	// ToolError says in words that we failed; the subject's verdict is then "error".
	ToolError string `json:"toolError,omitempty"`
}

// Summarize counts issues into a Summary. Issues need not be sorted.
func Summarize(issues []Issue) Summary {
	var s Summary
	var worst *Issue
	for i := range issues {
		is := &issues[i]
		switch {
		case is.NotChecked:
			s.NotChecked++
			continue
		case is.IsError():
			s.Errors++
			s.Side = s.Side.join(is.Side)
		case is.Severity == SeverityWarning:
			s.Warnings++
		default:
			s.Information++
		}
		if worst == nil || is.Severity.Rank() < worst.Severity.Rank() {
			worst = is
		}
	}
	if worst != nil && worst.Severity.Rank() <= SeverityWarning.Rank() {
		s.Headline = worst.Message
	}
	return s
}

func (a Side) join(b Side) Side {
	switch {
	case a == "" || a == b:
		return b
	case b == "":
		return a
	default:
		return SideBoth
	}
}

// GroupKey is Issue.GroupKey with the path from the resource concerned, so that what is wrong with a resource groups alike
// whether it came alone, in a Bundle or as a line.
func (r *Report) GroupKey(is *Issue) string {
	if is.Resource >= 0 && is.Resource < len(r.Resources) {
		at := &r.Resources[is.Resource]
		if rest, ok := strings.CutPrefix(is.Expression, at.Expression); ok && at.Expression != "" {
			return is.groupKey(at.ResourceType + rest)
		}
	}
	return is.GroupKey()
}
