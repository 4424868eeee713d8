// Package fetch finds FHIR packages outside this build: in the FHIR package cache of the machine, in a package registry, and in
// a folder of our own that keeps packages as compact tables.
//
// A Finder gets one package by name and version, or everything that a package depends on; a Dir keeps what was found. Whether the
// definitions in a package are sound is for those who compile them: nothing here looks into a definition.
package fetch
