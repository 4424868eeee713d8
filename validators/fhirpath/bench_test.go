package fhirpath_test

import (
	"testing"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

func BenchmarkTruth(b *testing.B) {
	m := fhirpathtest.Small()
	root := fhirjson.Parse([]byte(patient)).Root()
	typ, _ := m.Type("Patient")
	for _, bm := range []struct{ name, src string }{
		{"exists", "name.exists() or telecom.exists()"},
		{"equal", "name.where(use = 'official').exists()"},
		{"all", "name.all(family.exists() or given.exists())"},
		{"hasValue", "hasValue() or (children().count() > id.count())"},
		{"compare", "birthDate <= @2024-01-01"},
		{"matches", "name.family.matches('^[A-Z]')"},
		{"count", "name.given.count() + contact.count() > 2"},
		{"descendants", "descendants().count() > 100"},
		{"extension", "extension.exists() != value.exists()"},
	} {
		x, err := fhirpath.Compile(bm.src, m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Truth(b.Context(), root, fhirpath.Env{FocusType: typ}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	m := fhirpathtest.Small()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fhirpath.Compile("name.where(use = 'official').exists() or telecom.value.matches('^[0-9]+$')", m); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzEval(f *testing.F) {
	for _, src := range []string{
		"name.given.first() & 'x'", "descendants().ofType(HumanName).count() * 2.50", "@2014-01 + 3 months < @2015T10:00Z", "iif(active, name | contact.name, {})",
		"1 'm' / 2 's' ~ 0.5 'm/s'", "name.repeat(children()).aggregate($total + 1, 0)", "'a,b'.split(',').join(';').replaceMatches('[a-z]', '$0$0')",
		"1.50.lowBoundary(3).precision() mod 2", "defineVariable('a').select(%a = $this)", "(-5.5 'mg').abs().toString().substring(1, 3)", "name.sort(-family).last().type().name",
	} {
		f.Add(src)
	}
	m := fhirpathtest.Small()
	root := fhirjson.Parse([]byte(patient)).Root()
	typ, _ := m.Type("Patient")
	f.Fuzz(func(t *testing.T, src string) {
		_, _ = fhirpath.CompileFor(src, m, typ)
		x, err := fhirpath.Compile(src, m)
		if err != nil {
			return
		}
		env := suiteEnv()
		env.MaxItems = 20_000
		got, err := x.Eval(t.Context(), root, env)
		for _, v := range got {
			_ = v.String()
		}
		again, errAgain := x.Eval(t.Context(), root, env)
		if (err == nil) != (errAgain == nil) || len(got) != len(again) {
			t.Fatalf("%q: %d results, %v, and then %d, %v", src, len(got), err, len(again), errAgain)
		}
	})
}
