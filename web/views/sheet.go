package views

// Sheet is every run with who decided what, to print and to sign.
type Sheet struct {
	Shell
	Summary, Note string
	At            string // when it was made
	CSV, Back     string
	Empty         *Empty
	Plans         []SheetPlan
}

// SheetPlan is the runs of one plan.
type SheetPlan struct {
	ID, Title string
	Rows      []SheetRow
}

// SheetRow is one run.
type SheetRow struct {
	Client, Server, Run, Href string
	Verdict                   Mark
	Side                      string
	Evidence                  Evidence
	Tally                     []Tally
	Stamp                     Stamp
	Comment                   string
}

// QueueFilter is what of the review queue is shown.
type QueueFilter struct {
	Plans, States, People []Option
	Echo                  string
	Clear                 string // empty without a filter
}
