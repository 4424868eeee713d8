package views

// Shell is what every page has round its main part.
type Shell struct {
	// Title is the page's name; the product's name is added.
	Title string
	// Screen is the current entry of the rail: "live", "scenarios", "results" or "systems".
	Screen string
	// Theme is "light", "dark" or "" (as the system says).
	Theme string
	// Self is the page's own path and query, for forms that return to it.
	Self string
	// CSS and JS are the asset URLs.
	CSS, JS, Icon string
	// Event is the event's name and EventNote the line under it.
	Event, EventNote string
	// Zone says in which time zone times are.
	Zone string
	// LiveCount and SystemCount stand in the rail.
	LiveCount, SystemCount string
	// ReviewCount is how many runs wait for a decision, empty for none.
	ReviewCount string
	// ToCheck is "12 to check", empty when nothing waits.
	ToCheck string
	// Scope is the pair chosen and Scopes what can be chosen.
	Scope  string
	Scopes []Link
	// Toast is a short confirmation of what was just done.
	Toast string
}

// Link is text that leads somewhere.
type Link struct {
	Text, Href string
	Current    bool
}

// Mark is a symbol with its word: a verdict, or a finding's severity.
type Mark struct {
	// Class is the colour class and symbol id: "v-fail", "sev-warning".
	Class string
	Word  string
	// Moving marks a state (Evaluating) instead of a verdict: a ring and plain words.
	Moving bool
}

// Evidence is how we know: "simulated" and its word.
type Evidence struct{ Kind, Word string }

// Row is an exchange in a list.
type Row struct {
	ID     string
	Number string
	Href   string
	// Time is a clock time, Millis its fraction with the dot, Moment the machine-readable form.
	Time, Millis, Moment string
	Method               string
	Plain                bool // the method is one of the quiet ones
	What, Context        string
	// Pair says who talks to whom; empty when the page's scope says so already.
	Pair string
	// Why is the reason line of an exception.
	Why         string
	Status      string
	StatusClass string // "c2" … "c5", "c0" for no status
	Size        string
	MS          string
	Verdict     Mark
	Side        string
	Evidence    Evidence
	Selected    bool
	Failed      bool
	// Insecure: the server's certificate was not verified.
	Insecure bool
}

// Live is the list page.
type Live struct {
	Shell
	Summary string // "14 exchanges"
	Filter  Filter
	Rows    []Row
	ShowAll bool // rows carry their pair
	// Events is the URL of the live rows; Newest the number a first connection resumes from. Empty Events: this page does not
	// grow (an older page).
	Events string
	Newest string
	// Position is "1 to 50 of 2,306"; Older, Newer and First are links, empty when there is nothing.
	Position            string
	Older, Newer, First string
	Empty               *Empty
	Pane                *Exchange
	// HAR downloads what is listed; empty where there is nothing.
	HAR string
}

// Filter is the state of the filter bar.
type Filter struct {
	Text    string
	Channel string
	// Echo says in plain words what is shown.
	Echo string
	// Errors are words that were not understood.
	Errors []FilterError
	Clear  string
}

// FilterError is a word of the filter that was not understood.
type FilterError struct {
	Word, Problem string
	// Suggestion is the text to use instead and Href the page with it; both may be empty.
	Suggestion, Href string
}

// Empty is a page or a part without content, and what to do about it.
type Empty struct {
	Title, Text string
	Copies      []Copy
	Actions     []Link
}

// Copy is a text to copy.
type Copy struct {
	ID, Label, Text string
	Large           bool
}

// Exchange is the exchange page or the pane beside the list.
type Exchange struct {
	Shell
	ID, Number string
	Heading    string
	Pair       string
	Href       string // the page itself
	Method     string
	Plain      bool
	// URLHead is the part that names the proxy and channel, URLTail the rest.
	URLHead, URLTail string
	Verdict          Mark
	Side             string
	Status           string
	StatusClass      string
	SizeAndTime      string
	Clock, Moment    string
	Evidence         Evidence
	Curl             string
	Prev, Next       string
	Tabs             []Tab
	Tab              string // the current one's key

	// Notices are states in words: failures, cuts, tool errors, queued.
	Notices  []Notice
	Findings []Finding // all, for the list
	Counts   string    // "1 error, 1 warning in 50 resources"
	Clean    string
	Judged   Judged
	Facts    []Fact
	Message  *Message
	Times    []Fact
	Legs     *Legs
	Insecure bool
	Auth     *ExchangeAuth
	Edits    []Edit
	EditsCut string
	// Excerpt is the body in the pane and on the summary.
	Excerpt *Message
}

// Tab is a part of the exchange page.
type Tab struct {
	Key, Text, Href string
	Count           string
	Bad             bool
}

// Notice is a state in words: what happened, whose side, what to do next.
type Notice struct {
	Class       string // "v-fail", "v-not-checked", "v-error", "v-none", "v-pass"
	Title, Text string
	Alert       bool
	// Href leads to more, under the words of Link; empty for nothing more.
	Href, Link string
}

