// Package transcript reads exchanges that were written down by hand, as the messages on the wire: the example traffic of a plan.
//
// Read takes the files of an archive. What a text does not say (times, the channel, addresses) is the same for all of them, so the same
// text always gives the same exchanges. It replaces no secrets: a transcript has them as recording keeps them, if at all.
package transcript
