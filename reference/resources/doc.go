// Package resources keeps versioned FHIR resources in a relational database and finds them again.
//
// New prepares a Store over an open sqldb.DB. Put, Get, Version, History and Delete work on one resource; Load fills the
// store in batches; Search plans a search.Query over the index tables; Stream reads whole types for an export with bounded
// memory. Bodies are kept as the client wrote them, but for white space and for meta.versionId and meta.lastUpdated, which
// are the server's. The package validates nothing and speaks no HTTP.
package resources
