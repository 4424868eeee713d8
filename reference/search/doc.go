// Package search is FHIR search without a database: which parameters this server has, what a resource contributes to each
// of them, and what a query string asks.
//
// NewRegistry joins the table of served parameters with their SearchParameter definitions and compiles the expressions.
// (*Registry).Index turns a resource into Entries, (*Registry).Parse turns a query into a Query; both sides go through the
// same normal forms, so a store only compares. The package runs no SQL: reference/resources plans a Query over its tables.
package search
