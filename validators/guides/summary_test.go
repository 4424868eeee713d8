package guides_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fhirwire/internal/golden"
	"fhirwire/validators/profile"
)

// The summary shows a reviewer what a change of tables, errata or terminology changes.
func TestSummary(t *testing.T) {
	l := load(t)
	var b strings.Builder
	for _, info := range l.Packages() {
		s, err := l.Set(info.ID)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %d types, %d profiles, %d extensions, %d value sets, %d code systems, %d search parameters\n",
			info.ID, info.Types, info.Profiles, info.Extensions, info.ValueSets, info.CodeSystems, info.SearchParams)
		invariants := map[string]bool{}
		bound := map[profile.Strength]map[string]bool{profile.Required: {}, profile.Extensible: {}}
		faults, elements := 0, 0
		for _, d := range s.Structures() {
			if d.Package != info.ID {
				continue
			}
			p, ok := s.Profile(d.URL + "|" + d.Version)
			if !ok {
				fmt.Fprintf(&b, "  cannot be used: %v\n", s.Missing(d.URL+"|"+d.Version))
				continue
			}
			faults += len(p.Faults)
			walk(p.Root, func(e *profile.Element) {
				elements++
				for _, inv := range e.Invariants {
					invariants[inv.Key+" "+inv.Expression] = true
				}
				if e.Binding != nil && e.Binding.Strength >= profile.Extensible {
					bound[e.Binding.Strength][e.Binding.ValueSet] = true
				}
			})
		}
		fmt.Fprintf(&b, "  %d elements, %d invariants, %d faults\n", elements, len(invariants), faults)
		for _, strength := range [...]profile.Strength{profile.Required, profile.Extensible} {
			var unknown, partial []string
			for _, vs := range slices.Sorted(maps.Keys(bound[strength])) {
				switch {
				case !s.Terms().Known(vs):
					unknown = append(unknown, vs)
				case !s.Terms().Enumerable(vs):
					partial = append(partial, vs)
				}
			}
			name := map[profile.Strength]string{profile.Required: "required", profile.Extensible: "extensible"}[strength]
			fmt.Fprintf(&b, "  %s value sets: %d, in part %d, unknown %d\n", name, len(bound[strength]), len(partial), len(unknown))
			for _, vs := range partial {
				fmt.Fprintf(&b, "    in part %s\n", vs)
			}
			for _, vs := range unknown {
				fmt.Fprintf(&b, "    unknown %s\n", vs)
			}
		}
	}
	golden.Check(t, "summary.txt", []byte(b.String()))
}
