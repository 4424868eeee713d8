package views

// ChannelSettings is the page of a channel's settings, with what was typed.
type ChannelSettings struct {
	Shell
	Pair, Name      string
	Parts           []Link // the channel's pages
	Base            Copy
	Action          string
	Track, BasePath string
	Guides          []Choice
	Profiles        string
	Discovery       []Choice
	ClientCert      string
	// Certificates are offered; empty: ClientCert is free text.
	Certificates      []Option
	RequireClientCert bool
	TellClientCert    bool
	Passthrough       bool
	Errors            map[string]string
	Problem           string
}

// Choice is one of several with a sentence on what it does.
type Choice struct {
	Value, Text, Sub string
	Checked          bool
}

// SystemOptions is the form of a system's connection settings, with what was typed.
type SystemOptions struct {
	Action         string
	Client, Server bool // the roles, which decide what is asked
	Auxiliary      string
	CA             string
	// Seen are servers that answers led to and that are not declared.
	Seen []Fact
	// CAs describes what is on record.
	CAs      []Fact
	Insecure []Option
	// InsecureNow says until when verification is off; empty: it is on.
	InsecureNow string
	Pins        string
	Errors      map[string]string
	Problem     string
}

// ChannelAuth is the page of a channel's access tokens.
type ChannelAuth struct {
	Shell
	Pair, Name string
	Parts      []Link
	Summary    string
	Notices    []Notice
	Empty      *Empty
	Findings   []TokenFinding
	// MoreFindings and MoreGrants count what is not listed.
	MoreFindings, MoreGrants string
	Grants                   []Grant
	Unknown                  []Grant
}

// TokenFinding is what is wrong with a token.
type TokenFinding struct {
	Severity               Mark
	Title                  string
	Expected, Found        string
	Who, DoNext            string
	Exchange, Href         string // "Exchange 12"
	Times, RuleID, Require string
	Token                  string
}

// Grant is a token request, or a token that nobody saw issued.
type Grant struct {
	Title, Href string // of the token exchange
	Time        string
	Client      string
	// Refused is the error of a refused request.
	Refused string
	Scopes  []string
	Expires string
	Used    string
	Facts   []Fact
	Uses    []TokenUse
	Open    bool // its facts and uses are shown at once
	// Left counts the uses that are not listed.
	Left string
}

// TokenUse is an exchange that presented a token.
type TokenUse struct {
	Number, Href, Time, What string
	Status, StatusClass      string
	Needs                    string
	Enough                   Mark
	Pair                     string // where it is another than the page's
}

// ExchangeAuth is the Auth tab of an exchange.
type ExchangeAuth struct {
	Notice   Notice
	Facts    []Fact
	Scopes   []string
	Issued   *Grant
	Findings []TokenFinding
	Channel  string // the channel's page of tokens
}
