package profile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/ig"
)

// Names of the packages that every set holds.
const (
	corePackage        = "hl7.fhir.r4.core"
	terminologyPackage = "hl7.terminology.r4"
	extensionsPackage  = "hl7.fhir.uv.extensions.r4"
)

// typePrefix starts the canonical of every FHIR type.
const typePrefix = "http://hl7.org/fhir/StructureDefinition/"

// Erratum replaces a published invariant that cannot be taken literally.
type Erratum struct {
	Key string
	// Published is the exact text of the definition; empty for any text under that key.
	Published string
	// Expression is what is evaluated instead.
	Expression string
	Reason     string
}

// Catalog is the packages at hand. It is safe for concurrent use.
type Catalog struct {
	shelves []*shelf
	byID    map[string]*shelf
	// structures, valueSets and codeSystems are by url, over all packages, in the order of shelves.
	structures  map[string][]*definition
	valueSets   map[string][]*definition
	codeSystems map[string][]*definition
	supplements map[string][]*definition // by the system supplemented
	errata      map[string][]Erratum
	invariants  *interning

	typesMu sync.Mutex
	types   map[string]*fhirpath.Type

	sets sync.Map // ids joined → *Set
}

// shelf is a package in a catalog.
type shelf struct {
	pkg *ig.Package
	id  string
	// scope is where the package's references are looked up, nearest first.
	scope []*shelf
	list  []*definition
}

// definition is a resource of a package, compiled on demand.
type definition struct {
	*ig.Resource
	shelf *shelf

	once    sync.Once
	profile *Profile
	err     error

	snapshotMu sync.Mutex
	structure  *ig.StructureDefinition
}

// interning shares equal invariants.
type interning struct {
	mu  sync.Mutex
	all map[Invariant]*Invariant
}

func (in *interning) get(v Invariant) *Invariant {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p, ok := in.all[v]; ok {
		return p
	}
	p := &v
	in.all[v] = p
	return p
}

// NewCatalog indexes packages. Two packages of the same id are an error.
func NewCatalog(packages []*ig.Package, errata []Erratum) (*Catalog, error) {
	c := &Catalog{
		byID: make(map[string]*shelf, len(packages)), errata: map[string][]Erratum{},
		invariants: &interning{all: map[Invariant]*Invariant{}}, types: map[string]*fhirpath.Type{},
	}
	for _, e := range errata {
		c.errata[e.Key] = append(c.errata[e.Key], e)
	}
	for _, p := range packages {
		s := &shelf{pkg: p, id: p.ID()}
		if _, twice := c.byID[s.id]; twice {
			return nil, fmt.Errorf("package %s: it is here already", s.id)
		}
		c.byID[s.id] = s
		c.shelves = append(c.shelves, s)
		defs := make([]definition, len(p.Resources))
		s.list = make([]*definition, len(p.Resources))
		for i, r := range p.Resources {
			defs[i].Resource, defs[i].shelf = r, s
			s.list[i] = &defs[i]
		}
	}
	c.index()
	return c, nil
}

// With is a catalog that has further packages. What c compiled is shared for packages whose references still lead to the same
// packages.
func (c *Catalog) With(packages ...*ig.Package) (*Catalog, error) {
	n := &Catalog{
		byID: make(map[string]*shelf, len(c.byID)+len(packages)), errata: c.errata, invariants: c.invariants, types: c.types,
	}
	fresh, err := NewCatalog(packages, nil)
	if err != nil {
		return nil, err
	}
	for _, old := range c.shelves {
		n.shelves = append(n.shelves, &shelf{pkg: old.pkg, id: old.id, list: old.list})
	}
	for _, s := range fresh.shelves {
		if c.byID[s.id] != nil {
			return nil, fmt.Errorf("package %s: it is here already", s.id)
		}
		n.shelves = append(n.shelves, s)
	}
	for _, s := range n.shelves {
		n.byID[s.id] = s
	}
	n.index()
	for _, s := range n.shelves {
		old := c.byID[s.id]
		if old != nil && sameScope(old, s) {
			continue
		}
		list := make([]*definition, len(s.list))
		for i, d := range s.list {
			list[i] = &definition{Resource: d.Resource, shelf: s}
		}
		s.list = list
	}
	n.index()
	n.types = map[string]*fhirpath.Type{}
	return n, nil
}

func sameScope(a, b *shelf) bool {
	return slices.EqualFunc(a.scope, b.scope, func(x, y *shelf) bool { return x.id == y.id })
}

func (c *Catalog) index() {
	n := 0
	for _, s := range c.shelves {
		n += len(s.list)
	}
	c.structures = make(map[string][]*definition, n/2)
	c.valueSets = make(map[string][]*definition, n/2)
	c.codeSystems = make(map[string][]*definition, n/4)
	c.supplements = map[string][]*definition{}
	for _, s := range c.shelves {
		for _, d := range s.list {
			switch d.ResourceType {
			case "StructureDefinition":
				c.structures[d.URL] = append(c.structures[d.URL], d)
			case "ValueSet":
				c.valueSets[d.URL] = append(c.valueSets[d.URL], d)
			case "CodeSystem":
				if d.Kind == "supplement" {
					system, _ := ig.SplitCanonical(d.Of)
					c.supplements[system] = append(c.supplements[system], d)
					continue
				}
				c.codeSystems[d.URL] = append(c.codeSystems[d.URL], d)
			}
		}
	}
	for _, s := range c.shelves {
		s.scope = c.scope(s)
	}
}

