// Package fhirpath evaluates FHIRPath over FHIR JSON.
//
// Compile turns source into an Expr, which is immutable and shared by goroutines; CompileFor does the same and also refuses
// what cannot mean anything for the given context types (unknown elements, functions used on the wrong type), which profile
// authors want and instances do not need. Eval gives the result as a value.Collection, Truth judges an invariant.
//
// The engine asks a Model about types and never guesses them from the data. What lies outside it (terminology, profiles,
// other resources, the clock) comes by Env; what it cannot answer is an error that wraps ErrNotChecked, never a result. It
// writes nothing into the tree it reads.
package fhirpath
