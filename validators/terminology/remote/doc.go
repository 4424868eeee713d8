// Package remote asks a FHIR terminology server what cannot be answered offline.
//
// A Service stands in front of an offline terminology and has the same methods. Only where the offline answer is Unknown does it
// ask the server ($validate-code, and $expand for a value set that is asked about often and small enough), within a budget of
// requests and time. Answers are kept on disk. A server that fails, is slow or does not know a code system gives Unknown with the
// reason: never a verdict. Nothing but value set, system and code is sent.
package remote
