package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"fhirwire/validators/guides"
	"fhirwire/validators/ig"
	"fhirwire/validators/ig/fetch"
)

const packagesUsage = "say list, show NAME[#VERSION], add PATH.tgz|FOLDER|NAME#VERSION or remove NAME#VERSION"

func runPackages(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "packages", "list | show NAME[#VERSION] | add PATH.tgz|FOLDER|NAME#VERSION… | remove NAME#VERSION…",
		"Shows the implementation guides known, and adds others: from a package archive, a folder, the FHIR package cache or a registry.\n"+
			"What an added guide depends on is added with it. Added packages do not change; versions live side by side.\n")
	data := fs.String("data", dataDir(p), "`DIR` that holds added packages")
	registry := fs.String("registry", "", "`URL` of a package registry to ask for what is nowhere else")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) == 0:
		return exitUsage, usagef(packagesUsage)
	}
	lib, err := loadLibrary(*data)
	if err != nil {
		return exitUsage, err
	}
	c := packagesCommand{p: p, lib: lib, dir: addedPackages(*data), finder: newFinder(p, *registry)}
	switch verb, names := rest[0], rest[1:]; {
	case verb == "list" && len(names) == 0:
		return exitFine, c.list()
	case verb == "show" && len(names) == 1:
		return exitFine, c.show(names[0])
	case verb == "add" && len(names) > 0:
		return exitFine, c.add(ctx, names)
	case verb == "remove" && len(names) > 0:
		return exitFine, c.remove(names)
	}
	return exitUsage, usagef(packagesUsage)
}

// newFinder looks in the FHIR package cache of the user, then in a registry.
func newFinder(p *process, registry string) *fetch.Finder {
	o := fetch.Options{Registry: registry}
	if home := p.getenv("HOME"); home != "" {
		o.Cache = filepath.Join(home, ".fhir", "packages")
	}
	return fetch.New(o)
}

type packagesCommand struct {
	p      *process
	lib    *guides.Library
	dir    fetch.Dir
	finder *fetch.Finder
}

func (c *packagesCommand) list() error {
	w := tabwriter.NewWriter(c.p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PACKAGE\tTYPES\tPROFILES\tEXTENSIONS\tVALUE SETS\tCODE SYSTEMS\tFROM")
	for _, pk := range sortedPackages(c.lib) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", pk.ID, pk.Types, pk.Profiles, pk.Extensions, pk.ValueSets, pk.CodeSystems, origin(pk))
	}
	for _, id := range c.finder.Cached() {
		if _, here := find(c.lib, id); !here {
			_, _ = fmt.Fprintf(w, "%s\t\t\t\t\t\tFHIR package cache, not added\n", id)
		}
	}
	return w.Flush()
}

func sortedPackages(lib *guides.Library) []guides.PackageInfo {
	return slices.SortedFunc(slices.Values(lib.Packages()), func(a, b guides.PackageInfo) int { return cmp.Compare(a.ID, b.ID) })
}

func find(lib *guides.Library, id string) (guides.PackageInfo, bool) {
	all := lib.Packages()
	i := slices.IndexFunc(all, func(pk guides.PackageInfo) bool { return pk.ID == id })
	if i < 0 {
		return guides.PackageInfo{}, false
	}
	return all[i], true
}

func origin(pk guides.PackageInfo) string {
	if pk.Builtin {
		return "built in"
	}
	return "added"
}

