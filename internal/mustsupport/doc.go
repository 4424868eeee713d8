// Package mustsupport counts which must-support elements of profiles occur in recorded responses, each with the exchange that showed it first.
//
// Use New with the stores and the definitions, and call Support for a channel or for all. What was counted is remembered, so that asking
// again reads only what is new. A resource is held against the profiles that its report names for it. Bodies that are too large, cut off or
// not stored are left out: what is missing is then only not seen.
package mustsupport
