package ig

import (
	"fmt"
	"strconv"

	"fhirwire/validators/fhirjson"
)

// StructureDefinition is a type, a profile or an extension definition, without prose.
type StructureDefinition struct {
	URL, Version, Name string
	Kind               string // primitive-type, complex-type, resource, logical
	Type               string
	Base               string // baseDefinition
	Derivation         string // specialization, constraint
	Abstract           bool
	Contexts           []Context
	ContextInvariants  []string
	Snapshot           []ElementDefinition
	Differential       []ElementDefinition
}

// Context is one of StructureDefinition.context.
type Context struct{ Type, Expression string }

// Flag is a boolean that may be absent.
type Flag int8

// The flags.
const (
	Unset Flag = iota
	No
	Yes
)

// Absent stands for a min that an ElementDefinition does not state.
const Absent = -1

// ElementDefinition is one element of a snapshot or differential.
type ElementDefinition struct {
	ID, Path, SliceName string
	Min                 int    // Absent when not stated
	Max                 string // "" when not stated
	BaseMax             string // base.max
	ContentReference    string
	Types               []Type
	Fixed, Pattern      Value
	MinValue, MaxValue  Value
	MaxLength           int
	Regex               string // of the value, by extension
	NarrativeSource     string // by extension: the narrative says where its parts come from
	NarrativeLanguages  []string
	Constraints         []Constraint
	MustSupport         Flag
	IsModifier          Flag
	IsSummary           Flag
	Binding             *Binding
	Slicing             *Slicing
}

// Value is a value of some FHIR type in a definition; its Node is nil when there is none. Nodes live in documents of their own.
type Value struct {
	Type string
	Node *fhirjson.Node
}

// Type is one of ElementDefinition.type. FHIRType and Regex are extensions of the FHIRPath System types.
type Type struct {
	Code           string
	Profiles       []string
	TargetProfiles []string
	Aggregation    []string
	Versioning     string
	FHIRType       string
	Regex          string
	// MustSupport marks those types of an element that a guide wants supported.
	MustSupport bool
}

// Constraint is one invariant.
type Constraint struct {
	Key, Severity, Expression, Source string
	BestPractice                      bool
}

// Binding is ElementDefinition.binding.
type Binding struct {
	Strength    string
	ValueSet    string
	MaxValueSet string
}

// Slicing is ElementDefinition.slicing.
type Slicing struct {
	Discriminators []Discriminator
	Ordered        bool
	Rules          string
}

// Discriminator is one of slicing.discriminator.
type Discriminator struct{ Type, Path string }

// Extensions that carry facts.
const (
	extFHIRType     = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
	extRegex        = "http://hl7.org/fhir/StructureDefinition/regex"
	extSource       = "http://hl7.org/fhir/StructureDefinition/narrative-source-control"
	extLanguage     = "http://hl7.org/fhir/StructureDefinition/narrative-language-control"
	extMaxValueSet  = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
	extBestPractice = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice"
	extTypeSupport  = "http://hl7.org/fhir/StructureDefinition/elementdefinition-type-must-support"
)

// Structure decodes a StructureDefinition.
func (r *Resource) Structure() (*StructureDefinition, error) {
	root, done, err := r.decode("StructureDefinition")
	if err != nil {
		return nil, err
	}
	defer done()
	d := &decoder{file: r.File, strings: map[string]string{}}
	sd := &StructureDefinition{
		URL: r.URL, Version: r.Version, Name: r.Name, Kind: r.Kind, Type: r.Of, Base: r.Base, Derivation: r.Derivation, Abstract: r.Abstract,
	}
	for _, c := range root.AppendElements(nil, "context") {
		if c.Kind() == fhirjson.Object {
			sd.Contexts = append(sd.Contexts, Context{d.text(c, "type"), d.text(c, "expression")})
		}
	}
	sd.ContextInvariants = d.texts(root, "contextInvariant")
	if sd.Snapshot, err = d.elements(root.Member("snapshot")); err != nil {
		return nil, err
	}
	if sd.Differential, err = d.elements(root.Member("differential")); err != nil {
		return nil, err
	}
	return sd, nil
}

