package terminology_test

import (
	"strings"
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/terminology"
)

// definitions are value sets and code systems given as JSON.
type definitions struct {
	sets        map[string]*ig.ValueSet
	systems     map[string]*ig.CodeSystem
	supplements []*ig.CodeSystem
}

func (d definitions) ValueSet(canonical, _ string) (*ig.ValueSet, string, error) {
	url, _ := ig.SplitCanonical(canonical)
	return d.sets[url], "", nil
}

func (d definitions) CodeSystem(canonical, _ string) (*ig.CodeSystem, error) {
	url, _ := ig.SplitCanonical(canonical)
	return d.systems[url], nil
}

func (d definitions) Supplements(string) []*ig.CodeSystem { return d.supplements }

func service(t testing.TB, files ...string) *terminology.Service {
	t.Helper()
	d := definitions{sets: map[string]*ig.ValueSet{}, systems: map[string]*ig.CodeSystem{}}
	for _, f := range files {
		r, err := ig.ReadFile("test.json", []byte(f))
		if err != nil {
			t.Fatal(err)
		}
		switch r.ResourceType {
		case "ValueSet":
			vs, err := r.ValueSet()
			if err != nil {
				t.Fatal(err)
			}
			d.sets[vs.URL] = vs
		case "CodeSystem":
			cs, err := r.CodeSystem()
			if err != nil {
				t.Fatal(err)
			}
			if cs.Content == "supplement" {
				d.supplements = append(d.supplements, cs)
				continue
			}
			d.systems[cs.URL] = cs
		}
	}
	return terminology.New(d, terminology.Options{})
}

const animals = `{"resourceType":"CodeSystem","url":"urn:animals","content":"complete","caseSensitive":true,"concept":[
 {"code":"animal","concept":[
   {"code":"dog","display":"Dog","property":[{"code":"legs","valueInteger":4}],"concept":[{"code":"pug","property":[{"code":"legs","valueInteger":4}]}]},
   {"code":"hen","property":[{"code":"legs","valueInteger":2}]}]},
 {"code":"stone"},
 {"code":"mule","property":[{"code":"parent","valueCode":"animal"}]}]}`

func vs(url, compose string) string {
	return `{"resourceType":"ValueSet","url":"` + url + `","compose":` + compose + `}`
}

func TestMember(t *testing.T) {
	s := service(t, animals,
		`{"resourceType":"CodeSystem","url":"urn:part","content":"fragment","caseSensitive":false,"concept":[{"code":"One"},{"code":"two"}]}`,
		vs("all", `{"include":[{"system":"urn:animals"}]}`),
		vs("listed", `{"include":[{"system":"urn:animals","concept":[{"code":"dog"},{"code":"hen"}]}]}`),
		vs("isa", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"animal"}]}]}`),
		vs("below", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"descendent-of","value":"animal"}]}]}`),
		vs("notbelow", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-not-a","value":"animal"}]}]}`),
		vs("fourlegs", `{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"=","value":"4"}]}]}`),
		vs("regex", `{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"[a-d].*"}]}]}`),
		vs("both", `{"include":[{"valueSet":["isa","fourlegs"]}]}`),
		vs("not", `{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["isa"]}]}`),
		vs("part", `{"include":[{"system":"urn:part"}]}`),
		vs("part or dog", `{"include":[{"system":"urn:part"},{"system":"urn:animals","concept":[{"code":"dog"}]}]}`),
		vs("loinc", `{"include":[{"system":"http://loinc.org","filter":[{"property":"CLASS","op":"=","value":"X"}]}]}`),
		vs("loop", `{"include":[{"valueSet":["loop"]}]}`),
		vs("missing", `{"include":[{"valueSet":["nowhere"]}]}`),
		vs("all but missing", `{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["nowhere"]}]}`),
		vs("odd filter", `{"include":[{"system":"urn:animals","filter":[{"property":"colour","op":"=","value":"red"}]}]}`),
		vs("simple language", `{"include":[{"system":"urn:ietf:bcp:47","filter":[{"property":"script","op":"exists","value":"false"},{"property":"private-use","op":"exists","value":"false"}]}]}`),
		vs("units", `{"include":[{"system":"http://unitsofmeasure.org"}]}`),
		vs("money", `{"include":[{"system":"urn:iso:std:iso:4217"}]}`),
		`{"resourceType":"ValueSet","url":"expanded","expansion":{"contains":[{"system":"urn:a","code":"1"},{"system":"urn:a","abstract":true,"code":"top","contains":[{"system":"urn:b","code":"2"}]}]}}`,
		vs("empty", `{}`),
	)
	const yes, no, unknown = terminology.Yes, terminology.No, terminology.Unknown
	for _, tt := range []struct {
		set, system, code string
		want              terminology.Value
	}{
		{"all", "urn:animals", "stone", yes},
		{"all", "urn:animals", "Stone", no}, // case matters
		{"all", "", "pug", yes},
		{"all", "urn:other", "stone", no},
		{"listed", "urn:animals", "dog", yes},
		{"listed", "urn:animals", "pug", no},
		{"isa", "urn:animals", "animal", yes},
		{"isa", "urn:animals", "pug", yes},
		{"isa", "urn:animals", "mule", yes}, // by its property
		{"isa", "urn:animals", "stone", no},
		{"below", "urn:animals", "animal", no},
		{"below", "urn:animals", "dog", yes},
		{"notbelow", "urn:animals", "stone", yes},
		{"notbelow", "urn:animals", "dog", no},
		{"fourlegs", "urn:animals", "pug", yes},
		{"fourlegs", "urn:animals", "hen", no},
		{"regex", "urn:animals", "dog", yes},
		{"regex", "urn:animals", "hen", no},
		{"both", "urn:animals", "pug", yes},
		{"both", "urn:animals", "hen", no},
		{"not", "urn:animals", "stone", yes},
		{"not", "urn:animals", "hen", no},
		{"part", "urn:part", "ONE", yes}, // case does not matter here
		{"part", "urn:part", "three", unknown},
		{"part or dog", "urn:animals", "dog", yes},
		{"part or dog", "urn:animals", "hen", no},
		{"part or dog", "", "hen", unknown},
		{"loinc", "http://loinc.org", "1-8", unknown},
		{"loinc", "urn:animals", "dog", no},
		{"loop", "urn:animals", "dog", unknown},
		{"missing", "urn:animals", "dog", unknown},
		{"all but missing", "urn:animals", "dog", unknown},
		{"all but missing", "urn:animals", "cat", no},
		{"odd filter", "urn:animals", "dog", unknown},
		{"simple language", "", "en-US", yes},
		{"simple language", "", "zh-Hant", no},
		{"simple language", "", "en-x-mine", no},
		{"simple language", "", "english language", no},
		{"units", "http://unitsofmeasure.org", "mg/dL", yes},
		{"units", "http://unitsofmeasure.org", "mg per dL", no},
		{"money", "", "USD", yes},
		{"money", "", "usd", no},
		{"expanded", "urn:b", "2", yes},
		{"expanded", "urn:a", "top", no},
		{"expanded", "urn:a", "2", no},
		{"empty", "urn:a", "2", unknown},
		{"nowhere", "urn:a", "2", unknown},
	} {
		a := s.Member(tt.set, tt.system, tt.code)
		if a.Value != tt.want {
			t.Errorf("%s in %s: %s is %v (%s), want %v", tt.system, tt.set, tt.code, a.Value, a.Why, tt.want)
		}
		if a.Value == unknown && a.Why == "" {
			t.Errorf("%s in %s: unknown without a reason", tt.code, tt.set)
		}
	}
}

