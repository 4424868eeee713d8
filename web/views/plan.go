package views

// Scenarios is the page of test plans.
type Scenarios struct {
	Shell
	Summary string
	// Faults are what is wrong with plan files.
	Faults []PlanFault
	Tracks []Track
	Empty  *Empty
}

// Track is the plans of one track.
type Track struct {
	ID, Name string
	Plans    []Plan
}

// Plan is a test plan in plain words.
type Plan struct {
	ID, Title, Scenario string
	Guides              []string
	Client, Server      string
	Prepare             []string
	Groups              []PlanGroup
	StepCount           string
	Requirements        []string
	Results             string // the matrix
	// Text leads to the plan as it was written, empty where that is not kept.
	Text string
	// File is what it was read from; without a name it is built in.
	File PlanFile
	Runs []RunLink
	// MorePairs says how many pairs there are besides, empty for none.
	MorePairs string
	// NoRuns says why there are none.
	NoRuns string
}

// PlanFile is where a plan comes from.
type PlanFile struct{ Name, Path, Word string }

// PlanFault is what is wrong with the file of a plan.
type PlanFault struct {
	Class       string
	Title, Text string
	Alert       bool
	Lines       []FaultLine
}

// FaultLine is one thing wrong, and where: "line 3, column 5".
type FaultLine struct{ Place, Message string }

// PlanGroup is the required or the optional steps of a plan.
type PlanGroup struct {
	Name, Note string
	Steps      []PlanStep
}

// PlanStep is a step in plain words.
type PlanStep struct {
	Number, Title, Claim string
	Requirements         []string
}

// RunLink leads to a plan's run over a channel.
type RunLink struct {
	Pair, Href string
	Verdict    Mark
	Side       string
	State      string
	Evidence   Evidence
	Tally      []Tally
}

// Tally is a number of parts with one verdict.
type Tally struct {
	Mark  Mark
	Count string
}

// Run is a plan over a channel.
type Run struct {
	Shell
	Back  string
	Track string
	Title string
	Pair  string
	Empty *Empty
	Live  RunLive
	// Window, Others and Downloads are of the run; Review is nil where none can be made.
	Window    *Window
	Others    []Link
	Downloads []Link
	Review    *ReviewBar
}

// RunLive is the part of the run page that is read again while traffic arrives.
type RunLive struct {
	// Self is the URL of this part alone.
	Self string
	// Say is the state in one sentence, for readers.
	Say      string
	Verdict  Mark
	Side     string
	State    string
	Moving   bool // work is going on
	Steady   bool // recording: waiting for traffic
	Evidence Evidence
	Review   Stamp
	// Plan leads to the text that judges, where it is of a file; Plan.Href is empty where it is not kept.
	Plan Link
	// Range is the run's window, empty for all.
	Range   string
	Window  string
	Tally   []Tally
	Notices []Notice
	Groups  []RunGroup
	Detail  *StepDetail
	// Latest are the newest exchanges of the run, and All the list with the others.
	Latest []EvidenceRow
	All    string
}

// RunGroup is a phase of the checklist.
type RunGroup struct {
	Name, Note string
	Steps      []RunStep
}

// RunStep is a step of the checklist.
type RunStep struct {
	ID, Number, Title string
	Verdict           Mark
	Why               string
	Exchanges         string // "121, 122"
	Href              string
	Current           bool
}

// StepDetail is the chosen step: what decided it.
type StepDetail struct {
	Heading string
	Verdict Mark
	Side    string
	Claim   string
	Told    *Notice
	// Awaited says which request would show a step that traffic has not shown.
	Awaited  []Fact
	Judged   string
	Evidence []EvidenceRow
	Lane     *Lane
	Attest   []AttestForm
	History  []HistoryRow
	// Cut says how many exchanges more there are.
	Cut     string
	Checks  []CheckRow
	Counts  string
	Require []string
}

// EvidenceRow is an exchange that decided something.
type EvidenceRow struct {
	Number              string
	Href                string // empty when it is not stored any more
	Time, Moment        string
	Request             string
	Status, StatusClass string
	Verdict             Mark
}

// CheckRow is a check's result.
type CheckRow struct {
	Claim    string
	Verdict  Mark
	Why      string
	Strength string
	// Evidence is set where it is of another kind than the run's: a person's word.
	Evidence Evidence
	Links    []Link
	// Places lead to what made a check fail: the line, with the requirement it breaks.
	Places  []Link
	Require []string
	// Insecure: it rests on exchanges in which the server's certificate was not verified.
	Insecure bool
}

// Results is the matrix of a plan.
type Results struct {
	Shell
	Tabs  []Link
	Title string
	// Name and At are what a print says: the scenario and the moment.
	Name, At string
	Plan     string // its page
	Empty    *Empty
	Live     Matrix
	// Exports lead to the sheet and the table of what is shown.
	Exports []Link
}

// Matrix is the part of the results page that is read again while traffic arrives.
type Matrix struct {
	Self    string
	Say     string
	Caption string
	Counts  []Tally
	Note    string
	Servers []Party
	Rows    []MatrixRow
	Totals  [][]Tally
	Legend  []Mark
	Letters []string
	Stamps  []Stamp
}

// Party is a system at the edge of the matrix.
type Party struct{ Name, Note string }

// MatrixRow is a client with its cells and what was observed.
type MatrixRow struct {
	Client Party
	Cells  []Cell
	Total  []Tally
}

// Cell is a pair's result.
type Cell struct {
	Href, Label string
	// Verdict has no class for a pair that was not tried.
	Verdict Mark
	Letter  string
	Kind    string
	Sub     string
	// Stamp is what people decided.
	Stamp string
}
