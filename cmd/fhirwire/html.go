package main

import (
	"bufio"
	"cmp"
	_ "embed"
	"html/template"
	"slices"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/coverage"
)

//go:embed report.html
var reportPage string

// htmlPrinter makes one page that needs nothing else: no scripts, everything from the input escaped.
type htmlPrinter struct {
	w        *bufio.Writer
	now      func() time.Time
	coverage []coverage.Profile

	resources, clean                    int
	errors, warnings, notes, notChecked int
	context                             validators.Context
	groups                              map[groupKey]*htmlGroup
	files                               []htmlResource
	cut                                 int // resources with findings beyond those listed
	ungrouped                           int // findings beyond the groups listed
}

// Bounds on one page; what is beyond is counted.
const (
	maxPlaces    = 50
	maxResources = 2000
	maxGroups    = 5000
)

// groupKey is what makes two findings the same.
type groupKey struct {
	messageID, profile, constraint, slice string
	severity                              validators.Severity
	notChecked                            bool
	path                                  string
	child                                 string // what is missing, which is no part of the path
}

type htmlGroup struct {
	Severity, Rule, Constraint, Profile, Slice, Path string
	Message, DoNext                                  string // of the first
	Count, More                                      int
	Places                                           []htmlPlace
	rank, at                                         int
}

type htmlPlace struct {
	Source       string
	Line, Column int
	Resource     string
}

type htmlResource struct {
	Source, Name     string
	Line             int
	Errors, Warnings int
	Profiles         []string
	Issues           []htmlIssue
}

type htmlIssue struct {
	Severity, Rule, Constraint, Profile, Expression, Message, Expected, Found, DoNext string
	Line, Column                                                                      int
}

// severityWord is what the page says of a finding's weight.
func severityWord(is *validators.Issue) string {
	if is.NotChecked {
		return "not-checked"
	}
	return string(is.Severity)
}

func (h *htmlPrinter) print(r result) error {
	h.resources++
	s := r.report.Summary
	h.errors, h.warnings, h.notes, h.notChecked = h.errors+s.Errors, h.warnings+s.Warnings, h.notes+s.Information, h.notChecked+s.NotChecked
	h.context = r.report.Context
	if len(r.report.Issues) == 0 {
		h.clean++
		return nil
	}
	name := cmp.Or(r.root.resourceType, "not a resource")
	if r.root.id != "" {
		name += "/" + r.root.id
	}
	out := htmlResource{Source: r.source, Line: r.line, Name: name, Errors: s.Errors, Warnings: s.Warnings, Profiles: profilesOf(r.report)}
	for i := range r.report.Issues {
		is := &r.report.Issues[i]
		h.group(is, htmlPlace{Source: r.source, Line: is.Line, Column: is.Column, Resource: name})
		out.Issues = append(out.Issues, htmlIssue{
			Severity: severityWord(is), Rule: is.MessageID, Constraint: is.Constraint, Profile: is.Profile, Expression: is.Expression, Message: is.Message,
			Expected: is.Expected, Found: is.Found, DoNext: is.DoNext, Line: is.Line, Column: is.Column,
		})
	}
	if len(h.files) == maxResources {
		h.cut++
		return nil
	}
	h.files = append(h.files, out)
	return nil
}

func (h *htmlPrinter) group(is *validators.Issue, at htmlPlace) {
	if h.groups == nil {
		h.groups = map[groupKey]*htmlGroup{}
	}
	key := groupKey{
		messageID: is.MessageID, profile: is.Profile, constraint: is.Constraint, slice: is.Slice, severity: is.Severity, notChecked: is.NotChecked,
		path: withoutIndices(is.Expression),
	}
	if is.Code == validators.CodeRequired {
		key.child = withoutIndices(is.Message)
	}
	g := h.groups[key]
	if g == nil {
		if len(h.groups) == maxGroups {
			h.ungrouped++
			return
		}
		g = &htmlGroup{
			Severity: severityWord(is), Rule: is.MessageID, Constraint: is.Constraint, Profile: is.Profile, Slice: is.Slice, Path: key.path,
			Message: is.Message, DoNext: is.DoNext, rank: is.Severity.Rank(), at: len(h.groups),
		}
		h.groups[key] = g
	}
	if g.Count++; len(g.Places) < maxPlaces {
		g.Places = append(g.Places, at)
	} else {
		g.More++
	}
}

// withoutIndices is the element that a path leads to, whichever repetition: Patient.name[1].given[0] is Patient.name.given.
func withoutIndices(path string) string {
	out := make([]byte, 0, len(path))
	depth := 0
	for i := range len(path) {
		switch path[i] {
		case '[':
			depth++
		case ']':
			depth--
		default:
			if depth == 0 {
				out = append(out, path[i])
			}
		}
	}
	return string(out)
}

func (h *htmlPrinter) end() error {
	page, err := template.New("report").Parse(reportPage)
	if err != nil {
		return err
	}
	groups := make([]*htmlGroup, 0, len(h.groups))
	for _, g := range h.groups {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *htmlGroup) int {
		return cmp.Or(a.rank-b.rank, b.Count-a.Count, a.at-b.at)
	})
	err = page.Execute(h.w, map[string]any{
		"At": h.now().UTC().Format(time.RFC3339), "Version": version, "Context": h.context, "Resources": h.resources, "Clean": h.clean,
		"Errors": h.errors, "Warnings": h.warnings, "Notes": h.notes, "NotChecked": h.notChecked,
		"Groups": groups, "Files": h.files, "Cut": h.cut, "Ungrouped": h.ungrouped, "Coverage": h.tally(),
	})
	if err != nil {
		return err
	}
	return h.w.Flush()
}

type htmlCoverage struct {
	coverage.Profile

	Count int
	Lines []htmlItem
}

type htmlItem struct{ State, Text string }

func (h *htmlPrinter) tally() []htmlCoverage {
	out := make([]htmlCoverage, 0, len(h.coverage))
	for i := range h.coverage {
		p := &h.coverage[i]
		c := htmlCoverage{Profile: *p, Count: len(p.Items) - len(p.Missing()) - unclear(p)}
		for j := range p.Items {
			line := itemLine(&p.Items[j])
			c.Lines = append(c.Lines, htmlItem{State: line[:stateWidth], Text: line[stateWidth:]})
		}
		out = append(out, c)
	}
	return out
}

// stateWidth is the first column of a line of the tally.
const stateWidth = len("not-checked ")