// decode parses the resource; done gives the tree's memory back.
func (r *Resource) decode(want string) (root *fhirjson.Node, done func(), err error) {
	if r.ResourceType != want {
		return nil, nil, fmt.Errorf("%s: %s is a %s, not a %s", r.File, r.URL, r.ResourceType, want)
	}
	data, err := r.open()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.File, err)
	}
	doc := fhirjson.Parse(data)
	return doc.Root(), doc.Release, nil
}

// decoder copies texts out of a tree that is about to be released; equal texts share memory.
type decoder struct {
	file    string
	strings map[string]string
}

func (d *decoder) intern(s string) string {
	if s == "" {
		return ""
	}
	if t, ok := d.strings[s]; ok {
		return t
	}
	t := string(append([]byte(nil), s...))
	d.strings[t] = t
	return t
}

func (d *decoder) text(n *fhirjson.Node, name string) string { return d.intern(n.MemberText(name)) }

func (d *decoder) texts(n *fhirjson.Node, name string) []string {
	m := n.Member(name)
	if m == nil {
		return nil
	}
	if m.Kind() != fhirjson.Array {
		return []string{d.intern(m.Text())}
	}
	out := make([]string, 0, m.Len())
	for c := m.First(); c != nil; c = c.Next() {
		if c.IsPrimitive() {
			out = append(out, d.intern(c.Text()))
		}
	}
	return out
}

func (d *decoder) flag(n *fhirjson.Node, name string) Flag {
	switch n.MemberText(name) {
	case "true":
		return Yes
	case "false":
		return No
	}
	return Unset
}

func (d *decoder) elements(view *fhirjson.Node) ([]ElementDefinition, error) {
	list := view.Member("element")
	if list == nil {
		return nil, nil
	}
	out := make([]ElementDefinition, list.Len())
	i := 0
	for n := list.First(); n != nil; n = n.Next() {
		if err := d.element(&out[i], n); err != nil {
			name := n.MemberText("id")
			if name == "" {
				name = n.MemberText("path")
			}
			return nil, fmt.Errorf("%s: element %s: %w", d.file, name, err)
		}
		i++
	}
	return out, nil
}

func (d *decoder) element(e *ElementDefinition, n *fhirjson.Node) error {
	e.Min = Absent
	for m := n.First(); m != nil; m = m.Next() {
		var err error
		switch key := m.Key(); key {
		case "id":
			e.ID = d.intern(m.Text())
		case "path":
			e.Path = d.intern(m.Text())
		case "sliceName":
			e.SliceName = d.intern(m.Text())
		case "min":
			if e.Min, err = strconv.Atoi(m.Text()); err != nil || e.Min < 0 {
				return fmt.Errorf("min %q is no count", m.Text())
			}
		case "max":
			e.Max = d.intern(m.Text())
			if _, err := strconv.Atoi(e.Max); e.Max != "*" && err != nil {
				return fmt.Errorf("max %q is neither a count nor *", e.Max)
			}
		case "base":
			e.BaseMax = d.text(m, "max")
		case "extension":
			d.elementExtensions(e, m)
		case "contentReference":
			e.ContentReference = d.intern(m.Text())
		case "type":
			if m.Kind() != fhirjson.Array {
				return fmt.Errorf("type is no list")
			}
			for t := m.First(); t != nil; t = t.Next() {
				e.Types = append(e.Types, d.typ(t))
			}
		case "maxLength":
			if e.MaxLength, err = strconv.Atoi(m.Text()); err != nil {
				return fmt.Errorf("maxLength %q is no count", m.Text())
			}
		case "constraint":
			for c := m.First(); c != nil; c = c.Next() {
				e.Constraints = append(e.Constraints, d.constraint(c))
			}
		case "mustSupport":
			e.MustSupport = d.flag(n, key)
		case "isModifier":
			e.IsModifier = d.flag(n, key)
		case "isSummary":
			e.IsSummary = d.flag(n, key)
		case "binding":
			e.Binding = d.binding(m)
		case "slicing":
			e.Slicing = d.slicing(m)
		default:
			d.value(e, key, m)
		}
	}
	if e.Path == "" {
		return fmt.Errorf("path is missing")
	}
	if e.ID == "" {
		e.ID = e.Path
	}
	return nil
}

