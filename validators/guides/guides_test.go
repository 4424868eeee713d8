package guides_test

import (
	"errors"
	"strings"
	"testing"

	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

func load(tb testing.TB) *guides.Library {
	tb.Helper()
	l, err := guides.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func set(tb testing.TB, ids ...string) *profile.Set {
	tb.Helper()
	s, err := load(tb).Set(ids...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func child(e *profile.Element, name string) *profile.Element {
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func slice(e *profile.Element, name string) *profile.Element {
	for _, s := range e.Slices {
		if s.SliceName == name {
			return s
		}
	}
	return nil
}

func TestVersionsSideBySide(t *testing.T) {
	s := set(t)
	const url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
	for canonical, want := range map[string]string{url: "6.1.0", url + "|3.1.1": "3.1.1", url + "|6.1.0": "6.1.0"} {
		p, ok := s.Profile(canonical)
		if !ok || p.Version != want {
			t.Errorf("%s: %v %v, want version %s", canonical, p, ok, want)
		}
	}
	pdex, ok := s.Profile("http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-medicationdispense|2.0.0")
	if !ok {
		t.Fatal("no pdex-medicationdispense")
	}
	var targets []string
	for _, ty := range child(pdex.Root, "subject").Types {
		targets = append(targets, ty.TargetProfiles...)
	}
	if len(targets) != 1 || targets[0] != url+"|3.1.1" {
		t.Errorf("subject of PDex 2.0.0 points to %v, want US Core 3.1.1", targets)
	}
}

func TestSlices(t *testing.T) {
	p, ok := set(t, "hl7.fhir.us.core#3.1.1").Profile("http://hl7.org/fhir/StructureDefinition/bp")
	if !ok {
		t.Fatal("no bp")
	}
	cat := child(p.Root, "category")
	vs := slice(cat, "VSCat")
	if vs == nil || vs.Min != 1 || !vs.Many || len(cat.Slicing.Discriminators) == 0 {
		t.Fatalf("VSCat: %+v", vs)
	}
	comp := child(p.Root, "component")
	sys := slice(comp, "SystolicBP")
	if sys == nil {
		t.Fatal("no systolic slice")
	}
	coding := child(child(sys, "code"), "coding")
	if slice(coding, "SBPCode") == nil {
		t.Errorf("the slice in the slice is lost: %+v", coding)
	}
	if len(comp.Slices) != 2 {
		t.Errorf("component has %d slices, want 2", len(comp.Slices))
	}
}

func TestTypes(t *testing.T) {
	s := set(t)
	patient, ok := s.Type("Patient")
	if !ok || patient.Base.Name != "DomainResource" || patient.Base.Base.Name != "Resource" {
		t.Fatalf("Patient: %+v", patient)
	}
	m, ok := patient.Member("deceasedBoolean")
	if !ok || m.Type.Name != "boolean" || m.Element.Name != "deceased" {
		t.Errorf("deceasedBoolean is %+v", m)
	}
	contact, _ := s.Type("Patient.contact")
	if m, _ := patient.Member("contact"); m.Type != contact || contact.Base.Name != "BackboneElement" {
		t.Errorf("Patient.contact is %+v", m.Type)
	}
	q, _ := s.Type("Questionnaire.item")
	if m, _ := q.Member("item"); m.Type != q {
		t.Error("a content reference has a type of its own")
	}
	if str, _ := s.Type("string"); len(str.Elements()) != 2 {
		t.Errorf("string has elements %+v", str.Elements())
	}
	if !s.IsResourceType("Claim") || s.IsResourceType("HumanName") || s.IsResourceType("us-core-patient") {
		t.Error("IsResourceType")
	}
}

func TestMember(t *testing.T) {
	terms := set(t).Terms()
	for _, tt := range []struct {
		name, set, system, code string
		want                    terminology.Value
	}{
		{"in", "http://hl7.org/fhir/ValueSet/administrative-gender", "", "female", terminology.Yes},
		{"out", "http://hl7.org/fhir/ValueSet/administrative-gender", "", "f", terminology.No},
		{"wrong system", "http://hl7.org/fhir/ValueSet/administrative-gender", "http://x.org", "female", terminology.No},
		{"version", "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", "http://hl7.org/fhir/administrative-gender", "male", terminology.Yes},
		{"system named, codes elsewhere", "http://hl7.org/fhir/ValueSet/observation-codes", "http://loinc.org", "85354-9", terminology.Unknown},
		{"system no include names", "http://hl7.org/fhir/ValueSet/observation-codes", "http://snomed.info/sct", "1", terminology.No},
		{"grammar", "http://hl7.org/fhir/ValueSet/mimetypes", "", "application/fhir+json", terminology.Yes},
		{"grammar, no", "http://hl7.org/fhir/ValueSet/mimetypes", "", "json file", terminology.No},
		{"unit", "http://hl7.org/fhir/ValueSet/ucum-units", "http://unitsofmeasure.org", "mm[Hg]", terminology.Yes},
		{"filter", "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", terminology.Yes},
		{"filter, no", "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "EHCPOL", terminology.No},
		{"supplied", "http://hl7.org/fhir/us/core/ValueSet/omb-race-category|6.1.0", "urn:oid:2.16.840.1.113883.6.238", "2106-3", terminology.Yes},
		{"supplied, no", "http://hl7.org/fhir/us/core/ValueSet/omb-race-category|6.1.0", "urn:oid:2.16.840.1.113883.6.238", "2107-1", terminology.No},
		{"no such set", "http://x.org/vs", "", "a", terminology.Unknown},
	} {
		if a := terms.Member(tt.set, tt.system, tt.code); a.Value != tt.want {
			t.Errorf("%s: %v (%s), want %v", tt.name, a.Value, a.Why, tt.want)
		}
	}
	if d, a := terms.Code("http://hl7.org/fhir/administrative-gender", "male"); a.Value != terminology.Yes || d != "Male" {
		t.Errorf("male is %q %v", d, a)
	}
}

// The published snapshots of some types in R4's package hold what FHIR 4.0.1 does not have; ours are made anew.
func TestTypesAreThoseOfTheSpecification(t *testing.T) {
	s := set(t)
	meta, _ := s.Type("Meta")
	var names []string
	for _, e := range meta.Elements() {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "id extension versionId lastUpdated source profile security tag" {
		t.Errorf("Meta has %s", got)
	}
	response, _ := s.Type("Bundle.entry.response")
	if e, _ := response.Element("outcome"); e.Types[0].Name != "Resource" {
		t.Errorf("outcome is a %s", e.Types[0].Name)
	}
	study, _ := s.Type("ResearchStudy")
	if _, ok := study.Element("associatedParty"); ok {
		t.Error("ResearchStudy has an element of a later version")
	}
}

func TestSearchParams(t *testing.T) {
	s := set(t, "hl7.fhir.us.core#3.1.1")
	list := s.SearchParams("Patient")
	got := map[string]string{}
	for _, p := range list {
		if _, twice := got[p.Code]; twice {
			t.Errorf("%s occurs twice", p.Code)
		}
		got[p.Code] = p.Package
	}
	if got["race"] != "hl7.fhir.us.core#3.1.1" || got["_lastUpdated"] != "hl7.fhir.r4.core#4.0.1" || got["family"] != "hl7.fhir.us.core#3.1.1" {
		t.Errorf("search parameters of Patient: %v", got)
	}
}

// Every definition in the tables compiles.
func TestEverythingCompiles(t *testing.T) {
	s := set(t)
	n, faults := 0, 0
	for _, d := range s.Structures() {
		p, ok := s.Profile(d.URL + "|" + d.Version)
		if !ok {
			if err := s.Missing(d.URL + "|" + d.Version); !errors.Is(err, profile.ErrMissing) {
				t.Errorf("%s: %s|%s does not compile: %v", d.Package, d.URL, d.Version, err)
			} else {
				t.Log(err)
			}
			continue
		}
		n++
		for _, f := range p.Faults {
			faults++
			t.Logf("%s: %s", p.URL, f)
		}
	}
	t.Logf("%d structures, %d faults", n, faults)
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l := load(b)
		if _, err := l.Set(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstPatient is what the first resource of a process waits for.
func BenchmarkFirstPatient(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := set(b)
		p, _ := s.Profile("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0")
		var walk func(e *profile.Element)
		walk = func(e *profile.Element) {
			for _, t := range e.Types {
				s.Base(t.Code)
				for _, u := range t.Profiles {
					s.Profile(u)
				}
			}
			if e.Binding != nil {
				s.Terms().Known(e.Binding.ValueSet)
			}
			for _, c := range e.Children {
				walk(c)
			}
			for _, c := range e.Slices {
				walk(c)
			}
		}
		walk(p.Root)
	}
}

func BenchmarkMember(b *testing.B) {
	terms := set(b).Terms()
	b.ReportAllocs()
	for b.Loop() {
		if terms.Member("http://hl7.org/fhir/ValueSet/administrative-gender", "", "female").Value != terminology.Yes {
			b.Fatal()
		}
	}
}
