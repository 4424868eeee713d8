// Package membermatch answers HRex Patient/$member-match for the reference payer: which member is meant, and may the asking
// plan have the member's data.
//
// New(lookup, clock, Options{}) gives a Matcher; Match takes the request body and gives status, body and, on success, the Grant
// that a token may rest on. The lookup is an ordinary FHIR search over the payer's own Patients, Coverages and Consents. Every
// rule carries the id of its requirement in comments (P2P-MM-*).
//
// ReadBundles, MatchAll and BuildGroups do the same for many members at once: $bulk-member-match and $provider-member-match, whose
// answer is a Group per bucket (P2P-BLK-*, PMM-*).
//
// The package decides; it stores nothing but the recent failures that the guessing guard needs, speaks no HTTP and checks no
// token. It checks what matching and consent rest on, not the whole profiles of the request: that is the validator's work.
package membermatch
