//go:build !race

package reverse_test

// raceEnabled: the race detector is slow, and its pools drop what they hold.
const raceEnabled = false
