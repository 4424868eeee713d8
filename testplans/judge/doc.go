// Package judge computes the verdicts of a plan over recorded exchanges.
//
// Judge is a function of the plan, the run, the evidence and the table of checks: the same input gives the same results with the same
// digests, in whatever order the evidence comes. It reads bodies through the evidence's own reader, keeps nothing, sends nothing and
// knows no clock.
package judge
