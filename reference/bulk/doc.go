// Package bulk runs FHIR bulk exports: jobs in the database, NDJSON files below a folder.
//
// New gives a Manager; Kickoff validates a Request and stores a job before it returns, Run works on jobs until its context
// ends, Status, Cancel and Open answer for them. A job is cut into units (one resource type each) and the jobs take turns, so
// a small export does not wait for a large one. A finished unit is a checkpoint: after a restart a job goes on behind it with
// the same transactionTime. The package speaks no HTTP and authorizes nobody.
package bulk
