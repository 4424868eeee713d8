// Package testscript judges recorded exchanges by the assertions of a FHIR TestScript (R4).
//
// Read takes a TestScript apart; Script.Plan makes it a plan: each operation is a step that selects the exchanges that do what the
// operation would have done, after those of the operation before; each assertion is a check. Table knows the checks that plans have no kind
// for. What needs execution or is not supported (fixtures, XPath, comparisons with a source) is a check that is not-checked and says why.
//
// It sends nothing: a TestScript is played by other tools, through the proxy.
package testscript
