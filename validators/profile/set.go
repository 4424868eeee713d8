package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/ig"
	"fhirwire/validators/terminology"
)

// Set is the definitions that are in force: some guides, what they depend on, and FHIR itself. It is immutable and safe for
// concurrent use.
type Set struct {
	catalog *Catalog
	active  []*shelf
	// named are the active packages that were asked for; the others are there because these depend on them.
	named  map[string]bool
	ids    []string
	terms  *terminology.Service
	params sync.Map // base type → []ig.SearchParam
	byURL  sync.Map // canonical → *Profile
}

var _ fhirpath.Model = (*Set)(nil)

// Set activates the packages of the given ids ("name#version") and what they depend on; none means all packages at hand.
func (c *Catalog) Set(ids ...string) (*Set, error) {
	active, named := map[*shelf]bool{}, map[string]bool{}
	for _, s := range c.shelves {
		if len(ids) == 0 || isFoundation(s.pkg.Name) {
			active[s], named[s.id] = true, true
		}
	}
	for _, id := range ids {
		s := c.byID[strings.Replace(id, "@", "#", 1)]
		if s == nil {
			return nil, fmt.Errorf("package %s: not at hand", id)
		}
		named[s.id] = true
		for _, dep := range s.scope {
			active[dep] = true
		}
	}
	set := &Set{catalog: c, named: named}
	for _, s := range c.shelves {
		if active[s] {
			set.active = append(set.active, s)
			set.ids = append(set.ids, s.id)
		}
	}
	key := strings.Join(set.ids, " ") + " " + strings.Join(slices.Sorted(maps.Keys(named)), " ")
	if s, ok := c.sets.Load(key); ok {
		return s.(*Set), nil
	}
	set.terms = terminology.New(setTerms{set}, terminology.Options{})
	s, _ := c.sets.LoadOrStore(key, set)
	return s.(*Set), nil
}

// Packages are the ids of the active packages.
func (s *Set) Packages() []string { return slices.Clone(s.ids) }

// Terms answers membership of codes over the set's definitions.
func (s *Set) Terms() *terminology.Service { return s.terms }

// Profile finds a definition by url or url|version. Without a version it is the newest in the set; a version that the set
// lacks is taken from the packages at hand.
func (s *Set) Profile(canonical string) (*Profile, bool) {
	if p, ok := s.byURL.Load(canonical); ok {
		return p.(*Profile), true
	}
	p := s.find(canonical)
	if p != nil { // misses are not kept: recorded traffic can name any number of them
		s.byURL.Store(strings.Clone(canonical), p)
	}
	return p, p != nil
}

func (s *Set) find(canonical string) *Profile {
	d := s.definition(canonical)
	if d == nil {
		return nil
	}
	p, err := s.catalog.compiled(d)
	if err != nil {
		return nil
	}
	return p
}

func (s *Set) definition(canonical string) *definition {
	url, version := ig.SplitCanonical(canonical)
	list := s.catalog.structures[url]
	if version == "" {
		return newest(s.in(list))
	}
	if d := exact(s.in(list), version, nil); d != nil {
		return d
	}
	return exact(list, version, nil)
}

// Versions are the definitions of one url in the active versions of the guide that defines it, newest first. Most urls have one.
func (s *Set) Versions(url string) []*Profile {
	list := s.in(s.catalog.structures[url])
	best := newest(list)
	if best == nil {
		return nil
	}
	var out []*Profile
	for _, d := range list {
		if d.shelf.pkg.Name != best.shelf.pkg.Name {
			continue
		}
		if p, err := s.catalog.compiled(d); err == nil {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *Profile) int {
		return ig.CompareVersions(packageVersion(b.Package), packageVersion(a.Package))
	})
	return out
}

func packageVersion(id string) string { return id[strings.IndexByte(id, '#')+1:] }

// Seen is the definition that a url without a version means in the definitions of a package: its own, or that of a package it
// depends on. It reports false when the package depends on none that has it.
func (s *Set) Seen(from, url string) (*Profile, bool) {
	sh := s.catalog.byID[from]
	if sh == nil {
		return nil, false
	}
	for _, in := range sh.scope {
		for _, d := range s.catalog.structures[url] {
			if d.shelf.id == in.id {
				p, err := s.catalog.compiled(d)
				return p, err == nil
			}
		}
	}
	return nil, false
}

// Missing says why Profile does not find a canonical: nothing by that url, another version only, or a definition that cannot
// be used and why. It is nil where Profile finds one.
func (s *Set) Missing(canonical string) error {
	if d := s.definition(canonical); d != nil {
		_, err := s.catalog.compiled(d)
		return err
	}
	url, version := ig.SplitCanonical(canonical)
	var have []string
	for _, d := range s.in(s.catalog.structures[url]) {
		have = append(have, d.Version)
	}
	switch {
	case len(have) > 0:
		return fmt.Errorf("profile %s: version %s is not at hand, only %s", url, version, strings.Join(have, ", "))
	case len(s.catalog.structures[url]) > 0:
		return fmt.Errorf("profile %s: its guide %s is not active", url, s.catalog.structures[url][0].shelf.id)
	}
	return fmt.Errorf("profile %s: no guide at hand defines it", canonical)
}

// in keeps the definitions of packages that were asked for, or else those of the other active packages.
func (s *Set) in(list []*definition) []*definition {
	var named, other []*definition
	for _, d := range list {
		switch {
		case s.named[d.shelf.id]:
			named = append(named, d)
		case slices.Contains(s.ids, d.shelf.id):
			other = append(other, d)
		}
	}
	if len(named) > 0 {
		return named
	}
	return other
}

// Base is the definition of a FHIR type: "Patient", "HumanName", "string".
func (s *Set) Base(typeName string) (*Profile, bool) { return s.catalog.base(typeName) }

