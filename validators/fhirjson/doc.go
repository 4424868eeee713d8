// Package fhirjson is FHIR JSON as a tree that keeps what other decoders lose: member order, the lexical form of numbers,
// duplicate members, and the byte offset of everything.
//
// Parse never refuses input: it reports Problems (with offsets) and goes on past commas, comments and missing quotes, so
// that one slip does not hide forty findings. A Node is a JSON value. Primitive elements and their "_name" twins are joined
// by Twin, AppendElements gives the FHIR view of a member. Text of nodes shares memory with the input: the input must not
// change while a Document lives, and text that outlives it is to be cloned.
//
// The package knows JSON and FHIR's way of writing it; it knows no FHIR definitions.
package fhirjson
