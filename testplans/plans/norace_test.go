//go:build !race

package plans_test

const raceDetector = false
