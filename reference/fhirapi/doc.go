// Package fhirapi is the FHIR REST interface of the reference payer: routes, Bundles, OperationOutcomes and the capability
// statement, over a resource store, a search registry, a bulk exporter and a member matcher.
//
// New(store, registry, exporter, Options{}) gives an API; its Handler serves everything below /fhir. gin stays in this package.
// It checks the form of what is written (JSON, resource type, id), not its profiles, and it authenticates nobody.
package fhirapi
