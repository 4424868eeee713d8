// Package coverage counts, over many resources, what a profile marks must-support: elements, slices, choices and extensions that
// were seen, each with its first evidence, and those that were not.
//
// A Collector is fed resources with the profile they are held against, in any order and from several goroutines; Report gives the
// tally. The counting follows the US Core test kit: an element counts when some resource has a value there, extensions aside, so a
// data-absent-reason alone does not count; below a slice only members of the slice count; an element with a fixed value counts
// with that value; of alternatives one is enough. Exceptions are in treatments.go.
//
// It is no validator: a resource counts whatever else is wrong with it, and what is missing is not a fault of any one resource. It
// does not follow references: of a Reference it notes the types it names. A slice told apart by a profile counts by resource type.
package coverage
