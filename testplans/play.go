package testplans

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Play says how the runner plays the client's side of a plan: acts in order, each a request or a short exchange of several. It decides
// nothing; what was seen is judged by the steps, as everything else that is recorded.
type Play struct {
	// Writes allows requests that change data on the server. Without it the runner sends none, whatever the acts say.
	Writes bool `yaml:"writes" json:"writes,omitempty"`
	// Inputs are variables that the person who runs the plan sets.
	Inputs []Input `yaml:"inputs" json:"inputs,omitempty"`
	Acts   []Act   `yaml:"acts" json:"acts"`
	// Unplayed are the steps that no act shows, and why.
	Unplayed []Unplayed `yaml:"unplayed" json:"unplayed,omitempty"`
}

// Input is a variable with a default.
type Input struct {
	Name    string `yaml:"name" json:"name"`
	About   string `yaml:"about" json:"about"`
	Default string `yaml:"default" json:"default,omitempty"`
	// Secret values are not printed.
	Secret bool `yaml:"secret" json:"secret,omitempty"`
}

// Unplayed says why a step is not played.
type Unplayed struct {
	Step string `yaml:"step" json:"step"`
	Why  string `yaml:"why" json:"why"`
}

// Act is one thing that the runner does. Exactly one of Request, Register, Token, Export and Directory is set. An act that uses a variable without a
// value is skipped.
type Act struct {
	Name string `yaml:"act" json:"act"`
	// Shows are the steps that the act is for.
	Shows []string `yaml:"shows" json:"shows,omitempty"`
	Each  *Each    `yaml:"each" json:"each,omitempty"`
	// Edges are what the act asks the built-in reference payer to do for it, in EdgeHeader of each request. No other server is asked:
	// against one the act is skipped.
	Edges []string `yaml:"edges" json:"edges,omitempty"`

	Request  *PlayRequest  `yaml:"request" json:"request,omitempty"`
	Register *PlayRegister `yaml:"register" json:"register,omitempty"`
	Token    *PlayToken    `yaml:"token" json:"token,omitempty"`
	Export   *PlayExport   `yaml:"export" json:"export,omitempty"`

	Directory *PlayDirectory `yaml:"directory" json:"directory,omitempty"`

	// Capture takes variables from the last response: of an export, from its manifest. Parameter and From request are not for acts.
	Capture []Capture `yaml:"capture" json:"capture,omitempty"`
}

// EdgeHeader is the header by which the reference payer is asked for an edge case, for one request.
const EdgeHeader = "X-Fhirwire-Edge"

// Each plays an act once for each value. A value that is one ${variable} stands for all its values.
type Each struct {
	As string   `yaml:"as" json:"as"`
	Of []string `yaml:"of" json:"of"`
}

// PlayAuth is how a request is authorized.
type PlayAuth string

// The ways to authorize a request.
const (
	AuthToken   PlayAuth = ""        // the access token, where there is one
	AuthNone    PlayAuth = "none"    // no token, though there may be one
	AuthInvalid PlayAuth = "invalid" // a token that nobody issued
)

// PlayRequest is a request. Texts may use ${name}; values are escaped for where they stand.
type PlayRequest struct {
	// Method is GET, or POST where there is a body.
	Method string `yaml:"method" json:"method,omitempty"`
	// URL is below the FHIR base where it begins with "/", else absolute.
	URL     string            `yaml:"url" json:"url"`
	Headers map[string]string `yaml:"headers" json:"headers,omitempty"`
	// Body is text, FHIR JSON where no header says otherwise; Form makes a form of pairs instead.
	Body string            `yaml:"body" json:"body,omitempty"`
	Form map[string]string `yaml:"form" json:"form,omitempty"`
	Auth PlayAuth          `yaml:"auth" json:"auth,omitempty"`
	// Pages is how many pages of a Bundle are asked for at most, by its next links; 0 is one.
	Pages int `yaml:"pages" json:"pages,omitempty"`
	// Certificate "none" connects without the client's certificate, where there is one; "unlisted" with one that no directory lists, which
	// only the built-in reference payer knows how to verify: against another server the act is skipped.
	Certificate string `yaml:"certificate" json:"certificate,omitempty"`
}

// PlayRegister registers the runner as a client (RFC 7591) at ${registrationEndpoint}; clientId and clientSecret are set from the answer.
// It is skipped where a clientId is given.
type PlayRegister struct {
	// Method is the way to authenticate at the token endpoint: client_secret_basic, client_secret_post, private_key_jwt or
	// tls_client_auth; or "udap", which registers by a software statement that the client's certificate signs, and signs assertions by it.
	Method string `yaml:"method" json:"method"`
	Scope  string `yaml:"scope" json:"scope,omitempty"`
	// Grants are the grant types; none: client_credentials.
	Grants []string `yaml:"grants" json:"grants,omitempty"`
	// With are further members of the registration, with text values.
	With map[string]string `yaml:"with" json:"with,omitempty"`
}

