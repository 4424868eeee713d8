package validators

import "time"

// Ledger is who got which access tokens on a channel and what they were used for, with what is wrong with it. Exchanges are named
// by their ids, secrets by their fingerprints.
type Ledger struct {
	Channel string `json:"channel"`
	// Grants are token requests and their answers, newest first.
	Grants []Grant `json:"grants"`
	// Unknown are tokens that were used and not issued in what was recorded, the last used first. Only the token and its uses are
	// filled, and what the token says of itself.
	Unknown []Grant `json:"unknown"`
	// Findings are newest first. FindingCount counts those that are not listed too.
	Findings     []TokenFinding `json:"findings"`
	FindingCount int            `json:"finding_count"`
	// Without counts requests for data without a token.
	Without int `json:"without"`
	// Partial says that exchanges before those looked at exist.
	Partial bool `json:"partial,omitempty"`
}

// Ref names an exchange.
type Ref struct {
	ID     string    `json:"id"`
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
}

// Grant is a token request and what came of it.
type Grant struct {
	// Request is the token exchange.
	Request Ref    `json:"request,omitzero"`
	Channel string `json:"channel"`
	// Client is the OAuth client id, as far as the request showed it; Registered the exchange that registered it.
	Client     string `json:"client,omitempty"`
	Registered *Ref   `json:"registered,omitempty"`
	// Type is the grant_type, Method how the client authenticated: "client_secret_basic", "private_key_jwt", "tls_client_auth", "none".
	Type   string `json:"grant_type,omitempty"`
	Method string `json:"auth_method,omitempty"`
	// Audience is what a client assertion named.
	Audience []string `json:"audience,omitempty"`
	// Certificate is the fingerprint of the certificate that the client presented.
	Certificate string `json:"certificate,omitempty"`
	// Asked and Scopes are the scopes requested and granted.
	Asked  []string `json:"asked,omitempty"`
	Scopes []string `json:"scopes,omitempty"`
	// Patient is the patient that the token is limited to.
	Patient string `json:"patient,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Error is the OAuth error of a refused request.
	Error string `json:"error,omitempty"`
	// Token is the access token's fingerprint; empty when none was issued. Expires is zero when nobody said.
	Token   string    `json:"token,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	// Uses are the first and the last exchanges that presented the token; UseCount counts all of them.
	Uses     []TokenUse `json:"uses,omitempty"`
	UseCount int        `json:"use_count"`
}

// Issued reports whether the request was granted.
func (g *Grant) Issued() bool { return g.Token != "" }

// TokenUse is an exchange that presented an access token.
type TokenUse struct {
	Ref
	Channel string `json:"channel"`
	// What is the interaction in words, Status the answer's, 0 for none.
	What   string `json:"what"`
	Status int    `json:"status"`
	// Needs is the scope that the request asks for, in SMART v2 ("Patient.rs"); empty when that cannot be told.
	Needs string `json:"needs,omitempty"`
	// Enough says whether the token's scopes cover Needs.
	Enough Enough `json:"enough"`
	// Query marks a token that was sent in the URL.
	Query bool `json:"query,omitempty"`
}

// Enough is whether scopes cover a request.
type Enough string

// The answers. EnoughUnknown is the zero value's meaning too: the scopes or the need are not known.
const (
	EnoughYes     Enough = "yes"
	EnoughNo      Enough = "no"
	EnoughUnknown Enough = "unknown"
)

// TokenFinding is an issue over several exchanges that concerns a token.
type TokenFinding struct {
	Issue
	// Token is its fingerprint, Exchange where it shows first.
	Token    string `json:"token,omitempty"`
	Exchange Ref    `json:"exchange"`
	// Times counts the exchanges that show it.
	Times int `json:"times"`
}

// Authorization is what is known of one exchange's token.
type Authorization struct {
	// Use is nil for an exchange that presents no token.
	Use *TokenUse `json:"use,omitempty"`
	// Scheme is the Authorization header's, "Bearer" or "Basic"; empty without one.
	Scheme string `json:"scheme,omitempty"`
	// Token is the fingerprint of the token presented, Grant what it was issued by: the zero Grant.Request for an unknown one.
	Token string `json:"token,omitempty"`
	Grant *Grant `json:"grant,omitempty"`
	// Issued is what this exchange granted, when it is a token request.
	Issued   *Grant         `json:"issued,omitempty"`
	Findings []TokenFinding `json:"findings"`
}
