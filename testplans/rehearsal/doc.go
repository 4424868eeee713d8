// Package rehearsal judges a plan over its example traffic: classified, inspected and judged as what is recorded.
//
// New makes a Stage over a library of guides. Items are an example's exchanges as evidence, Results what the judge says of them, and Vet
// the faults: where an example's verdict is another than the plan's author expected, at the line that expects it. It reads no files, and
// a question for people counts as answered with yes, since examples are about traffic.
package rehearsal
