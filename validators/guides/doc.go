// Package guides is what this build knows: FHIR R4 and the built-in implementation guides, as tables embedded in the binary.
//
// Load gives the Library; Library.Set picks active guides and is what validation works with; Library.With adds packages at run
// time, which then behave as built-in ones. Opening the library reads indexes only; definitions are unpacked and compiled on
// first use.
//
// The tables under tables/ are written by gen (go generate) from published packages and hold facts only: paths, cardinalities,
// types, bindings, codes, fixed values, invariant keys and expressions. They are never edited by hand. guides.json lists the
// packages with the digest of their source, errata.json the published invariants that cannot be taken literally and what is
// evaluated instead.
package guides

//go:generate go run ./gen