// scope is s, what it depends on (nearest first), and what every guide builds on.
func (c *Catalog) scope(s *shelf) []*shelf {
	out := []*shelf{s}
	for i := 0; i < len(out); i++ {
		for _, d := range out[i].pkg.Dependencies {
			if isFoundation(d.Name) {
				continue
			}
			if dep := c.dependency(d); dep != nil && !slices.Contains(out, dep) {
				out = append(out, dep)
			}
		}
	}
	for _, f := range c.shelves {
		if isFoundation(f.pkg.Name) && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func isFoundation(name string) bool {
	return name == corePackage || name == terminologyPackage || name == extensionsPackage
}

// dependency finds a package; where that version is not at hand, the newest of the same major version, or else the newest.
func (c *Catalog) dependency(d ig.Dependency) *shelf {
	if s := c.byID[d.Name+"#"+d.Version]; s != nil {
		return s
	}
	major, _, _ := strings.Cut(d.Version, ".")
	var best *shelf
	rank := func(s *shelf) (sameMajor bool) {
		m, _, _ := strings.Cut(s.pkg.Version, ".")
		return m == major
	}
	for _, s := range c.shelves {
		if s.pkg.Name != d.Name {
			continue
		}
		if best == nil || rank(s) && !rank(best) ||
			rank(s) == rank(best) && ig.CompareVersions(s.pkg.Version, best.pkg.Version) > 0 {
			best = s
		}
	}
	return best
}

// resolve picks the definition that canonical names when a definition of package from says it: the exact version, else the
// one in scope, else the newest.
func (c *Catalog) resolve(index map[string][]*definition, canonical string, from *shelf) *definition {
	url, version := ig.SplitCanonical(canonical)
	list := index[url]
	if len(list) == 0 {
		return nil
	}
	if version != "" {
		if d := exact(list, version, from); d != nil {
			return d
		}
	}
	if from != nil {
		for _, s := range from.scope {
			for _, d := range list {
				if d.shelf.id == s.id {
					return d
				}
			}
		}
	}
	return newest(list)
}

// exact finds a version among definitions of one url, in the scope of from where it can.
func exact(list []*definition, version string, from *shelf) *definition {
	var found *definition
	for _, d := range list {
		if d.Version != version && d.shelf.pkg.Version != version && !strings.HasPrefix(d.Version, version+".") {
			continue
		}
		if from != nil && slices.ContainsFunc(from.scope, func(s *shelf) bool { return s.id == d.shelf.id }) {
			return d
		}
		if found == nil {
			found = d
		}
	}
	return found
}

func newest(list []*definition) *definition {
	var best *definition
	for _, d := range list {
		if best == nil || ig.CompareVersions(d.shelf.pkg.Version, best.shelf.pkg.Version) > 0 && best.shelf.pkg.Name == d.shelf.pkg.Name ||
			best.shelf.pkg.Name != d.shelf.pkg.Name && ig.CompareVersions(d.Version, best.Version) > 0 {
			best = d
		}
	}
	return best
}

// pin rewrites a canonical as a compiled profile holds it: bare for FHIR's own definitions, url|version for a guide's, as it
// is when nothing at hand answers to it.
func (c *Catalog) pin(index map[string][]*definition, canonical string, from *shelf) string {
	if canonical == "" || canonical[0] == '#' {
		return canonical
	}
	d := c.resolve(index, canonical, from)
	switch {
	case d == nil:
		return canonical
	case d.shelf.pkg.Name == corePackage && len(index[d.URL]) == 1:
		return d.URL
	}
	return d.Canonical()
}

// compiled is the definition as a profile, compiled at the first call.
func (c *Catalog) compiled(d *definition) (*Profile, error) {
	d.once.Do(func() {
		sd, err := c.snapshot(d, nil)
		if err != nil {
			d.err = fmt.Errorf("package %s: %w", d.shelf.id, err)
			return
		}
		d.profile, d.err = c.compile(sd, d)
		if d.err != nil {
			d.err = fmt.Errorf("package %s: %s: %w", d.shelf.id, d.File, d.err)
		}
		d.snapshotMu.Lock()
		d.structure = nil // the tree holds what is needed; the snapshot can be had again
		d.snapshotMu.Unlock()
	})
	return d.profile, d.err
}

// Check compiles every structure of the package and decodes the rest, so that a broken one is refused before it is used. A
// definition that builds on a package that is not at hand passes; Set.Missing explains it when it is asked for.
func (c *Catalog) Check(id string) error {
	s := c.byID[id]
	if s == nil {
		return fmt.Errorf("package %s: not at hand", id)
	}
	var errs []error
	for _, d := range s.list {
		var err error
		switch d.ResourceType {
		case "StructureDefinition":
			_, err = c.compiled(d)
		case "ValueSet":
			_, err = d.ValueSet()
		case "CodeSystem":
			_, err = d.CodeSystem()
		case "SearchParameter":
			_, err = d.SearchParameter()
		}
		if err != nil && !errors.Is(err, ErrMissing) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
