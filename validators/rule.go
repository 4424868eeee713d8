package validators

// Source is where a rule comes from: a guide, its version and a section or artifact in it.
type Source struct {
	Guide   string `json:"guide"` // "hl7.fhir.us.davinci-pdex" or "RFC 7591"
	Version string `json:"version,omitempty"`
	Section string `json:"section,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Strength is a requirement's conformance verb.
type Strength string

// The conformance verbs.
const (
	Shall  Strength = "SHALL"
	Should Strength = "SHOULD"
	May    Strength = "MAY"
)

// Requirement is one SHALL, SHOULD or MAY of a guide under the id that our specifications give it.
type Requirement struct {
	ID       string   `json:"id"`
	Strength Strength `json:"strength"`
	Source   Source   `json:"source"`
}

// Rule is one check with a stable id: what a finding's MessageID names.
type Rule struct {
	ID       string
	Severity Severity
	Code     Code
	// Title is the rule as a claim that holds for conforming systems: "Required elements are present".
	Title        string
	Source       Source
	Requirements []string // ids
}
