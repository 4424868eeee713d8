// Package fhirpathtest has Models for tests: a small one made by hand, and one read from the R4 definitions.
//
// It is test support only; profile.Set is the Model that the program uses.
package fhirpathtest

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"fhirwire/validators/fhirpath"
)

// Model is a fhirpath.Model over definitions given as text or read from a package.
type Model struct {
	types map[string]*fhirpath.Type
}

// Type finds a type by name.
func (m *Model) Type(name string) (*fhirpath.Type, bool) {
	t, ok := m.types[name]
	return t, ok
}

type definition struct {
	kind     fhirpath.TypeKind
	base     string
	elements []element
}

type element struct {
	name         string
	choice, many bool
	types        []string
}

func build(defs map[string]definition) *Model {
	m := &Model{types: map[string]*fhirpath.Type{}}
	var add func(name string) *fhirpath.Type
	add = func(name string) *fhirpath.Type {
		if t := m.types[name]; t != nil || name == "" {
			return t
		}
		d, ok := defs[name]
		if !ok {
			return nil
		}
		t := fhirpath.NewType(name, d.kind, add(d.base), func() []fhirpath.Element {
			var out []fhirpath.Element
			for _, e := range d.elements {
				fe := fhirpath.Element{Name: e.name, Choice: e.choice, Many: e.many}
				for _, tn := range e.types {
					if et := m.types[tn]; et != nil {
						fe.Types = append(fe.Types, et)
					}
				}
				out = append(out, fe)
			}
			return out
		})
		m.types[name] = t
		return t
	}
	for name := range defs {
		add(name)
	}
	return m
}

// Small is a Model with a few types and elements, written in the same way as the real ones.
func Small() *Model {
	defs := map[string]definition{}
	parse := func(kind fhirpath.TypeKind, name, base, fields string) {
		d := definition{kind: kind, base: base}
		if b, ok := defs[base]; ok && kind != fhirpath.PrimitiveType {
			d.elements = append(d.elements, b.elements...)
		}
		for f := range strings.FieldsSeq(fields) {
			n, types, _ := strings.Cut(f, ":")
			e := element{types: strings.Split(types, "|")}
			e.name, e.many = strings.CutSuffix(n, "*")
			e.name, e.choice = strings.CutSuffix(e.name, "[x]")
			d.elements = append(d.elements, e)
		}
		defs[name] = d
	}
	p, c, r := fhirpath.PrimitiveType, fhirpath.ComplexType, fhirpath.ResourceType
	parse(c, "Element", "", "id:string extension*:Extension")
	for n := range strings.FieldsSeq("boolean integer decimal string date dateTime instant time uri base64Binary") {
		parse(p, n, "Element", "id:string extension*:Extension")
	}
	for n := range strings.FieldsSeq("code:string id:string markdown:string url:uri canonical:uri positiveInt:integer") {
		n, base, _ := strings.Cut(n, ":")
		parse(p, n, base, "id:string extension*:Extension")
	}
	parse(p, "xhtml", "Element", "")
	parse(c, "BackboneElement", "Element", "modifierExtension*:Extension")
	parse(c, "Extension", "Element", "url:uri value[x]:string|boolean|code|Quantity|Reference|dateTime")
	parse(c, "Quantity", "Element", "value:decimal comparator:code unit:string system:uri code:code")
	parse(c, "Age", "Quantity", "")
	parse(c, "Coding", "Element", "system:uri code:code display:string")
	parse(c, "CodeableConcept", "Element", "coding*:Coding text:string")
	parse(c, "Reference", "Element", "reference:string display:string")
	parse(c, "Period", "Element", "start:dateTime end:dateTime")
	parse(c, "HumanName", "Element", "use:code family:string given*:string period:Period")
	parse(c, "ContactPoint", "Element", "system:code value:string")
	parse(c, "Narrative", "Element", "status:code div:xhtml")
	parse(r, "Resource", "", "id:id")
	parse(r, "DomainResource", "Resource", "text:Narrative contained*:Resource extension*:Extension modifierExtension*:Extension")
	parse(c, "Patient.contact", "BackboneElement", "name:HumanName telecom*:ContactPoint")
	parse(r, "Patient", "DomainResource", "active:boolean name*:HumanName telecom*:ContactPoint gender:code birthDate:date managingOrganization:Reference contact*:Patient.contact")
	parse(r, "Observation", "DomainResource", "code:CodeableConcept subject:Reference value[x]:Quantity|string|boolean|dateTime|Period effective[x]:dateTime|Period component*:Observation.component")
	parse(c, "Observation.component", "BackboneElement", "code:CodeableConcept value[x]:Quantity|string")
	parse(r, "Organization", "DomainResource", "name:string")
	parse(c, "Bundle.entry", "BackboneElement", "fullUrl:uri resource:Resource")
	parse(r, "Bundle", "Resource", "type:code entry*:Bundle.entry")
	return build(defs)
}

