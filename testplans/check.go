package testplans

import "fhirwire/proxy"

// ConnectionCheck is about a handshake that was recorded beside the exchange. Where nothing is known of the leg (imported traffic, a tunnel
// that was passed on unread) the check is not-checked; on a leg in clear it fails where TLS is asked for and is not-shown otherwise.
type ConnectionCheck struct {
	// Leg is "client" (client to proxy) or "server" (proxy to server).
	Leg string `yaml:"leg" json:"leg"`
	// TLS is the lowest version that is fine: "1.2" or "1.3".
	TLS string `yaml:"tls" json:"tls,omitempty"`
	// Presented is the side of the leg whose certificate has to be there: "client" or "server". Issued, Dated and Names are about that
	// certificate, the leg's peer's where Presented is empty.
	Presented string `yaml:"presented" json:"presented,omitempty"`
	// Issued says that the certificate is not self-signed.
	Issued bool `yaml:"issued" json:"issued,omitempty"`
	// Dated says that the certificate was valid when the exchange began.
	Dated bool `yaml:"dated" json:"dated,omitempty"`
	// Names is a regular expression that one of the certificate's names matches.
	Names string `yaml:"names" json:"names,omitempty"`
	// Host says that one of the certificate's names covers the host that was asked for.
	Host bool `yaml:"host" json:"host,omitempty"`
	// Listed is the step in which directory entries were read: the certificate is in one of them, that of a server in one that leads to the
	// host that was asked for.
	Listed string `yaml:"listed" json:"listed,omitempty"`
	// Trust are alternatives of what the peer's certificate was accepted on.
	Trust []proxy.Trust `yaml:"trust" json:"trust,omitempty"`
}

// JWTCheck is about a JSON Web Token in the request, as far as recording keeps it: algorithm, key id and the claims that are no secrets.
// A token that is not a JWT, or of which nothing was kept, is not-checked.
type JWTCheck struct {
	// In is "client_assertion" (of a token request), "bearer" (Authorization) or "software_statement" (of a registration).
	In string `yaml:"in" json:"in"`
	// Has are members that have to be there: alg, kid, iss, sub, aud, iat, exp, jti, client_id, scope.
	Has []string `yaml:"has" json:"has,omitempty"`
	// Same are members with one value.
	Same []string `yaml:"same" json:"same,omitempty"`
	// Algorithms are alternatives of alg.
	Algorithms []string `yaml:"algorithms" json:"algorithms,omitempty"`
	// Lifetime is the most seconds from the exchange's beginning to exp; a minute of clock difference is allowed.
	Lifetime int `yaml:"lifetime" json:"lifetime,omitempty"`
	// Audience says that aud is the URL that was asked for, as the client or as the server sees it.
	Audience bool `yaml:"audience" json:"audience,omitempty"`
}

// OnceCheck says that no two attempts sent a JSON Web Token of one issuer with one jti.
type OnceCheck struct {
	// In is as in JWTCheck.
	In string `yaml:"in" json:"in"`
}

// TokenRule is a rule about the use of an access token over several exchanges.
type TokenRule string

// The rules of TokensCheck, named as their findings are.
const (
	// TokenExpired: for a client, it does not use a token after its end; for a server, it does not accept one then. Ten seconds may lie
	// between clocks.
	TokenExpired TokenRule = "token-expired"
	// TokenScope: the token's scopes cover the request, or for a server it is not answered with data.
	TokenScope TokenRule = "token-scope"
	// TokenPatient: a token for one patient opens no other patient's record.
	TokenPatient TokenRule = "token-patient"
	// TokenCertificate: a token that was asked for with a client certificate is used with the same one.
	TokenCertificate TokenRule = "token-certificate"
	// TokenRefused: a token that is valid and enough is not refused with 401.
	TokenRefused TokenRule = "token-refused"
)

// TokensCheck is about the access token of the request and the exchange that issued it: no finding of the rule blames the check's side. A
// token that was not issued in the step, or of which too little is known, is not-shown.
type TokensCheck struct {
	// Issued is the step of the token requests.
	Issued string    `yaml:"issued" json:"issued"`
	Rule   TokenRule `yaml:"rule" json:"rule"`
}

// CoversCheck says that, over all attempts, the resources in the answers have what a profile marks must-support. What was not seen is
// no fault: not every server has it. The check is then not-shown and lists it.
type CoversCheck struct {
	// Profile is the canonical URL, with |version for a certain one.
	Profile string `yaml:"profile" json:"profile"`
	// Where is a FHIRPath expression that tells resources of the profile from others of their type.
	Where string `yaml:"where" json:"where,omitempty"`
}

// AgreesCheck compares the attempts with those of an earlier step that ask for the same: the same type and the same parameters, whether in
// the query or a form, with or without a reference's type and a token's system. The two steps may select the same exchanges.
type AgreesCheck struct {
	Step string `yaml:"step" json:"step"`
	// Expr is the FHIRPath expression whose values are the same on both responses, in any order.
	Expr string `yaml:"expr" json:"expr"`
}

// StableCheck says that a value does not change between answers with one status to requests for one URL.
type StableCheck struct {
	// At is a JSON Pointer into the response's body.
	At string `yaml:"at" json:"at"`
	// Per is another, "/meta/versionId": At does not change between answers that have the same there. Empty is all answers.
	Per string `yaml:"per" json:"per,omitempty"`
}

// SnapshotCheck says that a manifest's transactionTime is of a moment when the data were looked at, not of the end of the export: no later
// than the last answer that said that it was running.
type SnapshotCheck struct {
	// Polls is the step of the requests for the status.
	Polls string `yaml:"polls" json:"polls"`
}
