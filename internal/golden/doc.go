// Package golden compares what a test produced with a file under testdata.
//
// Use Check(t, "name.html", got) in tests; run them with -update to rewrite the files, then review the difference like
// code. It does not normalise anything: bytes are equal or the test fails.
package golden