func (c *packagesCommand) show(name string) error {
	var found []guides.PackageInfo
	for _, pk := range sortedPackages(c.lib) {
		if pk.ID == name || pk.Name == name {
			found = append(found, pk)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no package %s; see fhirwire packages list", name)
	}
	for _, pk := range found {
		_, _ = fmt.Fprintf(c.p.stdout, "%s (%s)\n", pk.ID, origin(pk))
		if pk.Source != "" {
			_, _ = fmt.Fprintf(c.p.stdout, "  source sha256  %s\n", pk.Source)
		}
		if len(pk.Dependencies) > 0 {
			_, _ = fmt.Fprintf(c.p.stdout, "  depends on     %s\n", strings.Join(pk.Dependencies, ", "))
		}
		_, _ = fmt.Fprintf(c.p.stdout, "  defines        %d types, %d profiles, %d extensions, %d value sets, %d code systems, %d search parameters\n",
			pk.Types, pk.Profiles, pk.Extensions, pk.ValueSets, pk.CodeSystems, pk.SearchParams)
		set, err := c.lib.Set(pk.ID)
		if err != nil {
			return err
		}
		for _, d := range set.Structures() {
			if d.Package == pk.ID && d.Constraint {
				_, _ = fmt.Fprintf(c.p.stdout, "  %-14s %s|%s\n", d.Type, d.URL, d.Version)
			}
		}
	}
	return nil
}

// add keeps packages and what they depend on. Nothing is kept unless every definition compiles.
func (c *packagesCommand) add(ctx context.Context, names []string) error {
	var fresh []*ig.Package
	for _, name := range names {
		pk, err := openOrFind(ctx, c.finder, name)
		if err != nil {
			return err
		}
		if have, ok := find(c.lib, pk.ID()); ok && have.Builtin {
			return fmt.Errorf("package %s is built in, and cannot be replaced", pk.ID())
		}
		fresh = append(fresh, pk)
	}
	deps, notes, err := c.finder.Dependencies(ctx, fresh, c.have)
	if err != nil {
		return err
	}
	for _, note := range notes {
		_, _ = fmt.Fprintf(c.p.stderr, "fhirwire packages: note: %s\n", note)
	}
	unknown := slices.DeleteFunc(slices.Concat(fresh, deps), func(pk *ig.Package) bool {
		_, ok := find(c.lib, pk.ID())
		return ok // Put tells whether it is the same
	})
	if _, err := c.lib.With(unknown...); err != nil {
		return err
	}
	for _, pk := range slices.Concat(deps, fresh) {
		added, err := c.dir.Put(pk)
		switch {
		case err != nil:
			return err
		case added:
			_, _ = fmt.Fprintf(c.p.stdout, "added %s\n", pk.ID())
		default:
			_, _ = fmt.Fprintf(c.p.stdout, "%s is here already\n", pk.ID())
		}
	}
	return nil
}

// have reports whether the library answers to a dependency. FHIR's own packages are built in, whatever their version; of other
// guides only the version itself will do.
func (c *packagesCommand) have(name, version string) bool {
	switch name {
	case "hl7.fhir.core", "hl7.fhir.r4.core", "hl7.fhir.r4.expansions", "hl7.fhir.r4.examples",
		"hl7.terminology", "hl7.terminology.r4", "hl7.fhir.uv.extensions", "hl7.fhir.uv.extensions.r4":
		return true
	}
	var versions []string
	for _, pk := range c.lib.Packages() {
		if pk.Name == name {
			versions = append(versions, pk.Version)
		}
	}
	return fetch.Pick(versions, version) != ""
}

// dependsOn reports whether pk names id as a dependency, by version or by a pattern that id answers to.
func dependsOn(pk guides.PackageInfo, id string) bool {
	name, version := ig.SplitID(id)
	return slices.ContainsFunc(pk.Dependencies, func(d string) bool {
		n, v := ig.SplitID(d)
		return n == name && fetch.Pick([]string{version}, v) != ""
	})
}

func (c *packagesCommand) remove(names []string) error {
	for _, name := range names {
		id := strings.Replace(name, "@", "#", 1)
		pk, ok := find(c.lib, id)
		switch {
		case ok && pk.Builtin:
			return fmt.Errorf("package %s is built in, and cannot be removed", id)
		case !ok:
			return fmt.Errorf("no package %s; see fhirwire packages list", name)
		}
		for _, other := range c.lib.Packages() {
			if !other.Builtin && dependsOn(other, id) && !slices.Contains(names, other.ID) {
				return fmt.Errorf("package %s: %s depends on it; remove that first, or both", id, other.ID)
			}
		}
	}
	for _, name := range names {
		id := strings.Replace(name, "@", "#", 1)
		if err := c.dir.Remove(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, _ = fmt.Fprintf(c.p.stdout, "removed %s\n", id)
	}
	return nil
}

// openOrFind reads a package from a path, or else finds it by name and version.
func openOrFind(ctx context.Context, finder *fetch.Finder, name string) (*ig.Package, error) {
	_, err := os.Stat(name)
	id, version := ig.SplitID(name)
	switch {
	case err == nil:
		pk, err := openGuide(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return pk, nil
	case version == "" && (strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".json")):
		return nil, err
	}
	return finder.Package(ctx, id, version)
}
