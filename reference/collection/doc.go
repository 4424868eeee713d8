// Package collection holds the requests that a client makes in each track, as one table, and writes them as a Postman collection
// or an .http file.
//
// For gives a track's requests, Postman and HTTP their files. The requests fit the synthetic data of the reference server
// ("fhirwire serve --demo"); against another server the variables at the top are to be changed. The package sends nothing.
package collection
