package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"fhirwire/validators/guides"
)

func runPackages(_ context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "packages", "list | show NAME[#VERSION]", "Shows the implementation guides known.")
	rest, err := parseFlags(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(rest) == 0 {
		return exitUsage, usagef("say list, or show NAME#VERSION")
	}
	lib, err := guides.Load()
	if err != nil {
		return exitUsage, err
	}
	switch {
	case rest[0] == "list" && len(rest) == 1:
		return exitFine, listPackages(p, lib)
	case rest[0] == "show" && len(rest) == 2:
		return exitFine, showPackage(p, lib, rest[1])
	case rest[0] == "add" || rest[0] == "remove":
		return exitUsage, usagef("%s is not part of this version yet; validate --ig takes a package, folder or file", rest[0])
	default:
		return exitUsage, usagef("say list, or show NAME#VERSION")
	}
}

func listPackages(p *process, lib *guides.Library) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PACKAGE\tTYPES\tPROFILES\tEXTENSIONS\tVALUE SETS\tCODE SYSTEMS\tFROM")
	for _, pk := range sortedPackages(lib) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", pk.ID, pk.Types, pk.Profiles, pk.Extensions, pk.ValueSets, pk.CodeSystems, origin(pk))
	}
	return w.Flush()
}

func sortedPackages(lib *guides.Library) []guides.PackageInfo {
	return slices.SortedFunc(slices.Values(lib.Packages()), func(a, b guides.PackageInfo) int { return cmp.Compare(a.ID, b.ID) })
}

func origin(pk guides.PackageInfo) string {
	if pk.Builtin {
		return "built in"
	}
	return "added"
}

func showPackage(p *process, lib *guides.Library, name string) error {
	var found []guides.PackageInfo
	for _, pk := range sortedPackages(lib) {
		if pk.ID == name || pk.Name == name {
			found = append(found, pk)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no package %s; see fhirwire packages list", name)
	}
	for _, pk := range found {
		_, _ = fmt.Fprintf(p.stdout, "%s (%s)\n", pk.ID, origin(pk))
		if pk.Source != "" {
			_, _ = fmt.Fprintf(p.stdout, "  source sha256  %s\n", pk.Source)
		}
		if len(pk.Dependencies) > 0 {
			_, _ = fmt.Fprintf(p.stdout, "  depends on     %s\n", strings.Join(pk.Dependencies, ", "))
		}
		_, _ = fmt.Fprintf(p.stdout, "  defines        %d types, %d profiles, %d extensions, %d value sets, %d code systems, %d search parameters\n",
			pk.Types, pk.Profiles, pk.Extensions, pk.ValueSets, pk.CodeSystems, pk.SearchParams)
		set, err := lib.Set(pk.ID)
		if err != nil {
			return err
		}
		for _, d := range set.Structures() {
			if d.Package == pk.ID && d.Constraint {
				_, _ = fmt.Fprintf(p.stdout, "  %-14s %s|%s\n", d.Type, d.URL, d.Version)
			}
		}
	}
	return nil
}
