package profile_test

import (
	"strings"
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
)

const patient = `{"resourceType":"StructureDefinition","url":"urn:p","version":"1","name":"P","kind":"resource","type":"Patient",` +
	`"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",`

// compiled is the profile urn:p of a package that holds files, beside R4.
func compiled(t *testing.T, files ...string) (*profile.Set, *profile.Profile) {
	t.Helper()
	p := &ig.Package{Name: "x.guide", Version: "1.0.0"}
	for _, f := range files {
		r, err := ig.ReadFile("f.json", []byte(f))
		if err != nil {
			t.Fatal(err)
		}
		p.Resources = append(p.Resources, r)
	}
	c, err := profile.NewCatalog([]*ig.Package{core(t), p}, []profile.Erratum{{Key: "x-1", Published: "name", Expression: "name.exists()", Reason: "a path"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check("x.guide#1.0.0"); err != nil {
		t.Fatal(err)
	}
	s, err := c.Set("x.guide#1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	out, ok := s.Profile("urn:p")
	if !ok {
		t.Fatal(s.Missing("urn:p"))
	}
	return s, out
}

// outline prints a tree: a line an element, slices marked with a colon.
func outline(e *profile.Element, indent string, b *strings.Builder) {
	b.WriteString(indent + e.Name)
	if e.Choice {
		b.WriteString("[x]")
	}
	if e.SliceName != "" {
		b.WriteString(":" + e.SliceName)
	}
	if e.ContentReference != nil {
		b.WriteString(" -> " + e.ContentReference.ID)
	}
	b.WriteByte('\n')
	for _, c := range e.Children {
		outline(c, indent+"  ", b)
	}
	for _, s := range e.Slices {
		outline(s, indent+"| ", b)
	}
}

func TestCompileSnapshot(t *testing.T) {
	_, p := compiled(t, patient+`"snapshot":{"element":[
	 {"id":"Patient","path":"Patient","constraint":[{"key":"x-1","severity":"error","expression":"name"},{"key":"x-2","severity":"warning"}]},
	 {"id":"Patient.identifier","path":"Patient.identifier","max":"1","base":{"max":"*"},"slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
	 {"id":"Patient.identifier.system","path":"Patient.identifier.system"},
	 {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","base":{"max":"*"}},
	 {"id":"Patient.identifier:a.type","path":"Patient.identifier.type"},
	 {"id":"Patient.identifier:a.type.coding","path":"Patient.identifier.type.coding","slicing":{"discriminator":[{"type":"value","path":"code"}]}},
	 {"id":"Patient.identifier:a.type.coding:in","path":"Patient.identifier.type.coding","sliceName":"in"},
	 {"id":"Patient.identifier:a.type.coding:in.code","path":"Patient.identifier.type.coding.code"},
	 {"id":"Patient.identifier:a/b","path":"Patient.identifier","sliceName":"a/b"},
	 {"id":"Patient.identifier:a/b.value","path":"Patient.identifier.value"},
	 {"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"},{"code":"dateTime"}]},
	 {"id":"Patient.deceasedBoolean","path":"Patient.deceasedBoolean"},
	 {"id":"Patient.multipleBirthInteger","path":"Patient.multipleBirthInteger"},
	 {"id":"Patient.contact","path":"Patient.contact","max":"*","type":[{"code":"BackboneElement"}]},
	 {"id":"Patient.contact.name","path":"Patient.contact.name"},
	 {"id":"Patient.link","path":"Patient.link","max":"*","contentReference":"#Patient.contact"},
	 {"id":"Patient.photo","path":"Patient.photo","contentReference":"#Patient.nowhere"}]}}`)
	var b strings.Builder
	outline(p.Root, "", &b)
	want := `Patient
  identifier
    system
  | identifier:a
  |   type
  |     coding
  |     | coding:in
  |     |   code
  | | identifier:a/b
  | |   value
  deceased[x]
  | deceased[x]:deceasedBoolean
  multipleBirth[x]
  contact
    name
  link -> Patient.contact
  photo
`
	if b.String() != want {
		t.Errorf("tree:\n%s", b.String())
	}
	if id := p.Root.Children[0]; !id.Many || id.Max != 1 || id.Slices[0].Slices[0].SliceName != "a/b" {
		t.Errorf("identifier %+v", id)
	}
	if d := p.Root.Children[1].Slices[0]; d.Path != "Patient.deceased[x]" || d.Types[0].Code != "boolean" || p.Root.Children[1].Slicing.Discriminators[0].Type != "type" {
		t.Errorf("deceasedBoolean %+v", d)
	}
	if inv := p.Root.Invariants; len(inv) != 1 || inv[0].Expression != "name.exists()" || inv[0].Published != "name" || inv[0].Erratum == "" {
		t.Errorf("invariants %+v", inv[0])
	}
	if got := strings.Join(p.Faults, "\n"); got != "Patient: invariant x-2 has no FHIRPath expression\nPatient.photo: contentReference #Patient.nowhere leads nowhere" {
		t.Errorf("faults:\n%s", got)
	}
}

func TestGenerateSnapshot(t *testing.T) {
	s, p := compiled(t, patient+`"differential":{"element":[
	 {"path":"Patient.extension","slicing":{"discriminator":[{"type":"value","path":"url"}],"rules":"open"}},
	 {"path":"Patient.extension","sliceName":"e","type":[{"code":"Extension","profile":["urn:e"]}],"min":1},
	 {"path":"Patient.extension.value[x]","min":1},
	 {"id":"Patient.name","path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"closed"}},
	 {"id":"Patient.name:official","path":"Patient.name","sliceName":"official","min":1,"max":"1"},
	 {"id":"Patient.name:official.use","path":"Patient.name.use","fixedCode":"official"},
	 {"id":"Patient.name:official/old","path":"Patient.name","sliceName":"official/old"},
	 {"id":"Patient.multipleBirth[x]","path":"Patient.multipleBirth[x]","type":[{"code":"integer"}]},
	 {"id":"Patient.contact","path":"Patient.contact","type":[{"code":"BackboneElement"}],"mustSupport":true},
	 {"id":"Patient.contact.telecom.system","path":"Patient.contact.telecom.system","min":1}]}}`,
		`{"resourceType":"StructureDefinition","url":"urn:e","version":"1","name":"E","kind":"complex-type","type":"Extension","context":[{"type":"element","expression":"Patient"}],
		 "baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","derivation":"constraint","differential":{"element":[
		 {"id":"Extension","path":"Extension","isModifier":true,"constraint":[{"key":"e-1","severity":"error","expression":"true"}]},
		 {"id":"Extension.url","path":"Extension.url","fixedUri":"urn:e"},
		 {"id":"Extension.value[x]","path":"Extension.value[x]","type":[{"code":"code"}],"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/name-use|4.0.1"}}]}}`)
	get := func(e *profile.Element, name string) *profile.Element {
		t.Helper()
		for _, c := range e.Children {
			if c.Name == name {
				return c
			}
		}
		t.Fatalf("%s has no %s", e.ID, name)
		return nil
	}
	ext := get(p.Root, "extension").Slices[0]
	if ext.ID != "Patient.extension:e" || ext.Types[0].Profiles[0] != "urn:e|1" || !ext.IsModifier || ext.Invariants[len(ext.Invariants)-1].Key != "e-1" {
		t.Errorf("extension %+v", ext)
	}
	if v := get(ext, "value"); v.Min != 1 || v.Types[0].Code != "code" || v.Binding.ValueSet != "http://hl7.org/fhir/ValueSet/name-use" {
		t.Errorf("its value %+v", v)
	}
	name := get(p.Root, "name")
	if len(name.Slices) != 1 || len(name.Slices[0].Slices) != 1 || name.Slicing.Rules != profile.Closed || name.Slices[0].Slices[0].SliceName != "official/old" {
		t.Errorf("name %+v", name)
	}
	if use := get(name.Slices[0], "use"); use.Fixed == nil || use.Fixed.Text() != "official" || use.FixedType != "code" {
		t.Errorf("use %+v", use)
	}
	if m := get(p.Root, "multipleBirth"); !m.Choice || len(m.Types) != 1 {
		t.Errorf("multipleBirth %+v", m)
	}
	contact := get(p.Root, "contact")
	if get(contact, "gender").Binding.Strength != profile.Required || !contact.MustSupport || get(get(contact, "telecom"), "system").Min != 1 {
		t.Errorf("contact %+v", contact)
	}
	if e, ok := s.Extension("urn:e"); !ok || e.Contexts[0].Expression != "Patient" {
		t.Error("no extension")
	}
	if _, ok := s.Extension("urn:p"); ok {
		t.Error("a patient profile is an extension")
	}
}

// A type of its own: a logical model, made by adding elements.
func TestGenerateType(t *testing.T) {
	s, p := compiled(t, `{"resourceType":"StructureDefinition","url":"urn:p","name":"M","kind":"logical","type":"M","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Element",
	 "derivation":"specialization","differential":{"element":[{"id":"M","path":"M"},{"id":"M.part","path":"M.part","min":0,"max":"*","type":[{"code":"BackboneElement"}]},
	 {"id":"M.part.text","path":"M.part.text","min":1,"max":"1","type":[{"code":"string"}]}]}}`)
	var b strings.Builder
	outline(p.Root, "", &b)
	if got := strings.Join(strings.Fields(b.String()), " "); got != "M id extension part id extension modifierExtension text" {
		t.Errorf("tree: %s", got)
	}
	if p.Kind != profile.Logical || p.Constraint || !p.Root.Children[2].Many {
		t.Errorf("%+v", p)
	}
	if s.IsResourceType("M") {
		t.Error("a logical model is a resource")
	}
}

func BenchmarkCompile(b *testing.B) {
	data := patient + `"differential":{"element":[{"id":"Patient.name","path":"Patient.name","min":1}]}}`
	r, err := ig.ReadFile("f.json", []byte(data))
	if err != nil {
		b.Fatal(err)
	}
	base := core(b)
	b.ReportAllocs()
	for b.Loop() {
		c, err := profile.NewCatalog([]*ig.Package{base, {Name: "x", Version: "1", Resources: []*ig.Resource{r}}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Check("x#1"); err != nil {
			b.Fatal(err)
		}
	}
}
