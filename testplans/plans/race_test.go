//go:build race

package plans_test

// raceDetector is on: what only repeats, many times over, what other tests run with it is left to the run without it.
const raceDetector = true
