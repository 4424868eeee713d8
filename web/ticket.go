package web

import (
	"encoding/json"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// ticket is a finding as Markdown, for whoever has to mend it. Recorded text is quoted as code, where nothing in it is markup.
func ticket(f *views.Finding, e *proxy.Exchange, href string, more ...string) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString("- " + name + ": " + value + "\n")
		}
	}
	b.WriteString("**" + f.Severity.Word + "**: " + markdownCode(f.Title) + "\n\n")
	line("Whose side", markdownText(f.Side))
	line("Where", markdownCode(f.Expression))
	line("Expected", markdownCode(f.Expected))
	line("Found", markdownCode(f.Found))
	line("Do next", markdownText(f.DoNext))
	var rules []string
	for _, s := range []string{f.RuleID, f.Constraint, f.Require, f.Profile} {
		if s != "" {
			rules = append(rules, markdownCode(s))
		}
	}
	line("Rule", strings.Join(rules, ", "))
	line("Exchange", markdownCode(visible([]byte(clip(e.Request.Method+" "+e.Request.URL, 500))))+", "+statusLine(e)+", "+e.Timing.Start.UTC().Format(time.RFC3339))
	line("Link", href)
	for _, m := range more {
		b.WriteString("\n" + m + "\n")
	}
	return b.String()
}

// markdownCode is text between as many backticks as it needs.
func markdownCode(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ReplaceAll(s, "\n", " ")
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if fence == "`" {
		return fence + s + fence
	}
	return fence + " " + s + " " + fence
}

// markdownText is text in which nothing is markup.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(s, "\n", " ") {
		if strings.ContainsRune("\\`*_[]<>#|!&~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// findingJSON is a finding as the API's report has it, with its exchange.
func findingJSON(e *proxy.Exchange, is *validators.Issue, href string) string {
	out, err := json.MarshalIndent(struct {
		Exchange string            `json:"exchange"`
		Number   int64             `json:"number"`
		Href     string            `json:"href"`
		Issue    *validators.Issue `json:"issue"`
	}{e.ID, e.Number, href, is}, "", "  ")
	if err != nil {
		return ""
	}
	return string(out)
}
