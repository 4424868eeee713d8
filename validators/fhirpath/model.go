package fhirpath

import (
	"context"
	"errors"
	"sync"

	"fhirwire/validators/fhirjson"
)

// Model knows the FHIR types. profile.Set is the one over real definitions.
type Model interface {
	// Type finds a type by its FHIR name ("Patient", "HumanName", "string", and "Patient.contact" for a backbone element).
	Type(name string) (*Type, bool)
}

// TypeKind sorts types.
type TypeKind uint8

// The kinds of types.
const (
	PrimitiveType TypeKind = iota
	ComplexType
	ResourceType
)

// Type is a FHIR type as the engine sees it. A model has one Type value per type, so pointers compare. It is immutable and
// shared; its elements are loaded on first use.
type Type struct {
	Name string
	Kind TypeKind
	// Base is the type this one specializes, nil at the top: Patient → DomainResource → Resource; Age → Quantity → Element.
	Base *Type

	system systemKind

	once     sync.Once
	load     func() []Element
	elements []Element
	byName   map[string]*Element
	byMember map[string]Member
}

// Element is a child element of a type, inherited ones included.
type Element struct {
	// Name is the FHIRPath name, "value" for value[x].
	Name string
	// Choice marks a [x] element: its JSON member is Name plus the capitalized type name.
	Choice bool
	// Many is true when max > 1, hence a JSON array.
	Many bool
	// Types has one entry unless Choice. The Resource type stands for any resource (contained, Bundle.entry.resource).
	Types []*Type
}

// Member is what a JSON member name means in a type.
type Member struct {
	Element *Element
	Type    *Type
}

// NewType makes a type whose elements load gives when they are first asked for. load must not ask t for its elements.
func NewType(name string, kind TypeKind, base *Type, load func() []Element) *Type {
	return &Type{Name: name, Kind: kind, Base: base, load: load, system: systemKindOf(name, kind, base)}
}

// systemKind is the System type that an element of a type converts to.
type systemKind uint8

const (
	sysNone systemKind = iota
	sysBoolean
	sysString
	sysInteger
	sysDecimal
	sysDate
	sysDateTime
	sysTime
	sysQuantity
)

func systemKindOf(name string, kind TypeKind, base *Type) systemKind {
	if kind == ComplexType {
		if name == "Quantity" || base != nil && base.system == sysQuantity {
			return sysQuantity
		}
		return sysNone
	}
	if kind == ResourceType {
		return sysNone
	}
	switch name {
	case "boolean":
		return sysBoolean
	case "integer", "integer64", "positiveInt", "unsignedInt":
		return sysInteger
	case "decimal":
		return sysDecimal
	case "date":
		return sysDate
	case "dateTime", "instant":
		return sysDateTime
	case "time":
		return sysTime
	}
	if base != nil && base.system != sysNone {
		return base.system
	}
	return sysString
}

func (t *Type) fill() {
	t.once.Do(func() {
		if t.load != nil {
			t.elements = t.load()
		}
		t.byName = make(map[string]*Element, len(t.elements))
		t.byMember = make(map[string]Member, len(t.elements))
		for i := range t.elements {
			e := &t.elements[i]
			t.byName[e.Name] = e
			for _, et := range e.Types {
				t.byMember[e.MemberName(et)] = Member{e, et}
			}
		}
	})
}

// MemberName is the JSON member that holds the element when its value has type t.
func (e *Element) MemberName(t *Type) string {
	if !e.Choice || t.Name == "" {
		return e.Name
	}
	first := t.Name[0]
	if first >= 'a' && first <= 'z' {
		first -= 'a' - 'A'
	}
	return e.Name + string(first) + t.Name[1:]
}

// Elements lists the child elements in definition order.
func (t *Type) Elements() []Element {
	t.fill()
	return t.elements
}

// Element finds a child element by its FHIRPath name.
func (t *Type) Element(name string) (*Element, bool) {
	t.fill()
	e, ok := t.byName[name]
	return e, ok
}

// Member finds what a JSON member name (without a twin's underscore) means: "valueQuantity" is element value of type Quantity.
func (t *Type) Member(jsonName string) (Member, bool) {
	t.fill()
	m, ok := t.byMember[jsonName]
	return m, ok
}

// Is reports whether t is other or specializes it.
func (t *Type) Is(other *Type) bool {
	for ; t != nil; t = t.Base {
		if t == other {
			return true
		}
	}
	return false
}

// Resolver finds what resolve() points to. from is the Reference element or the uri; nil with no error means it is not to be
// found, and resolve() is then empty.
type Resolver interface {
	Resolve(ctx context.Context, from *fhirjson.Node, reference string) (*fhirjson.Node, error)
}

// Terminology answers memberOf(). item is a code, Coding, CodeableConcept or string element. An answer that cannot be had is
// an error that wraps ErrNotChecked, never false.
type Terminology interface {
	MemberOf(ctx context.Context, item *fhirjson.Node, valueSet string) (bool, error)
}

// Conformance answers conformsTo(), under the same rule.
type Conformance interface {
	ConformsTo(ctx context.Context, item *fhirjson.Node, profile string) (bool, error)
}

// ErrNotChecked is wrapped by every error that says an expression could not be judged for want of something outside it: a
// terminology, a unit conversion, a function beyond this engine. It is never a verdict on the data.
var ErrNotChecked = errors.New("not checked")
