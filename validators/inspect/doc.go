// Package inspect turns one recorded exchange into a Report: it decodes and parses the bodies, runs the rules on the exchange
// (httprules), chooses profiles, and walks the resources (instance).
//
// New makes an Inspector over a library of guides; Inspect is its only work. It reads bodies and channel settings through
// its options and keeps no state but compiled validators. What cannot be judged (encrypted, cut off, over a cap) is said in
// the report; an error is only ever ours.
package inspect
