package guides_test

import (
	"os"
	"strings"
	"testing"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// walk visits every element of a profile once.
func walk(e *profile.Element, visit func(*profile.Element)) {
	visit(e)
	for _, c := range e.Children {
		walk(c, visit)
	}
	for _, s := range e.Slices {
		walk(s, visit)
	}
}

// eachProfile visits the definitions of all built-in packages.
func eachProfile(t *testing.T, s *profile.Set, visit func(*profile.Profile)) {
	t.Helper()
	for _, d := range s.Structures() {
		if p, ok := s.Profile(d.URL + "|" + d.Version); ok {
			visit(p)
		}
	}
}

// Every invariant compiles, but for those in the list, which says what is wrong with them as published.
func TestInvariantsCompile(t *testing.T) {
	data, err := os.ReadFile("testdata/invariants-broken.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			known[line] = true
		}
	}
	s := set(t)
	seen := map[*profile.Invariant]bool{}
	keys := map[string]bool{}
	eachProfile(t, s, func(p *profile.Profile) {
		walk(p.Root, func(e *profile.Element) {
			for _, inv := range e.Invariants {
				if seen[inv] {
					continue
				}
				seen[inv] = true
				if _, err := fhirpath.Compile(inv.Expression, s); err != nil {
					line := inv.Key + ": " + inv.Expression
					keys[line] = true
					if !known[line] {
						t.Errorf("%s|%s %s: %s: %v", p.URL, p.Version, e.ID, line, err)
					}
				}
			}
		})
	})
	for line := range known {
		if !keys[line] {
			t.Errorf("it compiles now: %s", line)
		}
	}
	t.Logf("%d distinct invariants, %d do not compile", len(seen), len(keys))
}

// Every erratum is used: its published text is what a package in the tables says.
func TestErrataAreUsed(t *testing.T) {
	s := set(t)
	used := map[string]bool{}
	eachProfile(t, s, func(p *profile.Profile) {
		walk(p.Root, func(e *profile.Element) {
			for _, inv := range e.Invariants {
				if inv.Erratum != "" {
					used[inv.Key+inv.Published] = true
				}
			}
		})
	})
	for _, e := range guides.Errata() {
		if !used[e.Key+e.Published] {
			t.Errorf("no definition says %s: %s", e.Key, e.Published)
		}
		if e.Reason == "" {
			t.Errorf("%s: no reason", e.Key)
		}
	}
}
