package testplans

import "fhirwire/validators"

// Plan is a track's scenario: what has to be seen between a client and a server, step by step. It says nothing about when; its
// steps are judged over recorded exchanges in any order. A Plan is immutable once read; planfile reads and vets it.
type Plan struct {
	// ID is its readable key, "payer-to-payer-stu2": lower-case letters, digits and hyphens.
	ID       string `yaml:"plan" json:"plan"`
	Title    string `yaml:"title" json:"title"`
	Track    string `yaml:"track" json:"track"`
	Scenario string `yaml:"scenario" json:"scenario,omitempty"`
	// Guides are the guide versions the plan is for, by package: {"hl7.fhir.us.davinci-pdex": ">=2.0.0 <2.1.0"}.
	Guides map[string]string `yaml:"guides" json:"guides,omitempty"`
	Roles  Roles             `yaml:"roles" json:"roles"`
	// Preconditions are for people: what to set up before.
	Preconditions []string `yaml:"preconditions" json:"preconditions,omitempty"`
	Steps         []Step   `yaml:"steps" json:"steps"`
	// Play says how the runner plays the client's side; nil for a plan that cannot be run.
	Play *Play `yaml:"play" json:"play,omitempty"`
	// Digest is the lower-case hexadecimal SHA-256 of the file; the reader sets it.
	Digest string `yaml:"-" json:"digest,omitempty"`
}

// Roles are the two sides in the scenario's words.
type Roles struct {
	Client string `yaml:"client" json:"client"`
	Server string `yaml:"server" json:"server"`
}

// Step is one thing the scenario asks for.
type Step struct {
	ID    string `yaml:"step" json:"step"`
	Title string `yaml:"title" json:"title"`
	// Claim is what holds when the step passes, as one sentence.
	Claim string `yaml:"claim" json:"claim"`
	// Requirements are ids of our specifications, "P2P-SC-40".
	Requirements []string `yaml:"requirements" json:"requirements,omitempty"`
	// Strength is that of its checks which name none; empty is SHALL.
	Strength validators.Strength `yaml:"strength" json:"strength,omitempty"`
	// Optional marks a bonus: it never lowers the plan's verdict.
	Optional bool `yaml:"optional" json:"optional,omitempty"`
	// Guides narrows the step to guide versions, like Plan.Guides; outside them it is not applicable.
	Guides  map[string]string `yaml:"guides" json:"guides,omitempty"`
	Select  Select            `yaml:"select" json:"select"`
	Capture []Capture         `yaml:"capture" json:"capture,omitempty"`
	Checks  []Check           `yaml:"checks" json:"checks"`
}

// Select says which exchanges are attempts at a step; all that is set must hold. Values may use ${name} of captured variables.
type Select struct {
	// Kind, Type, Operation and Method are alternatives each: the interaction's kind, resource type and operation ("$member-match").
	Kind      []string `yaml:"kind" json:"kind,omitempty"`
	Type      []string `yaml:"type" json:"type,omitempty"`
	Operation []string `yaml:"operation" json:"operation,omitempty"`
	Method    []string `yaml:"method" json:"method,omitempty"`
	// Level is "system", "type" or "instance", for operations and kick-offs.
	Level string `yaml:"level" json:"level,omitempty"`
	// Status are alternatives: "200" or a class, "4xx". An exchange without a response has none.
	Status []string `yaml:"status" json:"status,omitempty"`
	// Parameters are of the query or a form body: "*" any value, "-" absent, else the value (a reference's id is enough).
	Parameters map[string]string `yaml:"parameters" json:"parameters,omitempty"`
	// Headers are of the request: "*" one that is there, "-" none.
	Headers map[string]string `yaml:"headers" json:"headers,omitempty"`
	// Certificate is whether the client presented one, where TLS was spoken and answered: "*" it did, "-" it did not, and the proxy
	// presented none in its place.
	Certificate string `yaml:"certificate" json:"certificate,omitempty"`
	// Request and Response are FHIRPath expressions that hold on the body.
	Request  string `yaml:"request" json:"request,omitempty"`
	Response string `yaml:"response" json:"response,omitempty"`
	// Follows are relations to exchanges of earlier steps, all of which must hold, those to one step with one exchange; never by
	// time alone.
	Follows []Follows `yaml:"follows" json:"follows,omitempty"`
	// Unless are relations that rule an exchange out where they all hold with one exchange of a step: a poll after a cancellation.
	Unless []Follows `yaml:"unless" json:"unless,omitempty"`
}

// Relation is how an exchange belongs to an earlier one.
type Relation string

// The relations.
const (
	ByURL    Relation = "url"    // its URL was named by the earlier response: Content-Location, Location, a manifest's file, a next link
	BySame   Relation = "same"   // it asks for the URL that the earlier request asked for
	ByToken  Relation = "token"  // its bearer token is the access_token of the earlier response
	ByClient Relation = "client" // it authenticates as the client_id of the earlier response
	ByID     Relation = "id"     // its URL, form or JSON body has a captured value
	ByOrder  Relation = "order"  // it began after the earlier one ended; to select only beside another relation to the same step
)

