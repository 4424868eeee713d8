// Package har writes recorded exchanges as HAR 1.2 and reads HAR from anywhere.
//
// Encode streams exchanges into a file that browsers' tools open; what HAR has no place for (times to the nanosecond, what the proxy
// edited, the stored bytes of a compressed body) stands under "_fhirwire". Decode streams entries. Those that Encode wrote come back as
// they were, with fingerprints in place of secrets; those of other tools may have secrets in clear, and Entry.Clear says so: nothing of
// them may be stored before the recorder replaced its secrets. The copy of a body as forwarded is not kept, only the list of edits.
package har
