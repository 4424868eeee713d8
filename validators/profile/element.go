package profile

import (
	"fhirwire/validators/fhirjson"
)

// Profile is one StructureDefinition (a base type, a constraint on one, or an extension) compiled to a tree of elements. It
// is immutable and shared.
type Profile struct {
	URL     string
	Version string
	Name    string
	// Package is the guide it came from, "hl7.fhir.us.core#3.1.1".
	Package string
	// Type is the FHIR type constrained: "Patient", "Extension", "Quantity".
	Type string
	// Base is the canonical of the parent definition, "" for Element and Resource.
	Base string
	Kind Kind
	// Abstract marks Resource, DomainResource, Element, BackboneElement …
	Abstract bool
	// Constraint is true for profiles and extensions, false for the types themselves.
	Constraint bool
	// Contexts say where an extension may be used; ContextInvariants are FHIRPath over %extension.
	Contexts          []Context
	ContextInvariants []string
	Root              *Element
	// Faults are defects of the definition itself, met when it was compiled (a discriminator that leads nowhere, an
	// invariant that does not compile); a report names them once, and what they concern is not checked.
	Faults []string
}

// Kind is StructureDefinition.kind.
type Kind uint8

// The kinds.
const (
	PrimitiveType Kind = iota
	ComplexType
	Resource
	Logical
)

// Context is one entry of StructureDefinition.context.
type Context struct {
	Type       string // element, extension, fhirpath
	Expression string
}

// Unbounded is Max for "*".
const Unbounded = -1

// Element is one ElementDefinition in the tree of a profile's snapshot. Slices hang on the element they slice, never among
// its children.
type Element struct {
	// ID and Path are as in the snapshot: "Observation.category:VSCat.coding", "Observation.category.coding".
	ID   string
	Path string
	// Name is the last path step without [x]: the JSON member name, or its stem for a choice.
	Name      string
	SliceName string
	Min       int
	Max       int // Unbounded for *
	// Many is true when the base definition repeats: JSON has an array even when this profile says max 1.
	Many   bool
	Choice bool
	Types  []Type
	// Fixed and Pattern are JSON values from the definition, FixedType their FHIR type.
	Fixed     *fhirjson.Node
	Pattern   *fhirjson.Node
	FixedType string
	Binding   *Binding
	MinValue  *fhirjson.Node // with MinValueType its FHIR type
	MaxValue  *fhirjson.Node
	ValueType string
	MaxLength int // 0: none
	// Matches is a regular expression for the whole value, of the profile's own; "" for none.
	Matches string
	// NarrativeSource asks a narrative to say where each of its parts comes from; NarrativeLanguages are the languages it has to
	// be in: codes, or _yes (some), _no (none), _more (several), _resource (that of the resource).
	NarrativeSource    bool
	NarrativeLanguages []string
	// Regex is the corrected regular expression of a primitive type's value, "" for none.
	Regex       string
	Invariants  []*Invariant
	MustSupport bool
	IsModifier  bool
	IsSummary   bool

	// Slicing is set on the element that opens a slicing; Slices are its slices in order (re-slices hang on their slice).
	Slicing *Slicing
	Slices  []*Element
	// Children are the direct children this snapshot spells out. Nil: the children are those of the type (or of each
	// type.profile), or of ContentReference.
	Children []*Element
	// ContentReference is the element whose children apply, in the same snapshot; recursion is by this pointer.
	ContentReference *Element
	// ContentOfBase is true when ContentReference means the element as the base type defines it, not as this profile does.
	ContentOfBase bool
}

// Type is one entry of ElementDefinition.type.
type Type struct {
	// Code is a FHIR type name; for the FHIRPath System types of primitives' value and id elements, the FHIR name ("string").
	Code           string
	Profiles       []string
	TargetProfiles []string
	Aggregation    []string // contained, referenced, bundled
	Versioning     string   // either, independent, specific
	// MustSupport marks those types of an element that a guide wants supported.
	MustSupport bool
}

// Strength is a binding's strength.
type Strength uint8

// The strengths.
const (
	Example Strength = iota
	Preferred
	Extensible
	Required
)

// Binding ties an element to a value set.
type Binding struct {
	Strength    Strength
	ValueSet    string // canonical, with |version where the definition has one
	MaxValueSet string // the maxValueSet extension: required outer bound
}

// Invariant is one constraint of an element. Identical expressions are shared by pointer over the whole Set.
type Invariant struct {
	Key string
	// Warning is true for severity warning.
	Warning      bool
	BestPractice bool
	Expression   string // as evaluated
	// Published is the expression in the definition where an erratum replaced it; Erratum says why.
	Published string
	Erratum   string
	// Source is the canonical of the definition that introduced it.
	Source string
}

// Slicing is ElementDefinition.slicing.
type Slicing struct {
	Discriminators []Discriminator
	Ordered        bool
	Rules          Rules
}

// Rules is slicing.rules.
type Rules uint8

// The rules.
const (
	Open Rules = iota
	Closed
	OpenAtEnd
)

// Discriminator is one of slicing.discriminator.
type Discriminator struct {
	Type string // value, pattern, exists, type, profile, position
	Path string // "$this", "code.coding", "resolve()", "extension('url').value"
}
