//go:build race

package reverse_test

const raceEnabled = true
