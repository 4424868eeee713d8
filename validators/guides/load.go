package guides

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
)

//go:embed guides.json errata.json tables
var files embed.FS

// Library is the guides at hand. It is immutable and safe for concurrent use.
type Library struct {
	catalog *profile.Catalog
	infos   []PackageInfo
}

// PackageInfo is a package in a list.
type PackageInfo struct {
	ID      string // "hl7.fhir.us.core#3.1.1"
	Name    string
	Version string
	// Builtin packages are embedded; others were added at run time.
	Builtin bool
	// Support packages are there for those that refer to them: a Set of all guides leaves them out.
	Support      bool
	Dependencies []string // ids as the package states them
	// Source is the SHA-256 of the published package that a built-in one was made from.
	Source string
	// Counts of what the package defines.
	Types, Profiles, Extensions, ValueSets, CodeSystems, SearchParams int
}

// entry is a line of guides.json.
type entry struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	// Support packages are not active unless a guide needs them.
	Support bool `json:"support,omitempty"`
}

type erratum struct {
	Key       string `json:"key"`
	Published string `json:"published,omitempty"`
	Use       string `json:"use"`
	Reason    string `json:"reason"`
}

// Load opens the embedded library.
func Load() (*Library, error) {
	var list []entry
	if err := readJSON("guides.json", &list); err != nil {
		return nil, err
	}
	errata, err := loadErrata()
	if err != nil {
		return nil, err
	}
	l := &Library{}
	packages := make([]*ig.Package, 0, len(list))
	for _, e := range list {
		data, err := files.ReadFile("tables/" + e.ID + "-" + e.Version + ".fwt")
		if err != nil {
			return nil, fmt.Errorf("guide %s#%s: its table is not in this build: %w", e.ID, e.Version, err)
		}
		p, err := ig.OpenTable(data)
		if err != nil {
			return nil, fmt.Errorf("guide %s#%s: %w", e.ID, e.Version, err)
		}
		packages = append(packages, p)
		info := infoOf(p)
		info.Builtin, info.Support, info.Source = true, e.Support, e.SHA256
		l.infos = append(l.infos, info)
	}
	if l.catalog, err = profile.NewCatalog(packages, errata); err != nil {
		return nil, err
	}
	return l, nil
}

// Errata are the published invariants that this build does not take literally, each with its reason.
func Errata() []profile.Erratum {
	list, err := loadErrata()
	if err != nil {
		return nil // Load fails with it
	}
	return list
}

func loadErrata() ([]profile.Erratum, error) {
	var list []erratum
	if err := readJSON("errata.json", &list); err != nil {
		return nil, err
	}
	out := make([]profile.Erratum, len(list))
	for i, e := range list {
		out[i] = profile.Erratum{Key: e.Key, Published: e.Published, Expression: e.Use, Reason: e.Reason}
	}
	return out, nil
}

func readJSON(name string, v any) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("guides: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("guides: %s: %w", name, err)
	}
	return nil
}

func infoOf(p *ig.Package) PackageInfo {
	i := PackageInfo{ID: p.ID(), Name: p.Name, Version: p.Version}
	for _, d := range p.Dependencies {
		i.Dependencies = append(i.Dependencies, d.Name+"#"+d.Version)
	}
	for _, r := range p.Resources {
		switch {
		case r.ResourceType == "ValueSet":
			i.ValueSets++
		case r.ResourceType == "CodeSystem":
			i.CodeSystems++
		case r.ResourceType == "SearchParameter":
			i.SearchParams++
		case r.Derivation != "constraint":
			i.Types++
		case r.Of == "Extension":
			i.Extensions++
		default:
			i.Profiles++
		}
	}
	return i
}

// Packages lists the packages at hand, built-in ones first.
func (l *Library) Packages() []PackageInfo { return slices.Clone(l.infos) }

// Set activates guides by id ("hl7.fhir.us.core#3.1.1") with what they depend on; FHIR itself is always there. No ids means
// every guide but support packages. Equal sets are one.
func (l *Library) Set(ids ...string) (*profile.Set, error) {
	if len(ids) == 0 {
		for _, i := range l.infos {
			if !i.Support {
				ids = append(ids, i.ID)
			}
		}
	}
	return l.catalog.Set(ids...)
}

// With is a library that has further packages. Every definition in them is read and compiled now: a broken one is an error that
// names file and element, and no library.
func (l *Library) With(packages ...*ig.Package) (*Library, error) {
	n, err := l.WithChecked(packages...)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range packages {
		errs = append(errs, n.catalog.Check(p.ID()))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return n, nil
}

// WithChecked is With for packages that With took before: their definitions are compiled on first use.
func (l *Library) WithChecked(packages ...*ig.Package) (*Library, error) {
	c, err := l.catalog.With(packages...)
	if err != nil {
		return nil, err
	}
	n := &Library{catalog: c, infos: slices.Clone(l.infos)}
	for _, p := range packages {
		n.infos = append(n.infos, infoOf(p))
	}
	return n, nil
}
