// Package smartauth is the authorization server of the reference payer: dynamic client registration, access tokens for the
// client credentials grant, member-limited tokens, introspection, revocation, discovery, the same by UDAP (FAST Security); and the guard in front of the FHIR API.
//
// New opens it over a database; Handler serves /oauth and the SMART and UDAP configurations; Authorize judges one request, Protect wraps a
// FHIR handler. After a $member-match the caller notes the match with RecordMatch: member grants (P2P-TOK-20) rest on it.
// Registrations, tokens, matches and used assertion ids live in the database and survive a restart; secrets, tokens and assertion
// ids are there as SHA-256 only. Requirement ids in comments are those of our specifications (P2P-DCR-*, P2P-TOK-*, AUTH-*).
//
// It knows no users: there is no authorization endpoint, no code flow and no refresh token. It opens no listener: a client
// certificate counts when the TLS listener has verified it. Which directory entry a certificate belongs to is asked of
// Options.Identify.
package smartauth
