package instance

import (
	"regexp"
	"strings"
	"sync"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
)

// shape is how an element is written in JSON.
type shape uint8

const (
	primitive shape = iota
	complexShape
	resourceShape
)

// plan is an element as the walk uses it. The plan of a base type (base == nil) says what members there may be; the plan of
// a profile belongs to one base plan and holds only what the profile adds.
type plan struct {
	el   *profile.Element
	prof *profile.Profile
	base *plan

	typ    string // FHIR type of the value
	shape  shape
	prim   primKind
	data   dataKind
	fpType *fhirpath.Type

	fixed, pattern     *fhirjson.Node
	minValue, maxValue *fhirjson.Node
	maxLength          int
	form               *regexp.Regexp // of a primitive's value
	badForm            string         // why form could not be made
	story              *story         // of a Narrative
	binding            *profile.Binding
	invariants         []*invariant
	targets            *targets // of a Reference, where they are limited
	types              []string // for resources: the types allowed, where the profile limits them
	alternatives       []string // profiles of the type, one of which must hold

	once sync.Once
	kids *kids // base plans: through children()

	diff *diff // profile plans; nil when there is nothing below
	ref  *profile.Element
}

// kids are the members that an object of a base plan may have.
type kids struct {
	slots    []slot
	members  []*member
	byName   map[string]*member
	required []int // slots with a minimum
	capped   []int // slots with a maximum above 1
	choices  []int
}

// slot is one child element; a choice has one slot and several members.
type slot struct {
	el   *profile.Element
	many bool
}

// member is a JSON member name: an element in one of its types.
type member struct {
	name  string
	slot  int
	index int
	typ   profile.Type
	el    *profile.Element
	def   *profile.Profile
	once  sync.Once
	p     *plan
}

// diff is what a profile says about the children of an element, in terms of the base plan's slots and members.
type diff struct {
	byMember  []*plan
	forbidden []bool // by member; nil when no type is forbidden
	cards     []card
	slicings  []*slicing
}

// card is a cardinality tightened by a profile.
type card struct {
	slot     int
	el       *profile.Element
	min, max int
}

// basePlan is the root plan of a type.
func (v *Validator) basePlan(typeName string) *plan {
	if p, ok := v.bases.Load(typeName); ok {
		return p.(*plan)
	}
	typeName = strings.Clone(typeName) // it may share memory with the input
	def, ok := v.defs.Base(typeName)
	if !ok || def.Root == nil {
		return nil
	}
	p, _ := v.bases.LoadOrStore(typeName, v.newBase(def, def.Root, profile.Type{Code: typeName}))
	return p.(*plan)
}

func (v *Validator) newBase(def *profile.Profile, el *profile.Element, t profile.Type) *plan {
	p := &plan{el: el, prof: def, typ: t.Code, shape: v.shapeOf(t.Code), data: dataKinds[t.Code]}
	p.fixed, p.pattern = el.Fixed, el.Pattern
	p.minValue, p.maxValue, p.maxLength = el.MinValue, el.MaxValue, el.MaxLength
	p.binding = el.Binding
	p.alternatives = t.Profiles
	if p.shape == primitive {
		p.prim = primKinds[t.Code]
	}
	if p.data == dataReference || p.prim == primCanonical && el.Path != "Meta.profile" { // claims have checks of their own
		p.targets = v.newTargets([]profile.Type{t})
	}
	p.invariants = v.invariants(nil, el, def)
	if el.ContentReference != nil {
		p.invariants = v.invariants(p.invariants, el.ContentReference, def)
	}
	if el != def.Root {
		if root, ok := v.defs.Base(t.Code); ok && root.Root != nil && el.Children == nil && el.ContentReference == nil {
			p.invariants = v.invariants(p.invariants, root.Root, root)
		}
	}
	name := t.Code
	switch {
	case el.ContentReference != nil:
		name = el.ContentReference.Path
	case el.Children != nil:
		name = el.Path
	}
	if ft, ok := v.defs.Type(name); ok {
		p.fpType = ft
	}
	return p
}

func (v *Validator) shapeOf(typeName string) shape {
	if _, ok := primKinds[typeName]; ok {
		return primitive
	}
	if typeName == "Resource" || typeName == "DomainResource" || v.defs.IsResourceType(typeName) {
		return resourceShape
	}
	return complexShape
}

// children are the members an object under base plan p may have. They belong to the element that spells them out, which
// every element of one datatype shares.
func (v *Validator) children(p *plan) *kids {
	p.once.Do(func() {
		def, el := p.prof, p.el
		if el.ContentReference != nil {
			el = el.ContentReference
		} else if el.Children == nil {
			if d, ok := v.defs.Base(p.typ); ok && d.Root != nil {
				def, el = d, d.Root
			}
		}
		got, ok := v.owners.Load(el)
		if !ok {
			got, _ = v.owners.LoadOrStore(el, newKids(def, el, p.shape == primitive))
		}
		p.kids = got.(*kids)
	})
	return p.kids
}

func newKids(def *profile.Profile, owner *profile.Element, ofPrimitive bool) *kids {
	k := &kids{byName: make(map[string]*member, 2*len(owner.Children))}
	for _, el := range owner.Children {
		if ofPrimitive && el.Name == "value" {
			continue
		}
		at := len(k.slots)
		k.slots = append(k.slots, slot{el: el, many: el.Many})
		if el.Min > 0 {
			k.required = append(k.required, at)
		}
		if el.Max > 1 {
			k.capped = append(k.capped, at)
		}
		if el.Choice {
			k.choices = append(k.choices, at)
		}
		types := el.Types
		if el.ContentReference != nil {
			types = []profile.Type{{Code: "BackboneElement"}}
		}
		for _, t := range types {
			m := &member{name: el.Name, slot: at, index: len(k.members), typ: t, el: el, def: def}
			if el.Choice {
				m.name = choiceName(el.Name, t.Code)
			}
			k.members = append(k.members, m)
			k.byName[m.name] = m
		}
	}
	return k
}

// plan is the member's base plan, made on first use: recursion in the definitions ends here.
func (m *member) plan(v *Validator) *plan {
	m.once.Do(func() { m.p = v.newBase(m.def, m.el, m.typ) })
	return m.p
}

func choiceName(stem, typeName string) string {
	if typeName == "" {
		return stem
	}
	return stem + strings.ToUpper(typeName[:1]) + typeName[1:]
}
