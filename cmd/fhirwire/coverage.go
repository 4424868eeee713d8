package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"fhirwire/validators/coverage"
)

// coverageOnly is for output that is the tally alone.
type coverageOnly struct{}

func (coverageOnly) print(result) error { return nil }
func (coverageOnly) end() error         { return nil }

// printCoverage writes the tally: for people what is missing first, as JSON everything.
func printCoverage(w io.Writer, format string, profiles []coverage.Profile) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if profiles == nil {
			profiles = []coverage.Profile{}
		}
		return enc.Encode(map[string]any{"profiles": profiles})
	}
	b := bufio.NewWriter(w)
	_, _ = fmt.Fprint(b, "\nMust-support coverage\n")
	if len(profiles) == 0 {
		_, _ = fmt.Fprint(b, "  no resource was held against a profile; claim one in meta.profile or name one with --profile\n")
	}
	for i := range profiles {
		p := &profiles[i]
		missing := p.Missing()
		_, _ = fmt.Fprintf(b, "\n%s\n  %s, %d of %d seen\n", p.URL, counted(p.Resources, "resource"), len(p.Items)-len(missing)-unclear(p), len(p.Items))
		for j := range p.Items {
			_, _ = fmt.Fprintf(b, "  %s\n", itemLine(&p.Items[j]))
		}
	}
	return b.Flush()
}

func unclear(p *coverage.Profile) int {
	n := 0
	for i := range p.Items {
		if !p.Items[i].Covered() && p.Items[i].Unclear != "" {
			n++
		}
	}
	return n
}

func itemLine(i *coverage.Item) string {
	name := i.ID
	if i.URL != "" {
		name += " (" + i.URL + ")"
	}
	switch {
	case i.Seen != nil:
		line := fmt.Sprintf("seen        %s  %s:%d %s", name, i.Seen.Subject, i.Seen.Line, i.Seen.Pointer)
		if len(i.Types) > 0 {
			line += "  as " + strings.Join(slices.Sorted(maps.Keys(i.Types)), ", ")
		}
		return printable(line)
	case i.Alternative != "":
		return "seen        " + name + "  by its alternative " + i.Alternative
	case i.Unclear != "":
		return "not-checked " + name + "  " + i.Unclear
	default:
		return "missing     " + name
	}
}
