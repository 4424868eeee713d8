// Package value is the System values of FHIRPath: what they are, how they compare, and how they are computed with.
//
// Values are immutable. Comparison has three answers, because dates and times carry a precision and quantities a unit:
// Equal and Compare say whether they know. Decimals are exact and keep the digits they were written with. The package knows
// no FHIR types; an Element is only carried through.
package value