type structure struct {
	ResourceType   string
	Kind           string
	Type           string
	BaseDefinition string
	Derivation     string
	Snapshot       struct {
		Element []struct {
			Path             string
			ContentReference string
			Max              string
			Base             struct{ Max string }
			Type             []struct {
				Code      string
				Extension []struct{ URL, ValueURL string }
			}
		}
	}
}

// Package reads the types from the StructureDefinitions of a FHIR package file.
func Package(path string) (*Model, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("package of definitions: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("package of definitions: %w", err)
	}
	defs := map[string]definition{}
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return build(defs), nil
		}
		if err != nil {
			return nil, fmt.Errorf("package of definitions: %w", err)
		}
		if !strings.HasPrefix(h.Name, "package/StructureDefinition-") {
			continue
		}
		var sd structure
		if err := json.NewDecoder(files).Decode(&sd); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		if sd.Derivation != "constraint" {
			sd.define(defs)
		}
	}
}

func (sd *structure) define(defs map[string]definition) {
	kinds := map[string]fhirpath.TypeKind{"primitive-type": fhirpath.PrimitiveType, "complex-type": fhirpath.ComplexType, "resource": fhirpath.ResourceType}
	kind, ok := kinds[sd.Kind]
	if !ok {
		return
	}
	defs[sd.Type] = definition{kind: kind, base: sd.BaseDefinition[strings.LastIndexByte(sd.BaseDefinition, '/')+1:]}
	backbones := map[string]bool{}
	for _, e := range sd.Snapshot.Element {
		for _, t := range e.Type {
			if t.Code == "BackboneElement" || t.Code == "Element" && strings.Contains(e.Path, ".") {
				backbones[e.Path] = true
			}
		}
	}
	for _, e := range sd.Snapshot.Element[1:] {
		dot := strings.LastIndexByte(e.Path, '.')
		owner := e.Path[:dot]
		fe := element{name: e.Path[dot+1:], many: e.Base.Max != "1" && e.Base.Max != "0"}
		fe.name, fe.choice = strings.CutSuffix(fe.name, "[x]")
		switch {
		case backbones[e.Path]:
			defs[e.Path] = definition{kind: fhirpath.ComplexType, base: e.Type[0].Code}
			fe.types = []string{e.Path}
		case e.ContentReference != "":
			fe.types = []string{e.ContentReference[strings.IndexByte(e.ContentReference, '#')+1:]}
		default:
			for _, t := range e.Type {
				code := t.Code
				for _, x := range t.Extension {
					if x.ValueURL != "" {
						code = x.ValueURL
					}
				}
				code = code[strings.LastIndexByte(code, '.')+1:]
				if strings.HasPrefix(t.Code, "http://hl7.org/fhirpath/") {
					code = strings.ToLower(code[:1]) + code[1:]
				}
				fe.types = append(fe.types, code)
			}
		}
		d := defs[owner]
		d.elements = append(d.elements, fe)
		defs[owner] = d
	}
}
