package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/ig"
)

// compile turns a snapshot into a tree. Elements are placed by order and path, never by path alone: the same path occurs under
// every slice.
func (c *Catalog) compile(sd *ig.StructureDefinition, d *definition) (*Profile, error) {
	p := &Profile{
		URL: sd.URL, Version: sd.Version, Name: sd.Name, Package: d.shelf.id, Type: sd.Type, Base: c.pin(c.structures, sd.Base, d.shelf),
		Kind: kindOf(sd.Kind), Abstract: sd.Abstract, Constraint: sd.Derivation == "constraint", ContextInvariants: sd.ContextInvariants,
	}
	for _, x := range sd.Contexts {
		p.Contexts = append(p.Contexts, Context(x))
	}
	if len(sd.Snapshot) == 0 {
		return nil, fmt.Errorf("%s: it has neither snapshot nor differential", sd.URL)
	}
	b := &builder{catalog: c, def: d, profile: p, byID: make(map[string]*Element, len(sd.Snapshot))}
	// One allocation for all elements: a profile lives and dies as a whole.
	b.arena = make([]Element, len(sd.Snapshot))
	for i := range sd.Snapshot {
		if err := b.add(&sd.Snapshot[i], i); err != nil {
			return nil, fmt.Errorf("element %s: %w", sd.Snapshot[i].ID, err)
		}
	}
	b.finish(p.Root)
	b.references(sd.Snapshot)
	return p, nil
}

func kindOf(s string) Kind {
	switch s {
	case "primitive-type":
		return PrimitiveType
	case "resource":
		return Resource
	case "logical":
		return Logical
	}
	return ComplexType
}

type builder struct {
	catalog *Catalog
	def     *definition
	profile *Profile
	arena   []Element
	byID    map[string]*Element
	// open is the way from the root to the element added last.
	open []opened
}

type opened struct {
	path string // as published, which for a renamed choice is not Element.Path
	el   *Element
}

func (b *builder) fault(format string, args ...any) {
	b.profile.Faults = append(b.profile.Faults, fmt.Sprintf(format, args...))
}

func (b *builder) add(ed *ig.ElementDefinition, i int) error {
	e := &b.arena[i]
	if err := b.fill(e, ed); err != nil {
		return err
	}
	b.byID[ed.ID] = e
	if len(b.open) == 0 {
		if i > 0 || strings.Contains(ed.Path, ".") {
			return fmt.Errorf("the first element of a snapshot has to be the type itself")
		}
		b.profile.Root = e
		b.open = append(b.open, opened{ed.Path, e})
		return nil
	}
	dot := strings.LastIndexByte(ed.Path, '.')
	if dot < 0 {
		return fmt.Errorf("a second root element")
	}
	up := len(b.open) - 1
	for up >= 0 && b.open[up].path != ed.Path[:dot] {
		up--
	}
	if up < 0 {
		return fmt.Errorf("no element %s comes before it", ed.Path[:dot])
	}
	parent := b.open[up].el
	b.open = b.open[:up+1]
	b.place(parent, e, ed)
	b.open = append(b.open, opened{ed.Path, e})
	return nil
}

// place hangs e under parent, or on the sibling that it is a slice of.
func (b *builder) place(parent, e *Element, ed *ig.ElementDefinition) {
	sliced := childByPath(parent, ed.Path)
	if sliced == nil && !e.Choice {
		if choice, typ := b.renamed(parent, e.Name); choice != nil {
			// An older spelling: Observation.valueQuantity for value[x]:valueQuantity.
			if e.SliceName == "" {
				e.SliceName = e.Name
			}
			e.Path, e.Name, e.Choice = choice.Path, choice.Name, true
			if len(e.Types) == 0 {
				e.Types = []Type{{Code: typ}}
			}
			sliced = choice
		} else if stem, typ := b.orphanChoice(parent, e.Name); stem != "" {
			// The renamed element stands alone: the choice is narrowed to it.
			e.Name, e.Choice = stem, true
			e.Path = ed.Path[:strings.LastIndexByte(ed.Path, '.')+1] + stem + "[x]"
			if len(e.Types) == 0 {
				e.Types = []Type{{Code: typ}}
			}
		}
	}
	if sliced == nil {
		parent.Children = append(parent.Children, e)
		return
	}
	if e.SliceName == "" {
		b.fault("%s: the path occurs twice and the second has no sliceName", e.ID)
		return
	}
	home := sliced
	for next := home; next != nil; { // a re-slice "a/b" hangs on slice "a"
		next = nil
		for _, s := range home.Slices {
			if strings.HasPrefix(e.SliceName, s.SliceName+"/") {
				next, home = s, s
				break
			}
		}
	}
	home.Slices = append(home.Slices, e)
}

func childByPath(parent *Element, path string) *Element {
	for _, c := range slices.Backward(parent.Children) {
		if c.Path == path {
			return c
		}
	}
	return nil
}

