// Package answer is what the proxy itself says to a client instead of a server: OperationOutcomes, and the words and status codes for
// each kind of failure, the same from the reverse and the forward proxy.
//
// A Refusal is made by Refused, Failed, Faulty, Certificate or HeaderLines; Seal puts it into the exchange's record, and Outcome is its body.
// The client learns the kind of failure, the record the cause. How the answer gets to the client is the proxies' affair.
package answer
