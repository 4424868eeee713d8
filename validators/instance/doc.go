// Package instance validates one resource in one walk: against its base type, the profiles it claims and those asked for.
//
// New takes the definitions and the terminology, Validate walks a fhirjson tree and gives a validators.Report. A Validator
// is safe for concurrent use. Definitions are compiled to plans on first use: a plan of the base type knows the members an
// object may have, a plan of a profile holds only what the profile adds to it, and the walk carries a vector of both.
//
// Every finding names one rule of Rules. What cannot be judged (a value set without an expansion, an expression beyond the
// engine, an unknown profile) is an issue with NotChecked set, never a pass and never an error.
//
// The package knows no HTTP and no exchange, follows no reference outside its input unless a Resolver is given, and
// validates conformance resources as instances of their types, and a StructureDefinition also as far as it contradicts the type it
// constrains.
package instance
