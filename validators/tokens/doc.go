// Package tokens keeps the ledger of access tokens: who got which scopes when, until when, by which grant and client
// authentication, which exchanges used which token, and what is wrong with it.
//
// A Ledger is pure: exchanges go in in the order they were recorded (Add), a channel's validators.Ledger comes out (Channel). A Desk
// keeps one up to date from stored exchanges, reading each once. Tokens are followed by their fingerprints; the package never sees
// one. It knows what passed the proxy: a token that was issued elsewhere is unknown, not wrong. Single exchanges are judged by package
// httprules.
package tokens
