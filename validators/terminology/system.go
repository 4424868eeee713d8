package terminology

import (
	"strings"

	"fhirwire/validators/ig"
)

const contentComplete = "complete"

// system is a code system, indexed.
type system struct {
	content     string
	insensitive bool
	// hierarchy says that nesting means is-a.
	hierarchy bool
	concepts  []ig.Concept
	byCode    map[string]int32
	// parents holds further parents, from properties, by concept.
	parents map[int32][]int32
	fault   string
	// why marks a system that does not come from the packages.
	why string
}

func newSystem(cs *ig.CodeSystem, supplements []*ig.CodeSystem) *system {
	s := &system{
		content: cs.Content, insensitive: cs.CaseInsensitive, concepts: cs.Concepts,
		hierarchy: cs.HierarchyMeaning == "" || cs.HierarchyMeaning == "is-a" || cs.HierarchyMeaning == "subsumes",
		byCode:    make(map[string]int32, len(cs.Concepts)),
	}
	for i := range cs.Concepts {
		code := s.fold(cs.Concepts[i].Code)
		if _, twice := s.byCode[code]; !twice {
			s.byCode[code] = int32(i)
		}
	}
	for i := range cs.Concepts {
		for _, p := range cs.Concepts[i].Properties {
			s.relate(int32(i), p)
		}
	}
	for _, sup := range supplements {
		for _, c := range sup.Concepts {
			if i, ok := s.find(c.Code); ok {
				s.concepts[i].Properties = append(s.concepts[i].Properties, c.Properties...)
			}
		}
	}
	return s
}

// relate takes a concept's property for its place in the hierarchy, where it is about that.
func (s *system) relate(i int32, p ig.Property) {
	other, ok := s.byCode[s.fold(p.Value)]
	if !ok {
		return
	}
	switch p.Code {
	case "parent", "subsumedBy":
	case "child":
		i, other = other, i
	default:
		return
	}
	if s.parents == nil {
		s.parents = map[int32][]int32{}
	}
	s.parents[i] = append(s.parents[i], other)
}

func (s *system) fold(code string) string {
	if s.insensitive {
		return strings.ToLower(code)
	}
	return code
}

func (s *system) find(code string) (int32, bool) {
	i, ok := s.byCode[s.fold(code)]
	return i, ok
}

// isA reports whether i is ancestor or below it.
func (s *system) isA(i, ancestor int32) bool {
	if s.parents == nil {
		for ; i >= 0; i = int32(s.concepts[i].Parent) {
			if i == ancestor {
				return true
			}
		}
		return false
	}
	seen := map[int32]bool{}
	open := []int32{i}
	for len(open) > 0 {
		i = open[len(open)-1]
		open = open[:len(open)-1]
		if i == ancestor {
			return true
		}
		if seen[i] {
			continue
		}
		seen[i] = true
		if p := s.concepts[i].Parent; p >= 0 {
			open = append(open, int32(p))
		}
		open = append(open, s.parents[i]...)
	}
	return false
}

// property gives a concept's values of a property; ok is false when the system does not publish that property at all.
func (s *system) property(i int32, code string) (values []string, ok bool) {
	for _, p := range s.concepts[i].Properties {
		if p.Code == code {
			values = append(values, p.Value)
		}
	}
	return values, len(values) > 0
}

// inactive reports what the system says of a concept by the properties that FHIR defines for it.
func (s *system) inactive(i int32) bool {
	for _, p := range s.concepts[i].Properties {
		if p.Code == "inactive" && p.Value == "true" || p.Code == "status" && (p.Value == "retired" || p.Value == "inactive") {
			return true
		}
	}
	return false
}

// has reports whether any concept carries the property.
func (s *system) has(code string) bool {
	for i := range s.concepts {
		if _, ok := s.property(int32(i), code); ok {
			return true
		}
	}
	return false
}
