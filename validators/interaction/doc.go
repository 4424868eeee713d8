// Package interaction says what an exchange is in FHIR, bulk-data or OAuth terms: read, search, $member-match, bulk kick-off,
// token request.
//
// Classify is a pure function of one exchange and the server's FHIR base. A Classifier adds what one exchange alone does not
// tell: whether a Bundle is a batch or a transaction, and which URLs earlier exchanges named as bulk status or files. The
// package judges nothing: a request that breaks rules is still classified as what it tries to be.
package interaction