// renamed finds the choice element among parent's children that name is a renaming of: "valueQuantity" of value[x].
func (b *builder) renamed(parent *Element, name string) (choice *Element, typ string) {
	for _, c := range parent.Children {
		if !c.Choice || len(name) <= len(c.Name) || !strings.HasPrefix(name, c.Name) {
			continue
		}
		for _, t := range c.Types {
			if capitalized(t.Code) == name[len(c.Name):] {
				return c, t.Code
			}
		}
		if typ := b.catalog.typeBySuffix(name[len(c.Name):]); typ != "" {
			return c, typ
		}
	}
	return nil, ""
}

// orphanChoice recognizes a renamed choice element whose [x] element the snapshot lacks, by the parent's type.
func (b *builder) orphanChoice(parent *Element, name string) (stem, typ string) {
	base := b.catalog.childrenOf(b.def, parent)
	for i := range base {
		c := base[i]
		if c.Choice && len(name) > len(c.Name) && strings.HasPrefix(name, c.Name) {
			for _, t := range c.Types {
				if capitalized(t.Code) == name[len(c.Name):] {
					return c.Name, t.Code
				}
			}
		}
		if c.Name == name {
			return "", ""
		}
	}
	return "", ""
}

// childrenOf gives the children that the base type knows for the element, when el's own type is a FHIR type other than the one
// being compiled.
func (c *Catalog) childrenOf(d *definition, el *Element) []*Element {
	var name string
	switch {
	case !strings.Contains(el.Path, "."):
		name = el.Path
	case len(el.Types) == 1:
		name = el.Types[0].Code
	}
	if name == "" || d.Derivation != "constraint" {
		return nil
	}
	base := c.typeDefinition(name)
	if base == nil || base == d {
		return nil
	}
	p, err := c.compiled(base)
	if err != nil {
		return nil
	}
	return p.Root.Children
}

// typeDefinition is the definition of a FHIR type.
func (c *Catalog) typeDefinition(name string) *definition {
	for _, d := range c.structures[typePrefix+name] {
		if d.Derivation != "constraint" && d.Of == name {
			return d
		}
	}
	return nil
}

// typeBySuffix finds the type whose capitalized name is s.
func (c *Catalog) typeBySuffix(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return ""
	}
	if c.typeDefinition(s) != nil {
		return s
	}
	if low := string(s[0]+'a'-'A') + s[1:]; c.typeDefinition(low) != nil {
		return low
	}
	return ""
}

