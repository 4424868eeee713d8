// Package fhirapi is the FHIR REST interface of the reference payer: routes, Bundles, OperationOutcomes and the capability
// statement, over a resource store, a search registry, a bulk exporter and a member matcher.
//
// New(store, registry, exporter, Options{}) gives an API; its Handler serves everything below /fhir. gin stays in this package.
// What is written is refused where Options.Validate finds an error, unless the client prefers lenient handling; a batch runs entry by
// entry, a transaction as a whole or not at all. It authenticates nobody. PATCH, _has and composite search are not served.
package fhirapi
