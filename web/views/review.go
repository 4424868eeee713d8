package views

// Stamp is what people decided on a run.
type Stamp struct {
	// Kind is the review state: "verified".
	Kind, Word string
	// Note says by whom and when, and whether it was of other results than those shown.
	Note string
}

// Said is what the tool, a side or the lead says of a run.
type Said struct {
	Who   string
	Mark  *Mark // the tool's
	Side  string
	Stamp *Stamp // a person's; nil for nothing yet
	// Comment goes with it.
	Comment string
}

// ReviewBar is who says what of a run, with the form to say more.
type ReviewBar struct {
	Says []Said
	Form ReviewForm
	// Position is the run's place among those that wait; Prev and Next lead to its neighbours.
	Position, Prev, Next string
}

// ReviewForm takes a decision. Prefix keeps ids apart where a page has several.
type ReviewForm struct {
	Prefix, Action           string
	Run, Plan, Channel, Back string
	Digest                   string
	// Seen is the last decision that stood beside the form.
	Seen string
	// Taken says who else claimed it, empty for nobody.
	Taken       string
	By, Comment string
	Roles       []Option
	Problem     string
	Errors      map[string]string
	// Open shows the form unfolded.
	Open bool
	// Next offers to go on to the next run that waits.
	Next bool
	// Label says what is decided on, where a page has several forms.
	Label string
}

// Review is the queue of the track lead.
type Review struct {
	Shell
	Summary string
	Empty   *Empty
	Groups  []ReviewGroup
	Filter  QueueFilter
	Exports []Link
}

// ReviewGroup are runs that wait for the same reason.
type ReviewGroup struct {
	ID, Title, Note string
	Items           []ReviewItem
}

// ReviewItem is a run in the queue.
type ReviewItem struct {
	Title, Pair, Href string
	Verdict           Mark
	Side              string
	Evidence          Evidence
	Tally             []Tally
	Age               string
	Stamp             Stamp
	Comment           string
	// Change says what is other than when it was reviewed.
	Change string
	Before []string // earlier decisions, newest first
	Form   ReviewForm
}

// Window is a run's window, and the form to make or move one.
type Window struct {
	Action, Submit string
	// Since and Until are as an input of date and time has them; Zone names their zone.
	Since, Until, Zone string
	Name, By           string
	// Named asks for a name: a new run.
	Named   bool
	Stop    string // the action that closes it, empty where there is nothing to close
	Problem string
	Errors  map[string]string
	Open    bool
	// Fields go along.
	Fields [][2]string
}

// AttestForm takes a named person's word on a check.
type AttestForm struct {
	ID, Action   string
	Question     string
	Step, Check  string
	Fields       [][2]string
	By, Note     string
	Problem      string
	Errors       map[string]string
	Said         string // the word given before
	Alternatives []Option
}

// HistoryRow is a result as it was once.
type HistoryRow struct {
	Time, Moment string
	Verdict      Mark
	Side         string
	Why          string
	Exchanges    string
	// Text leads to the text of the plan that judged, where that is not the one in use; Text.Href is empty where it is not kept.
	Text Link
}

// Lane draws exchanges between two lifelines.
type Lane struct {
	Title, ViewBox string
	Client, Server string
	Bottom         string // where the lifelines end
	Rows           []LaneRow
}

// LaneRow is one exchange: an arrow there, and one back where the answer is what matters. Numbers are SVG coordinates.
type LaneRow struct {
	Y, LabelY, TextY string
	HeadTo           string // the arrow's head
	Time, Number     string
	Label            string
	Answer           string // empty: no arrow back
	BackY, BackLabel string
	HeadBack         string
	Selected         bool
	BandY, BandH     string
}

// Coverage is the requirements of a plan over what was recorded.
type Coverage struct {
	Shell
	Tabs    []Link
	Filters []Link
	Title   string
	Summary string
	CSV     string
	Empty   *Empty
	Rows    []RequirementRow
	Support *Support
}

// RequirementRow is a requirement with how it stands.
type RequirementRow struct {
	ID, Strength, How string
	Verdicts          []Tally
	Checks            []CoveredRow
	// First is the first exchange that decided it.
	First *Link
	More  string
}

// CoveredRow is a check of a requirement over a pair.
type CoveredRow struct {
	Claim, Pair, Href string
	Verdict           Mark
	Side              string
	Links             []Link
}

// Support is what profiles want supported and what of it was seen.
type Support struct {
	Summary  string
	Profiles []SupportProfile
}

// SupportProfile is one profile's tally.
type SupportProfile struct {
	Name, URL string
	Count     string
	Items     []SupportItem
}

// SupportItem is an element, slice or extension.
type SupportItem struct {
	Name    string
	Verdict Mark
	Link    *Link
	Note    string
}