func TestCode(t *testing.T) {
	s := service(t, animals, `{"resourceType":"CodeSystem","url":"urn:s","content":"supplement","supplements":"urn:animals","concept":[{"code":"hen","property":[{"code":"lays","valueBoolean":true}]}]}`,
		vs("layers", `{"include":[{"system":"urn:animals","filter":[{"property":"lays","op":"=","value":"true"}]}]}`))
	if d, a := s.Code("urn:animals", "dog"); d != "Dog" || a.Value != terminology.Yes {
		t.Errorf("dog: %q %v", d, a)
	}
	if _, a := s.Code("urn:animals", "cat"); a.Value != terminology.No {
		t.Errorf("cat: %v", a)
	}
	if _, a := s.Code("http://snomed.info/sct", "1"); a.Value != terminology.Unknown || !strings.Contains(a.Why, "snomed") {
		t.Errorf("SNOMED: %v", a)
	}
	if a := s.Member("layers", "urn:animals", "hen"); a.Value != terminology.Yes {
		t.Errorf("a property from a supplement: %v", a)
	}
	for _, tt := range []struct {
		a, b string
		want terminology.Value
	}{{"animal", "pug", terminology.Yes}, {"dog", "dog", terminology.Yes}, {"pug", "dog", terminology.No}} {
		if got := s.Subsumes("urn:animals", tt.a, tt.b); got.Value != tt.want {
			t.Errorf("%s subsumes %s: %v", tt.a, tt.b, got)
		}
	}
	if !s.Known("layers") || s.Known("nowhere") || !s.Enumerable("layers") {
		t.Error("Known, Enumerable")
	}
}

func TestUCUM(t *testing.T) {
	for _, code := range []string{
		"mg", "mg/dL", "mm[Hg]", "kg/m2", "10*3/uL", "10^9/L", "/min", "{score}", "mL/min/{1.73_m2}", "Cel", "[degF]", "%", "1", "m2.kg-1",
		"(mg/kg)/d", "[in_i'H2O]", "umol/L", "ug{creat}", "mmol/mol", "dag", "[IU]/L", "k[IU]/L", "U/L", "fL", "pg", "ng/mL", "[lb_av]", "[in_i]",
		"beats/min"[:0] + "{beats}/min", "[ppm]", "L/min", "mo", "wk", "a", "10*-6", "meq/L", "osm", "KiBy", "2.mg",
	} {
		if err := terminology.CheckUCUM(code); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, code := range []string{
		"", "mg per dL", "mmHg", "kgs", "beats/min", "mg//dL", "mg/", "(mg", "mg)", "{a b}", "{a", "[degF", "10*+", "lbs", "°C", "k%", "/", "m[Hg]]", "mg dL",
	} {
		if terminology.CheckUCUM(code) == nil {
			t.Errorf("%q is taken for a unit", code)
		}
	}
}

func FuzzCheckUCUM(f *testing.F) {
	for _, s := range []string{"mg/dL", "(/m.{a}2)3", "10*-6", "[", "k[", "((((("} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { _ = terminology.CheckUCUM(s) })
}

func BenchmarkMember(b *testing.B) {
	s := service(b, animals, vs("isa", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"animal"}]}]}`))
	b.ReportAllocs()
	for b.Loop() {
		if s.Member("isa", "urn:animals", "pug").Value != terminology.Yes {
			b.Fatal("pug is no animal")
		}
	}
}