// Finding is one finding in a list or a callout.
type Finding struct {
	Key      string // "f3"; its list item is "l-f3"
	Severity Mark
	Title    string
	Expected string
	Found    string
	Side     string // "Cedar Mesa (server)"
	Short    string // "server"
	DoNext   string
	// Place is "Line 31", or the part of the exchange.
	Place      string
	Expression string
	Href       string // to the line
	RuleID     string
	Constraint string
	Profile    string
	ProfileURL string // http(s) only, else empty
	Require    string
	// RequireHref leads to what decides the requirement, Similar to the exchanges with a finding of the same rule.
	RequireHref, Similar string
	Back                 string // to the list item
	// Markdown and JSON are the finding to copy; empty where there are too many to carry them.
	Markdown, JSON string
}

// Judged says what a report was computed with.
type Judged struct {
	Done        bool
	Profiles    []Fact // name, why
	Guides      []string
	Terminology string
	Rules       string
	At          string
	Again       string // form action
	Checked     string
}

// Fact is a name and a value.
type Fact struct {
	Name, Value string
	Mono        bool
	// Href links the value; only URLs of this dashboard.
	Href string
}

// Edit is one change by the proxy.
type Edit struct {
	Where, At, From, To string
	// Why is the reason for it, or for leaving the value as it is (Left).
	Why  string
	Left bool
}

// Message is one half of the exchange.
type Message struct {
	Name      string // "Response"
	StartLine string
	Headers   []HeaderRow
	Trailers  []HeaderRow
	Loose     []Finding // findings on the message that have no line and no header field
	Open      bool      // the headers are shown at once
	Body      Body
	Curl      string
}

// HeaderRow is a header field, or one that a finding misses.
type HeaderRow struct {
	Name, Value string
	Missing     bool
	// Mark is the worst severity on it; its Class is empty for none.
	Mark     Mark
	Findings []Finding
}

// Body is a message's body as shown.
type Body struct {
	Facts    []Fact
	Note     []Notice
	Download string
	Modes    []Link
	Mode     string
	Label    string
	Path     string
	Stepper  *Stepper
	Blocks   []Block
	// Before and More link to the parts of a long body; Shown says which part this is.
	Before, More string
	Shown        string
}

// Stepper walks through the findings of a body.
type Stepper struct{ Text, Prev, Next string }

// Block is a line, or a fold: a line that opens what is in Inner.
type Block struct {
	Line  Line
	Fold  string // "7 lines", empty for a plain line
	Inner []Block
}

// Line is one line of a body.
type Line struct {
	Number string // empty for the continuation of a long line
	ID     string
	Spans  []Span // the first carries the indentation
	// Mark is the worst severity on the line; its Class is empty for none.
	Mark     Mark
	MarkHref string
	Findings []Finding
	// More leads to the findings of the line that are not shown under it; no text for none.
	More Link
}

// Span is a run of one token class: "k", "s", "d", "p" or "" for plain.
type Span struct {
	Class, Text string
	Marked      bool
}

// Systems is the systems page.
type Systems struct {
	// Certificates leads to those of the local CA; empty without.
	Certificates string
	Shell
	Systems  []System
	Channels []Channel
	Form     SystemForm
	// Options are the connection settings of the system that is being changed.
	Options  *SystemOptions
	Pair     ChannelForm
	Clients  []Option
	Servers  []Option
	Listener string
}

// System is a registered system.
type System struct {
	ID, Name, Slug, Roles, BaseURL string
	Evidence                       Evidence
	Edit, Delete                   string
	// Unverified says until when the server's certificate is not verified; empty: it is.
	Unverified  string
	Consequence string
	// EdgeCases is the page of the built-in payer's switches; empty for other systems.
	EdgeCases string
}

// Channel is a pair with what its client is configured with.
type Channel struct {
	ID, Name, Pair, Track string
	Base                  Copy
	Curl                  Copy
	Postman               Copy
	Register              []Fact
	Forward               Forward
	Live                  string
	Exchanges             string
	Check, Settings, Auth string
	Evidence              Evidence
	Delete                string
	Consequence           string
}

// SystemForm is the form that registers or changes a system, with what was typed.
type SystemForm struct {
	Action, Title, Submit string
	Cancel                string
	Name, Slug, BaseURL   string
	BaseHint              string
	Client, Server        bool
	Errors                map[string]string
	Problem               string
}

// ChannelForm is the form that connects two systems.
type ChannelForm struct {
	Client, Server, Track, BasePath string
	Errors                          map[string]string
	Problem                         string
}

// Option is a choice in a select.
type Option struct {
	Value, Text string
	Selected    bool
}

// Confirm asks before something is deleted.
type Confirm struct {
	Shell
	Title, Text, Action, Submit, Back string
}

// Failure is an error page.
type Failure struct {
	Shell
	Code, Title, Text string
	Actions           []Link
}