// Follows is a relation to exchanges of an earlier step.
type Follows struct {
	Step string   `yaml:"step" json:"step"`
	By   Relation `yaml:"by" json:"by"`
	// Variable is the captured variable, for ByID.
	Variable string `yaml:"variable" json:"variable,omitempty"`
}

// Half is a message of an exchange: "request" or "response".
type Half string

// The halves.
const (
	OnRequest  Half = "request"
	OnResponse Half = "response"
)

// Capture takes a variable from a step's best attempt, for later steps: %name in FHIRPath, ${name} elsewhere. Exactly one of
// FHIRPath, Pointer, Header and Parameter is set.
type Capture struct {
	Name      string `yaml:"name" json:"name"`
	From      Half   `yaml:"from" json:"from"`
	FHIRPath  string `yaml:"fhirpath" json:"fhirpath,omitempty"`
	Pointer   string `yaml:"pointer" json:"pointer,omitempty"`
	Header    string `yaml:"header" json:"header,omitempty"`
	Parameter string `yaml:"parameter" json:"parameter,omitempty"`
}

// Check is one claim about a step's attempts. Exactly one of its kinds (Status to Stable) is set.
type Check struct {
	ID    string `yaml:"check" json:"check"`
	Claim string `yaml:"claim" json:"claim"`
	// Side is at fault when the check fails.
	Side         validators.Side     `yaml:"side" json:"side"`
	Requirements []string            `yaml:"requirements" json:"requirements,omitempty"`
	Strength     validators.Strength `yaml:"strength" json:"strength,omitempty"`
	// Every asks it of all attempts, where otherwise the best one decides: for what must never happen.
	Every bool `yaml:"every" json:"every,omitempty"`

	Status      []string         `yaml:"status" json:"status,omitempty"`
	Header      *HeaderCheck     `yaml:"header" json:"header,omitempty"`
	FHIRPath    *FHIRPathCheck   `yaml:"fhirpath" json:"fhirpath,omitempty"`
	Pointer     *PointerCheck    `yaml:"pointer" json:"pointer,omitempty"`
	Parameter   *ParameterCheck  `yaml:"parameter" json:"parameter,omitempty"`
	Findings    *FindingsCheck   `yaml:"findings" json:"findings,omitempty"`
	Follows     *Follows         `yaml:"follows" json:"follows,omitempty"`
	File        *FileCheck       `yaml:"file" json:"file,omitempty"`
	Count       *CountCheck      `yaml:"count" json:"count,omitempty"`
	Fetched     *FetchedCheck    `yaml:"fetched" json:"fetched,omitempty"`
	RetryAfter  *RetryAfterCheck `yaml:"retryAfter" json:"retryAfter,omitempty"`
	Control     *ControlCheck    `yaml:"control" json:"control,omitempty"`
	Attestation *Attest          `yaml:"attestation" json:"attestation,omitempty"`
	Connection  *ConnectionCheck `yaml:"connection" json:"connection,omitempty"`
	JWT         *JWTCheck        `yaml:"jwt" json:"jwt,omitempty"`
	Once        *OnceCheck       `yaml:"once" json:"once,omitempty"`
	Tokens      *TokensCheck     `yaml:"tokens" json:"tokens,omitempty"`
	Covers      *CoversCheck     `yaml:"covers" json:"covers,omitempty"`
	Snapshot    *SnapshotCheck   `yaml:"snapshot" json:"snapshot,omitempty"`
	Agrees      *AgreesCheck     `yaml:"agrees" json:"agrees,omitempty"`
	Stable      *StableCheck     `yaml:"stable" json:"stable,omitempty"`
}

// HeaderCheck is about one header: present, and where Is or Matches is set one of its values is or matches that.
type HeaderCheck struct {
	On   Half   `yaml:"on" json:"on"`
	Name string `yaml:"name" json:"name"`
	// Is are alternatives, without regard to case; a part of a comma-separated list or a value without its parameters is enough.
	Is []string `yaml:"is" json:"is,omitempty"`
	// Matches is a regular expression.
	Matches string `yaml:"matches" json:"matches,omitempty"`
	// Absent turns the check round: the header is not there (with the value, where one is given).
	Absent bool `yaml:"absent" json:"absent,omitempty"`
}

// FHIRPathCheck is an expression that holds on the body.
type FHIRPathCheck struct {
	On   Half   `yaml:"on" json:"on"`
	Expr string `yaml:"expr" json:"expr"`
	// Lines asks it of each line of an NDJSON body.
	Lines bool `yaml:"lines" json:"lines,omitempty"`
}

