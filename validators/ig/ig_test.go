package ig_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/fstest"

	"fhirwire/validators/ig"
)

const structure = `{"resourceType":"StructureDefinition","id":"p","url":"http://x.org/p","version":"1.2","name":"P","text":{"status":"empty"},"kind":"resource",
 "abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
 "context":[{"type":"element","expression":"Patient"}],"contextInvariant":["true"],
 "snapshot":{"element":[{"id":"Patient","path":"Patient","short":"prose","definition":"prose","min":0,"max":"*","base":{"path":"Patient","min":0,"max":"*"},
   "constraint":[{"key":"a-1","severity":"warning","human":"prose","expression":"name.exists() & 'ä\"'","source":"http://x.org/p",
     "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice","valueBoolean":true}]}]},
  {"id":"Patient.id","path":"Patient.id","max":"1","base":{"path":"Resource.id","min":0,"max":"1"},
   "type":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type","valueUrl":"string"}],"code":"http://hl7.org/fhirpath/System.String"}]},
  {"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"ordered":true,"rules":"closed"},"min":1,"max":"*"},
  {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","max":"1","type":[{"code":"Identifier","profile":["http://x.org/id"]}],
   "patternIdentifier":{"system": "urn:x",
     "value": "1.50"},"mustSupport":true,"isModifier":false,"maxLength":7},
  {"id":"Patient.gender","path":"Patient.gender","fixedCode":"male","binding":{"strength":"required","description":"prose","valueSet":"http://x.org/vs|1",
    "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet","valueCanonical":"http://x.org/max"}]}},
  {"id":"Patient.link.other","path":"Patient.link.other","contentReference":"#Patient.x","minValueInteger":3,
   "type":[{"code":"Reference","targetProfile":["http://x.org/p"],"aggregation":["bundled"],"versioning":"either"}]}]}}`

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for name, data := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const manifest = `{"name":"x.guide","version":"2.0.0","dependencies":{"hl7.fhir.us.core":"3.1.1","b":"1.x"}}`

func TestReadTGZ(t *testing.T) {
	p, err := ig.ReadTGZ(bytes.NewReader(archive(t, map[string]string{
		"package/package.json": manifest, "package/b.json": structure, "package/.index.json": "{", "package/example/e.json": "{",
		"package/a.json": `{"resourceType":"ImplementationGuide","url":"http://x.org"}`, "package/other/x.json": "[", "readme.txt": "x",
		"package/c.json": `{"resourceType":"SearchParameter","url":"http://x.org/s","code":"race","base":["Patient","Group"],"type":"token","expression":"Patient.x","multipleOr":false}`,
	})))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID() != "x.guide#2.0.0" || len(p.Resources) != 2 || len(p.Dependencies) != 2 || p.Dependencies[1] != (ig.Dependency{Name: "b", Version: "1.x"}) {
		t.Fatalf("read %+v", p)
	}
	if r := p.Resources[0]; r.Canonical() != "http://x.org/p|1.2" || r.Of != "Patient" || r.Derivation != "constraint" {
		t.Errorf("structure %+v", r)
	}
	sp, err := p.Resources[1].SearchParameter()
	if err != nil || sp.Code != "race" || strings.Join(sp.Base, " ") != "Patient Group" || sp.MultipleOr != ig.No || sp.MultipleAnd != ig.Unset {
		t.Errorf("search parameter %+v %v", sp, err)
	}
}

func TestBrokenPackages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no manifest", map[string]string{"package/a.json": structure}, "no package.json"},
		{"bad manifest", map[string]string{"package/package.json": `{"name":"a"}`}, "version"},
		{"not json", map[string]string{"package/package.json": manifest, "package/a.json": "{\n \"a\":}"}, "x.guide#2.0.0: a.json: line 2"},
		{"no resource", map[string]string{"package/package.json": manifest, "package/a.json": "{}"}, "a.json: this is no FHIR resource"},
		{"no url", map[string]string{"package/package.json": manifest, "package/a.json": `{"resourceType":"ValueSet"}`}, "a.json: ValueSet.url is missing"},
	} {
		_, err := ig.ReadTGZ(bytes.NewReader(archive(t, tt.files)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
		}
	}
	if _, err := ig.ReadTGZ(strings.NewReader("not an archive")); err == nil {
		t.Error("anything is taken for an archive")
	}
	if _, err := ig.ReadFolder(fstest.MapFS{"a.json": {Data: []byte("{}")}}); err == nil {
		t.Error("any folder is taken for a package")
	}
}

