package search_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

type definitions struct{ set *profile.Set }

func (d definitions) SearchDefinitions(base string) []search.Definition {
	var out []search.Definition
	for _, p := range d.set.SearchParams(base) {
		d := search.Definition{URL: p.URL, Code: p.Code, Kind: search.Kind(p.Type), Expression: p.Expression, Targets: p.Target}
		for _, c := range p.Components {
			d.Parts = append(d.Parts, c.Expression)
		}
		out = append(out, d)
	}
	return out
}

var load = sync.OnceValues(func() (*search.Registry, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	set, err := lib.Set()
	if err != nil {
		return nil, err
	}
	return search.NewRegistry(definitions{set}, set)
})

func registry(t testing.TB) *search.Registry {
	t.Helper()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The guides whose parameters the table serves are built in, so nothing may be missing.
func TestEveryServedParameterIsDefined(t *testing.T) {
	r := registry(t)
	if m := r.Missing(); len(m) > 0 {
		t.Errorf("served without a definition: %v", m)
	}
	for _, need := range []string{"Patient.identifier", "Observation.date", "ExplanationOfBenefit.service-date", "Goal.target-date", "Provenance.target", "Basic.formulary", "Group.characteristic-value-reference", "Group.characteristic-value"} {
		typ, code, _ := strings.Cut(need, ".")
		if p, ok := r.Param(typ, code); !ok || p.URL == "" {
			t.Errorf("%s: not there", need)
		}
	}
}

// noDefinitions is a set without guides.
type noDefinitions struct{}

func (noDefinitions) SearchDefinitions(string) []search.Definition { return nil }

type badDefinitions struct{}

func (badDefinitions) SearchDefinitions(base string) []search.Definition {
	if base != "Patient" {
		return nil
	}
	return []search.Definition{{Code: "name", Kind: search.String, Expression: "Patient.name.(("}, {Code: "gender", Kind: "special", Expression: "Patient.gender"}}
}

func TestNewRegistryRefuses(t *testing.T) {
	if _, err := search.NewRegistry(badDefinitions{}, nil); err == nil || !strings.Contains(err.Error(), "Patient.name") || !strings.Contains(err.Error(), "Patient.gender: kind special") {
		t.Errorf("error %v", err)
	}
	// Without definitions the parameter that names the patient is missing, and a server that cannot say whose data it
	// holds must not start.
	if _, err := search.NewRegistry(noDefinitions{}, nil); err == nil || !strings.Contains(err.Error(), "Observation has no parameter patient") {
		t.Errorf("error %v", err)
	}
}

func TestIndex(t *testing.T) {
	r := registry(t)
	show := func(src string) string {
		var e search.Entries
		doc := fhirjson.Parse([]byte(src))
		if err := r.Index(t.Context(), doc.Root(), &e); err != nil {
			t.Fatal(err)
		}
		typ := doc.Root().ResourceType()
		name := func(id int64) string {
			for _, p := range r.Params(typ) {
				if p.ID == id {
					return p.Code
				}
				if p.SubID("identifier") == id {
					return p.Code + ":identifier"
				}
			}
			return "?"
		}
		var out []string
		for _, t := range e.Terms {
			out = append(out, fmt.Sprintf("%s %s|%s", name(t.Param), t.Key, t.Qualifier))
		}
		for _, d := range e.Dates {
			out = append(out, fmt.Sprintf("%s %d..%d", name(d.Param), d.Lo/1000, d.Hi/1000))
		}
		for _, q := range e.Quantities {
			out = append(out, fmt.Sprintf("%s %g..%g %s", name(q.Param), q.Lo, q.Hi, q.Code))
		}
		slices.Sort(out)
		return "patient=" + e.Patient + "; " + strings.Join(out, "; ")
	}
	for _, tt := range []struct{ name, src, want string }{
		{
			"codes, reference to the patient, date, quantity",
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"c"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"1970-01-01","valueQuantity":{"value":1.5,"code":"mg"}}`,
			"patient=p1; code c|s; combo-code c|s; date 0..86399; status final|*; value-quantity 1.5..1.5 mg",
		},
		{
			"subject that is no patient, logical reference, open period",
			`{"resourceType":"Observation","status":"final","subject":{"reference":"Group/g1"},"encounter":{"identifier":{"system":"s","value":"v"}},"effectivePeriod":{"start":"1970-01-02T00:00:00Z"},"valueCodeableConcept":{"coding":[{"code":"x"}]}}`,
			"patient=; date 86400..9223372036854775; encounter:identifier v|s; status final|*; subject g1|Group; value-concept x|",
		},
		{
			"names folded, kept as written",
			`{"resourceType":"Organization","name":"Ünïted  Payers","active":true}`,
			"patient=; active true|*; name united payers|Ünïted  Payers",
		},
		{
			"contained and absolute references",
			`{"resourceType":"Coverage","beneficiary":{"reference":"#p"},"payor":[{"reference":"http://else/fhir/Organization/1"},{"reference":"Organization/2/_history/3"}]}`,
			"patient=; payor 2|Organization; payor http://else/fhir/Organization/1|",
		},
		{
			"repeated choice under a cast",
			`{"resourceType":"Goal","target":[{"dueDate":"1970-01-01"},{"dueDate":"1970-01-02"},{"dueDuration":{"value":1}}]}`,
			"patient=; target-date 0..86399; target-date 86400..172799",
		},
		{
			"provenance of a patient stays an index row, since it may concern several",
			`{"resourceType":"Provenance","target":[{"reference":"Patient/p1"},{"reference":"Observation/o1"}]}`,
			"patient=; patient p1|Patient; target o1|Observation; target p1|Patient",
		},
	} {
		if got := show(tt.src); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
	var e search.Entries
	if err := r.Index(t.Context(), fhirjson.Parse([]byte(`{"resourceType":"Nonsense"}`)).Root(), &e); !errors.Is(err, search.ErrType) {
		t.Errorf("a type that is not served: %v", err)
	}
}

func TestSelfQuerySaysWhatWasApplied(t *testing.T) {
	r := registry(t)
	pairs, err := search.ParsePairs("name=Von%20X&nonsense=1&gender=&_count=5&_sort=-birthdate&_include=Patient:link&name:exact=a%2Cb")
	if err != nil {
		t.Fatal(err)
	}
	q, err := r.Parse("Patient", pairs, search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.SelfQuery(), "name=Von+X&_count=5&_sort=-birthdate&_include=Patient%3Alink&name%3Aexact=a%2Cb"; got != want {
		t.Errorf("self %s, want %s", got, want)
	}
	want := []search.Ignored{{Name: "nonsense", Reason: `Patient has no search parameter "nonsense"`}, {Name: "gender", Reason: "has no value"}}
	if !slices.Equal(q.Ignored, want) {
		t.Errorf("ignored %v", q.Ignored)
	}
}

// FuzzParse: no panic, and what was applied parses to itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"name=Von", "birthdate=ge1980-01&birthdate=lt1990", "identifier=a%7Cb,c%5C,d", "_sort=-birthdate,_id&_count=3", "general-practitioner.name=x",
		"_include=Patient:general-practitioner:Practitioner", "_id=a,b", "_lastUpdated=gt2020-01-01T10:00:00+01:00", "name:missing=true", "gender:not=male", "link:Patient=x",
	} {
		f.Add(s)
	}
	r := registry(f)
	f.Fuzz(func(t *testing.T, raw string) {
		pairs, err := search.ParsePairs(raw)
		if err != nil {
			return
		}
		q, err := r.Parse("Patient", pairs, search.ParseOptions{})
		if err != nil {
			var bad *search.Error
			if !errors.As(err, &bad) || bad.Name == "" && pairs[0].Name != "" {
				t.Fatalf("%q: error %v", raw, err)
			}
			return
		}
		again, err := search.ParsePairs(q.SelfQuery())
		if err != nil {
			t.Fatal(err)
		}
		q2, err := r.Parse("Patient", again, search.ParseOptions{Strict: true})
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, q.SelfQuery(), err)
		}
		if q2.SelfQuery() != q.SelfQuery() || len(q2.Clauses) != len(q.Clauses) {
			t.Fatalf("%q became %q, then %q", raw, q.SelfQuery(), q2.SelfQuery())
		}
	})
}

func BenchmarkIndexObservation(b *testing.B) {
	r := registry(b)
	src := []byte(`{"resourceType":"Observation","id":"o","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2020-01-01T10:00:00Z","valueQuantity":{"value":5.4,"system":"http://unitsofmeasure.org","code":"%"}}`)
	doc := fhirjson.Parse(src)
	var e search.Entries
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		if err := r.Index(b.Context(), doc.Root(), &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	r := registry(b)
	b.ReportAllocs()
	for b.Loop() {
		pairs, err := search.ParsePairs("patient=999&category=http://terminology.hl7.org/CodeSystem/observation-category%7Claboratory&date=ge2020-01-01&_count=10")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Parse("Observation", pairs, search.ParseOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
