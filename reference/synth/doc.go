// Package synth makes the synthetic members of the reference payer: whole FHIR R4 records, the same for the same seed.
//
// New(Options{...}).All() streams resources, referenced ones before those that refer to them (attribution Groups last). Every
// member is made from the seed and its own number alone, so member 17 is the same person whether 20 or 20,000 are asked for.
// Fixed members come first: those that the public client collections ask for by id, and the edge cases of member matching.
//
// Resources claim US Core 3.1.1, HRex 1.0.0, PDex 2.0.0, CARIN BB 2.0.0 and ATR 2.1.0 profiles. The people, places and plans are
// invented; codes are real and go together as they would in a chart, but nobody should learn medicine here. The package writes
// no files, serves nothing and reads no clock.
package synth
