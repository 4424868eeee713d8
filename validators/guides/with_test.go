package guides_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
)

func folder(t *testing.T, manifest string, files ...string) *ig.Package {
	t.Helper()
	fsys := fstest.MapFS{"package/package.json": {Data: []byte(manifest)}}
	for i, f := range files {
		fsys["package/f"+string(rune('a'+i))+".json"] = &fstest.MapFile{Data: []byte(f)}
	}
	p, err := ig.ReadFolder(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	mine     = `{"name":"my.guide","version":"1.0.0","dependencies":{"hl7.fhir.us.core":"3.1.1"}}`
	myURL    = "http://x.org/StructureDefinition/mine"
	myHeader = `{"resourceType":"StructureDefinition","url":"` + myURL + `","version":"1.0.0","name":"Mine","kind":"resource","abstract":false,` +
		`"type":"Patient","baseDefinition":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient","derivation":"constraint","differential":{"element":`
)

func TestWith(t *testing.T) {
	l := load(t)
	p := folder(t, mine, myHeader+`[
	 {"id":"Patient","path":"Patient","constraint":[{"key":"m-1","severity":"error","human":"x","expression":"name.exists()"}]},
	 {"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
	 {"id":"Patient.identifier:mrn","path":"Patient.identifier","sliceName":"mrn","min":1,"max":"1"},
	 {"id":"Patient.identifier:mrn.system","path":"Patient.identifier.system","min":1,"fixedUri":"http://x.org/mrn"},
	 {"id":"Patient.name.given","path":"Patient.name.given","max":"2"},
	 {"id":"Patient.deceasedBoolean","path":"Patient.deceasedBoolean","mustSupport":true},
	 {"id":"Patient.contact.name.family","path":"Patient.contact.name.family","min":1}
	]}}`, `{"resourceType":"ValueSet","url":"http://x.org/vs","compose":{"include":[{"valueSet":["http://hl7.org/fhir/us/core/ValueSet/birthsex"]}]}}`)
	with, err := l.With(p)
	if err != nil {
		t.Fatal(err)
	}
	s, err := with.Set("my.guide#1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Packages(), " "); got != "hl7.fhir.r4.core#4.0.1 hl7.terminology.r4#7.0.1 hl7.fhir.uv.extensions.r4#5.2.0 hl7.fhir.us.core#3.1.1 my.guide#1.0.0" {
		t.Errorf("active: %s", got)
	}
	m, ok := s.Profile(myURL)
	if !ok {
		t.Fatal(s.Missing(myURL))
	}
	if m.Base != "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1" {
		t.Errorf("base %s", m.Base)
	}
	mrn := slice(child(m.Root, "identifier"), "mrn")
	if mrn == nil || mrn.Min != 1 || mrn.Max != 1 || !mrn.Many || child(mrn, "system").Fixed.Text() != "http://x.org/mrn" {
		t.Errorf("mrn: %+v", mrn)
	}
	if given := child(child(m.Root, "name"), "given"); given.Max != 2 || !given.Many {
		t.Errorf("given: %+v", given)
	}
	deceased := child(m.Root, "deceased")
	if len(deceased.Types) != 1 || len(deceased.Slices) != 1 || deceased.Slices[0].SliceName != "deceasedBoolean" || !deceased.Slices[0].MustSupport {
		t.Errorf("deceased: %+v", deceased)
	}
	if family := child(child(child(m.Root, "contact"), "name"), "family"); family.Min != 1 || family.Path != "Patient.contact.name.family" {
		t.Errorf("family: %+v", family)
	}
	var keys []string
	for _, inv := range m.Root.Invariants {
		keys = append(keys, inv.Key)
	}
	if keys[len(keys)-1] != "m-1" || m.Root.Invariants[len(keys)-1].Source != myURL {
		t.Errorf("invariants %v", keys)
	}
	// birthsex is the one of US Core 3.1.1, which lists it.
	if a := s.Terms().Member("http://x.org/vs", "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "F"); a.Value.String() != "yes" || a.Why != "" {
		t.Errorf("F: %+v", a)
	}
	if _, ok := set(t).Profile(myURL); ok {
		t.Error("the library that was extended knows the new profile")
	}
	// What is shared is shared.
	before, _ := set(t).Base("Patient")
	if _, err := l.Set(); err != nil {
		t.Fatal(err)
	}
	first, _ := mustSet(t, l).Base("Patient")
	second, _ := s.Base("Patient")
	if first != second || before == nil {
		t.Error("Patient is compiled twice")
	}
}

func mustSet(t *testing.T, l interface {
	Set(...string) (*profile.Set, error)
},
) *profile.Set {
	t.Helper()
	s, err := l.Set()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBrokenPackagesAreRefused(t *testing.T) {
	l := load(t)
	for _, tt := range []struct{ name, file, want string }{
		{"min", myHeader + `[{"id":"Patient.name","path":"Patient.name","min":-1}]}}`, "fa.json: element Patient.name: min"},
		{"max", myHeader + `[{"id":"Patient.name","path":"Patient.name","max":"many"}]}}`, "fa.json: element Patient.name: max"},
		{"no such element", myHeader + `[{"id":"Patient.nam","path":"Patient.nam","min":1}]}}`, "fa.json: element Patient.nam: there is no element nam"},
		{"no path", myHeader + `[{"id":"Patient.name"}]}}`, "fa.json: element Patient.name: path is missing"},
		{"other type", myHeader + `[{"id":"Observation.code","path":"Observation.code"}]}}`, "fa.json: element Observation.code: the path does not start with Patient"},
		{"itself", strings.Replace(myHeader, "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", myURL, 1) + `[]}}`, "builds on itself"},
	} {
		_, err := l.With(folder(t, mine, tt.file))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
	}
	missing := strings.Replace(myHeader, "us-core-patient", "nowhere", 1) + `[]}}`
	with, err := l.With(folder(t, mine, missing))
	if err != nil {
		t.Fatalf("a base that is not at hand: %v", err)
	}
	if _, ok := mustSet(t, with).Profile(myURL); ok {
		t.Error("a profile without its base is used")
	}
	if err := mustSet(t, with).Missing(myURL); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no reason: %v", err)
	}
	if _, err := l.With(folder(t, `{"name":"hl7.fhir.us.core","version":"3.1.1"}`)); err == nil {
		t.Error("a second package of the same id is taken")
	}
}

// The supporting definitions of the validator cases, half of them without a snapshot.
func TestSupportingDefinitions(t *testing.T) {
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	dir = filepath.Join(dir, "conformance", "validator-cases-dev")
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Skip("the validator cases are not at hand")
	}
	var index struct {
		Cases []struct {
			Name  string
			Steps []struct{ Supporting []string }
		}
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	l := load(t)
	seen := map[string]bool{}
	good, bad := 0, 0
	for _, c := range index.Cases {
		p := &ig.Package{Name: "case", Version: "1"}
		for _, st := range c.Steps {
			for _, name := range st.Supporting {
				data, err := os.ReadFile(filepath.Join(dir, "files", name))
				if err != nil {
					t.Fatal(err)
				}
				r, err := ig.ReadFile(name, data)
				if err != nil {
					t.Logf("%s: %v", c.Name, err)
					continue
				}
				if r != nil {
					p.Resources = append(p.Resources, r)
				}
			}
		}
		if len(p.Resources) == 0 {
			continue
		}
		if _, err := l.With(p); err != nil {
			if !seen[err.Error()] {
				bad++
				t.Logf("%s: %v", c.Name, err)
			}
			seen[err.Error()] = true
			continue
		}
		good++
	}
	t.Logf("%d sets of definitions read, %d refused", good, bad)
}