func (c *Catalog) base(typeName string) (*Profile, bool) {
	d := c.typeDefinition(typeName)
	if d == nil {
		return nil, false
	}
	p, err := c.compiled(d)
	return p, err == nil
}

// Extension is the definition of an extension.
func (s *Set) Extension(url string) (*Profile, bool) {
	p, ok := s.Profile(url)
	if !ok || p.Type != "Extension" {
		return nil, false
	}
	return p, true
}

// IsResourceType reports whether name is a resource type, abstract ones included.
func (s *Set) IsResourceType(name string) bool {
	d := s.catalog.typeDefinition(name)
	return d != nil && d.Kind == "resource"
}

// ResourceTypes are the names of all resource types that can be instantiated, sorted.
func (s *Set) ResourceTypes() []string {
	var out []string
	for _, a := range s.active {
		for _, d := range a.list {
			if d.ResourceType == "StructureDefinition" && d.Kind == "resource" && d.Derivation != "constraint" && !d.Abstract {
				out = append(out, d.Of)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Summary is what a list shows of a definition.
type Summary struct {
	URL, Version, Name, Package, Type string
	Kind                              Kind
	Constraint                        bool
}

// Structures lists the definitions of the active packages without compiling them, in the order of the packages.
func (s *Set) Structures() []Summary {
	var out []Summary
	for _, a := range s.active {
		for _, d := range a.list {
			if d.ResourceType == "StructureDefinition" {
				out = append(out, Summary{d.URL, d.Version, d.Name, a.id, d.Of, kindOf(d.Kind), d.Derivation == "constraint"})
			}
		}
	}
	return out
}

// SearchParams are the search parameters of a resource type, those of Resource and DomainResource included: one for each code,
// a guide's own before FHIR's.
func (s *Set) SearchParams(base string) []ig.SearchParam {
	if v, ok := s.params.Load(base); ok {
		return v.([]ig.SearchParam)
	}
	var out []ig.SearchParam
	seen := map[string]bool{}
	bases := []string{base}
	for d := s.catalog.typeDefinition(base); d != nil && d.Base != ""; {
		d = s.catalog.typeDefinition(strings.TrimPrefix(d.Base, typePrefix))
		if d != nil {
			bases = append(bases, d.Of)
		}
	}
	for _, last := range [...]bool{false, true} {
		for _, a := range slices.Backward(s.active) { // of two versions of a guide, the newer
			if (a.pkg.Name == corePackage) != last {
				continue
			}
			for _, d := range a.list {
				if d.ResourceType != "SearchParameter" || seen[d.Of] || !anyField(d.Resource.Base, bases) {
					continue
				}
				p, err := d.SearchParameter()
				if err != nil {
					continue
				}
				seen[d.Of] = true
				p.Package = a.id
				out = append(out, *p)
			}
		}
	}
	if len(bases) > 1 {
		s.params.Store(strings.Clone(base), out)
	}
	return out
}

// SearchParam finds a search parameter by canonical, of several that of the package at hand last.
func (s *Set) SearchParam(canonical string) (*ig.SearchParam, bool) {
	url, version := ig.SplitCanonical(canonical)
	for _, a := range slices.Backward(s.active) {
		for _, d := range a.list {
			if d.ResourceType == "SearchParameter" && d.URL == url && (version == "" || version == d.Version) {
				p, err := d.SearchParameter()
				return p, err == nil
			}
		}
	}
	return nil, false
}

func anyField(s string, any []string) bool {
	for f := range strings.FieldsSeq(s) {
		if slices.Contains(any, f) {
			return true
		}
	}
	return false
}

// setTerms gives the terminology service the set's value sets and code systems.
type setTerms struct{ set *Set }

func (t setTerms) ValueSet(canonical, from string) (*ig.ValueSet, string, error) {
	d := t.set.lookup(t.set.catalog.valueSets, canonical, from)
	if d == nil {
		return nil, "", nil
	}
	vs, err := d.ValueSet()
	return vs, d.shelf.id, err
}

func (t setTerms) CodeSystem(canonical, from string) (*ig.CodeSystem, error) {
	c := t.set.catalog
	url, version := ig.SplitCanonical(canonical)
	list := c.codeSystems[url]
	var d *definition
	if version != "" {
		d = exact(list, version, c.byID[from])
	}
	if d == nil {
		// FHIR's own copies of the shared code systems are the oldest ones: they come last.
		outside := slices.DeleteFunc(slices.Clone(list), func(d *definition) bool { return d.shelf.pkg.Name == corePackage })
		if d = t.set.pick(outside, from); d == nil {
			d = t.set.pick(list, from)
		}
	}
	if d == nil {
		return nil, nil //nolint:nilnil // a system that is not at hand is an answer
	}
	return d.CodeSystem()
}

func (t setTerms) Supplements(system string) []*ig.CodeSystem {
	var out []*ig.CodeSystem
	for _, d := range t.set.in(t.set.catalog.supplements[system]) {
		if cs, err := d.CodeSystem(); err == nil {
			out = append(out, cs)
		}
	}
	return out
}

func (s *Set) lookup(index map[string][]*definition, canonical, from string) *definition {
	url, version := ig.SplitCanonical(canonical)
	list := index[url]
	if version != "" {
		if d := exact(list, version, s.catalog.byID[from]); d != nil {
			return d
		}
	}
	return s.pick(list, from)
}

// pick chooses among definitions of one url: in the scope of the package that asks, else the newest active one.
func (s *Set) pick(list []*definition, from string) *definition {
	if sh := s.catalog.byID[from]; sh != nil {
		for _, in := range sh.scope {
			for _, d := range list {
				if d.shelf.id == in.id {
					return d
				}
			}
		}
	}
	return newest(s.in(list))
}