// PlayToken asks for an access token at ${tokenEndpoint} by the grant client_credentials, as the client was registered; accessToken is
// set from the answer. It is skipped where an accessToken is given.
type PlayToken struct {
	Scope string            `yaml:"scope" json:"scope,omitempty"`
	Form  map[string]string `yaml:"form" json:"form,omitempty"`
	// Member names the member in an assertion of its own, by the grant urn:ietf:params:oauth:grant-type:jwt-bearer.
	Member string `yaml:"member" json:"member,omitempty"`
	// Wrong makes the request one to be refused, whose answer changes nothing: "secret" (or signature), "audience", "expired"; or by what
	// it asks for alone: "scope", "grant" (the client is not registered for it), "member" (there is no match that it could rest on).
	Wrong string `yaml:"wrong" json:"wrong,omitempty"`
}

// PlayDirectory looks the server up in an endpoint directory that is served over HTTP: at URL a Bundle, or an index whose Bundles are all
// read. The act's response is the Bundle that leads to the server; without one the act breaks.
type PlayDirectory struct {
	URL string `yaml:"url" json:"url"`
}

// PlayExport starts an export, asks for its status as often as it is told to, and downloads the files.
type PlayExport struct {
	Kickoff PlayRequest `yaml:"kickoff" json:"kickoff"`
	// Cancel deletes it right after the start and asks for its status once more, instead of waiting for it.
	Cancel bool `yaml:"cancel" json:"cancel,omitempty"`
	// Again deletes it a second time, which has nothing to delete.
	Again bool `yaml:"again" json:"again,omitempty"`
	// Twice asks for the status once more when it is complete.
	Twice bool `yaml:"twice" json:"twice,omitempty"`
	// Leave takes the manifest and no files.
	Leave bool `yaml:"leave" json:"leave,omitempty"`
	// Fails is for an export whose status is to be an error in the end, which ends the act as it should.
	Fails bool `yaml:"fails" json:"fails,omitempty"`
}

// playVariables are those that every play has: the FHIR base, moments of the run, a text that no other run has, and what
// registration and token acts set, all of which but base and the moments can be given.
var playVariables = []string{
	"base", "now", "today", "tomorrow", "lastMonth", "lastYear", "nextYear", "unique", "clientId", "clientSecret", "accessToken", "tokenEndpoint", "registrationEndpoint",
}

// PlayVariables lists the variables that every play has.
func PlayVariables() []string { return slices.Clone(playVariables) }

// readOnly are operations that change nothing by their definitions, at a last path segment.
var readOnly = []string{
	"$member-match", "$bulk-member-match", "$provider-member-match", "$everything", "$export", "$davinci-data-export", "$validate", "$expand", "$lookup",
	"$validate-code", "$attribution-status", "_search",
}

var playMark = regexp.MustCompile(`\$\{([^}]*)\}`)

// Marks are the names of the ${variables} of a text.
func Marks(text string) []string {
	var out []string
	for _, m := range playMark.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// MethodOf is the request's method.
func (r *PlayRequest) MethodOf() string {
	switch {
	case r.Method != "":
		return r.Method
	case r.Body != "" || len(r.Form) > 0:
		return http.MethodPost
	default:
		return http.MethodGet
	}
}

// MayWrite reports a request that may change data on the server: all but reading, searching, operations that only read, and asking an
// authorization server.
func (r *PlayRequest) MayWrite() bool {
	switch r.MethodOf() {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	case http.MethodPost:
		path, _, _ := strings.Cut(r.URL, "?")
		last := path[strings.LastIndexByte(path, '/')+1:]
		return !slices.Contains(readOnly, last) && path != "${tokenEndpoint}" && path != "${registrationEndpoint}"
	default:
		return true
	}
}

// Requests are the requests that an act is written out with.
func (a *Act) Requests() []*PlayRequest {
	switch {
	case a.Request != nil:
		return []*PlayRequest{a.Request}
	case a.Export != nil:
		return []*PlayRequest{&a.Export.Kickoff}
	default:
		return nil
	}
}

// ShownBy is the name of the first act that is for a step, "" for none.
func (p *Play) ShownBy(step string) string {
	for i := range p.Acts {
		if slices.Contains(p.Acts[i].Shows, step) {
			return p.Acts[i].Name
		}
	}
	return ""
}