func (d *decoder) elementExtensions(e *ElementDefinition, list *fhirjson.Node) {
	for x := first(list); x != nil; x = x.Next() {
		switch x.MemberText("url") {
		case extRegex:
			e.Regex = d.extensionText(x)
		case extSource:
			e.NarrativeSource = d.extensionText(x)
		case extLanguage:
			e.NarrativeLanguages = append(e.NarrativeLanguages, d.extensionText(x))
		}
	}
}

func (d *decoder) value(e *ElementDefinition, key string, m *fhirjson.Node) {
	for _, f := range []struct {
		prefix string
		to     *Value
	}{{"fixed", &e.Fixed}, {"pattern", &e.Pattern}, {"minValue", &e.MinValue}, {"maxValue", &e.MaxValue}} {
		if len(key) > len(f.prefix) && key[:len(f.prefix)] == f.prefix {
			f.to.Type = d.intern(typeOfSuffix(key[len(f.prefix):]))
			f.to.Node = fhirjson.Parse(append([]byte(nil), m.Raw()...)).Root()
			return
		}
	}
}

// typeOfSuffix turns the end of a choice member's name into a type: "Code" is the primitive code, "CodeableConcept" stays.
func typeOfSuffix(s string) string {
	switch s {
	case "Base64Binary", "Boolean", "Canonical", "Code", "Date", "DateTime", "Decimal", "Id", "Instant", "Integer", "Markdown", "Oid",
		"PositiveInt", "String", "Time", "UnsignedInt", "Uri", "Url", "Uuid":
		return string(s[0]+'a'-'A') + s[1:]
	}
	return s
}

func (d *decoder) typ(n *fhirjson.Node) Type {
	t := Type{
		Code: d.text(n, "code"), Profiles: d.texts(n, "profile"), TargetProfiles: d.texts(n, "targetProfile"),
		Aggregation: d.texts(n, "aggregation"), Versioning: d.text(n, "versioning"),
	}
	for _, x := range [...]*fhirjson.Node{n.Member("extension"), n.Member("_code").Member("extension")} {
		if x == nil {
			continue
		}
		for e := x.First(); e != nil; e = e.Next() {
			switch e.MemberText("url") {
			case extFHIRType:
				t.FHIRType = d.extensionText(e)
			case extRegex:
				t.Regex = d.extensionText(e)
			case extTypeSupport:
				t.MustSupport = d.extensionText(e) == "true"
			}
		}
	}
	return t
}

// extensionText is the primitive value of an extension, whatever its type.
func (d *decoder) extensionText(e *fhirjson.Node) string {
	for m := e.First(); m != nil; m = m.Next() {
		if len(m.Key()) > 5 && m.Key()[:5] == "value" {
			return d.intern(m.Text())
		}
	}
	return ""
}

func (d *decoder) constraint(n *fhirjson.Node) Constraint {
	c := Constraint{Key: d.text(n, "key"), Severity: d.text(n, "severity"), Expression: d.text(n, "expression"), Source: d.text(n, "source")}
	for e := first(n.Member("extension")); e != nil; e = e.Next() {
		if e.MemberText("url") == extBestPractice && d.extensionText(e) == "true" {
			c.BestPractice = true
		}
	}
	return c
}

func (d *decoder) binding(n *fhirjson.Node) *Binding {
	b := &Binding{Strength: d.text(n, "strength"), ValueSet: d.text(n, "valueSet")}
	for e := first(n.Member("extension")); e != nil; e = e.Next() {
		if e.MemberText("url") == extMaxValueSet {
			b.MaxValueSet = d.extensionText(e)
		}
	}
	return b
}

func (d *decoder) slicing(n *fhirjson.Node) *Slicing {
	s := &Slicing{Ordered: n.MemberText("ordered") == "true", Rules: d.text(n, "rules")}
	for c := first(n.Member("discriminator")); c != nil; c = c.Next() {
		s.Discriminators = append(s.Discriminators, Discriminator{d.text(c, "type"), d.text(c, "path")})
	}
	return s
}

// first is the first item, also of nothing.
func first(n *fhirjson.Node) *fhirjson.Node {
	if n == nil {
		return nil
	}
	return n.First()
}
