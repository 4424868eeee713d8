// Package parse turns FHIRPath source into a tree whose nodes know their position and print themselves.
//
// Parse is the whole interface; a fault is an *Error with the place. It knows the grammar of FHIRPath N1 and no FHIR: names
// of types, elements and functions are not judged here, and literals keep their text.
package parse
