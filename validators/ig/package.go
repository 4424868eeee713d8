package ig

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// Package is an implementation guide, or one of the packages that guides build on.
type Package struct {
	Name    string
	Version string
	// Dependencies are in the order of package.json.
	Dependencies []Dependency
	Resources    []*Resource
}

// Dependency is a package another one builds on.
type Dependency struct {
	Name    string
	Version string
}

// ID is "name#version".
func (p *Package) ID() string { return p.Name + "#" + p.Version }

// Bounds on what we read, against archives that unpack without end.
const (
	maxFile    = 64 << 20
	maxPackage = 1 << 30
)

// kept are the resource types that hold facts we use.
var kept = [...]string{"StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter"}

// Resource is one definition of a package. What the index knows is in the fields; the rest is decoded on demand.
type Resource struct {
	// File is its name in the package, for messages.
	File         string
	ResourceType string
	ID           string
	URL          string
	Version      string
	Name         string
	// Of is the FHIR type a StructureDefinition is about; for a SearchParameter its code, for a CodeSystem supplement the system.
	Of string
	// Base is StructureDefinition.baseDefinition, or the base types of a SearchParameter separated by blanks.
	Base string
	// Kind and Derivation are those of a StructureDefinition; Kind is CodeSystem.content for a CodeSystem.
	Kind       string
	Derivation string
	Abstract   bool

	open func() ([]byte, error)
}

// JSON is the definition as kept: the file, or the facts of it.
func (r *Resource) JSON() ([]byte, error) { return r.open() }

// Canonical is url|version.
func (r *Resource) Canonical() string {
	if r.Version == "" {
		return r.URL
	}
	return r.URL + "|" + r.Version
}

// ReadFile reads one definition. A resource that holds no facts we use gives nil and no error.
func ReadFile(name string, data []byte) (*Resource, error) {
	doc := fhirjson.Parse(data)
	root := doc.Root()
	if len(doc.Problems()) > 0 {
		p := doc.Problems()[0]
		at := doc.Position(p.Offset)
		return nil, fmt.Errorf("%s: line %d column %d: %s", name, at.Line, at.Column, p.Text)
	}
	return newResource(name, root, func() ([]byte, error) { return data, nil })
}

func newResource(file string, root *fhirjson.Node, open func() ([]byte, error)) (*Resource, error) {
	rt := root.ResourceType()
	if rt == "" {
		return nil, fmt.Errorf("%s: this is no FHIR resource: it has no resourceType", file)
	}
	if !slices.Contains(kept[:], rt) {
		return nil, nil //nolint:nilnil // a resource without facts is neither an error nor a definition
	}
	text := func(name string) string { return strings.Clone(root.MemberText(name)) }
	r := &Resource{
		File: file, ResourceType: rt, ID: text("id"), URL: text("url"), Version: text("version"), Name: text("name"), open: open,
	}
	r.ResourceType = strings.Clone(rt)
	if r.URL == "" {
		return nil, fmt.Errorf("%s: %s.url is missing", file, rt)
	}
	switch rt {
	case "StructureDefinition":
		r.Of, r.Base, r.Kind, r.Derivation = text("type"), text("baseDefinition"), text("kind"), text("derivation")
		r.Abstract = root.MemberText("abstract") == "true"
		if r.Of == "" {
			return nil, fmt.Errorf("%s: StructureDefinition.type is missing", file)
		}
	case "CodeSystem":
		r.Kind, r.Of = text("content"), text("supplements")
	case "SearchParameter":
		r.Of = text("code")
		var bases []string
		for _, b := range root.AppendElements(nil, "base") {
			bases = append(bases, strings.Clone(b.Text()))
		}
		r.Base = strings.Join(bases, " ")
	}
	return r, nil
}

// ReadTGZ reads a package as published (.tgz).
func ReadTGZ(r io.Reader) (*Package, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("package archive: %w", err)
	}
	defer zr.Close() //nolint:errcheck // a reader has nothing to lose
	files := map[string][]byte{}
	total := int64(0)
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("package archive: %w", err)
		}
		name, ok := strings.CutPrefix(path.Clean(h.Name), "package/")
		if !ok || h.Typeflag != tar.TypeReg || !definitionFile(name) {
			continue
		}
		if total += h.Size; h.Size > maxFile || total > maxPackage {
			return nil, fmt.Errorf("package archive: %s: too large", h.Name)
		}
		data, err := io.ReadAll(io.LimitReader(tr, maxFile))
		if err != nil {
			return nil, fmt.Errorf("package archive: %s: %w", h.Name, err)
		}
		files[name] = data
	}
	return assemble(files)
}

// definitionFile picks the files at the top of a package; examples and other content lie in folders.
func definitionFile(name string) bool {
	return strings.HasSuffix(name, ".json") && !strings.Contains(name, "/") && name != ".index.json"
}

// ReadFolder reads an unpacked package: its files, or those of its folder "package".
func ReadFolder(fsys fs.FS) (*Package, error) {
	if sub, err := fs.Sub(fsys, "package"); err == nil {
		if _, err := fs.Stat(sub, "package.json"); err == nil {
			fsys = sub
		}
	}
	list, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("package folder: %w", err)
	}
	files := map[string][]byte{}
	for _, e := range list {
		if e.IsDir() || !definitionFile(e.Name()) {
			continue
		}
		data, err := fs.ReadFile(fsys, e.Name())
		if err != nil {
			return nil, fmt.Errorf("package folder: %w", err)
		}
		files[e.Name()] = data
	}
	return assemble(files)
}

func assemble(files map[string][]byte) (*Package, error) {
	manifest, ok := files["package.json"]
	if !ok {
		return nil, errors.New("package: it has no package.json")
	}
	delete(files, "package.json")
	p := new(Package)
	if err := p.readManifest(manifest); err != nil {
		return nil, fmt.Errorf("package: package.json: %w", err)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names {
		r, err := ReadFile(name, files[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("package %s: %w", p.ID(), err))
			continue
		}
		if r != nil {
			p.Resources = append(p.Resources, r)
		}
	}
	return p, errors.Join(errs...)
}

func (p *Package) readManifest(data []byte) error {
	var m struct {
		Name, Version string
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if m.Name == "" || m.Version == "" {
		return errors.New("name and version are needed")
	}
	p.Name, p.Version = m.Name, m.Version
	deps := fhirjson.Parse(data).Root().Member("dependencies")
	if deps == nil {
		return nil
	}
	for d := deps.First(); d != nil; d = d.Next() {
		p.Dependencies = append(p.Dependencies, Dependency{strings.Clone(d.Key()), strings.Clone(d.Text())})
	}
	return nil
}

// WithJSON is the resource with other content.
func (r *Resource) WithJSON(data []byte) *Resource {
	c := *r
	c.open = func() ([]byte, error) { return data, nil }
	return &c
}
