// Package httprules holds the rules on one exchange as HTTP and FHIR REST see it: content types, status codes, headers,
// OperationOutcomes, search Bundles, paging links, the bulk data protocol, OAuth messages.
//
// Table is the whole of it, one Rule an entry; Check runs those that concern an exchange's interaction. A rule sees the decoded
// bodies in a Case and no StructureDefinition: what a resource must look like is package instance. JSON that has no FHIR
// profile is checked against the JSON Schemas in schemas.
package httprules
