package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"fhirwire/testplans/plans"
	"fhirwire/validators/directory"
	"fhirwire/validators/guides"
	"fhirwire/validators/httprules"
	"fhirwire/validators/instance"
)

// coveredRequirements joins the list of requirements with everything of this build, and of the plans in own, that decides about one.
func coveredRequirements(ctx context.Context, own []string, lib *guides.Library) ([]plans.Covered, error) {
	all, err := plans.Requirements()
	if err != nil {
		return nil, err
	}
	set, err := lib.Set()
	if err != nil {
		return nil, err
	}
	files, err := plansOf(ctx, own, set)
	if err != nil {
		return nil, err
	}
	rules := slices.Concat(instance.Rules(), directory.Rules())
	for _, r := range httprules.Table() {
		rules = append(rules, r.Rule)
	}
	return plans.Cover(all, files.Now().Plans, rules, func(name string) bool {
		return slices.ContainsFunc(profileRoots, func(root string) bool {
			_, ok := set.Profile(root + name)
			return ok
		})
	}), nil
}

// profileRoots are where the profiles that the list names are published.
var profileRoots = []string{
	"http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/", "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/",
	"http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/",
}

// scenarioChecks reports the ids of the scenarios' own checks.
func scenarioChecks() (func(id string) bool, error) {
	all, err := plans.Requirements()
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for i := range all {
		own[all[i].ID] = all[i].Scenario()
	}
	return func(id string) bool { return own[id] }, nil
}

// tally counts the requirements that bind a party and that traffic can show.
type tally struct{ Binding, Showable, Decided, ByProfile int }

func tallyOf(all []plans.Covered) tally { return tallyWhere(all, (*plans.Requirement).Binds) }

// tallyWhere counts those that are of a kind.
func tallyWhere(all []plans.Covered, is func(*plans.Requirement) bool) tally {
	var t tally
	for i := range all {
		c := &all[i]
		if !is(&c.Requirement) {
			continue
		}
		t.Binding++
		if !c.Showable() {
			continue
		}
		t.Showable++
		if !c.Decided() {
			continue
		}
		t.Decided++
		if !slices.ContainsFunc(c.By, func(by plans.Citation) bool { return by.Kind != "profile" && by.Kind != "attestation" }) {
			t.ByProfile++
		}
	}
	return t
}

func (t tally) String() string {
	percent := 0.0
	if t.Showable > 0 {
		percent = 100 * float64(t.Decided) / float64(t.Showable)
	}
	return fmt.Sprintf("%d requirements bind a party; recorded traffic can show %d of them, and %d of these are decided (%.0f %%), %d by profiles alone", t.Binding, t.Showable, t.Decided, percent, t.ByProfile)
}

func (c plansCommand) coverage(ctx context.Context, format string) error {
	all, err := coveredRequirements(ctx, c.own, c.lib)
	if err != nil {
		return err
	}
	switch format {
	case "json":
		return c.writeJSON(map[string]any{"requirements": all})
	case "csv":
		return coverageCSV(c.p.stdout, all)
	default:
		return coverageText(c.p.stdout, all)
	}
}

// coverageCSV has a line for each requirement and what decides about it, and one for each that nothing decides about.
func coverageCSV(w io.Writer, all []plans.Covered) error {
	rows := [][]string{}
	for i := range all {
		c := &all[i]
		row := []string{c.ID, c.Document, c.Strength, c.Who, c.Shown}
		if len(c.By) == 0 {
			rows = append(rows, append(row, "", "", c.Reason))
		}
		for _, by := range c.By {
			rows = append(rows, append(slices.Clone(row), by.Kind, by.Name, c.Reason))
		}
	}
	out := csv.NewWriter(w)
	return errors.Join(out.Write([]string{"requirement", "document", "strength", "who", "shown", "decided by", "name", "reason"}), out.WriteAll(rows))
}

// coverageText is for people: the count, by document, and then what is open with the reason.
func coverageText(w io.Writer, all []plans.Covered) error {
	var b strings.Builder
	s := tallyWhere(all, (*plans.Requirement).Scenario)
	fmt.Fprintf(&b, "%s\n%d checks are of the scenarios themselves; recorded traffic can show %d of them, and %d of these are decided\n\n", tallyOf(all), s.Binding, s.Showable, s.Decided)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "DOCUMENT\tBINDING\tSHOWABLE\tDECIDED\tBY PROFILES") // the builder takes everything
	for rest := all; len(rest) > 0; {
		doc := rest[0].Document
		n := slices.IndexFunc(rest, func(c plans.Covered) bool { return c.Document != doc })
		if n < 0 {
			n = len(rest)
		}
		t := tallyOf(rest[:n])
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", doc, t.Binding, t.Showable, t.Decided, t.ByProfile)
		rest = rest[n:]
	}
	if err := table.Flush(); err != nil {
		return err
	}
	b.WriteString("\nNot decided\n")
	for i := range all {
		c := &all[i]
		if (c.Binds() || c.Scenario()) && !c.Decided() {
			fmt.Fprintf(&b, "  %-12s %s\n", c.ID, cmp.Or(c.Reason, "no check yet"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