// PointerCheck is about a place in a JSON body that need not be FHIR.
type PointerCheck struct {
	On Half `yaml:"on" json:"on"`
	// At is a JSON Pointer; "*" as a segment means each item of an array, none of which is fine.
	At      string   `yaml:"at" json:"at"`
	Is      []string `yaml:"is" json:"is,omitempty"`
	Matches string   `yaml:"matches" json:"matches,omitempty"`
	// Type is "string", "number", "boolean", "array", "object", "url" (absolute, http or https) or "instant" (RFC 3339).
	Type   string `yaml:"type" json:"type,omitempty"`
	Absent bool   `yaml:"absent" json:"absent,omitempty"`
	// Asked is an earlier step: the value is the URL that was asked for in it, where the answer named the URL of this exchange.
	Asked string `yaml:"asked" json:"asked,omitempty"`
}

// ParameterCheck is about a parameter of the query or of a form body.
type ParameterCheck struct {
	Name    string   `yaml:"name" json:"name"`
	Is      []string `yaml:"is" json:"is,omitempty"`
	Matches string   `yaml:"matches" json:"matches,omitempty"`
	Type    string   `yaml:"type" json:"type,omitempty"` // as in PointerCheck: "instant", "url"
	Absent  bool     `yaml:"absent" json:"absent,omitempty"`
}

// FindingsCheck is about the exchange's Report.
type FindingsCheck struct {
	// On narrows it to one half; empty is both.
	On Half `yaml:"on" json:"on,omitempty"`
	// Body leaves out what is not about a body: the headers and the status are other checks', and so is that it can be read.
	Body bool `yaml:"body" json:"body,omitempty"`
	// Below is the severity that none may reach: "error" (the default) or "warning".
	Below validators.Severity `yaml:"below" json:"below,omitempty"`
	// Rules narrows it to message ids, at least one of which a finding must have.
	Rules []string `yaml:"rules" json:"rules,omitempty"`
	// Apart are ends of paths that other checks of the step decide about: "valueIdentifier.type". Findings there are theirs.
	Apart []string `yaml:"apart" json:"apart,omitempty"`
}

// FileRule is what FileCheck compares.
type FileRule string

// The file rules.
const (
	FileType  FileRule = "type"  // each line is a resource of the type that the manifest gives
	FileCount FileRule = "count" // as many lines as the manifest's count, where it has one
	// FileUnique says that no two lines have one id.
	FileUnique FileRule = "unique"
	// FileTime says that nothing in the file was changed after the manifest's transactionTime.
	FileTime FileRule = "time"
	// FileSince says that nothing in the file was changed before _since in the manifest's request.
	FileSince FileRule = "since"
	// FileForm says that the text is NDJSON as every reader takes it: no byte order mark, no blank lines, no carriage returns.
	FileForm FileRule = "form"
)

// FileCheck compares a downloaded file with its entry in the manifest of an earlier step.
type FileCheck struct {
	Manifest string   `yaml:"manifest" json:"manifest"`
	Rule     FileRule `yaml:"rule" json:"rule"`
}

// CountCheck bounds the number of attempts.
type CountCheck struct {
	Min int `yaml:"min" json:"min,omitempty"`
	Max int `yaml:"max" json:"max,omitempty"` // 0 is no bound
	// PerURL bounds the attempts with one method on one URL; Max is then of each, Min of the one with the most.
	PerURL bool `yaml:"perURL" json:"perURL,omitempty"`
	// Within are seconds: Max attempts at most begin in any time as long as that.
	Within int `yaml:"within" json:"within,omitempty"`
}

// FetchedCheck says that each file of a manifest of an earlier step is among the attempts, answered 200.
type FetchedCheck struct {
	Manifest string `yaml:"manifest" json:"manifest"`
}

// RetryAfterCheck says that attempts on one URL wait as long as the answer before asked.
type RetryAfterCheck struct {
	// TolerancePercent of the time asked for that may be missing; 0 is 10.
	TolerancePercent int `yaml:"tolerancePercent" json:"tolerancePercent,omitempty"`
}

// ControlCheck names the step that shows the opposite case (a refusal, say): until it was seen the claim has a note.
type ControlCheck struct {
	Step string `yaml:"step" json:"step"`
}

// Attest asks a person; nothing else decides the check.
type Attest struct {
	Question string `yaml:"question" json:"question"`
	// Otherwise asks only where traffic does not decide: once all other checks of the step are decided, the question is not applicable;
	// once a person has answered, those that are not decided are.
	Otherwise bool `yaml:"otherwise" json:"otherwise,omitempty"`
}

// CannotFail reports a check of a kind that says at worst not shown or a note: what has not been seen yet is nobody's fault, and more
// traffic may show it. A control can fail: its step did.
func (c *Check) CannotFail() bool {
	return c.Fetched != nil || c.Covers != nil || c.Attestation != nil || c.Count != nil && c.Count.Max == 0
}

// StrengthOf is a check's conformance verb: its own, its step's, or SHALL.
func (s *Step) StrengthOf(c *Check) validators.Strength {
	switch {
	case c.Strength != "":
		return c.Strength
	case s.Strength != "":
		return s.Strength
	default:
		return validators.Shall
	}
}

// RequirementsOf are the requirement ids a check decides: its own, or its step's.
func (s *Step) RequirementsOf(c *Check) []string {
	if len(c.Requirements) > 0 {
		return c.Requirements
	}
	return s.Requirements
}