func capitalized(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// fill copies the facts of one element.
func (b *builder) fill(e *Element, ed *ig.ElementDefinition) error {
	name := ed.Path[strings.LastIndexByte(ed.Path, '.')+1:]
	stem, choice := strings.CutSuffix(name, "[x]")
	*e = Element{
		ID: ed.ID, Path: ed.Path, Name: stem, Choice: choice, SliceName: ed.SliceName, Min: max(ed.Min, 0), MaxLength: ed.MaxLength,
		Fixed: ed.Fixed.Node, Pattern: ed.Pattern.Node, FixedType: ed.Fixed.Type, MinValue: ed.MinValue.Node, MaxValue: ed.MaxValue.Node,
		ValueType: ed.MinValue.Type, MustSupport: ed.MustSupport == ig.Yes, IsModifier: ed.IsModifier == ig.Yes, IsSummary: ed.IsSummary == ig.Yes,
	}
	e.Matches, e.NarrativeSource, e.NarrativeLanguages = ed.Regex, ed.NarrativeSource != "", ed.NarrativeLanguages
	if ed.Pattern.Node != nil {
		e.FixedType = ed.Pattern.Type
	}
	if ed.MaxValue.Node != nil {
		e.ValueType = ed.MaxValue.Type
	}
	var err error
	if e.Max, err = maxOf(ed.Max); err != nil {
		return err
	}
	baseMax := e.Max
	if ed.BaseMax != "" {
		if baseMax, err = maxOf(ed.BaseMax); err != nil {
			return err
		}
	}
	e.Many = baseMax == Unbounded || baseMax > 1
	b.types(e, ed)
	if ed.Binding != nil {
		e.Binding = b.binding(ed.Binding)
	}
	for i := range ed.Constraints {
		if ed.Constraints[i].Expression == "" {
			b.fault("%s: invariant %s has no FHIRPath expression", ed.ID, ed.Constraints[i].Key)
			continue
		}
		e.Invariants = append(e.Invariants, b.invariant(&ed.Constraints[i]))
	}
	if ed.Slicing != nil {
		e.Slicing = slicingOf(ed.Slicing)
	}
	return nil
}

func maxOf(s string) (int, error) {
	switch s {
	case "*":
		return Unbounded, nil
	case "":
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("max %q is neither a count nor *", s)
	}
	return n, nil
}

const systemPrefix = "http://hl7.org/fhirpath/System."

func (b *builder) types(e *Element, ed *ig.ElementDefinition) {
	if len(ed.Types) == 0 {
		return
	}
	c, from := b.catalog, b.def.shelf
	e.Types = make([]Type, len(ed.Types))
	for i := range ed.Types {
		t := &ed.Types[i]
		e.Types[i] = Type{Code: t.Code, Aggregation: t.Aggregation, Versioning: t.Versioning, MustSupport: t.MustSupport}
		for _, u := range t.Profiles {
			e.Types[i].Profiles = append(e.Types[i].Profiles, c.pin(c.structures, u, from))
		}
		for _, u := range t.TargetProfiles {
			e.Types[i].TargetProfiles = append(e.Types[i].TargetProfiles, c.pin(c.structures, u, from))
		}
		if name, ok := strings.CutPrefix(t.Code, systemPrefix); ok {
			e.Types[i].Code = fhirName(name, t.FHIRType)
			if b.profile.Kind == Resource && e.Name == "id" && strings.Count(e.Path, ".") == 1 {
				e.Types[i].Code = "id" // published as string; resource ids have the narrower form
			}
			if e.Name == "value" && b.profile.Kind == PrimitiveType {
				e.Regex = regexOf(b.profile.Type, t.Regex)
			}
		}
		if e.Types[i].Code == "" {
			b.fault("%s: a type has no code", e.ID)
		}
	}
}

// fhirName is the FHIR type behind a FHIRPath System type.
func fhirName(system, published string) string {
	if published != "" {
		return published
	}
	return string(system[0]|0x20) + system[1:]
}

// regexOf corrects the expressions that are published malformed, or that a valid value does not match.
func regexOf(typ, published string) string {
	switch typ {
	case "decimal":
		return `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
	case "string", "markdown":
		return `[\s\S]+`
	case "xhtml":
		return ""
	case "base64Binary":
		return `(\s*([0-9a-zA-Z+/=]){4}\s*)+`
	case "time":
		return `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
	}
	return published
}

func (b *builder) binding(ib *ig.Binding) *Binding {
	c, from := b.catalog, b.def.shelf
	out := &Binding{ValueSet: c.pin(c.valueSets, ib.ValueSet, from), MaxValueSet: c.pin(c.valueSets, ib.MaxValueSet, from)}
	switch ib.Strength {
	case "required":
		out.Strength = Required
	case "extensible":
		out.Strength = Extensible
	case "preferred":
		out.Strength = Preferred
	}
	return out
}

func (b *builder) invariant(k *ig.Constraint) *Invariant {
	inv := Invariant{Key: k.Key, Warning: k.Severity == "warning", BestPractice: k.BestPractice, Expression: k.Expression, Source: k.Source}
	for _, e := range b.catalog.errata[k.Key] {
		if e.Published == "" || e.Published == k.Expression {
			inv.Published, inv.Expression, inv.Erratum = k.Expression, e.Expression, e.Reason
			break
		}
	}
	return b.catalog.invariants.get(inv)
}

func slicingOf(s *ig.Slicing) *Slicing {
	out := &Slicing{Ordered: s.Ordered}
	switch s.Rules {
	case "closed":
		out.Rules = Closed
	case "openAtEnd":
		out.Rules = OpenAtEnd
	}
	for _, d := range s.Discriminators {
		out.Discriminators = append(out.Discriminators, Discriminator(d))
	}
	return out
}

// finish supplies what a snapshot may leave unsaid, below e.
func (b *builder) finish(e *Element) {
	if len(e.Slices) > 0 && e.Slicing == nil {
		switch {
		case e.Choice:
			e.Slicing = &Slicing{Discriminators: []Discriminator{{"type", "$this"}}}
		case e.Name == "extension" || e.Name == "modifierExtension":
			e.Slicing = &Slicing{Discriminators: []Discriminator{{"value", "url"}}}
		case strings.Contains(e.SliceName, "/") || e.SliceName == "":
			e.Slicing = &Slicing{}
			b.fault("%s: it has slices and no slicing", e.ID)
		default: // re-slices of a slice go by the slicing they are part of
			e.Slicing = &Slicing{}
		}
	}
	for _, s := range e.Slices {
		s.Many = e.Many
		b.finish(s)
	}
	for _, c := range e.Children {
		b.finish(c)
		if b.profile.Kind == PrimitiveType && e == b.profile.Root && c.Name == "value" {
			e.Regex = c.Regex
		}
	}
}

// references points contentReference elements to the element of the same snapshot whose content they have. A reference by full
// URL leads to the definition of that URL: what the profile says about the element of its own does not hold for it.
func (b *builder) references(snapshot []ig.ElementDefinition) {
	for i := range snapshot {
		ref := snapshot[i].ContentReference
		if ref == "" {
			continue
		}
		url, id, _ := strings.Cut(ref, "#")
		to := b.byID[id]
		if to == nil {
			b.fault("%s: contentReference %s leads nowhere", snapshot[i].ID, ref)
			continue
		}
		b.arena[i].ContentReference = to
		b.arena[i].ContentOfBase = url != "" && url != b.profile.URL
	}
}
