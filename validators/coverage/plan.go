package coverage

import (
	"slices"
	"strings"

	"fhirwire/validators/profile"
)

// plan is what there is to look for in a resource of one profile. It is immutable.
type plan struct {
	items []Item
	nodes []*node
	// anyOf are groups of items of which one is enough.
	anyOf [][]int
}

// node is an element worth visiting: it, or something below it, is an item.
type node struct {
	el   *profile.Element
	item int // -1 for none
	// from and to enclose the items at and below the node.
	from, to int
	// members are the JSON members of a choice, with their types; one without a type otherwise.
	members []member
	slices  []*slice
	below   []*node
	// refers says that the element is a Reference.
	refers bool
}

// member is where a value of an element may be: item is the one of its type where a profile marks types, -1 otherwise.
type member struct {
	name, typ string
	item      int
}

// slice is a slice worth visiting.
type slice struct {
	node
	conds []condition
}

type planner struct {
	defs  Definitions
	terms Terminology
	plan  *plan
	treatment
}

func newPlan(defs Definitions, terms Terminology, prof *profile.Profile) *plan {
	t := treatmentOf(prof)
	b := &planner{defs: defs, terms: terms, plan: &plan{}, treatment: t}
	for _, el := range prof.Root.Children {
		if n := b.element(el); n != nil {
			b.plan.nodes = append(b.plan.nodes, n)
		}
	}
	for _, ids := range t.anyOf {
		var group []int
		for _, id := range ids {
			if i := slices.IndexFunc(b.plan.items, func(it Item) bool { return it.ID == prof.Type+"."+id }); i >= 0 {
				group = append(group, i)
			}
		}
		if len(group) > 1 {
			b.plan.anyOf = append(b.plan.anyOf, group)
		}
	}
	return b.plan
}

// element plans an element with what is below it, nil when none of it counts.
func (b *planner) element(el *profile.Element) *node {
	if el.Max == 0 || el.ContentReference != nil && !el.MustSupport {
		return nil
	}
	n := &node{}
	if el.Choice {
		for _, t := range b.choiceTypes(el) {
			n.members = append(n.members, member{choiceName(el.Name, t.Code), t.Code, -1})
		}
	} else {
		n.members = []member{{el.Name, "", -1}}
	}
	n.from = len(b.plan.items)
	if b.markedTypes(n, el) {
		unmarked := *el
		unmarked.MustSupport = false
		el = &unmarked
	}
	b.fill(n, el, kindOf(el))
	for _, sl := range el.Slices {
		if s := b.slice(el, sl); s != nil {
			n.slices = append(n.slices, s)
		}
	}
	return n.ifAny(b)
}

// markedTypes makes an item of each type that the profile marks; there is then none for the choice as a whole.
func (b *planner) markedTypes(n *node, el *profile.Element) bool {
	if !el.Choice || !el.MustSupport || b.dropped(el.ID) {
		return false
	}
	stem := strings.TrimSuffix(el.ID, el.Name+"[x]")
	any := false
	for _, t := range el.Types {
		at := slices.IndexFunc(n.members, func(m member) bool { return m.typ == t.Code })
		if !t.MustSupport || at < 0 {
			continue
		}
		any = true
		n.members[at].item = len(b.plan.items)
		b.plan.items = append(b.plan.items, Item{ID: stem + n.members[at].name, Kind: KindChoice})
	}
	return any
}

func kindOf(el *profile.Element) Kind {
	if el.Choice && len(el.Types) > 1 {
		return KindChoice
	}
	return KindElement
}

// fill sets what element and slice have in common.
func (b *planner) fill(n *node, el *profile.Element, kind Kind) {
	n.el, n.item = el, -1
	n.refers = slices.ContainsFunc(el.Types, func(t profile.Type) bool { return t.Code == "Reference" })
	if el.MustSupport && !b.dropped(el.ID) {
		n.item = len(b.plan.items)
		b.plan.items = append(b.plan.items, Item{ID: el.ID, Kind: kind, Required: el.Min > 0})
	}
	for _, c := range el.Children {
		if child := b.element(c); child != nil {
			n.below = append(n.below, child)
		}
	}
}

func (n *node) ifAny(b *planner) *node {
	n.to = len(b.plan.items)
	if n.to == n.from {
		return nil
	}
	return n
}

// slice plans one slice of el.
func (b *planner) slice(el, sl *profile.Element) *slice {
	if sl.Max == 0 {
		return nil
	}
	s := &slice{}
	s.from = len(b.plan.items)
	kind := KindSlice
	if el.Choice {
		kind = KindChoice
	}
	url := extensionURL(b.defs, sl)
	if url != "" {
		kind = KindExtension
	}
	b.fill(&s.node, sl, kind)
	for _, sub := range sl.Slices {
		if r := b.slice(sl, sub); r != nil {
			s.slices = append(s.slices, r)
		}
	}
	if s.ifAny(b) == nil {
		return nil
	}
	if b.takesAnyType(sl) {
		s.conds = []condition{{test: testPresent}}
		return s
	}
	var fault string
	if s.conds, fault = b.conditions(el, sl); fault != "" {
		for i := s.from; i < s.to; i++ {
			b.plan.items[i].Unclear = fault
		}
	}
	if s.item >= 0 {
		b.plan.items[s.item].URL = url
	}
	return s
}

// choiceTypes are the types that a choice may have; all of FHIR's where a treatment lets any of them count.
func (b *planner) choiceTypes(el *profile.Element) []profile.Type {
	if slices.ContainsFunc(el.Slices, b.takesAnyType) {
		typ, _, _ := strings.Cut(el.Path, ".")
		if p, ok := b.defs.Profile(r4 + typ); ok && p.Root != nil {
			if c := child(p.Root, el.Name); c != nil {
				return c.Types
			}
		}
	}
	return el.Types
}

func (b *planner) takesAnyType(sl *profile.Element) bool {
	_, id, _ := strings.Cut(sl.ID, ".")
	return slices.Contains(b.anyType, id)
}

// dropped reports whether the id, without the resource type, is one that the profile's treatment leaves out.
func (b *planner) dropped(id string) bool {
	_, rest, _ := strings.Cut(id, ".")
	return slices.Contains(b.drop, rest)
}

// extensionURL is the url of the extension that a slice stands for, "" when it is none.
func extensionURL(defs Definitions, sl *profile.Element) string {
	if !slices.ContainsFunc(sl.Types, func(t profile.Type) bool { return t.Code == "Extension" }) {
		return ""
	}
	for _, c := range sl.Children {
		if c.Name == "url" && c.Fixed != nil {
			return strings.Clone(c.Fixed.Text())
		}
	}
	for _, t := range sl.Types {
		if len(t.Profiles) == 0 {
			continue
		}
		if p, ok := defs.Profile(t.Profiles[0]); ok {
			return p.URL
		}
		url, _, _ := strings.Cut(t.Profiles[0], "|")
		return url
	}
	return ""
}

func choiceName(stem, typeName string) string {
	if typeName == "" {
		return stem
	}
	return stem + strings.ToUpper(typeName[:1]) + typeName[1:]
}
