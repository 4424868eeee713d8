package value

import (
	"errors"
	"strconv"

	"fhirwire/validators/fhirjson"
)

// Value is one item of a collection: a System value or an Element. The set is closed.
type Value interface {
	// Type is the name of the System type, or of an Element's FHIR type.
	Type() string
	// String is the value as toString() gives it; empty for an Element that is no primitive.
	String() string
	sealed()
}

// Collection is an ordered result.
type Collection []Value

// Boolean is System.Boolean.
type Boolean bool

// String is System.String.
type String string

// Integer is System.Integer, 32 bits wide in its range.
type Integer int64

// Range of Integer.
const (
	MinInteger Integer = -1 << 31
	MaxInteger Integer = 1<<31 - 1
)

// TypeInfo is what type() returns.
type TypeInfo struct{ Namespace, Name string }

// Element is an element of a resource. Node is its value, or what stands for it (see fhirjson.Node.AppendElements).
type Element struct {
	Node *fhirjson.Node
	// FHIRType is the name of its type, "" where no model told it.
	FHIRType string
}

// ErrUnit says that units are beyond this package, so that no answer can be given.
var ErrUnit = errors.New("unit not known")

// ErrOperands says that an operator is not defined for the types of its operands.
var ErrOperands = errors.New("the operator is not defined for these types")

// Type is "Boolean".
func (Boolean) Type() string { return "Boolean" }

// Type is "String".
func (String) Type() string { return "String" }

// Type is "Integer".
func (Integer) Type() string { return "Integer" }

// Type is "Decimal".
func (Decimal) Type() string { return "Decimal" }

// Type is "Date".
func (Date) Type() string { return "Date" }

// Type is "DateTime".
func (DateTime) Type() string { return "DateTime" }

// Type is "Time".
func (Time) Type() string { return "Time" }

// Type is "Quantity".
func (Quantity) Type() string { return "Quantity" }

// Type is "TypeInfo".
func (TypeInfo) Type() string { return "TypeInfo" }

// Type is the FHIR type.
func (e Element) Type() string { return e.FHIRType }

func (b Boolean) String() string { return strconv.FormatBool(bool(b)) }
func (s String) String() string  { return string(s) }
func (i Integer) String() string { return strconv.FormatInt(int64(i), 10) }

// String is the qualified name.
func (t TypeInfo) String() string { return t.Namespace + "." + t.Name }

// String is the text of a primitive.
func (e Element) String() string { return e.Node.Text() }

func (Boolean) sealed()  {}
func (String) sealed()   {}
func (Integer) sealed()  {}
func (Decimal) sealed()  {}
func (Date) sealed()     {}
func (DateTime) sealed() {}
func (Time) sealed()     {}
func (Quantity) sealed() {}
func (TypeInfo) sealed() {}
func (Element) sealed()  {}

// Tri is an answer in three values.
type Tri uint8

// The answers.
const (
	Unknown Tri = iota
	False
	True
)

// Of is the Tri of a bool.
func Of(b bool) Tri {
	if b {
		return True
	}
	return False
}

// Not is the negation; Unknown stays.
func (t Tri) Not() Tri {
	switch t {
	case True:
		return False
	case False:
		return True
	default:
		return Unknown
	}
}
