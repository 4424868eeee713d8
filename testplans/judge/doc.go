// Package judge computes the verdicts of a plan over recorded exchanges.
//
// Judge is a function of the plan, the run, the evidence and the table of checks: the same input gives the same results with the same
// digests, in whatever order the evidence comes. New starts a Judging, which takes the evidence piece by piece and gives the same results
// at any point without asking again what it knows. Both read bodies through the evidence's own reader, send nothing and know no clock.
package judge
