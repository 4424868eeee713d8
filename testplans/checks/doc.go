// Package checks holds the kinds of check that a plan may use, one function each, and what they look at: the evidence of one judging.
//
// Table lists the kinds. judge asks them and rolls up; to add one, write its function and its line in table.go. Checks read recorded
// exchanges only: they know no clock and send nothing. What they cannot read is not-checked, never a pass.
package checks
