package profile

import (
	"slices"
	"strings"

	"fhirwire/validators/ig"
)

// merge lays a differential's element over the one inherited: what it states replaces, invariants add up.
func (g *generator) merge(n *node, d *ig.ElementDefinition) error {
	if n.base == nil && n.ed.SliceName == "" {
		n.base = n.copy()
	}
	e := &n.ed
	if d.Min != ig.Absent {
		e.Min = d.Min
	}
	if d.Max != "" {
		e.Max = d.Max
	}
	if g.grow && d.BaseMax != "" {
		e.BaseMax = d.BaseMax
	}
	if d.ContentReference != "" {
		e.ContentReference = d.ContentReference
	}
	if len(d.Types) > 0 {
		e.Types = g.types(e.Types, d.Types)
		if g.grow && len(d.Types) == 1 && d.Types[0].Code == "Resource" {
			e.Constraints = nil // a resource is no element
		}
	}
	replaceValue(&e.Fixed, d.Fixed)
	replaceValue(&e.Pattern, d.Pattern)
	replaceValue(&e.MinValue, d.MinValue)
	replaceValue(&e.MaxValue, d.MaxValue)
	if d.MaxLength > 0 {
		e.MaxLength = d.MaxLength
	}
	if d.Regex != "" {
		e.Regex = d.Regex
	}
	if d.NarrativeSource != "" {
		e.NarrativeSource = d.NarrativeSource
	}
	if len(d.NarrativeLanguages) > 0 {
		e.NarrativeLanguages = d.NarrativeLanguages
	}
	replaceFlag(&e.MustSupport, d.MustSupport)
	if e.IsModifier != ig.Yes { // what modifies cannot stop to
		replaceFlag(&e.IsModifier, d.IsModifier)
	}
	replaceFlag(&e.IsSummary, d.IsSummary)
	if d.Binding != nil {
		e.Binding = mergeBinding(e.Binding, d.Binding)
	}
	if d.Slicing != nil {
		e.Slicing = mergeSlicing(e.Slicing, d.Slicing)
	}
	if n.choice != nil {
		g.narrow(n.choice, n)
	}
	if err := g.fromProfile(n, d); err != nil {
		return err
	}
	e.Constraints = addConstraints(e.Constraints, d.Constraints, g.def.URL)
	if len(d.Types) > 0 && n.children != nil && d.ContentReference == "" {
		return g.retype(n)
	}
	return nil
}

// types keeps what the inherited type says beyond its code where the differential names the code only.
func (g *generator) types(old, diff []ig.Type) []ig.Type {
	out := slices.Clone(diff)
	for i := range out {
		for _, o := range old {
			if o.Code == out[i].Code && out[i].FHIRType == "" {
				out[i].FHIRType, out[i].Regex = o.FHIRType, o.Regex
			}
		}
	}
	return out
}

func replaceValue(to *ig.Value, v ig.Value) {
	if v.Node != nil {
		*to = v
	}
}

func replaceFlag(to *ig.Flag, f ig.Flag) {
	if f != ig.Unset {
		*to = f
	}
}

func mergeBinding(old, diff *ig.Binding) *ig.Binding {
	b := *diff
	if old != nil {
		if b.ValueSet == "" {
			b.ValueSet = old.ValueSet
		}
		if b.Strength == "" {
			b.Strength = old.Strength
		}
		if b.MaxValueSet == "" && b.Strength == old.Strength {
			b.MaxValueSet = old.MaxValueSet
		}
	}
	return &b
}

func mergeSlicing(old, diff *ig.Slicing) *ig.Slicing {
	s := *diff
	if old == nil {
		return &s
	}
	all := slices.Clone(old.Discriminators)
	for _, d := range diff.Discriminators {
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	s.Discriminators = all
	if s.Rules == "" {
		s.Rules = old.Rules
	}
	s.Ordered = s.Ordered || old.Ordered
	return &s
}

func addConstraints(list, add []ig.Constraint, source string) []ig.Constraint {
	for _, k := range add {
		if k.Source == "" {
			k.Source = source
		}
		if i := slices.IndexFunc(list, func(o ig.Constraint) bool { return o.Key == k.Key }); i >= 0 {
			list[i] = k
			continue
		}
		list = append(list, k)
	}
	return list
}

// fromProfile takes what the root of the element's own profile says: an extension's invariants, whether it modifies.
func (g *generator) fromProfile(n *node, d *ig.ElementDefinition) error {
	if len(d.Types) != 1 || len(d.Types[0].Profiles) != 1 {
		return nil
	}
	c := g.catalog
	def := c.resolve(c.structures, d.Types[0].Profiles[0], g.def.shelf)
	if def == nil || slices.Contains(g.trail, def) {
		return nil // not at hand: the walk will say so where it matters
	}
	sd, err := c.snapshot(def, g.trail)
	if err != nil {
		return err
	}
	root := &sd.Snapshot[0]
	n.ed.Constraints = addConstraints(n.ed.Constraints, root.Constraints, def.URL)
	if d.IsModifier == ig.Unset && root.IsModifier == ig.Yes {
		n.ed.IsModifier = ig.Yes
	}
	return nil
}

// retype drops children that belong to types which the element no longer has.
func (g *generator) retype(n *node) error {
	if len(n.ed.Types) != 1 || len(n.ed.Types[0].Profiles) != 1 {
		return nil
	}
	switch code := n.ed.Types[0].Code; {
	case code == "BackboneElement", code == "Element", strings.HasPrefix(code, systemPrefix):
		return nil
	}
	n.children = nil
	return g.expand(n)
}

// narrow draws conclusions for a choice from a slice of it by type: the only type that is allowed decides on presence, and one
// that must be present leaves no room for others.
func (g *generator) narrow(choice, s *node) {
	byType := choice.ed.Slicing != nil && slices.Contains(choice.ed.Slicing.Discriminators, ig.Discriminator{Type: "type", Path: "$this"})
	switch {
	case choice.narrowed && len(choice.slices) == 1:
		choice.ed.Min = max(choice.ed.Min, s.ed.Min)
	case byType && s.ed.Min > 0 && choice.ed.Max == "1" && len(s.ed.Types) == 1:
		choice.ed.Types = s.ed.Types
		choice.ed.Slicing.Rules = "closed"
	}
}