// A table gives back every fact, no prose, and the same bytes each time.
func TestTable(t *testing.T) {
	p, err := ig.ReadFolder(fstest.MapFS{
		"package.json": {Data: []byte(manifest)}, "a.json": {Data: []byte(structure)},
		"b.json": {Data: []byte(`{"resourceType":"CodeSystem","url":"urn:c","content":"complete","caseSensitive":false,"concept":[{"code":"a","display":"A \"<&>","definition":"prose",
		  "concept":[{"code":"b","property":[{"code":"p","valueCoding":{"code":"q"}}]}]},{"code":"c"}]}`)},
		"c.json": {Data: []byte(`{"resourceType":"ValueSet","url":"urn:v","compose":{"include":[{"system":"urn:c","filter":[{"property":"p","op":"=","value":"q"}]},{"valueSet":["urn:w|2"]}],
		  "exclude":[{"system":"urn:c","concept":[{"code":"a","display":"A"}]}]}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := ig.AppendTable(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ig.AppendTable(nil, p)
	if err != nil || !bytes.Equal(table, again) {
		t.Error("the same package gives other bytes")
	}
	back, err := ig.OpenTable(table)
	if err != nil {
		t.Fatal(err)
	}
	if back.ID() != p.ID() || len(back.Resources) != 3 || len(back.Dependencies) != 2 {
		t.Fatalf("read back %+v", back)
	}
	for i, r := range back.Resources {
		want, err := p.Resources[i].Facts()
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Facts()
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s: facts differ: %v\n%s\n%s", r.File, err, want, got)
		}
		if bytes.Contains(got, []byte("prose")) {
			t.Errorf("%s: prose in the facts: %s", r.File, got)
		}
	}
	sd, err := back.Resources[0].Structure()
	if err != nil {
		t.Fatal(err)
	}
	if len(sd.Snapshot) != 6 || sd.Contexts[0] != (ig.Context{Type: "element", Expression: "Patient"}) {
		t.Fatalf("structure %+v", sd)
	}
	e := sd.Snapshot
	if k := e[0].Constraints[0]; !k.BestPractice || k.Expression != `name.exists() & 'ä"'` || k.Severity != "warning" {
		t.Errorf("constraint %+v", k)
	}
	if e[1].Types[0].FHIRType != "string" || e[1].Min != ig.Absent || e[1].BaseMax != "1" {
		t.Errorf("id %+v", e[1])
	}
	if s := e[2].Slicing; !s.Ordered || s.Rules != "closed" || s.Discriminators[0] != (ig.Discriminator{Type: "value", Path: "system"}) {
		t.Errorf("slicing %+v", s)
	}
	if e[3].Pattern.Node.MemberText("value") != "1.50" || e[3].MustSupport != ig.Yes || e[3].IsModifier != ig.No || e[3].MaxLength != 7 {
		t.Errorf("slice %+v", e[3])
	}
	if e[4].Fixed.Type != "code" || *e[4].Binding != (ig.Binding{Strength: "required", ValueSet: "http://x.org/vs|1", MaxValueSet: "http://x.org/max"}) {
		t.Errorf("gender %+v %+v", e[4].Fixed, e[4].Binding)
	}
	if e[5].ContentReference != "#Patient.x" || e[5].MinValue.Type != "integer" || e[5].Types[0].Aggregation[0] != "bundled" {
		t.Errorf("other %+v", e[5])
	}
	for n := range table { // cut off anywhere: an error, here or when a definition is unpacked
		q, err := ig.OpenTable(table[:n])
		if err != nil {
			continue
		}
		if _, err := q.Resources[0].Facts(); err == nil {
			t.Fatalf("a table cut at %d of %d is read", n, len(table))
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string][2]string{
		"http://x.org/a": {"http://x.org/a", ""}, "http://x.org/a|1.0": {"http://x.org/a", "1.0"}, "http://x.org/a#f": {"http://x.org/a", ""},
		"http://x.org/a|1#f": {"http://x.org/a", "1"}, "#local": {"#local", ""},
	} {
		if u, v := ig.SplitCanonical(in); u != want[0] || v != want[1] {
			t.Errorf("%s: %q %q", in, u, v)
		}
	}
	ordered := []string{"", "1.0", "1.0.1-ballot", "1.0.1", "1.9", "1.10.0", "2.0.0-a", "2.0.0-b", "2.0.0", "2018-08-12"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := ig.CompareVersions(a, b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%q and %q compare as %d", a, b, got)
			}
		}
	}
}

func FuzzOpenTable(f *testing.F) {
	p, err := ig.ReadFolder(fstest.MapFS{"package.json": {Data: []byte(manifest)}, "a.json": {Data: []byte(structure)}})
	if err != nil {
		f.Fatal(err)
	}
	table, err := ig.AppendTable(nil, p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table)
	f.Fuzz(func(_ *testing.T, data []byte) {
		if p, err := ig.OpenTable(data); err == nil {
			for _, r := range p.Resources {
				_, _ = r.Facts()
			}
		}
	})
}

func FuzzReadFile(f *testing.F) {
	f.Add([]byte(structure))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if r, err := ig.ReadFile("f.json", data); err == nil && r != nil {
			_, _ = r.Facts()
		}
	})
}
