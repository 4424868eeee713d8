// Package testplans holds the words of testing: Verdict (what the tool says), its roll-up, State, EvidenceKind and Review.
//
// It is vocabulary only; plans, checks and the judge are subpackages. It imports the words of proxy and validators.
package testplans
