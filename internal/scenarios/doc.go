// Package scenarios judges test plans over the exchanges recorded on a channel, whenever somebody asks, and remembers the
// answer until new evidence arrives.
//
// Use New with the plans and the stores, keep Run running so that late reports are noticed, and call Judge. Evidence reads a
// channel's exchanges as the judge takes them and may be used alone. Nothing is stored: the same evidence gives the same
// results again.
package scenarios
