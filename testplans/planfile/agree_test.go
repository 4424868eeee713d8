package planfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"fhirwire/testplans"
)

// TestSchemaHasEveryKey holds the schema against the words that plans are read into: the same keys, with the same types.
func TestSchemaHasEveryKey(t *testing.T) {
	seen := 0
	sameKeys(t, "plan", compiledSchema(), reflect.TypeFor[testplans.Plan](), &seen)
	if seen < 150 {
		t.Errorf("only %d keys were compared", seen)
	}
}

func sameKeys(t *testing.T, at string, s *jsonschema.Schema, typ reflect.Type, seen *int) {
	t.Helper()
	for s.Ref != nil {
		s = s.Ref
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[reflect.Kind]string{
		reflect.Struct: "object", reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer",
	}[typ.Kind()]
	switch {
	case len(s.Types) == 0 && len(s.Enum) > 0: // words, which are texts
		if typ.Kind() != reflect.String {
			t.Errorf("%s: the schema has words, the plan is read into %s", at, typ)
		}
		return
	case len(s.Constant) > 0: // true, or leave the key out
		if typ.Kind() != reflect.Bool || s.Constant[0] != true {
			t.Errorf("%s: the schema says %v, the plan is read into %s", at, s.Constant, typ)
		}
		return
	case !slices.Contains(s.Types, want):
		t.Errorf("%s: the schema says %v, the plan is read into %s", at, s.Types, typ)
		return
	}
	switch typ.Kind() { //nolint:exhaustive // of the others nothing is below
	case reflect.Slice:
		sameKeys(t, at+"[]", s.Items2020, typ.Elem(), seen)
	case reflect.Map:
		if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			sameKeys(t, at+"{}", more, typ.Elem(), seen)
		}
	case reflect.Struct:
		keys := map[string]bool{}
		for f := range typ.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "-" {
				continue
			}
			keys[key] = true
			*seen++
			p, ok := s.Properties[key]
			if !ok {
				// A play's captures are of responses only, and have no parameters.
				if !(key == "parameter" && strings.HasPrefix(at, "plan.play.")) {
					t.Errorf("%s: the schema has no key %s", at, key)
				}
				continue
			}
			sameKeys(t, at+"."+key, p, f.Type, seen)
		}
		for key := range s.Properties {
			if !keys[key] {
				t.Errorf("%s: the schema has a key %s that no plan is read into", at, key)
			}
		}
		if s.AdditionalProperties != false {
			t.Errorf("%s: the schema lets other keys pass", at)
		}
	}
}

// TestSchemaAndReaderAgree changes the built-in plans at random: what the schema takes can be read, and what cannot be read the schema
// refuses. What more is vetted (names, expressions) no schema can say.
func TestSchemaAndReaderAgree(t *testing.T) {
	files, err := filepath.Glob("../plans/*/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no built-in plans: %v", err)
	}
	taken, refused := 0, 0
	for n, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(n), 7))
		for round := range 12 {
			var tree map[string]any
			if err := yaml.Unmarshal(src, &tree); err != nil {
				t.Fatal(err)
			}
			fewerSteps(tree, r)
			what := "nothing"
			if round > 0 {
				what = mutate(tree, r)
			}
			text, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			var again any
			if err := yaml.Unmarshal(text, &again); err != nil {
				t.Fatalf("%s: %s: %v", file, what, err)
			}
			bySchema := compiledSchema().Validate(plain(again))
			var plan testplans.Plan
			byReader := yaml.UnmarshalWithOptions(text, &plan, yaml.Strict())
			_, whole := Parse("p.yaml", text, nil)
			switch {
			case bySchema == nil && byReader != nil:
				t.Errorf("%s: %s: the schema takes it; it cannot be read: %v", file, what, byReader)
			case bySchema != nil && whole == nil:
				t.Errorf("%s: %s: the checker takes it; the schema refuses it: %v", file, what, bySchema)
			case bySchema != nil && strings.Contains(fmt.Sprint(whole), "schema"):
				t.Errorf("%s: %s: it is refused in words of the schema: %v", file, what, whole)
			case bySchema == nil:
				taken++
			default:
				refused++
			}
		}
	}
	if taken < 12 || refused < 50 {
		t.Errorf("%d changes were taken, %d refused: the changes do not try both", taken, refused)
	}
}

// fewerSteps leaves three steps, so that a change is fast to judge.
func fewerSteps(tree map[string]any, r *rand.Rand) {
	steps, _ := tree["steps"].([]any)
	if len(steps) > 3 {
		at := r.IntN(len(steps) - 3)
		tree["steps"] = steps[at : at+3]
	}
	if play, ok := tree["play"].(map[string]any); ok {
		if acts, _ := play["acts"].([]any); len(acts) > 3 {
			play["acts"] = acts[:3]
		}
	}
}

// mutate makes one change and says which.
func mutate(tree map[string]any, r *rand.Rand) string {
	type place struct {
		at  string
		get any
		set func(any)
		cut func()
	}
	var places []place
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				places = append(places, place{at + "/" + k, v[k], func(x any) { v[k] = x }, func() { delete(v, k) }})
				walk(at+"/"+k, v[k])
			}
		case []any:
			for i := range v {
				places = append(places, place{fmt.Sprintf("%s/%d", at, i), v[i], func(x any) { v[i] = x }, func() { v[i] = nil }})
				walk(fmt.Sprintf("%s/%d", at, i), v[i])
			}
		}
	}
	walk("", tree)
	p := places[r.IntN(len(places))]
	switch r.IntN(11) {
	case 0:
		p.cut()
		return p.at + " is left out"
	case 1:
		p.set(nil)
		return p.at + " is null"
	case 2:
		p.set([]any{p.get})
		return p.at + " is a list"
	case 3:
		p.set(map[string]any{"x": p.get})
		return p.at + " is a mapping"
	case 4:
		p.set(r.IntN(100) - 20)
		return p.at + " is a number"
	case 5:
		p.set(r.IntN(2) == 0)
		return p.at + " is a truth value"
	case 6:
		p.set(0.5)
		return p.at + " is a fraction"
	case 7:
		p.set("")
		return p.at + " is empty"
	case 8:
		p.set([]any{})
		return p.at + " is an empty list"
	case 9:
		if m, ok := p.get.(map[string]any); ok {
			m[[]string{"every", "name", "is", "expr", "zzz", "max", "guides"}[r.IntN(7)]] = []any{"x", 3, true, []any{"x"}}[r.IntN(4)]
			return p.at + " has one key more"
		}
		p.set("another")
		return p.at + " is another text"
	default:
		if list, ok := p.get.([]any); ok && len(list) > 0 {
			p.set(append(slices.Clone(list), list[0]))
			return p.at + " has an item twice"
		}
		p.set("2026-01-01")
		return p.at + " is a date"
	}
}
