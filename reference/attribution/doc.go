// Package attribution keeps the payer's attribution lists: the Groups that say which members are whose, and their Da Vinci ATR
// operations.
//
// New opens Lists over a resource store and a FHIR search; Add, Remove, Status and Confirm are $member-add, $member-remove,
// $attribution-status and $confirm-attribution-list. OptOuts tells who refused sharing. Owners notes for whom a Group was
// made, so that nobody else finds it. A refusal is a *RefusedError; any other error is ours. Requirement ids in comments are those of
// our specifications (ATR-*, PMM-*).
//
// The package speaks no HTTP, checks no token and exports nothing. Who is entitled to which of the payer's own lists is not
// known here: those are open to whoever the caller lets in.
package attribution
