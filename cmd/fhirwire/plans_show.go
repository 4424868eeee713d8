package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// show prints a plan in plain words: for each step which exchanges count, what they belong to, and what is claimed of them.
func (c plansCommand) show(ctx context.Context, name string) error {
	plan, err := c.find(ctx, name)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(plan)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\ntrack   %s\n", plan.ID, plan.Title, plan.Track)
	if plan.Scenario != "" {
		fmt.Fprintf(&b, "about   %s\n", plan.Scenario)
	}
	fmt.Fprintf(&b, "client  %s\nserver  %s\n", plan.Roles.Client, plan.Roles.Server)
	for _, pkg := range slices.Sorted(maps.Keys(plan.Guides)) {
		fmt.Fprintf(&b, "guide   %s %s\n", pkg, plan.Guides[pkg])
	}
	for _, text := range plan.Preconditions {
		fmt.Fprintf(&b, "before  %s\n", text)
	}
	for i := range plan.Steps {
		showStep(&b, &plan.Steps[i])
	}
	_, err = fmt.Fprint(c.p.stdout, b.String())
	return err
}

func showStep(b *strings.Builder, s *testplans.Step) {
	bonus := ""
	if s.Optional {
		bonus = " (optional)"
	}
	fmt.Fprintf(b, "\n%s: %s%s\n  %s\n", s.ID, s.Title, bonus, s.Claim)
	for _, pkg := range slices.Sorted(maps.Keys(s.Guides)) {
		fmt.Fprintf(b, "  guide   %s %s\n", pkg, s.Guides[pkg])
	}
	if text := exchangesOf(&s.Select); text != "" {
		fmt.Fprintf(b, "  counts  %s\n", text)
	}
	for _, text := range relations(s.Select.Follows) {
		fmt.Fprintf(b, "  only    if %s\n", text)
	}
	for _, text := range relations(s.Select.Unless) {
		fmt.Fprintf(b, "  not     if %s\n", text)
	}
	for _, v := range s.Capture {
		fmt.Fprintf(b, "  takes   %s from the %s: %s\n", v.Name, v.From, strings.Join(strings.Fields(v.FHIRPath+v.Pointer+v.Header+v.Parameter), " "))
	}
	for k := range s.Checks {
		check := &s.Checks[k]
		asked := ""
		if check.Attestation != nil {
			asked = " (a person answers)"
		}
		fmt.Fprintf(b, "  - %-24s %-6s %-6s %s%s [%s]\n", check.ID, check.Side, s.StrengthOf(check), check.Claim, asked, strings.Join(s.RequirementsOf(check), " "))
	}
}

// exchangesOf says which exchanges a step looks at, but for their relations.
func exchangesOf(s *testplans.Select) string {
	var out []string
	add := func(format string, words ...string) {
		if len(words) > 0 && words[0] != "" {
			out = append(out, fmt.Sprintf(format, strings.Join(words, " or ")))
		}
	}
	add("%s", s.Kind...)
	add("of %s", s.Type...)
	add("%s", s.Operation...)
	add("on the level of the %s", s.Level)
	add("by %s", s.Method...)
	add("answered %s", s.Status...)
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		out = append(out, present(name, s.Parameters[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		out = append(out, present("the header "+name, s.Headers[name]))
	}
	if s.Certificate != "" {
		out = append(out, present("a client certificate", s.Certificate))
	}
	add("whose request has %s", strings.Join(strings.Fields(s.Request), " "))
	add("whose response has %s", strings.Join(strings.Fields(s.Response), " "))
	return strings.Join(out, ", ")
}

func present(what, value string) string {
	switch value {
	case "*":
		return "with " + what
	case "-":
		return "without " + what
	default:
		return fmt.Sprintf("with %s = %s", what, value)
	}
}

// relations says what has to hold, together for relations to one step, which have to hold with one exchange.
func relations(list []testplans.Follows) []string {
	var steps, out []string
	for i := range list {
		at := slices.Index(steps, list[i].Step)
		if at < 0 {
			steps, out = append(steps, list[i].Step), append(out, relation(&list[i]))
			continue
		}
		out[at] += ", and " + relation(&list[i])
	}
	return out
}

// relation says how an exchange belongs to one of an earlier step.
func relation(f *testplans.Follows) string {
	switch f.By {
	case testplans.ByURL:
		return "the answer in " + f.Step + " named its URL"
	case testplans.BySame:
		return "it asks for the URL that was asked for in " + f.Step
	case testplans.ByToken:
		return "it has the access token that was issued in " + f.Step
	case testplans.ByClient:
		return "it comes from the client of " + f.Step
	case testplans.ByID:
		return "it names the " + f.Variable + " that was found in " + f.Step
	case testplans.ByOrder:
		return "it began after " + f.Step + " ended"
	default:
		return string(f.By) + " " + f.Step
	}
}
